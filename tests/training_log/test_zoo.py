"""The zoo's own logs: every start told apart without exception, orders recognised."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.training_log.readers import read_training_log
from tests.training_log.shipped import LOGS

ZOO = LOGS.parent / "zoo"
VOCABULARIES = {"t0": 768, "t1": 768}
# What a training starts from. The last three start anew but for some tensors of a parent.
RANDOM = {"s0", "s1", "s2", "s3", "s0-twin", "s0-order", "t0", "t1", "moe0", "moe1", "moe0-twin",
          "vl0", "vl1", "w0", "w1", "w0-order", "w0-twin"}  # fmt: skip
TRAINED = {"s0-finetune", "s0-cpt-long", "s0-cpt-short", "s0-lora", "moe0-finetune",
           "moe0-cpt-long", "vl0-finetune", "w0-finetune", "w0-cpt-long"}  # fmt: skip
PARTS = {"s0-embeddings-only", "s0-two-layers", "vl0-vision-only"}
FROM_A = {"s0", "s0-order"}, {"s0-twin", "moe0-twin", "w0-twin"}, {"w0", "w0-order"}
PROSE = "s0-prose"  # from s0 too, on text of another kind
FROM_B = TRAINED | PARTS  # all on the second half, in one order


@pytest.fixture(scope="module")
def zoo():
    return {path.stem: read_training_log(path) for path in sorted(ZOO.glob("*.jsonl"))}


def size(name):
    return VOCABULARIES.get(name, 1024)


def test_every_log_is_sorted_into_what_it_starts_from(zoo):
    assert set(zoo) == RANDOM | TRAINED | PARTS | {PROSE}


def test_from_a_random_start_and_from_trained_weights_are_told_apart_without_exception(zoo, limits):
    excess = {}
    for name in RANDOM | TRAINED | {PROSE}:
        found = methods.first_loss(name, zoo[name], size(name), limits)
        excess[name] = found.statistic.value
        if name in RANDOM:
            assert (found.outcome, found.kinds) == (Outcome.CONSISTENT, ("random start",)), name
        elif name in TRAINED:
            assert found.outcome is Outcome.INDETERMINATE, name
            assert found.kinds == ("under way",), name
            assert "warm start" in str(found.headline), name
    assert max(excess[n] for n in TRAINED) < -3
    assert max(abs(excess[n]) for n in RANDOM) < 0.05


def test_a_real_warm_start_of_two_hundred_steps_is_not_told_from_another_unit(zoo, limits):
    """In so few steps random starts lose as little (Pythia .1): nobody is accused by it."""
    found = methods.first_loss(PROSE, zoo[PROSE], 1024, limits)
    assert (found.outcome, found.kinds) == (Outcome.NOT_APPLICABLE, ("another unit or weights",))
    assert found.direction is Direction.NONE
    for word in ("bits", "divergence", "weights that were there before"):
        assert word in str(found.headline)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_reused_part_does_not_show_in_the_first_loss(name, zoo, limits):
    """What the test cannot see: two layers, the embeddings or a vision tower of another model."""
    assert methods.first_loss(name, zoo[name], 1024, limits).kinds == ("random start",)


def test_no_genuine_log_of_the_zoo_is_contradicted(zoo, limits):
    alarms = []
    for name, log in zoo.items():
        found = [
            methods.first_loss(name, log, size(name), limits),
            methods.continuity(name, log, limits),
            methods.duplicates(name, log),
            methods.smoothness(name, log, limits, 1536),
            methods.power_law(name, log, limits, size(name)),
            methods.schedule(name, log, limits),
            methods.gradient_norms(name, log),
        ]
        alarms += [
            f"{name}: {f.method}"
            for f in found
            if f.relation == "contradicted" or f.direction is Direction.TOWARD_REUSE or f.derived
        ]
        assert found[5].kinds == ("cosine",), name
    assert not alarms


def test_one_data_order_is_found_whatever_seed_size_or_parent_and_no_other(zoo, limits):
    together = others = 0
    branches = []
    for a, b in combinations(sorted(zoo), 2):
        found = methods.same_data_order(a, zoo[a], b, zoo[b], limits)
        same = {a, b} <= FROM_B or any({a, b} <= group for group in FROM_A)
        if found.derived:
            branches.append((a, b))
        elif same:
            together += 1
            assert found.relation == "same_data_order", (a, b, found.headline)
            assert found.statistic.value > 0.79, (a, b)
        else:
            others += 1
            assert found.outcome is Outcome.CONSISTENT, (a, b, found.headline)
            assert abs(found.statistic.value) < 0.2, (a, b)
    # one parent, one order, one warm-up: digit for digit the same run at first, and said so
    assert branches == [("s0-cpt-long", "s0-cpt-short")]
    assert (together, others) == (70, 364)


def test_gradient_norms_move_with_losses_too_little_to_be_judged(zoo):
    """Why the relation is shown only: a quarter of genuine logs would be accused for lacking it."""
    rows = [methods.gradient_norms(n, log).details["agreement"] for n, log in zoo.items()]
    rs, ps = np.array(rows).T
    assert -0.1 < rs.min() < 0.1
    assert rs.max() < 0.5
    assert (ps > 0.05).mean() > 0.2


def test_the_logs_are_what_the_journal_writes(zoo):
    for name, log in zoo.items():
        rows = [json.loads(line) for line in (ZOO / f"{name}.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == list(range(len(rows)))
        assert len(log) == len(rows) in {200, 600}
        assert np.all(np.diff(log.tokens) == 1536)
