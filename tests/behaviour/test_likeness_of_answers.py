"""Likenesses of answers that `benchmarks.distillation` compares, on cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.distillation import GROUPS, NAMES, STRANGERS, Answered, beside_strangers, likenesses


@pytest.fixture(scope="module")
def answered():
    """Two models at four places of a text over three tokens, and two prompts each."""
    return Answered(
        {
            "next": np.array([0, 1, 2, 0]),
            "a/best": np.array([0, 2, 1, 1]),
            "b/best": np.array([0, 2, 0, 0]),
            "a/continuations": np.array([[1, 2, 0], [1, 1, 1]]),
            "b/continuations": np.array([[1, 2, 0], [1, 1, 0]]),
            "a/probabilities": np.array([[1.0, 0, 0], [0.5, 0.5, 0]]),
            "b/probabilities": np.array([[0, 1.0, 0], [0.5, 0.5, 0]]),
        }
    )


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("distributions", 0.5),  # one bit apart at one place, nothing at the other
        ("likeliest token", 0.5),
        ("likeliest token, both wrong", 0.5),  # of the places 1 and 2, where either misses
        ("continuations (behaviour.output_agreement)", 0.5),
    ],
)
def test_by_hand(answered, what, value):
    likeness = likenesses(answered)[what]
    assert likeness("a", "b") == pytest.approx(value, abs=1e-6)
    assert likeness("a", "b") == pytest.approx(likeness("b", "a"))
    assert likeness("a", "a") == pytest.approx(1, abs=1e-6)


def test_a_student_among_strangers_is_special():
    rng = np.random.default_rng(0)
    answers = {name: rng.random(400) for name in "tuvwxyz"}
    answers["s"] = np.where(rng.random(400) < 0.5, answers["t"], rng.random(400))

    def likeness(one, two):
        return float((np.abs(answers[one] - answers[two]) < 0.1).mean())

    assert beside_strangers(likeness, "s", "t", "uvwxy").pvalue < 1e-3
    assert beside_strangers(likeness, "z", "t", "uvwxy").pvalue > 1e-3


def test_every_group_is_asked_and_strangers_are_the_controls():
    assert len(set(NAMES)) == len(NAMES)
    assert GROUPS["strangers"] == STRANGERS
