"""Figures: text stays text, the same bytes from the same numbers, and no trust in the numbers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.figure import Figure, FigureDataError
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods import behaviour
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.behaviour.figure_data import AnswerTree
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.tokenizer.rank_order import rank_order
from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.methods.training_log.checkpoint_reading import read_series
from pytest_scratchverify.methods.training_log.checkpoints import checkpoint_path
from pytest_scratchverify.methods.weights.figure_data import (
    LayerTable,
    SimilarityByLayer,
    thousandths,
)
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.merge import weights_merge
from pytest_scratchverify.methods.weights.norm_gains import norm_control
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.methods.weights.published_norm_gains import published_norms
from pytest_scratchverify.report import html
from pytest_scratchverify.report.figures import Rendered, figures_of, run_figures, shared_figures
from pytest_scratchverify.report.figures.ancestry import parse_newick
from pytest_scratchverify.report.figures.family_tree import FamilyTree
from pytest_scratchverify.report.figures.known_pairs import together
from pytest_scratchverify.report.figures.lineage import Lineage, _plane, lineage_of
from pytest_scratchverify.report.figures.registry import DRAWINGS
from pytest_scratchverify.report.figures.rendering import NUMBERS, Undrawn, _count, data_of
from pytest_scratchverify.report.writing import render_json
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.snapshots import in_folders
from pytest_scratchverify.tokenizer.sketch import load_sketches
from pytest_scratchverify.verdict.serialization import run_from_json
from tests.behaviour.recorded import CALIBRATION as BEHAVIOUR
from tests.behaviour.recorded import recorded
from tests.report.runs import HOSTILE, run_of, tags_of
from tests.training_log.shipped import TRAJECTORIES, frozen_limits, read_logs
from tests.verdict.findings import finding
from tests.weights.merging import MERGES
from tests.weights.shipped import CALIBRATION as WEIGHTS
from tools.running import ROOT
from tools.zoo import disguises as d
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

TOKENIZERS = ROOT / "suites" / "calibration" / "tokenizer.json"
THREE = ("child", "stranger", "strangers")  # all pairs of three models
SVG = "{http://www.w3.org/2000/svg}"


TRAINED_ON = ROOT / "tests" / "weights" / "merges" / "merge-linear-strangers-cpt"


def weight_findings(folder):
    """Findings of the weight methods on trained models: a child, a forged child, a merge."""
    run = RunDirectory(folder / "run")
    child = read_model("s0-cpt-long")
    rng = np.random.default_rng(3)
    forged = d.choose_layers(d.rotate_residual(child, rng), (0, 1, 3))
    join, _ = MERGES["linear"]
    made = {
        "forged": forged,
        "dropped": d.choose_layers(child, (0, 1, 3)),
        "merged": join(read_model("s0-finetune"), child, read_model("s0"), rng),
    }
    for name, model in made.items():
        checkpoints.write(folder / name, model.tensors, config=model.config, card={})
    places = {name: folder / name for name in made}

    def opened(name):
        return open_store(str(places.get(name, READY / name)), run_dir=run, budget=ByteBudget())

    def pair(one, two):
        return Pair(*(ModelSpec(name=name, folder=True) for name in (one, two)))

    def origin(one, two):
        hypothesis = ComponentHypothesis(pair=pair(one, two), component=Component.TEXT_DECODER)
        return weights_origin(hypothesis, opened(one), opened(two), WEIGHTS)

    parents = {name: opened(name) for name in ("s0-finetune", "s0-cpt-long")}
    return {
        "child": origin("s0-cpt-long", "s0"),
        "stranger": origin("s1", "s0"),
        "strangers": origin("s1", "s0-cpt-long"),
        "forged": origin("forged", "s0"),
        "dropped": origin("dropped", "s0"),
        "gains": norm_control(pair("s1", "s0"), opened("s1"), opened("s0"), WEIGHTS),
        "merged": weights_merge(ModelSpec(name="merged"), opened("merged"), parents, WEIGHTS),
        "trained on": weights_merge(
            ModelSpec(name="merge"),
            opened(str(TRAINED_ON)),
            {"s0": opened("s0"), "s1": opened("s1")},
            WEIGHTS,
        ),
        "published": published_norms(
            pair("upstage/Solar-Open-100B", "zai-org/GLM-4.5-Air"), WEIGHTS
        ),
    }


@pytest.fixture(scope="session")
def limits():
    return frozen_limits()


@pytest.fixture(scope="session")
def logs():
    return read_logs()


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return weight_findings(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def tree():
    names = ["s0-lora", "s0", "w0", "w0-finetune", "moe0", "t0"]
    panel = PairedAnswers(recorded(names[0]), recorded(names[0]), tuple(map(recorded, names[1:])))
    return behaviour.tree(panel, BehaviourThresholds.load(BEHAVIOUR))


@pytest.fixture(scope="session")
def measured(logs, limits, weights, tree):
    """Findings on real logs, models and answers that hold data for a figure of every kind."""
    log, other = logs["pythia-70m-0"], logs["pythia-160m-0"]
    store = FolderStore(TRAJECTORIES / "s0")
    series = read_series(in_folders(store), store, "quick", None)
    model = "org/suspect"
    # what a page draws of a whole run stands in a finding here, to be asked the same questions
    found = lineage_of(weights[name] for name in THREE)
    beside = together([weights["child"], weights["stranger"]])[0]
    of_three = replace(weights["child"], figures=tuple(data.to_json() for data in found.figures))
    return {
        "training_curve": methods.power_law(model, log, limits, 50304),
        "noise_by_block": methods.smoothness(model, log, limits, 2097152),
        "order_residuals": methods.same_data_order(model, log, "org/other", other, limits),
        "checkpoint_path": checkpoint_path(model, series, limits),
        "family_tree": replace(weights["child"], figures=(FAMILY.to_json(),)),
        "known_pairs": weights["child"],
        "known_rows": beside,
        "layer_map": weights["forged"],
        "layer_table": weights["dropped"],
        "lineage": of_three,
        "merge_shares": weights["merged"],
        "norm_gains": weights["gains"],
        "norm_series": weights["published"],
        "null_and_observed": weights["child"],
        "rank_scatter": rank_order(*strangers(), TokenizerThresholds.load(TOKENIZERS)),
        "role_table": weights["child"],
        "similarity_by_layer": weights["child"],
        "tree": tree,
        "weight_plane": of_three,
    }


FAMILY = FamilyTree(
    ("base", "tuned", "other", "merge"), ((), ("base",), ("base",), ("tuned", "other")), ("merge",)
)


@pytest.mark.parametrize(
    "parents", [(("b",), ("a",)), (("a",), ()), ((), ("nobody",)), ((),), ((), (), ())]
)
def test_what_is_no_family_is_not_drawn(parents):
    with pytest.raises(ValueError, match="family"):
        DRAWINGS["family_tree"].caption(FamilyTree(("a", "b"), parents, ()))


def strangers():
    sketches = {sketch.name: sketch for sketch in load_sketches()}
    return sketches["deepseek-v3"], sketches["llama3"]


def drawn(finding_, language="en", kind=None):
    return next(f for f in whole(finding_, language) if kind in (None, f.kind))


def whole(finding_, language="en"):
    return [f for f in figures_of(finding_, language) if not isinstance(f, Undrawn)]


def words(svg):
    return " ".join(e.text or "" for e in ET.fromstring(svg).iter(f"{SVG}text"))


def test_there_is_a_measured_example_of_every_drawing(measured):
    assert set(measured) == set(DRAWINGS)


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_text_stays_text_in_both_languages(kind, measured):
    english, korean = (drawn(measured[kind], language, kind) for language in ("en", "ko"))
    assert re.search("[a-z]{4}", words(english.svg))
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
def test_shapes_hold_no_word_that_a_language_says_in_its_own_way(kind, measured):
    shared = next(
        f for f in shared_figures(measured[kind], ["en", "ko"]) if f.by_language["en"].kind == kind
    )
    english, korean = (
        [e.text for e in ET.fromstring(shared.by_language[at].svg).iter(f"{SVG}text")]
        for at in ("en", "ko")
    )
    assert len(english) == len(korean) > 0
    assert re.search("[가-힣]", " ".join(korean))
    assert not any(f">{word}<" in shared.shapes for word in english)
    whole = {
        e.text for e in ET.fromstring(drawn(measured[kind], "en", kind).svg).iter(f"{SVG}text")
    }
    names = {
        e.text
        for e in ET.fromstring(f'<svg xmlns="{SVG[1:-1]}">{shared.shapes}</svg>').iter(f"{SVG}text")
    }
    assert names | set(english) == whole  # nothing is lost


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_a_caption_says_what_the_figure_does_not_show(kind, measured):
    caption = drawn(measured[kind], kind=kind).caption
    assert re.search(r"\bnot\b|nothing|cannot|\bno\b", caption), caption


@pytest.mark.slow
def test_the_same_numbers_give_the_same_bytes_in_another_process(measured, tmp_path):
    run = run_of(*(replace(found, model="org/suspect") for found in measured.values()))
    (tmp_path / "run.json").write_text(render_json(run, "en"), "utf-8")
    code = (
        "import sys; from pathlib import Path;"
        "from pytest_scratchverify.verdict.serialization import run_from_json;"
        "from pytest_scratchverify.report.html import render_html;"
        "run = run_from_json(Path(sys.argv[1]).read_text('utf-8'));"
        "Path(sys.argv[2]).write_text(render_html(run, 'ko'), 'utf-8')"
    )
    target = tmp_path / "later.html"
    given_ = [sys.executable, "-c", code, str(tmp_path / "run.json"), str(target)]
    subprocess.run(
        given_,
        check=True,
        cwd=ROOT,
        env={
            "PYTHONHASHSEED": "7",
            "HOME": str(tmp_path),
            "SOURCE_DATE_EPOCH": os.environ["SOURCE_DATE_EPOCH"],
        },
    )
    assert target.read_text("utf-8") == html.render_html(run, "ko")


def test_a_page_holds_them_once_each_with_ids_of_their_own(measured):
    found = {f.id: f for f in measured.values()}.values()
    drawable = [replace(f, model="org/suspect", reference=f"org/{i}") for i, f in enumerate(found)]
    page = html.render_html(run_of(*drawable), "en")
    here = sum(len(list(figures_of(f, "en"))) for f in drawable)
    assert page.count("<figure>") == 2 * here  # in both languages
    assert len(re.findall(r'<g id="f[0-9a-f]{10}">', page)) == here >= 13  # and shapes once
    ids = [attributes["id"] for _, attributes in tags_of(page) if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(page.encode()) < 2_000_000
    used = {attributes["href"] for tag, attributes in tags_of(page) if tag == "use"}
    assert {href.removeprefix("#") for href in used} <= set(ids)
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
    assert 1_000_000 < len(page.encode()) < 2_000_000
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
        methods.same_data_order("m", long, "o", log, limits),
    ):
        assert found.figures
        assert all(_count(figure.data) < 1_500 for figure in found.figures)


@pytest.mark.parametrize(
    "figure",
    [
        Figure("not_yet_known", {"x": 1}),
        Figure("training_curve", {"steps": [0] * (NUMBERS + 1)}),
        Figure("training_curve", {"steps": [0, 1]}),
        Figure("norm_gains", {"raw_cosine": "high"}),
        Figure("tree", {"newick": "(a", "model": "a"}),
    ],
    ids=lambda figure: f"{figure.kind}-{len(str(figure.data))}",
)
def test_a_figure_that_cannot_be_drawn_is_said_to_be_missing(figure, measured):
    strange = replace(measured["training_curve"], figures=(figure,))
    assert list(figures_of(strange, "en")) == [Undrawn(figure.kind, strange.id)]
    assert list(shared_figures(strange, ["en", "ko"])) == [Undrawn(figure.kind, strange.id)]
    page = html.render_html(run_from_json(render_json(run_of(strange), "en")), "en")
    assert "<figure>" not in page
    said = f"Figures that were not drawn, because their data are not of the form that this version reads: {figure.kind} ({strange.id})"
    assert said in unescape(page)
    assert f"이 버전이 읽는 형식이 아니어서 그리지 않은 그림: {figure.kind}" in unescape(page)


def test_a_page_whose_figures_are_all_drawn_misses_none(measured):
    page = html.render_html(run_of(*measured.values()), "en")
    assert "<figure>" in page
    assert "were not drawn" not in page


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_data_are_of_the_class_of_their_drawing_before_and_after_the_way(kind, measured):
    figure = next(f for f in measured[kind].figures if f.kind == kind)
    data = DRAWINGS[kind].data.from_json(figure.data)
    assert data.kind == kind
    assert data.to_json() == figure
    with pytest.raises(FigureDataError, match=kind):
        DRAWINGS[kind].data.from_json({**figure.data, "more": 1})


BAD = st.recursive(
    st.none() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)
NAMES = ["steps", "middle", "low", "high", "fit", "chance", "width", "worst", "mine", "theirs",
         "scatter_mine", "scatter_theirs", "r", "n", "from_start", "edge", "z", "to_published"]  # fmt: skip


@given(kind=st.sampled_from(sorted(DRAWINGS)), data=st.dictionaries(st.sampled_from(NAMES), BAD))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_data_of_a_foreign_run_never_break_a_report(kind, data):
    found = finding(Outcome.CONSISTENT, figures=(Figure(kind, data),))
    for figure in whole(found):
        ET.fromstring(figure.svg)


def test_a_forged_stretch_is_marked(logs, limits):
    log = logs["pythia-70m-0"]
    loss = log.loss.copy()
    loss[800:1000] = np.linspace(loss[800], loss[999], 200)
    found = methods.smoothness("m", replace(log, loss=loss), limits)
    assert "differs most" in words(drawn(found).svg)


# ---- what the pictures of weights, vocabularies and answers say -------------------------------


def read(found, kind):
    return dict(data_of(found))[kind]


def test_layers_of_a_child_lie_far_above_the_band_and_those_of_a_stranger_in_it(weights):
    child, stranger = (read(weights[n], "similarity_by_layer") for n in ("child", "stranger"))
    band = 3.29 / np.sqrt(stranger.per_layer)
    assert stranger.per_layer == 46_080  # elements of one layer of the zoo's models
    assert max(map(abs, stranger.values)) < band
    assert min(child.values) > 10 * band


def test_the_band_holds_most_layers_of_unrelated_models():
    """Drawn matrices of that size, not the formula: the band is what the caption says it is."""
    rng = np.random.default_rng(5)
    n = 46_080
    found = [np.corrcoef(rng.standard_normal(n), rng.standard_normal(n))[0, 1] for _ in range(400)]
    outside = np.mean(np.abs(found) > 3.29 / np.sqrt(n))
    assert outside <= 0.0075


def test_neurons_that_keep_their_number_are_beyond_every_bar_for_a_child_only(weights):
    assert read(weights["child"], "null_and_observed").observed == 704
    assert read(weights["stranger"], "null_and_observed").observed < 12
    assert read(weights["child"], "null_and_observed").groups == 4


def test_a_dropped_layer_shows_in_the_map_and_a_stranger_has_none(weights):
    found = read(weights["forged"], "layer_map")
    assert list(zip(found.ours, found.theirs, strict=True)) == [(0, 0), (1, 1), (2, 3)]
    assert "layer_map" not in dict(data_of(weights["stranger"]))


def test_a_dropped_layer_is_a_step_in_the_table_of_all_layers(weights):
    rows = read(weights["dropped"], "layer_table").rows
    dark = {
        (a, b) for a, row in enumerate(rows) for b, v in enumerate(row.split()) if int(v) >= 800
    }
    assert (len(rows), len(rows[0].split())) == (3, 4)
    assert dark == {(0, 0), (1, 1), (2, 3)}
    blank = next(f for f in weights["stranger"].figures if f.kind == "layer_table")
    assert max(int(v) for row in blank.data["rows"] for v in row.split()) < 50
    assert "layer_table" not in dict(data_of(weights["stranger"]))  # nothing to show


@pytest.mark.parametrize("n", [128, 129])
def test_a_table_of_all_layers_is_bounded(n):
    table = tuple(tuple(None if b % 2 else 0.1234 for b in range(n)) for _ in range(n))
    rows = thousandths(table)
    assert rows[:1] == (("123 ." + " 123 ." * 63,) if n == 128 else ())
    busy = [" ".join(str(900 * ((a + b) % 2)) for b in range(n)) for a in range(n)]
    found = finding(Outcome.DERIVED, figures=(LayerTable(tuple(busy)).to_json(),))
    assert list(figures_of(found, "en")) == [Undrawn("layer_table", found.id)]


def test_components_of_one_pair_stand_in_one_figure_beside_their_controls(weights):
    """A row each, with the names of the pairs of known truth; figures of others stay apart."""
    child = weights["child"]
    head = replace(child, component=Component.LM_HEAD)
    given_ = [child, replace(weights["stranger"], reference="org/other"), head]
    first, stranger, second = together(given_)
    rows = read(first, "known_rows")
    assert rows.components == ("text_decoder", "lm_head")
    assert [pair.observed for pair in rows.pairs] == [child.effect.value] * 2
    assert rows.descendants == ("zoo-s0 / zoo-s0-cpt-long",)
    assert read(stranger, "known_rows").components == ("text_decoder",)
    assert not {"known_rows", "known_pairs"} & {figure.kind for figure in second.figures}
    kinds = [f.kind for found in given_ for f in found.figures]
    assert kinds.count("known_pairs") == 3  # what findings keep is not touched
    page = html.render_html(run_of(*(replace(f, model="org/suspect") for f in given_)), "en")
    titles = re.findall(r"<h3>(Beside pairs[^<]*)</h3>", page)
    assert sorted(titles) == [
        "Beside pairs of known truth: text decoder",
        "Beside pairs of known truth: text decoder, output head",
    ]


@pytest.mark.parametrize("name", ["olmo-ladder-190M-1xC", "pythia-14m-1.window20000-22000"])
def test_no_tick_is_written_in_the_language_of_formulas(name, logs, limits):
    """A log that spans less than a decade has ticks, in whole steps."""
    log = logs[name]
    shown = words(drawn(methods.power_law("m", log, limits, 50304), kind="training_curve").svg)
    assert "$" not in shown
    ticks = [int(tick.replace(",", "")) for tick in re.findall(r"\b\d[\d,]*00\b", shown)]
    assert sum(log.steps[0] <= tick <= log.steps[-1] for tick in ticks) >= 3


def test_a_gap_in_an_axis_is_drawn_and_said(weights):
    far, near = (drawn(weights[name], kind="null_and_observed") for name in ("child", "stranger"))
    assert "between the strokes the axis leaves out what lies between 19 and 704" in far.caption
    assert "leaves out" not in near.caption
    assert {"704", "0"} <= set(words(far.svg).split())


def test_three_models_make_a_tree_and_a_plane_in_which_the_child_lies_by_its_origin(weights):
    found = lineage_of(weights[name] for name in THREE)
    assert [name.rpartition("/")[2] for name in found.names] == ["s0", "s0-cpt-long", "s1"]
    assert found.cosines[0][1] > 0.8
    assert max(map(abs, found.cosines[2][:2])) < 0.02
    lengths = {n.name.rpartition("/")[2]: n.length for n in parse_newick(found.newick).children}
    assert lengths["s1"] > 0.9
    assert max(lengths["s0"], lengths["s0-cpt-long"]) < 0.2
    points, shares = _plane(found.figures[1])
    assert np.linalg.norm(points[0] - points[1]) ** 2 == pytest.approx(
        2 * (1 - found.cosines[0][1])
    )
    assert sum(shares) == pytest.approx(1)  # of three models a plane shows all


def test_a_model_that_lacks_a_pair_is_left_out_and_two_models_make_no_figure(weights):
    more = replace(weights["stranger"], model="org/other")  # compared with s0 only
    found = lineage_of([*(weights[name] for name in THREE), more])
    assert "org/other" not in found.names
    assert found.left_out == ("org/other",)
    (tree,) = (data for data in found.figures if data.kind == "lineage")
    assert "org/other" in str(DRAWINGS["lineage"].caption(tree))
    assert lineage_of(weights[name] for name in THREE[:2]) is None
    bad = replace(weights["child"], figures=(Figure("similarity_by_layer", {"values": ["x"]}),))
    assert lineage_of([bad, weights["stranger"], weights["strangers"]]) is None


@given(seed=st.integers(0, 10_000), n=st.integers(3, 9))
@settings(max_examples=25)
def test_the_plane_is_that_of_principal_components(seed, n):
    """Against numpy's singular values of the models themselves, not of their cosines."""
    rng = np.random.default_rng(seed)
    models = rng.standard_normal((n, 30)) + rng.standard_normal((1, 30))
    models /= np.linalg.norm(models, axis=1, keepdims=True)
    found = Lineage(tuple("abcdefghi"[:n]), tuple(map(tuple, models @ models.T)), (), (), None)
    (plane,) = found.figures
    points, shares = _plane(plane)
    left, values, _ = np.linalg.svd(models - models.mean(0), full_matrices=False)
    assert np.abs(points) == pytest.approx(np.abs(left[:, :2] * values[:2]), abs=1e-6)
    assert shares == pytest.approx((values**2 / (values**2).sum())[:2], abs=1e-6)


def test_a_page_of_models_shows_the_tree_in_both_languages(weights):
    run = run_of(*(weights[name] for name in THREE), name="s1")
    several = replace(run, models=run.models * 2)
    page = html.render_html(several, "en")
    for half, title in zip(page.split('<div class="half')[1:], ("Tree of weights", "가중치의 계통수"),
                           strict=True):  # fmt: skip
        assert title in half
        assert lineage_of(run.findings).newick in unescape(half)
    assert "Tree of weights" not in html.render_html(run, "en")


def test_without_biopython_there_is_a_plane_and_a_table_and_no_tree(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "Bio.Phylo", None)
    found = lineage_of(weights[name] for name in THREE)
    assert found.newick is None
    assert [data.kind for data in found.figures] == ["weight_plane"]


def test_published_norms_are_drawn_from_what_the_finding_keeps(weights):
    (found,) = run_from_json(render_json(run_of(weights["published"]), "en")).findings
    assert "norm_series" in dict(data_of(found))
    assert "norm_series" in dict(data_of(replace(found, details={})))  # details are for readers


def test_a_forged_child_is_set_beside_disguised_pairs_not_beside_cosines(weights):
    assert weights["forged"].details["step"] == "matching in any basis"
    found = read(weights["forged"], "known_pairs")
    assert found.name == "neurons_recognised"
    assert found.negative[0] < 0.1
    assert min(found.observed, found.positive[0]) > 0.9
    assert read(weights["child"], "known_pairs").name == "aligned_centred_cosine"
    copies = [control for control in weights["forged"].controls if control.disguised]
    assert [control.kind for control in copies] == ["positive", "negative"]
    assert not any("disguised" in name for control in copies for name in control.pair)
    page = html.render_html(run_of(weights["forged"], name=weights["forged"].model), "en")
    assert all(" / ".join(control.shown_pair) in page for control in copies)


def test_shares_of_a_merge_add_up_in_every_layer(weights):
    found = read(weights["merged"], "merge_shares")
    assert len(found.layers) == 4
    for row in found.shares:
        assert sum(row) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("name", "said"), [("merged", False), ("trained on", True)])
def test_the_caption_of_a_merge_trained_on_says_that_its_layers_moved(name, said, weights):
    assert ("training moved the layers" in drawn(weights[name]).caption) is said


def test_the_published_raw_cosine_lies_on_its_null(weights):
    found = read(weights["published"], "norm_series")
    raw, chance = np.array(found.raw), np.array(found.shuffled)
    assert len(raw) == 46
    assert np.abs(raw - chance).max() < 0.02
    assert max(found.centred) < 0.1


def test_rank_pairs_are_bounded_and_of_shared_tokens(measured):
    found = read(measured["rank_scatter"], "rank_scatter")
    assert len(found.ours) == len(found.theirs) == 400
    assert len(drawn(measured["rank_scatter"], kind="rank_scatter").svg) < 40_000


@pytest.mark.parametrize("text", ["", "(", "a", "(a,b", "a,b);", "(a:x,b);", ")" * 50])
def test_what_is_no_tree_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_newick(text)


def test_a_tree_is_read_with_its_lengths_and_supports():
    root = parse_newick("(('it''s (a)':0.1,b:0.2)0.98:0.3,c:1):0;")
    pair, leaf = root.children
    assert (pair.name, pair.length, leaf.name, leaf.length) == ("0.98", 0.3, "c", 1.0)
    assert [(n.name, n.length) for n in pair.children] == [("it's (a)", 0.1), ("b", 0.2)]


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.25]])
def test_one_layer_makes_no_figure_and_yet_places_a_pair(values, weights):
    data = SimilarityByLayer(tuple(range(len(values))), tuple(values))
    found = [replace(weights[name], figures=(data.to_json(),)) for name in THREE]
    assert [f.kind for f in whole(found[0])] == ["similarity_by_layer"][: len(values) - 1]
    assert lineage_of(found).cosines[0][1] == pytest.approx(np.mean(values))


def test_copies_of_one_model_span_no_plane_and_that_is_no_fault(weights):
    same = SimilarityByLayer((0, 1), (1.0, 1.0)).to_json()
    found = lineage_of(replace(weights[name], figures=(same,)) for name in THREE)
    assert [f.by_language["en"].kind for f in run_figures(found.figures, ["en"])] == ["lineage"]


def test_a_tree_of_many_models_is_drawn_whole():
    """Names are bounded one by one; the tree is longer than any of them may be."""
    leaves = ",".join(f"lab/model-with-a-name-{n}:0.1" for n in range(24))
    tree = finding(
        Outcome.INDETERMINATE,
        figures=(AnswerTree(f"({leaves},{'x' * 400}:0.2);", "lab/model-with-a-name-0").to_json(),),
    )
    [drawn] = figures_of(tree, "en")
    assert isinstance(drawn, Rendered)
    assert "lab/model-with-a-name-23" in drawn.svg
    assert "x" * 201 not in drawn.svg
