"""Published claims about designs, in a form that a test can confirm or contradict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pytest_scratchverify.catalog.entries import DATA


@dataclass(frozen=True, slots=True)
class Claim:
    """One published statement about a model's design.

    `kind` is ``value`` (the field has this value), ``unique`` (no other model has it),
    ``largest`` (no other model has more), ``nonstandard`` (the value is a design choice of
    its own) or ``no_match`` (no other model has the same core fields). `status` is what the
    review of the public project found: ``unverified`` claims rest on no source but itself.
    """

    model: str
    id: str
    kind: str
    field: str
    value: int | float | str
    source: str
    status: str


@cache
def shipped_claims() -> Mapping[str, tuple[Claim, ...]]:
    """Return the shipped claims by model."""
    claims: dict[str, list[Claim]] = {}
    for raw in json.loads((DATA / "claims.json").read_text("utf-8")):
        claims.setdefault(raw["model"], []).append(Claim(**raw))
    return {model: tuple(found) for model, found in claims.items()}
