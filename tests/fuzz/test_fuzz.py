"""Every reader on a few damaged files; `make fuzz` tries as many as there is time for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import CORPUS, TARGETS


def read(name: str, body: bytes) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].run(body, Path(folder))


def test_every_corpus_has_its_reader() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_corpus(name: str) -> None:
    """Sound seeds are read, so that their damage reaches something; hostile ones are refused."""
    said = [read(name, seed) for seed in TARGETS[name].seeds(name)]
    assert None in said
    assert not [text for text in said if text and "could not be read: " in text]  # all foreseen


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(rng=st.randoms(use_true_random=False))
def test_damage_is_refused_or_read(name: str, rng: Random) -> None:
    read(name, mutated(rng.choice(TARGETS[name].seeds(name)), rng))
