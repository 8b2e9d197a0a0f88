"""Real tokenizers, parsed once a session."""

from __future__ import annotations

import gc
from functools import cache

from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer
from tools.facts.artifact_registry import tokenizer_path


@cache
def real(name: str) -> Tokenizer:
    """A real tokenizer by its name in the registry."""
    gc.disable()  # millions of small objects that live as long as the session
    try:
        return read_tokenizer(tokenizer_path(name), name)
    finally:
        gc.freeze()
        gc.enable()
