"""Traits of a config's model type, or those of a type that nobody here knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pytest_scratchverify.checkpoint.counting import classics, traits
from pytest_scratchverify.checkpoint.counting.keys import Keys
from pytest_scratchverify.checkpoint.counting.traits import Traits

FAMILIES: Final[Mapping[str, Traits]] = {
    name: found for names, found in (*traits.GROUPS, *classics.GROUPS) for name in names.split()
}


def traits_of(keys: Keys) -> Traits:
    """Return the traits of a config's model type, or those of a type that nobody here knows."""
    known = FAMILIES.get(keys.family)
    if known is not None:
        return known
    if (bert := classics.like_bert(keys)) is not None:
        return bert
    # GPT's kin have LayerNorm and biases everywhere, Llama's biases of q, k and v at most.
    like_gpt = keys.text("norm") == "LayerNorm"
    return replace(traits.UNKNOWN, norm_bias=like_gpt, biased="qkvo" if like_gpt else "qkv")
