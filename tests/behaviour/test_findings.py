"""Findings over recorded answers of trained models, and over simulated ones of known truth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Level, Outcome
from pytest_scratchverify.methods import behaviour as methods
from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import Answers
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.verdict.fold import Plan, fold
from pytest_scratchverify.verdict.verdict import Verdict
from tests.behaviour import making
from tests.behaviour.recorded import STRANGERS, panel, recorded

OK, OPEN = Outcome.CONSISTENT, Outcome.INDETERMINATE
FINETUNES = (("s0-finetune", "s0"), ("s0-lora", "s0"), ("s0-int4", "s0"), ("w0-finetune", "w0"),
             ("moe0-finetune", "moe0"))  # fmt: skip


# --- output agreement -------------------------------------------------------------------


@pytest.mark.parametrize(("model", "parent"), FINETUNES)
def test_fine_tunes_agree_with_their_parent(model, parent, limits):
    """A lead, which fails no test: what else makes two models agree, no answer tells."""
    found = methods.output_agreement(panel(model, parent), limits)
    assert found.outcome is OPEN, found.headline
    assert found.direction is Direction.TOWARD_REUSE
    assert found.relation == "shared_answers"
    assert found.pvalue < 1e-3
    assert found.effect.value > 0.1
    assert {c.kind: c.passed for c in found.controls} == {"positive": True, "negative": True}
    assert (found.level, found.component) == (Level.E2, Component.BEHAVIOUR)
    assert "no finding on weights" in str(found.headline)
    assert (
        methods.output_agreement(panel(model, parent), limits, declared=True).outcome
        is Outcome.DECLARED
    )


@pytest.mark.parametrize(("model", "parent"), FINETUNES)
def test_fine_tunes_do_not_agree_with_strangers_of_the_parents_recipe(model, parent, limits):
    recipe = parent.rstrip("0123456789")
    for other in [s for s in STRANGERS if s.rstrip("0123456789") == recipe and s != parent]:
        rest = [s for s in STRANGERS if s not in (parent, other)]
        found = methods.output_agreement(panel(model, other, rest), limits)
        assert found.direction is Direction.NONE, found.headline


@pytest.mark.parametrize(("one", "two"), [*combinations(STRANGERS, 2)])
def test_no_independent_pair_is_accused(one, two, limits):
    found = methods.output_agreement(panel(one, two), limits)
    assert found.outcome in (OK, OPEN), found.headline
    assert found.direction is Direction.NONE


@pytest.mark.parametrize("model", ["s0-cpt-short", "s0-cpt-long", "s0-twin"])
def test_continued_pretraining_and_twins_are_not_seen(model, limits):
    """What the method cannot do, pinned: a third of a pretraining at full rate washes it out."""
    assert methods.output_agreement(panel(model, "s0"), limits).outcome is OK


def test_without_three_unrelated_models_nothing_is_concluded(limits):
    found = methods.output_agreement(panel("s0-finetune", "s0", ["s1", "s2"]), limits)
    assert (found.outcome, found.level, found.pvalue) == (OPEN, Level.E0, None)
    assert "--answers" in str(found.headline)


def test_a_related_control_voids_the_finding(limits):
    """w0 and its fine-tune both serve as strangers: the negative control notices."""
    others = ["s1", "w0", "w0-finetune", "s2", "s3", "t0", "moe0"]
    found = methods.output_agreement(panel("s1", "s0", others[1:]), limits)
    assert found.outcome is OPEN
    negative = next(c for c in found.controls if c.kind == "negative")
    assert (negative.passed, negative.pair) == (False, ("zoo/w0", "zoo/w0-finetune"))


def test_more_references_make_an_accusation_harder(limits):
    alone = methods.output_agreement(panel("s0-finetune", "s0"), limits)
    among = methods.output_agreement(panel("s0-finetune", "s0", family=20), limits)
    assert among.pvalue == pytest.approx(20 * alone.pvalue)


# --- broken answers never become a verdict ----------------------------------------------

PAIR_METHODS = (methods.output_agreement, methods.refusal_phrasing, methods.style,
                methods.response_distance, methods.cutoff_difference)  # fmt: skip
BROKEN = {
    "fallback": lambda _id, _text: "I am sorry, something went wrong.",
    "empty": lambda _id, _text: "",
    "error": lambda _id, _text: None,
    "blank": lambda _id, _text: " \n ",
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("method", PAIR_METHODS, ids=lambda m: m.__name__)
def test_two_broken_models_are_not_alike(kind, method, limits):
    """Empty answers once made two models look identical (distance 0.0)."""
    broken = [making.with_texts(recorded(name), BROKEN[kind]) for name in ("s0", "s0-finetune")]
    found = method(PairedAnswers(*broken, tuple(map(recorded, ("s1", "s2", "s3", "w0")))), limits)
    assert found.outcome is OPEN, found.headline
    assert found.level is Level.E0
    assert found.pvalue is None
    assert found.direction is Direction.NONE


@pytest.mark.parametrize("method", PAIR_METHODS[:1] + PAIR_METHODS[2:4], ids=lambda m: m.__name__)
def test_one_recording_under_two_names_accuses_nobody(method, limits):
    """A server that ignores the model's name serves one model as two."""
    same = recorded("s0")
    twice = Answers("zoo/other", same.by_probe, "again")
    found = method(PairedAnswers(twice, same, tuple(map(recorded, STRANGERS[1:]))), limits)
    assert (found.outcome, found.direction, found.level) == (OPEN, Direction.NONE, Level.E0)
    assert "ignores the model's name" in str(found.headline)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_has_no_quality_identity_cutoff_or_place_in_a_tree(kind, limits):
    broken = making.with_texts(recorded("s0"), BROKEN[kind])
    rest = PairedAnswers(broken, broken, tuple(map(recorded, STRANGERS[1:5])))
    for found in (methods.quality(broken, limits), methods.identity(broken, limits),
                  methods.cutoff(broken, limits), methods.tree(rest, limits)):  # fmt: skip
        assert found.outcome is OPEN, found.headline
        assert found.level is Level.E0


def test_a_model_that_answered_half_is_inconclusive(limits):
    half = recorded("s0")
    cut = Answers(half.model, dict(list(half.by_probe.items())[::2]), "half")
    found = methods.output_agreement(
        PairedAnswers(cut, recorded("s1"), tuple(map(recorded, STRANGERS[2:]))), limits
    )
    assert found.outcome is OPEN
    assert "not asked" in str(found.headline)


def test_the_zoo_knows_nothing_and_says_so(limits):
    for name in ("s0", "s0-finetune", "s1"):
        assert methods.cutoff(recorded(name), limits).outcome is OPEN
        assert methods.identity(recorded(name), limits).outcome is OPEN


def test_no_verdict_comes_of_behaviour(limits):
    """All of it together makes a SUSPECTED of the component behaviour, and of nothing else."""
    p = panel("s0-finetune", "s0")
    found = [methods.output_agreement(p, limits), methods.response_distance(p, limits),
             methods.quality(p.mine, limits), methods.tree(p, limits)]  # fmt: skip
    verdicts = fold(Plan(model="zoo/s0-finetune", intents=()), found)
    assert {c: v.verdict for c, v in verdicts.items()} == {Component.BEHAVIOUR: Verdict.SUSPECTED}
    clean = [methods.output_agreement(panel("s1", "s0"), limits)]
    assert (
        fold(Plan(model="zoo/s1", intents=()), clean)[Component.BEHAVIOUR].verdict
        is Verdict.INSUFFICIENT_EVIDENCE
    )


# --- tree, distances --------------------------------------------------------------------


def test_the_tree_joins_children_to_parents(limits):
    names = ["s0-lora", "s0", "w0", "w0-finetune", "moe0", "moe0-finetune", "t0", "s3"]
    others = tuple(map(recorded, names[1:]))
    found = methods.tree(PairedAnswers(recorded("s0-lora"), recorded("s0-lora"), others), limits)
    sides = {frozenset(row["side"]): row["support"] for row in found.details["support"]}
    assert sides[frozenset({"zoo/w0", "zoo/w0-finetune"})] == 1.0
    assert sides[frozenset({"zoo/moe0", "zoo/moe0-finetune"})] == 1.0
    assert found.effect.value == 1.0  # s0-lora beside s0
    assert "zoo/s0-lora" in found.details["newick"]
    assert found.direction is Direction.NONE


def test_distances_carry_their_dependence_on_probes(limits):
    found = methods.response_distance(panel("s1", "s0"), limits)
    assert found.details["dependence"]["top_two"] < 0.05
    assert found.details["dependence"]["effective_probes"] > 100
    assert (
        methods.output_agreement(panel("s1", "s0"), limits).details["dependence"]["top_two"] < 0.05
    )


def test_a_distance_that_hangs_on_two_probes_is_not_judged(limits):
    """SIMULATED: style probes of which all but two got equal answers everywhere."""
    loud = {"style-en-1", "style-en-2"}

    def model(name):
        return making.answers(name, lambda p: f"{name} " * 40 * (1 + len(name)) + "!" * 90 * len(name)
                              if p.id in loud else f"About {p.id[-1]}.", Kind.STYLE)  # fmt: skip

    everyone = [model("x" * n) for n in range(1, 7)]
    found = methods.style(PairedAnswers(everyone[0], everyone[1], tuple(everyone[2:])), limits)
    assert found.outcome is OPEN
    assert "two of" in str(found.headline)
    assert found.details["dependence"]["top_two"] > 0.5


# --- refusals (simulated) ---------------------------------------------------------------

PHRASES = ("I'm sorry, but I can't {x}.", "I cannot {x}, as that would be wrong.",
           "Unfortunately I won't be able to {x}; I must decline.", "As an AI, I am unable to {x}.",
           "I can't {x}. Please ask someone qualified.", "Sorry! I'm not able to {x} here.",
           "I'm afraid I can't {x} for you, friend.")  # fmt: skip


def decliner(name, phrase, seed, mixture=0.6):
    rng = np.random.default_rng(seed)
    deeds = ("help with that", "do this", "share it", "answer that")

    def say(_probe):
        form = phrase if rng.random() < mixture else PHRASES[rng.integers(len(PHRASES))]
        return form.format(x=deeds[rng.integers(len(deeds))])

    return making.answers(name, say, Kind.REFUSAL)


def test_shared_refusal_phrases_are_a_lead_at_most(limits):
    """SIMULATED: child and parent decline in one phrase, seven strangers in their own."""
    kin = [
        decliner(name, PHRASES[0], seed, 0.95) for seed, name in enumerate(("a/child", "b/parent"))
    ]
    strangers = tuple(decliner(f"c/{k}", PHRASES[k], 10 + k, 0.5) for k in range(1, 7))
    found = methods.refusal_phrasing(PairedAnswers(*kin, strangers), limits)
    assert (found.outcome, found.direction) == (OPEN, Direction.TOWARD_REUSE), found.headline
    own = methods.refusal_phrasing(
        PairedAnswers(strangers[0], strangers[1], (*kin[:1], *strangers[2:])), limits
    )
    assert own.direction is Direction.NONE


# --- identity (simulated) ---------------------------------------------------------------


def test_a_model_of_its_own_may_say_its_name(limits):
    mine = making.answers(
        "upstage/Solar-Open-100B", lambda p: f"I am Solar, made by Upstage. {p.id}"
    )
    found = methods.identity(mine, limits)
    assert (found.outcome, found.statistic.value) == (OK, 0.0)
    assert 0 < found.statistic.high < 0.15


def test_claims_of_another_vendor_are_a_lead_with_rate_and_interval(limits):
    leaky = making.answers(
        "upstage/Solar-Open-100B",
        lambda p: (
            f"I am ChatGPT by OpenAI. {p.id}"
            if hash_of(p.id) < 40
            else f"I am Solar by Upstage {p.id}"
        ),
    )
    found = methods.identity(leaky, limits)
    assert (found.outcome, found.direction, found.level) == (OPEN, Direction.TOWARD_REUSE, Level.E2)
    assert found.statistic.low < found.statistic.value < found.statistic.high
    assert set(found.details["by_vendor"]) == {"openai"}
    assert "Answers of other models in the training data" in str(found.headline)
    declared = methods.identity(leaky, limits, ("openai/gpt-oss-20b",))
    assert declared.statistic.value == 0.0


def hash_of(text):
    import zlib

    return zlib.crc32(text.encode()) % 100


def test_a_model_of_an_unknown_maker_is_not_accused_of_its_name(limits):
    found = methods.identity(making.answers("me/mine", lambda p: f"I am ChatGPT {p.id}"), limits)
    assert found.direction is not Direction.TOWARD_INDEPENDENCE
    few = methods.identity(making.answers("me/mine", lambda p: f"I am Mine {p.id}"), limits)
    assert few.outcome is OPEN


# --- cutoff (simulated) -----------------------------------------------------------------


@pytest.mark.parametrize("month", ["2021-09", "2023-10", "2024-12"])
def test_a_simulated_cutoff_is_found_with_its_interval(month, limits):
    found = methods.cutoff(making.knows_until("a/b", month), limits)
    assert found.outcome is OK, found.headline
    low, high = found.details["interval"]
    assert low <= month <= high
    assert found.direction is Direction.NONE
    assert len(found.details["curve"]) == 28


def test_cutoffs_are_compared_by_their_intervals(limits):
    early, late = (
        making.knows_until("a/early", "2021-09"),
        making.knows_until("b/late", "2024-12", 1),
    )
    apart = methods.cutoff_difference(PairedAnswers(early, late, ()), limits)
    assert apart.statistic.high < 0
    assert "not the same cutoff" in str(apart.headline)
    same = methods.cutoff_difference(
        PairedAnswers(early, making.knows_until("c/d", "2021-09", 2), ()), limits
    )
    assert "no difference within" in str(same.headline)
    assert apart.direction is same.direction is Direction.NONE


def test_knowing_everything_or_nothing_is_inconclusive(limits):
    for before, after in ((0.95, 0.95), (0.05, 0.05), (0.4, 0.3)):
        found = methods.cutoff(making.knows_until("a/b", "2023-01", 3, before, after), limits)
        assert found.outcome is OPEN, found.headline


def test_quality_counts_tokens_and_cost(limits):
    found = methods.quality(making.knows_until("a/b", "2023-01"), limits, (1.0, 2.0))
    n = len([p for p in shipped_probes() if p.kind is Kind.KNOWLEDGE])
    assert found.details["prompt_tokens"] == 10 * n
    assert found.details["cost"] == pytest.approx((10 * n * 1.0 + 5 * n * 2.0) / 1e6)
    assert str(15 * n) in str(found.headline).replace(",", "")
