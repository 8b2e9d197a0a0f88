"""The published figures of the five Korean models give what they support and no more."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.evidence import Level, Outcome
from pytest_scratchverify.methods.tokenizer import published_figures, published_findings
from pytest_scratchverify.methods.tokenizer.published_claims import (
    PublishedFigures,
    published_for,
    repositories,
)

SOLAR = "upstage/Solar-Open-100B"
HYPERCLOVAX = "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"
SEED_3B = "naver-hyperclovax/HyperCLOVAX-SEED-Vision-Instruct-3B"
SIZES_ONLY = (
    "skt/A.X-K1",
    "NC-AI-consortium-VAETKI/VAETKI",
    "LGAI-EXAONE/K-EXAONE-236B-A23B",
)


def test_all_five_are_there():
    assert set(repositories()) == {SOLAR, HYPERCLOVAX, *SIZES_ONLY}


def test_solar(calibration):
    """Kendall .359 on 300 tokens is an independent pair's; 53.09 % is shared over GLM's."""
    finding = published_figures(SOLAR, published_for(SOLAR)[0], calibration)
    assert finding.outcome is Outcome.CONSISTENT
    assert finding.relation == "independent"
    assert finding.level is Level.E2  # published, not measured: it can never clear
    assert finding.details["denominators"] == ["reference"]
    assert any("overlap" in line for line in finding.details["does_not_support"])


@pytest.mark.parametrize("which", [0, 1])
def test_hyperclovax(which, calibration):
    """The measured file is the 3B's: 92.58 % is over 110,524 tokens that the 32B exceeds."""
    figures = published_for(HYPERCLOVAX)[which]
    finding = published_figures(HYPERCLOVAX, figures, calibration)
    assert finding.outcome is Outcome.INDETERMINATE
    assert finding.level is Level.E0
    assert "SEED-Vision-Instruct-3B" in str(finding.headline)
    assert finding.details["denominators"] == ["target"]
    assert any("exporter" in line for line in finding.details["does_not_support"])


def test_hyperclovax_ids_alone_exclude_the_file(calibration):
    """Without the confession the ids tell: 128,061 is in use, the file ends at 110,523."""
    told = published_for(HYPERCLOVAX)[0]
    figures = PublishedFigures(
        source="x", config_rows=told.config_rows, tokenizer_rows=told.tokenizer_rows,
        highest_id_in_use=told.highest_id_in_use,
    )  # fmt: skip
    finding = published_figures(HYPERCLOVAX, figures, calibration)
    assert finding.outcome is Outcome.INDETERMINATE
    assert "128,061" in str(finding.headline)


def test_hyperclovax_3b_gets_a_lead_to_cl100k(calibration):
    """102,323 shared with Llama-3 and 100,831 with Qwen is what any cl100k extension shares."""
    for figures in published_for(HYPERCLOVAX):
        finding = published_figures(SEED_3B, figures, calibration)
        assert any("cl100k" in line for line in finding.details["supports"])
        assert finding.outcome is Outcome.INDETERMINATE  # a lead, to be tested on the file


@pytest.mark.parametrize("model", SIZES_ONLY)
def test_sizes_alone_decide_nothing(model, calibration):
    (figures,) = published_for(model)
    finding = published_figures(model, figures, calibration)
    assert finding.outcome is Outcome.INDETERMINATE
    assert finding.relation == "inconclusive"
    assert finding.details["supports"] == []
    assert any("supports nothing" in line for line in finding.details["does_not_support"])


def test_vaetki_sources_disagree(calibration):
    (figures,) = published_for("NC-AI-consortium-VAETKI/VAETKI")
    finding = published_figures("NC-AI-consortium-VAETKI/VAETKI", figures, calibration)
    assert any("disagree" in line for line in finding.details["does_not_support"])


def test_an_unknown_model_has_no_figures(calibration):
    assert published_for("nobody/nothing") == ()
    (finding,) = published_findings("nobody/nothing", calibration)
    assert finding.outcome is Outcome.NOT_APPLICABLE
    assert len(published_findings(HYPERCLOVAX, calibration)) == 2
