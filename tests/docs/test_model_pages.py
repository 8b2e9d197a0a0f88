"""The pages of the models are what the shipped facts and a run say today."""

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
        assert len(texts) == 9
        assert len(shipped_claims().keys() & texts.keys()) == 5
        for model, text in texts.items():
            claims = shipped_claims().get(model, ())
            for claim in claims:
                assert f"`{claim.id}`" in text, claim


def test_a_changed_number_is_noticed(tmp_path):
    from tools.site.build_model_pages import FILES

    page = ROOT / "docs" / "models" / "ax-k1.md"
    edited = tmp_path / "ax-k1.md"
    edited.write_text(page.read_text("utf-8").replace("32.78B", "22B"), "utf-8")
    made = {edited: page.read_text("utf-8"), page: page.read_text("utf-8")}
    assert FILES.stale(made) == [edited]


def test_the_second_phase_has_its_recipes_in_both_languages():
    for name, parent in (
        ("solar-open2-250b", "Solar-Open-100B"),
        ("k-exaone-2-750b-a37b", "K-EXAONE-236B-A23B"),
        ("ax-k2", "A.X-K1"),
        ("motif-3", "PolyNorm"),
    ):
        for folder, sentence in (
            ("models", "was not measured here"),
            ("ko/models", "여기서 측정하지 않았습니다"),
        ):
            text = (ROOT / "docs" / folder / f"{name}.md").read_text("utf-8")
            assert parent in text
            assert sentence in text
