"""The published statistics, as they were written down, and that strangers have what they count."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from benchmarks.model_genome import (
    all_pairs,
    layer_correlation,
    linear_cka,
    measured,
    row_cosine,
    same_tuple,
    truth_of,
)
from tools.zoo.ready_models import READY


def test_cka_by_hand():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 8))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    assert linear_cka(table, table) == pytest.approx(1)
    assert linear_cka(table, table @ turn + 3) == pytest.approx(1)
    assert linear_cka(table, rng.normal(size=(300, 8))) < 0.1
    assert row_cosine(table, 2 * table) == pytest.approx(1)
    assert row_cosine(table, rng.normal(size=(300, 9))) == 0


def test_layers_of_another_number_have_no_correlation():
    along = np.arange(4.0)
    assert layer_correlation(np.array([along]), np.array([2 * along + 1])) == pytest.approx(1)
    assert layer_correlation(np.array([along]), np.array([-along])) == pytest.approx(-1)
    assert layer_correlation(np.zeros((4, 4)), np.zeros((4, 6))) is None


def test_names_tell_the_truth_of_the_zoo():
    assert truth_of("s0", "s1-finetune") == "strangers"
    assert truth_of("s0-twin", "s0") == "one seed"
    assert truth_of("s0-lora", "s0") == "descendant"
    folders = [READY / name for name in ("s0", "s1", "s0-finetune")]
    assert len(all_pairs(folders, most_strangers=False)) == 2
    assert len(all_pairs(folders, most_strangers=True)) == 3


@pytest.fixture(scope="module")
def bases():
    return [measured(READY / name) for name in ("s0", "s1", "t0", "moe0")]


def test_strangers_have_what_the_posts_count(bases):
    """Trained apart: one tuple, most of a vocabulary, a CKA of .4, layers that go together."""
    for one, two in combinations(bases, 2):
        shared = sorted(one.tokens.keys() & two.tokens.keys())
        assert len(shared) / min(len(one.tokens), len(two.tokens)) > 0.8
        a = one.embeddings[[one.tokens[t] for t in shared]]
        b = two.embeddings[[two.tokens[t] for t in shared]]
        assert 0.40 <= linear_cka(a, b) <= 0.47
        assert linear_cka(a, b[np.random.default_rng(3).permutation(len(b))]) < 0.1
        assert abs(row_cosine(a, b)) < 0.02
    s0, s1, t0, _ = bases
    assert same_tuple(s0.config, s1.config)
    assert same_tuple(s0.config, t0.config)
    assert layer_correlation(s0.spreads, s1.spreads) > 0.7
