"""Families of a run: who came first, merges with two parents, as text, Newick and GraphML."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.report.family import GRAPHML, families_of, render_graphml, render_newick
from pytest_scratchverify.report.figures.ancestry import parse_newick
from pytest_scratchverify.report.figures.rendering import available
from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.terminal import summary_lines
from tests.report.runs import run_of
from tests.verdict.findings import finding

SIZE = 4000
PARENTS = {"cpt": {"base"}, "it's": {"cpt"}, "code": {"cpt"}, "soup": {"it's", "code"}}


def weights():
    rng = np.random.default_rng(4)
    found = {"base": rng.normal(size=SIZE)}
    for name, parent, size in (("cpt", "base", 0.4), ("it's", "cpt", 0.1), ("code", "cpt", 0.12)):
        found[name] = found[parent] + size * rng.normal(size=SIZE)
    return found | {"soup": 0.5 * (found["it's"] + found["code"])}


def order(ours, theirs):
    squares = [float(ours @ ours), float(theirs @ theirs), float(ours @ theirs)]
    moved = squares[0] + squares[1] - 2 * squares[2]
    odds = 0.0 if moved == 0 else float(np.clip(2 * (squares[0] - squares[1]) / moved, -4, 4))
    return {"squares": squares, "log_odds": odds, "bar_of_root": 1.5, "wrong_roots": 0.03}


def findings_of(models, relation=Relation.DERIVED):
    names = sorted(models)
    return [
        finding(
            Outcome.DERIVED,
            method="weights.origin",
            component=Component.TEXT_DECODER,
            model=one,
            reference=other,
            relation=relation,
            details={"order": order(models[one], models[other])},
        )
        for i, one in enumerate(names)
        for other in names[:i]
    ]


@pytest.fixture(scope="module")
def found():
    return findings_of(weights())


def test_a_family_has_its_root_its_steps_and_its_merge(found):
    (family,) = families_of(found)
    assert family.root == "base"
    parents = {}
    for step in family.steps:
        parents.setdefault(step.child, set()).add(step.parent)
    assert parents == PARENTS
    assert family.merges.keys() == {"soup"}
    said = [str(text) for text in family.sentences()]
    assert "The earliest of" in said[0]
    assert "3 % were wrong" in said[0]
    assert "soup lies on the line between" in said[1]


def test_newick_holds_every_model_and_a_merge_twice(found):
    (family,) = families_of(found)
    root = parse_newick(family.newick)
    waiting, names = [root], []
    while waiting:
        node = waiting.pop()
        names.append(node.name)
        waiting += node.children
    assert root.name == "base"
    assert set(names) == {"base", "cpt", "it's", "code", "soup"}
    assert family.newick.count("#H1") == 2


def test_graphml_is_read_as_a_directed_graph_with_two_parents(found):
    graph = ET.parse(StringIO(render_graphml(run_of(*found), "en"))).getroot()
    of = {"g": GRAPHML}
    assert graph.find("g:graph", of).get("edgedefault") == "directed"
    edges = {(e.get("source"), e.get("target")) for e in graph.iterfind(".//g:edge", of)}
    assert edges == {(parent, child) for child, both in PARENTS.items() for parent in both}
    shares = [float(e.find("g:data", of).text) for e in graph.iterfind(".//g:edge", of)]
    assert sorted(shares)[:2] == pytest.approx([0.5, 0.5], abs=0.01)


def test_all_outlets_say_it_in_both_languages(found):
    run = run_of(*found)
    (family,) = families_of(found)
    for language in ("en", "ko"):
        sentence = translate(next(family.sentences()), language)
        assert sentence in " ".join(
            " ".join(line.split()) for line, _ in summary_lines(run, language, 400)
        )
        assert sentence in render_markdown(run, language).replace("\\", "")
        assert family.newick in render_markdown(run, language)
    page = render_html(run, "en")
    assert "Family of models" in page
    assert "모델 가족" in page
    if available():
        assert "steps from the earliest model" in page
    assert render_newick(run, "en") == family.newick + "\n"


def test_siblings_have_no_earliest_and_no_steps():
    rng = np.random.default_rng(5)
    base = rng.normal(size=SIZE)
    twins = {name: base + 0.3 * rng.normal(size=SIZE) for name in "abcd"}
    (family,) = families_of(findings_of(twins))
    assert (family.root, family.steps, family.newick) == (None, (), None)
    assert "is not told" in str(next(family.sentences()))
    run = run_of(*findings_of(twins))
    assert render_newick(run, "en") == ""
    assert "<edge" not in render_graphml(run, "en")


def test_strangers_and_twins_of_one_seed_are_no_family(found):
    assert families_of([replace(one, relation=None) for one in found]) == ()
    same_seed = [replace(one, relation=Relation.SHARED_INITIALISATION) for one in found]
    assert families_of(same_seed) == ()
    assert families_of(found[:1]) == ()


def test_equal_copies_stand_for_one():
    models = weights()
    (family,) = families_of(findings_of(models | {"copy": models["cpt"]}))
    assert family.equal == {"cpt": "copy"}
    assert family.root == "base"
    assert "cpt has the weights of copy." in [str(text) for text in family.sentences()]


@pytest.mark.parametrize(
    "bad",
    [
        {
            "squares": [1.0, float("nan"), 0.5],
            "log_odds": 1.0,
            "bar_of_root": 1.5,
            "wrong_roots": 0.03,
        },
        {"squares": [1.0, 2.0], "log_odds": 1.0, "bar_of_root": 1.5, "wrong_roots": 0.03},
        {"squares": [0.0, 2.0, 0.0], "log_odds": 1.0, "bar_of_root": 1.5, "wrong_roots": 0.03},
        {"squares": "abc", "log_odds": 1.0, "bar_of_root": 1.5, "wrong_roots": 0.03},
        {"squares": [1.0, 2.0, 1.0], "log_odds": 10**400, "bar_of_root": 1.5, "wrong_roots": 0.03},
        {"squares": [1.0, 2.0, 1.0], "log_odds": True, "bar_of_root": 1.5, "wrong_roots": 0.03},
        ["squares"],
        None,
    ],
)
def test_a_foreign_run_breaks_nothing(found, bad):
    broken = [replace(one, details={"order": bad}) for one in found]
    assert families_of(broken) == ()
    mixed = [*broken[:1], *found[1:]]
    assert all(len(family.names) < 5 for family in families_of(mixed))


def scaled(finding_, factor):
    squares = [factor * number for number in finding_.details["order"]["squares"]]
    return replace(finding_, details={"order": {**finding_.details["order"], "squares": squares}})


def test_numbers_too_unlike_are_not_joined_and_other_rows_make_no_merge(found):
    assert families_of([scaled(found[0], 2), *found[1:]]) == ()
    (family,) = families_of([scaled(found[0], 1.1), *found[1:]])
    assert family.root == "base"
    assert family.merges == {}
