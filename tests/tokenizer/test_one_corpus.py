"""Vocabularies that were learnt apart from one corpus are nobody's copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.one_corpus import learn, vocabulary
from pytest_scratchverify.core.evidence import Direction, Outcome, Relation
from pytest_scratchverify.methods import tokenizer as method
from pytest_scratchverify.methods.tokenizer.rank_order import decide
from pytest_scratchverify.methods.tokenizer.relation import without_publication
from pytest_scratchverify.tokenizer.sketch import load_sketches
from tests.tokenizer.real_tokenizers import real

TYPES, SMALL, LARGE = 2500, 700, 1200
ACCUSING = (Relation.DERIVED, Relation.EXTENDS, Relation.SAME)


@pytest.fixture(scope="module")
def learned(corpus):
    """One text, learnt."""
    types, said = corpus
    return learn(types, np.round(said * 1e9).astype(np.int64), LARGE)


@pytest.fixture(scope="module")
def corpus():
    """A language of words made of syllables, and how often each is said (Zipf's law)."""
    rng = np.random.default_rng(7)
    syllables = [rng.integers(97, 123, rng.integers(1, 4), np.uint8).tobytes() for _ in range(300)]
    words = {b"".join(rng.choice(np.array(syllables, object), rng.integers(1, 5))): None
             for _ in range(2 * TYPES)}  # fmt: skip
    types = list(words)[:TYPES]
    said = 1.0 / np.arange(1, TYPES + 1)
    return types, said / said.sum()


def sampled(corpus, words, seed, merges=LARGE):
    types, said = corpus
    return learn(types, np.random.default_rng(seed).multinomial(int(words), said), merges)


def found(one, two, calibration, **known):
    return method.rank_order(
        vocabulary("org/one", one), vocabulary("org/two", two), calibration, **known
    )


@pytest.mark.parametrize("words", [1e9, 1e12])
def test_two_samples_of_one_distribution_are_never_derived(words, corpus, calibration):
    one, two = (sampled(corpus, words, seed) for seed in (1, 2))
    for mine, theirs in ((one, two), (one, two[:SMALL]), (one[:SMALL], two)):
        finding = found(mine, theirs, calibration)
        assert finding.relation not in ACCUSING, finding.headline
        assert finding.outcome is not Outcome.DERIVED
        assert finding.direction is not Direction.TOWARD_REUSE


@pytest.mark.parametrize("sizes", [(LARGE, SMALL), (SMALL, LARGE)])
def test_one_text_learnt_twice_is_the_same_text_or_a_copy(sizes, learned, calibration):
    """The larger vocabulary goes on where the smaller stopped: so does an extension."""
    finding = found(learned[: sizes[0]], learned[: sizes[1]], calibration)
    assert finding.statistic.value == 1.0
    assert finding.relation is Relation.SHARED_ANCESTRY
    assert finding.outcome is Outcome.INDETERMINATE
    assert "same text, or one is a copy" in str(finding.headline)
    assert "does not exclude two trainings on one text" in str(finding.null.description)


def test_dates_are_asked_for_where_they_change_what_is_said(learned, corpus, calibration):
    whole, part = learned, learned[:SMALL]
    one, two = (sampled(corpus, 1e9, seed) for seed in (1, 2))
    for mine, theirs in ((whole, part), (part, whole)):
        undated = found(mine, theirs, calibration)
        assert "release dates" in str(undated.remedy)
        for older in (True, False):
            dated = found(mine, theirs, calibration, reference_is_older=older)
            assert dated.remedy is None
            assert dated.outcome is not undated.outcome
    apart = found(one, two, calibration)
    dated = found(one, two, calibration, reference_is_older=True)
    assert (apart.outcome, apart.relation) == (dated.outcome, dated.relation)
    assert apart.remedy is None


def test_with_known_dates_an_extension_is_one(learned, calibration):
    def of(older):
        return found(learned, learned[:SMALL], calibration, reference_is_older=older)

    assert (of(True).relation, of(True).outcome) == (Relation.EXTENDS, Outcome.DERIVED)
    assert of(False).outcome is Outcome.CONSISTENT


def test_equal_vocabularies_are_called_equal_and_nothing_more(learned, calibration):
    finding = found(learned, learned, calibration)
    assert finding.relation is Relation.SAME
    assert "a copy, or the same training on the same text" in str(finding.headline)


def test_a_published_vocabulary_that_was_learnt_again_is_no_ancestor(corpus, calibration):
    """Dates alone make nobody a copyist: a copy keeps the order, learning again does not."""
    one, two = (sampled(corpus, 1e7, seed) for seed in (3, 4))
    finding = found(one, two[:SMALL], calibration, reference_is_older=True)
    assert finding.details["containment_b"] > calibration.derived_containment
    assert calibration.inherited < finding.effect.value < calibration.held_inherited
    assert finding.relation is Relation.SHARED_ANCESTRY


def test_a_known_publication_is_recognised_by_its_content(calibration):
    """A folder that holds cl100k is cl100k, whatever its name."""
    base = replace(real("cl100k"), name="./somewhere")
    finding = method.rank_order(real("llama3"), base, calibration)
    assert (finding.relation, finding.outcome) == (Relation.EXTENDS, Outcome.DERIVED)


def test_every_shipped_relation_survives_without_dates_where_it_is_catalogued(calibration):
    sketch = next(s for s in load_sketches() if s.name == "cl100k")
    assert method.nearest_ancestor(real("llama3"), calibration, sketches=[sketch]).derived


def test_no_relation_but_inheritance_is_weakened(calibration):
    _, apart = decide(real("deepseek-v3"), real("llama3"), calibration)
    assert without_publication(apart) is apart
