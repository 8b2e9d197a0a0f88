"""The pages of the five models are what the shipped facts and a run say today."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.running import HANGS, ROOT


@pytest.fixture(scope="module")
def check():
    return subprocess.run(
        [sys.executable, "-m", "tools.site.build_model_pages", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )


def test_no_page_is_stale(check):
    """After a change of facts, findings or messages: make model-pages."""
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_contradicted_claim_is_on_its_page():
    from pytest_scratchverify.catalog.claims import shipped_claims

    pages = [(ROOT / "docs" / folder).glob("[a-z]*.md") for folder in ("models", "ko/models")]
    for folder in pages:
        texts = {
            text.split("`")[1]: text
            for page in folder
            if (text := page.read_text("utf-8")).startswith("%")
        }
        assert len(texts) == 5
        for model, text in texts.items():
            claims = shipped_claims()[model]
            assert claims
            for claim in claims:
                assert f"`{claim.id}`" in text, claim


def test_a_changed_number_is_noticed(tmp_path):
    from tools.site.build_model_pages import stale

    page = ROOT / "docs" / "models" / "ax-k1.md"
    edited = tmp_path / "ax-k1.md"
    edited.write_text(page.read_text("utf-8").replace("32.78B", "22B"), "utf-8")
    made = {edited: page.read_text("utf-8"), page: page.read_text("utf-8")}
    assert stale(made) == [edited]
