"""Statistics tested as statistics: nulls that hold, power, small cases by hand."""

from __future__ import annotations

import csv
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_scratchverify.methods.behaviour import features
from pytest_scratchverify.methods.behaviour.agreement import openings
from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.usable import probes_of
from pytest_scratchverify.stats.behaviour import neighbour_joining as joining
from pytest_scratchverify.stats.behaviour.binomial_rate import above, exact_rate
from pytest_scratchverify.stats.behaviour.change_point import change_point
from pytest_scratchverify.stats.behaviour.probe_dependence import concentration, probe_dependence
from pytest_scratchverify.stats.behaviour.round_robin import diluted, excess, share_equal, sign_test
from tests.behaviour.recorded import STRANGERS, recorded
from tools.running import ROOT

# --- round robin ------------------------------------------------------------------------


def simulated(rng, m, spread=0.02, planted=0.0):
    """SIMULATED similarities: general similarity of each model, and noise of each pair."""
    general = rng.normal(0, 0.1, m)
    noise = np.triu(rng.normal(0, spread, (m, m)), 1)
    out = 0.5 + general[:, None] + general[None, :] + noise + noise.T
    out[0, 1] = out[1, 0] = out[0, 1] + planted
    return out


@pytest.mark.parametrize("m", [5, 6, 8, 12])
def test_round_robin_pvalues_are_uniform_under_the_null(m):
    rng = np.random.default_rng(m)
    found = [excess(simulated(rng, m), 0, 1) for _ in range(1500)]
    assert stats.kstest([f.pvalue for f in found], "uniform").pvalue > 1e-3
    steps = np.array([f.exact for f in found])
    assert np.mean(steps <= 0.2) < 0.2 + 0.04  # a rank test is never liberal
    assert found[0].df == m * (m - 1) // 2 - m - 1


def test_round_robin_power_by_size_and_controls():
    rng = np.random.default_rng(0)
    power = {
        (m, e): np.mean(
            [excess(simulated(rng, m, planted=e), 0, 1).pvalue < 1e-3 for _ in range(300)]
        )
        for m in (5, 8, 12)
        for e in (0.05, 0.1, 0.2)
    }
    assert power[5, 0.2] > 0.5
    assert power[8, 0.2] > 0.98
    assert power[12, 0.1] > 0.85
    assert power[5, 0.05] < 0.3


def test_round_robin_by_hand():
    similarity = np.full((5, 5), 0.4)
    similarity[0, 1] = similarity[1, 0] = 0.7
    found = excess(similarity, 0, 1)
    assert found.expected == pytest.approx(0.4)
    assert found.effect == pytest.approx(0.3)
    assert found.pvalue < 1e-12
    assert (found.exact, found.floor) == (0.1, 0.1)
    assert excess(similarity[:4, :4], 0, 1) is None
    assert excess(np.full((5, 5), 0.4), 0, 1).pvalue == pytest.approx(0.5)


@given(st.permutations(range(6)), st.floats(-1, 1), st.integers(0, 10**6))
@settings(max_examples=50)
def test_round_robin_does_not_depend_on_order_or_origin(order, shift, seed):
    similarity = simulated(np.random.default_rng(seed), 6)
    order = list(order)
    a = excess(similarity, 0, 1)
    moved = similarity[np.ix_(order, order)] + shift
    b = excess(moved, order.index(0), order.index(1))
    assert b.pvalue == pytest.approx(a.pvalue, abs=1e-6)
    assert b.effect == pytest.approx(a.effect, abs=1e-9)


def test_related_controls_cost_power_and_accuse_nobody():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(500):
        similarity = simulated(rng, 7)
        similarity[2, 3] = similarity[3, 2] = 0.95  # two controls are kin
        wrong += excess(similarity, 0, 1).pvalue < 0.05
    assert wrong < 25


def test_more_prompts_do_not_make_strangers_kin():
    """SIMULATED: a prompt-level test calls a chance similarity of two strangers significant."""
    rng = np.random.default_rng(2)
    by_prompt, by_pair = [], []
    for _ in range(200):
        rates = np.clip(simulated(rng, 6), 0, 1)
        n = 20_000
        seen = np.array(rates)
        for i, j in combinations(range(6), 2):
            seen[i, j] = seen[j, i] = rng.binomial(n, rates[i, j]) / n
        rival = max(seen[0, 2:])
        z = (seen[0, 1] - rival) / np.sqrt(
            (seen[0, 1] * (1 - seen[0, 1]) + rival * (1 - rival)) / n
        )
        by_prompt.append(stats.norm.sf(z) < 1e-3)
        by_pair.append(excess(seen, 0, 1).pvalue < 1e-3)
    assert np.mean(by_prompt) > 0.1
    assert np.mean(by_pair) < 0.02


def test_shares_and_mixtures_by_hand():
    codes = np.array([[0, 1, 2, 3], [0, 1, 9, 3], [0, 0, 0, 0]])
    usable = np.ones(codes.shape, bool)
    usable[1, 3] = False
    share = share_equal(codes, usable)
    assert share[0, 1] == pytest.approx(2 / 3)
    assert share[0, 2] == pytest.approx(1 / 4)
    half = diluted(share, 0, 1, 0.5)
    assert half[0, 1] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert half[0, 2] == pytest.approx((share[0, 2] + share[1, 2]) / 2)


def test_sign_test_by_hand():
    yes, no = np.array([True] * 5), np.array([False] * 5)
    assert sign_test(yes, no) == pytest.approx(1 / 32)
    assert sign_test(yes, yes) == 1.0


# --- real answers of independent models -------------------------------------------------


@pytest.fixture(scope="module")
def zoo():
    probes = probes_of(shipped_probes(), Kind.CONTINUATION)
    return features.openings([openings(recorded(name), probes) for name in STRANGERS])


def subset(zoo, rows, probes=slice(None)):
    codes, usable = zoo
    return share_equal(codes[rows][:, probes], usable[rows][:, probes])


def test_pvalues_over_all_independent_pairs_are_uniform(zoo):
    """45 pairs of ten really trained models, each against the other eight (not independent)."""
    found = []
    for one, two in combinations(range(10), 2):
        rows = [one, two, *(k for k in range(10) if k not in (one, two))]
        found.append(excess(subset(zoo, rows), 0, 1).pvalue)
    assert stats.kstest(found, "uniform").pvalue > 0.05
    assert min(found) > 1e-3


def test_pvalues_over_blocks_of_probes_are_uniform(zoo):
    found = []
    for block in range(5):
        similarity = subset(zoo, list(range(10)), slice(block, None, 5))
        found += [excess(similarity, one, two).pvalue for one, two in combinations(range(10), 2)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.05) < 0.1


@pytest.mark.parametrize("controls", [3, 4, 5, 6])
def test_few_controls_have_a_heavier_tail_and_still_accuse_nobody(zoo, controls, limits):
    """The tail is not uniform: some pairs share a recipe that their controls do not have.

    So an accusation asks for an excess beside the p-value, as everywhere in this project.
    """
    rng = np.random.default_rng(controls)
    whole = subset(zoo, list(range(10)))
    found = []
    for _ in range(1000):
        rows = rng.choice(10, controls + 2, replace=False)
        found.append(excess(whole[np.ix_(rows, rows)], 0, 1))
    p = np.array([f.pvalue for f in found])
    assert np.mean(p < 0.05) < 0.11
    assert np.mean(p < 0.01) < 0.04
    accused = [f.pvalue < limits.alpha and f.effect >= limits.least_excess for f in found]
    assert np.mean(accused) <= 0.003


@pytest.mark.parametrize("recipe", ["s", "w", "t", "moe"])
def test_pairs_of_one_recipe_against_foreign_controls_only(zoo, recipe, limits):
    """The hardest strangers: same data, tokenizer and size, and no control that shares them."""
    mine = [k for k, name in enumerate(STRANGERS) if name.rstrip("0123456789") == recipe]
    foreign = [k for k in range(10) if k not in mine]
    for one, two in combinations(mine, 2):
        found = excess(subset(zoo, [one, two, *foreign]), 0, 1)
        assert found.effect < limits.least_excess
        assert found.pvalue > limits.alpha


# --- rates ------------------------------------------------------------------------------


def test_exact_rates_by_hand():
    none, half = exact_rate(0, 10), exact_rate(5, 10)
    assert (none.low, round(none.high, 4)) == (0, 0.3085)
    assert (round(half.low, 4), round(half.high, 4)) == (0.1871, 0.8129)
    assert (exact_rate(0, 0).low, exact_rate(0, 0).high) == (0, 1)
    assert above(1, 1, 0.05) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="no rate"):
        exact_rate(3, 2)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_exact_intervals_hold_the_rate(rate):
    counts = np.random.default_rng(3).binomial(40, rate, 2000)
    bounds = {c: exact_rate(int(c), 40) for c in set(counts)}
    inside = [bounds[c].low <= rate <= bounds[c].high for c in counts]
    assert np.mean(inside) > 0.95 - 0.01


# --- change point -----------------------------------------------------------------------

MONTHS = np.array(
    sorted(int(p.month[:4]) * 12 + int(p.month[5:]) - 1 for p in shipped_probes() if p.month)
)


def answered(rng, cutoff, before, after, months=MONTHS):
    """SIMULATED right answers to the shipped questions."""
    return rng.random(len(months)) < np.where(months <= cutoff, before, after)


def test_no_step_no_significance():
    rng = np.random.default_rng(4)
    found = [
        change_point(MONTHS, answered(rng, 0, 0.5, 0.5), draws=99, seed=k).pvalue
        for k in range(200)
    ]
    assert np.mean(np.array(found) <= 0.05) < 0.1
    assert np.mean(np.array(found) <= 0.5) < 0.6


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.02), (0.7, 0.1), (0.5, 0.1)])
@pytest.mark.parametrize("cutoff", ["2021-06", "2023-10", "2024-12"])
def test_the_interval_holds_the_cutoff(before, after, cutoff):
    year, month = cutoff.split("-")
    true = int(year) * 12 + int(month) - 1
    rng = np.random.default_rng(true)
    found = [change_point(MONTHS, answered(rng, true, before, after), draws=1) for _ in range(150)]
    assert np.mean([f.low <= true <= f.high for f in found]) >= 0.95
    width = np.median([f.high - f.low for f in found])
    assert width <= (1 if before == 0.9 else 8)


def test_a_model_that_knows_nothing_has_no_cutoff():
    found = change_point(MONTHS, np.zeros(len(MONTHS), bool), draws=99)
    assert found.pvalue == 1.0
    assert change_point(MONTHS[:10], np.ones(10, bool)) is None


def test_the_power_of_the_step():
    rng = np.random.default_rng(5)
    true = 2023 * 12 + 9
    seen = [
        change_point(MONTHS, answered(rng, true, 0.6, 0.1), draws=199).pvalue <= 0.01
        for _ in range(50)
    ]
    assert np.mean(seen) > 0.95


# --- dependence on few probes -----------------------------------------------------------


def first_128_numbers(one, two):
    """The published defect: 99 numbers an answer, flattened, the first 128 kept."""
    a, b = one.ravel()[:128], two.ravel()[:128]
    return 1 - float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def mean_distance(one, two):
    return float(
        np.mean(
            1 - np.sum(one * two, 1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)
        )
    )


def test_a_fingerprint_of_two_probes_in_a_hundred_is_caught(limits):
    """docs/adr/0007: LLM-DNA 0.2.3 compared 1.3 of its 100 answers."""
    rng = np.random.default_rng(6)
    one, two = rng.normal(size=(2, 100, 99))
    bad = probe_dependence(first_128_numbers, one, two)
    assert bad.top == pytest.approx(1.0)
    assert bad.silent == pytest.approx(0.98)
    assert bad.effective < 2.01
    assert bad.top > limits.top_two_share
    good = probe_dependence(mean_distance, one, two)
    assert good.top < 0.1
    assert good.effective > 50
    assert good.top < limits.top_two_share


def test_dependence_by_hand():
    found = concentration(np.array([3.0, 1.0, 0.0, 0.0]))
    assert (found.top, found.silent) == (1.0, 0.5)
    assert found.effective == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert concentration(np.zeros(4)) is None


@given(st.integers(10, 60), st.integers(0, 10**6))
@settings(max_examples=30)
def test_equal_probes_share_their_influence(n, seed):
    values = np.random.default_rng(seed).uniform(0.5, 1.5, n)
    found = concentration(values)
    assert found.top <= 2 * 1.5 / (0.5 * n) + 1e-9
    assert 1 <= found.effective <= n + 1e-9


# --- tree -------------------------------------------------------------------------------


def published():
    text = (ROOT / "tests/behaviour/llm_dna_published_cosine.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    return rows[0][1:], np.array([[float(value) for value in row[1:]] for row in rows[1:]])


def test_the_published_distances_give_the_published_tree():
    """The topology printed beside the matrix (docs/adr/0007), as unrooted splits:
    (((Mixtral,(Llama-3.3,(Solar,(Llama-3.1-8B,(GLM,EXAONE))))),Qwen32B),Qwen72B,Qwen7B)
    """
    names, matrix = published()
    short = {"EX": "EXAONE-3.5", "Q32": "2.5-32B", "Q72": "2.5-72B", "Q7": "2.5-7B", "L8": "3.1-8B",
             "L70": "3.3-70B", "Mix": "Mixtral", "Solar": "Solar", "GLM": "glm-4"}  # fmt: skip
    full = {key: next(name for name in names if part in name) for key, part in short.items()}
    nested = ["GLM", "L8", "Solar", "L70", "Mix", "Q32"]  # beside EXAONE, from the inside out
    wanted = set()
    for depth in range(1, len(nested) + 1):
        inside = {full["EX"], *(full[k] for k in nested[:depth])}
        wanted.add(frozenset(set(names) - inside))  # the side without the first name, EXAONE
    found = joining.neighbour_joining(names, matrix)
    assert set(found.splits) == wanted
    assert found.newick.count("(") == 7
    assert found.newick.endswith(";")


def test_distances_of_a_tree_give_that_tree():
    """Additive distances: ((a:1,b:2):3,c:4,(d:1,e:5):2) by hand."""
    names = list("abcde")
    leaf = {"a": 1, "b": 2, "c": 4, "d": 1, "e": 5}
    stem = {"a": 3, "b": 3, "c": 0, "d": 2, "e": 2}
    group = {"a": "x", "b": "x", "c": "c", "d": "y", "e": "y"}
    matrix = np.array([[0.0 if i == j else leaf[i] + leaf[j] + (0 if group[i] == group[j] else stem[i] + stem[j])
                        for j in names] for i in names])  # fmt: skip
    found = joining.neighbour_joining(names, matrix)
    assert set(found.splits) == {frozenset("de"), frozenset("cde")}


def test_support_is_over_probes():
    """SIMULATED: two pairs that every probe shows have full support, noise has none."""
    rng = np.random.default_rng(7)
    base = np.array([[0, 1, 3, 3], [1, 0, 3, 3], [3, 3, 0, 1], [3, 3, 1, 0]], float)
    noise = rng.normal(0, 0.3, (60, 4, 4))
    noise = noise + noise.transpose(0, 2, 1)
    noise[:, range(4), range(4)] = 0
    clear = joining.supported_tree("abcd", base + noise, draws=50)
    assert clear.splits == {frozenset("cd"): 1.0}
    flat = joining.supported_tree("abcd", np.where(base > 0, 2.0, 0) + noise, draws=50)
    assert min(flat.splits.values()) < 1.0


def test_names_with_newick_signs_are_quoted():
    names = ["a(b):c", "d,e", "f;g", "h"]
    rng = np.random.default_rng(8)
    matrix = rng.uniform(1, 2, (4, 4))
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    from io import StringIO

    from Bio import Phylo

    text = joining.neighbour_joining(names, matrix).newick
    assert sorted(
        leaf.name for leaf in Phylo.read(StringIO(text), "newick").get_terminals()
    ) == sorted(names)
