"""Figures: text stays text, the same bytes from the same numbers, and no trust in the numbers."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_scratchverify.hub.folder import FolderStore
from pytest_scratchverify.hub.snapshots import in_folders
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.checkpoint_reading import read_walk
from pytest_scratchverify.methods.checkpoint_trajectory import checkpoint_path
from pytest_scratchverify.model.evidence import Outcome
from pytest_scratchverify.model.wire import run_from_json
from pytest_scratchverify.report import html
from pytest_scratchverify.report.figures import figures_of
from pytest_scratchverify.report.figures.registry import DRAWINGS
from pytest_scratchverify.report.figures.rendering import NUMBERS, _count, kept
from pytest_scratchverify.report.writing import render_json
from tests.model.findings import finding
from tests.report.test_reports import HOSTILE, run_of, tags_of
from tests.running import ROOT
from tests.training_log.conftest import limits, logs
from tests.training_log.test_checkpoints import TRAJECTORIES

__all__ = ["limits", "logs"]  # fixtures
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="session")
def measured(logs, limits):
    """Findings on real logs and a real run that keep data for a figure of every kind."""
    log, other = logs["pythia-70m-0"], logs["pythia-160m-0"]
    store = FolderStore(TRAJECTORIES / "s0")
    walk = read_walk(in_folders(store), store, "quick", None)
    model = "org/suspect"
    return {
        "training_curve": methods.power_law(model, log, limits, 50304),
        "noise_by_block": methods.smoothness(model, log, limits, 2097152),
        "order_residuals": methods.same_order(model, log, "org/other", other, limits),
        "checkpoint_path": checkpoint_path(model, walk, limits),
    }


def drawn(finding_, language="en"):
    return next(iter(figures_of(finding_, language)))


def words(svg):
    return " ".join(e.text or "" for e in ET.fromstring(svg).iter(f"{SVG}text"))


def test_there_is_a_measured_example_of_every_drawing(measured):
    assert set(measured) == set(DRAWINGS)


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_text_stays_text_in_both_languages(kind, measured):
    english, korean = drawn(measured[kind]), drawn(measured[kind], "ko")
    assert "step" in words(english.svg)
    assert re.search("[가-힣]", words(korean.svg))
    assert re.search("[가-힣]", korean.caption + korean.title)
    for figure in (english, korean):
        assert "<metadata" not in figure.svg
        assert "@font-face" not in figure.svg
        assert "mathdefault" not in figure.svg
        assert not re.search(r"#0[1-7]0[1-7]0[1-7]", figure.svg)  # every colour is the page's
        root = ET.fromstring(figure.svg)
        assert root.get("role") == "img"
        title = root.find(f"{SVG}title")
        assert title.get("id") == root.get("aria-labelledby")
        assert len(title.text) > 30
        assert len(figure.svg) < 120_000


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_a_caption_says_what_the_figure_does_not_show(kind, measured):
    caption = drawn(measured[kind]).caption
    assert re.search(r"\bnot\b|nothing|cannot|\bno\b", caption), caption


def test_the_same_numbers_give_the_same_bytes_in_another_process(measured, tmp_path):
    run = run_of(*measured.values())
    (tmp_path / "run.json").write_text(render_json(run, "en"), "utf-8")
    code = (
        "import sys; from pathlib import Path;"
        "from pytest_scratchverify.model.wire import run_from_json;"
        "from pytest_scratchverify.report.html import render_html;"
        "run = run_from_json(Path(sys.argv[1]).read_text('utf-8'));"
        "Path(sys.argv[2]).write_text(render_html(run, 'ko'), 'utf-8')"
    )
    target = tmp_path / "later.html"
    given_ = [sys.executable, "-c", code, str(tmp_path / "run.json"), str(target)]
    subprocess.run(given_, check=True, cwd=ROOT, env={"PYTHONHASHSEED": "7", "HOME": str(tmp_path)})
    assert target.read_text("utf-8") == html.render_html(run, "ko")


def test_a_page_holds_them_once_each_with_ids_of_their_own(measured):
    page = html.render_html(run_of(*measured.values()), "en")
    assert page.count("<figure>") == 4
    ids = [attributes["id"] for _, attributes in tags_of(page) if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(page) < 2_000_000
    for tag, attributes in tags_of(page):
        assert tag not in {"script", "image", "foreignobject"}
        assert not str(attributes.get("href", "#")).startswith(("http", "//"))


def test_names_of_untrusted_files_are_escaped(measured):
    bad = replace(measured["order_residuals"], reference=HOSTILE, model=HOSTILE)
    page = html.render_html(run_of(bad, name=HOSTILE), "en")
    assert "<figure>" in page
    assert "<script" not in page


def test_a_page_stays_below_two_megabytes_and_says_what_it_left_out(measured):
    many = [replace(measured["order_residuals"], reference=f"org/r{i}") for i in range(60)]
    page = html.render_html(run_of(*many), "en")
    assert 1_000_000 < len(page) < 2_000_000
    assert "more figures were left out" in page


def test_without_matplotlib_the_report_says_so(measured, monkeypatch):
    monkeypatch.setattr(html, "available", lambda: False)
    page = html.render_html(run_of(*measured.values()), "en")
    assert "<figure>" not in page
    assert "pytest-scratchverify[figures]" in page
    plain = html.render_html(run_of(finding(Outcome.CONSISTENT)), "en")
    assert "matplotlib" not in plain


def test_data_are_bounded_whatever_the_length_of_a_log(logs, limits):
    log = logs["pythia-70m-0"]
    n = 300_000
    rng = np.random.default_rng(0)
    steps = np.arange(n)
    loss = 3 + 8 * (1 + steps) ** -0.3 + 0.02 * rng.standard_normal(n)
    long = replace(log, steps=steps, loss=loss)
    for found in (
        methods.power_law("m", long, limits, 50304),
        methods.smoothness("m", long, limits),
        methods.same_order("m", long, "o", log, limits),
    ):
        assert all(_count(data) < 1_500 for _, data in kept(found))


def test_a_run_of_another_version_is_rendered_without_its_figure(measured):
    strange = replace(measured["training_curve"], details={"figures": {"not_yet_known": {"x": 1}}})
    assert list(figures_of(strange, "en")) == []
    huge = {"figures": {"training_curve": {"steps": [0] * (NUMBERS + 1)}}}
    assert list(figures_of(replace(strange, details=huge), "en")) == []
    run = run_from_json(render_json(run_of(strange), "en"))
    assert "<figure>" not in html.render_html(run, "en")


BAD = st.recursive(
    st.none() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)
NAMES = ["steps", "middle", "low", "high", "fit", "chance", "width", "worst", "mine", "theirs",
         "scatter_mine", "scatter_theirs", "r", "n", "from_start", "edge", "z", "to_published"]  # fmt: skip


@given(kind=st.sampled_from(sorted(DRAWINGS)), data=st.dictionaries(st.sampled_from(NAMES), BAD))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_data_of_a_foreign_run_never_break_a_report(kind, data):
    found = finding(Outcome.CONSISTENT, details={"figures": {kind: data}})
    for figure in figures_of(found, "en"):
        ET.fromstring(figure.svg)


def test_a_forged_stretch_is_marked(logs, limits):
    log = logs["pythia-70m-0"]
    loss = log.loss.copy()
    loss[800:1000] = np.linspace(loss[800], loss[999], 200)
    found = methods.smoothness("m", replace(log, loss=loss), limits)
    assert "differs most" in words(drawn(found).svg)
