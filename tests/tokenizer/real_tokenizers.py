"""Real tokenizers, parsed once a run, whichever worker asks first."""

from __future__ import annotations

import gc
import os
import pickle
from functools import cache
from pathlib import Path

from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer
from tools.facts.artifact_registry import tokenizer_path


@cache
def real(name: str) -> Tokenizer:
    """A real tokenizer by its name in the registry."""
    path = tokenizer_path(name)
    kept = Path(os.environ["TESTS_SHARED"]) / f"{name}.pickle"
    gc.disable()  # millions of small objects that live as long as the session
    try:
        if kept.exists():
            return pickle.loads(kept.read_bytes())
        found = read_tokenizer(path, name)
        written = kept.with_suffix(f".{os.getpid()}")
        written.write_bytes(pickle.dumps(found))
        written.replace(kept)
        return found
    finally:
        gc.freeze()
        gc.enable()
