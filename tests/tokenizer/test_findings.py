"""What the method says, and what it never says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Level, Outcome
from pytest_scratchverify.methods import tokenizer as method
from pytest_scratchverify.tokenizer.sketch import load_sketches
from pytest_scratchverify.tokenizer.vocabulary import Sizes
from tests.tokenizer.real_tokenizers import real
from tools.facts.artifact_registry import TOKENIZERS

DISTILLED = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"


@pytest.fixture
def distilled():
    """DeepSeek-R1-Distill-Qwen ships Qwen2.5's vocabulary with specials of DeepSeek's."""
    added = {"<\uff5cbegin\u2581of\u2581sentence\uff5c>": 151646, "<think>": 151648}
    return replace(real("qwen2.5"), name=DISTILLED, added=added)


def test_distill_qwen_is_found_as_qwens(distilled, calibration):
    finding = method.nearest_ancestor(distilled, calibration)
    assert finding.outcome is Outcome.DERIVED
    assert finding.relation == "same"
    assert finding.details["nearest"] == "qwen3"
    assert "Qwen/Qwen2.5-7B" in finding.details["nearest_repositories"]
    assert finding.pvalue < 1e-100
    declared = method.nearest_ancestor(distilled, calibration, declared=["Qwen/Qwen2.5-7B"])
    assert declared.outcome is Outcome.DECLARED


def test_derived_finding_carries_everything_that_an_accusation_needs(calibration):
    finding = method.rank_order(real("llama3"), real("cl100k"), calibration)
    assert finding.outcome is Outcome.DERIVED
    assert finding.component is Component.TOKENIZER
    assert (finding.level, finding.direction) == (Level.E3, Direction.TOWARD_REUSE)
    assert finding.effect.value == 1.0
    assert finding.effect.low > 0.99
    assert 0 < finding.pvalue < 1e-100
    assert [(c.kind, c.passed) for c in finding.controls] == [
        ("positive", True),
        ("negative", True),
    ]
    assert finding.null.kind == "exact"
    assert finding.relation == "extends"


def test_independent_finding_carries_its_power(calibration):
    finding = method.rank_order(real("deepseek-v3"), real("llama3"), calibration)
    assert finding.outcome is Outcome.CONSISTENT
    assert finding.direction is Direction.TOWARD_INDEPENDENCE
    assert finding.power.power == 0.9
    assert finding.power.minimum_detectable_effect < 0.15
    assert finding.pvalue > 0.05


def test_declared_reuse_is_declared(calibration):
    finding = method.rank_order(real("qwen3"), real("cl100k"), calibration, declared=True)
    assert finding.outcome is Outcome.DECLARED


def test_the_elder_is_not_accused_of_copying_the_younger(calibration):
    def outcome(older):
        return method.rank_order(
            real("cl100k"), real("llama3"), calibration, reference_is_older=older
        ).outcome

    assert outcome(None) is Outcome.INDETERMINATE
    assert outcome(False) is Outcome.CONSISTENT
    assert outcome(True) is Outcome.DERIVED


def test_a_shared_ancestor_accuses_only_where_it_is_compared(calibration):
    finding = method.rank_order(real("llama3"), real("qwen3"), calibration)
    assert finding.outcome is Outcome.CONSISTENT
    assert finding.direction is Direction.NONE
    assert finding.details["via"] == "cl100k"


def test_grey_is_indeterminate(calibration):
    finding = method.rank_order(real("aquila"), real("neox-pii"), calibration)
    assert (finding.outcome, finding.level) == (Outcome.INDETERMINATE, Level.E0)


def test_a_failed_control_voids_the_finding(calibration, monkeypatch):
    # the package's attribute of that name is the function
    tokenizer_order = import_module("pytest_scratchverify.methods.tokenizer.rank_order")
    monkeypatch.setattr(tokenizer_order, "_control_pairs", tokenizer_order._control_pairs)
    swapped = tuple(reversed(tokenizer_order._control_pairs()))
    monkeypatch.setattr(tokenizer_order, "_control_pairs", lambda: swapped)
    finding = method.rank_order(real("llama3"), real("cl100k"), calibration)
    assert (finding.outcome, finding.level) == (Outcome.INDETERMINATE, Level.E0)
    assert "control" in str(finding.headline)


OWN = {a.lineage: [] for a in TOKENIZERS.values()}
for _name, _artifact in TOKENIZERS.items():
    OWN[_artifact.lineage].append(_name)


@pytest.mark.parametrize("name", ["deepseek-v3", "mistral", "gemma3", "whisper", "claude"])
def test_no_ancestor_of_an_independent_vocabulary(name, calibration):
    own = OWN[TOKENIZERS[name].lineage]
    finding = method.nearest_ancestor(real(name), calibration, own=own)
    assert finding.outcome is Outcome.CONSISTENT, finding.headline
    assert finding.details["compared"] >= 27


@pytest.mark.parametrize("name", ["llama3", "qwen3", "qwen3.6"])
def test_cl100k_is_found_as_the_ancestor(name, calibration):
    younger = {*OWN["cl100k"]} - {"cl100k", "gpt-3.5-turbo", "olmo2"}
    finding = method.nearest_ancestor(real(name), calibration, own=younger)
    assert finding.details["nearest"] == "cl100k"
    assert finding.outcome is Outcome.DERIVED


def test_a_whole_search_space_may_be_excluded(calibration):
    finding = method.nearest_ancestor(real("gpt2"), calibration, sketches=[])
    assert finding.outcome is Outcome.NOT_APPLICABLE


def test_overlap_never_accuses(calibration):
    for other in ("gemma3", "mistral-v3", "llama2"):
        finding = method.containment(real("mistral"), real(other), calibration)
        assert finding.outcome in (Outcome.CONSISTENT, Outcome.INDETERMINATE)
        assert finding.level is Level.E2
    assert (
        method.containment(real("mistral"), real("gemma3"), calibration).outcome
        is Outcome.CONSISTENT
    )


def test_special_tokens_are_a_lead_at_most(calibration):
    same = method.special_tokens(real("llama3"), real("llama3.1"))
    assert same.outcome is Outcome.INDETERMINATE
    assert same.details["rare"]
    other = method.special_tokens(real("qwen3"), real("gemma3"))
    assert other.outcome is Outcome.CONSISTENT
    assert method.special_tokens(real("cl100k"), real("qwen3")).outcome is Outcome.NOT_APPLICABLE


def test_surroundings_compare_only_what_the_files_state():
    same = method.pre_tokenizer(real("qwen2.5"), real("qwen3"))
    assert same.details["pre_tokenizer"] is True
    assert same.details["chat_template"] is None
    assert same.outcome is Outcome.CONSISTENT
    assert method.pre_tokenizer(real("cl100k"), real("qwen3")).outcome is Outcome.NOT_APPLICABLE
    templated = [
        replace(real("qwen3"), traits=replace(real("qwen3").traits, chat_template="x")),
        replace(real("qwen2.5"), traits=replace(real("qwen2.5").traits, chat_template="x")),
    ]
    assert method.pre_tokenizer(*templated).outcome is Outcome.INDETERMINATE


def test_script_profile_describes():
    finding = method.script_profile(real("llama3"))
    assert finding.statistic.value == pytest.approx(0.018, abs=0.001)
    assert 0.7 < finding.effect.value < 1.0
    assert finding.direction is Direction.NONE
    sketch = next(s for s in load_sketches() if s.name == "llama3")
    assert method.script_profile(sketch).headline == finding.headline


LLAMA3 = Sizes(ranks=128_000, with_specials=128_256, rows=128_256)


@pytest.mark.parametrize(
    ("sizes", "config", "outcome", "words"),
    [
        (
            LLAMA3,
            {"vocab_size": 128_256, "eos_token_id": [128_001, 128_009]},
            "consistent",
            "agree",
        ),
        (LLAMA3, {"vocab_size": 128_000}, "indeterminate", "only"),
        (Sizes(151_643, 151_665, 151_665), {"vocab_size": 152_064}, "consistent", "agree"),
        (
            Sizes(110_000, 110_524, 110_524),
            {"text_config": {"vocab_size": 128_256}, "image_token_id": 128_060},
            "indeterminate",
            "image_token_id",
        ),
        (Sizes(110_000, 110_524, 110_524), {"vocab_size": 128_256}, "indeterminate", "padding"),
        (LLAMA3, {"hidden_size": 1}, "not-applicable", "no vocabulary size"),
    ],
)
def test_size_consistency(sizes, config, outcome, words):
    finding = method.size_consistency("org/model", sizes, config)
    assert finding.outcome == outcome
    assert words in str(finding.headline)


def test_every_headline_says_nothing_about_weights(calibration):
    llama, qwen, mistral = real("llama3"), real("qwen3"), real("mistral")
    findings = [
        method.rank_order(llama, other, calibration)
        for other in (real("llama3-tiktoken"), real("cl100k"), qwen, mistral)
    ]
    findings += [
        method.nearest_ancestor(mistral, calibration),
        method.containment(llama, qwen, calibration),
        method.special_tokens(llama, qwen),
        method.pre_tokenizer(llama, qwen),
        method.script_profile(llama),
        method.size_consistency("m", LLAMA3, {"vocab_size": 128_256}),
    ]
    for finding in findings:
        text = str(finding.headline)
        assert "weights" in text
        assert not any(word in text for word in ("proves", "100 %", "unique", "from scratch"))


def test_importing_the_method_is_cheap():
    code = (
        "import sys, pytest_scratchverify.methods.tokenizer;"
        "sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sketches_carry_their_sources():
    assert all(sketch.sources for sketch in load_sketches())
