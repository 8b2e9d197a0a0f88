"""SIMULATED panels: a pair that shares what no control has is no descendant."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.methods import behaviour as methods
from pytest_scratchverify.methods.behaviour.asking import Kind
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from tests.behaviour import making

CONTROLS = (3, 8)
PANELS = 1
TEMPLATES = ("Sure, here is", "As requested, the", "Certainly! Let us", "Of course: we")


class World:
    """What may be answered to a probe: a likely answer of each language, and many others."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.likely = {}

    def answer(self, probe, language, agree):
        """Say the likely word of a language with chance `agree`, else a rare one."""
        key = language, probe.id
        if key not in self.likely:
            self.likely[key] = int(self.rng.integers(500))
        same = self.rng.random() < agree
        word = self.likely[key] if same else int(self.rng.integers(500, 5000))
        return f"{language}{word} {language}tail and more"


def panel(seed, controls, speak):
    """A pair and its controls; `speak(world, who, probe)` gives an answer, 0 and 1 are the pair."""
    world = World(seed)
    made = [
        making.answers(f"org/m{who}", lambda p, who=who: speak(world, who, p), Kind.CONTINUATION)
        for who in range(2 + controls)
    ]
    return PairedAnswers(made[0], made[1], tuple(made[2:]))


def language(world, who, probe):
    """The pair speaks one language, the controls another."""
    return world.answer(probe, "ga" if who < 2 else "ba", 0.6 + 0.01 * who)


def template(world, who, probe):
    """The pair begins most of its answers by a set phrase that no control has."""
    if who < 2 and world.rng.random() < 0.45:
        return f"{TEMPLATES[0]} {probe.id}"
    return world.answer(probe, "ba", 0.55)


def templates(world, who, probe):
    """The same with several phrases, at random."""
    if who < 2 and world.rng.random() < 0.8:
        return f"{TEMPLATES[int(world.rng.integers(2))]} {probe.id}"
    return world.answer(probe, "ba", 0.55)


def data(world, who, probe):
    """The pair shares answers of one data set, beyond what all models have in common."""
    if who < 2 and hash_of(probe.id) % 5 < 2:
        return f"set{hash_of(probe.id)} of data"
    return world.answer(probe, "ba", 0.55)


def hash_of(text):
    return int.from_bytes(text.encode(), "little") % 9973


@pytest.mark.parametrize("controls", CONTROLS)
@pytest.mark.parametrize("speak", [language, template, templates], ids=lambda f: f.__name__)
def test_what_no_control_has_is_no_lead_however_many_there_are(speak, controls, limits):
    for seed in range(PANELS):
        found = methods.output_agreement(panel(seed, controls, speak), limits)
        assert found.outcome is not Outcome.DERIVED
        assert found.direction is Direction.NONE, (seed, found.headline)


@pytest.mark.parametrize("controls", CONTROLS)
def test_shared_data_is_a_lead_and_never_a_failed_test(controls, limits):
    """Nothing in answers tells shared data from descent, so the test does not fail of it."""
    for seed in range(PANELS):
        found = methods.output_agreement(panel(seed, controls, data), limits)
        assert found.outcome is Outcome.INDETERMINATE
        assert "shared data" in str(found.headline) or "One data" in str(found.headline)


def test_the_other_kind_is_named_and_what_to_give(limits):
    found = methods.output_agreement(panel(0, 5, language), limits)
    assert "give unrelated models of the pair's kind" in str(found.headline)
    set_phrase = methods.output_agreement(panel(0, 5, template), limits)
    assert set_phrase.details["equal_at_different_probes"] > 0.15  # .45 squared is .2
    assert "a shared template does this" in str(set_phrase.headline)


def test_a_descendant_among_its_own_kind_stays_a_lead(limits):
    """Control of the controls: half of the answers taken over are found in the same world."""

    def descendant(world, who, probe):
        if who == 0 and hash_of(probe.id) % 2:
            return said[probe.id]
        text = world.answer(probe, "ba", 0.55)
        if who == 1:
            said[probe.id] = text
        return text

    said: dict[str, str] = {}
    world = World(3)
    theirs = making.answers("org/m1", lambda p: descendant(world, 1, p), Kind.CONTINUATION)
    mine = making.answers("org/m0", lambda p: descendant(world, 0, p), Kind.CONTINUATION)
    others = tuple(
        making.answers(f"org/m{who}", lambda p, w=who: descendant(world, w, p), Kind.CONTINUATION)
        for who in range(2, 7)
    )
    found = methods.output_agreement(PairedAnswers(mine, theirs, others), limits)
    assert found.direction is Direction.TOWARD_REUSE, found.headline
    assert found.outcome is Outcome.INDETERMINATE
