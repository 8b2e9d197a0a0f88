"""Real tokenizers, parsed once a session, and the frozen calibration."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path

import pytest

from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer
from tools.facts.artifact_registry import ROOT, tokenizer_path


@cache
def real(name: str) -> Tokenizer:
    """A real tokenizer by its name in the registry."""
    gc.disable()  # millions of small objects that live as long as the session
    try:
        return read_tokenizer(tokenizer_path(name), name)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def calibration() -> TokenizerThresholds:
    return TokenizerThresholds.load(ROOT / "suites" / "calibration" / "tokenizer.json")


@pytest.fixture(scope="session")
def published_csv() -> Path:
    return Path(__file__).with_name("published_pairs.csv")
