"""`--against-library`: all fingerprints of a folder in one run, the nearest first."""

from __future__ import annotations

import json

import jsonschema
import pytest

from pytest_scratchverify.api import verify
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, ScratchError
from pytest_scratchverify.core.matrix_file import parse_matrix
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.weights.fingerprint import save_fingerprint
from pytest_scratchverify.plugin.selection import library_entries, library_specs, pairs
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.library import LibraryEntry, file_name, made_entry, write_index
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.verdict.verdict import Result, Verdict
from tools.running import ROOT, run_suites
from tools.zoo.ready_models import READY

HELD = ("s0", "s1", "t0", "moe0")  # the parent among strangers
DAMAGED, FAILED = "lab/damaged", "lab/failed"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Four models, one whose file was cut, and one that could not be made."""
    folder = tmp_path_factory.mktemp("library")
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    entries = []
    for name in HELD:
        path = folder / file_name(f"lab/{name}")
        save_fingerprint(open_store(str(READY / name), run_dir=run), path, "small")
        entries.append(made_entry(f"lab/{name}", path, None, "small"))
    cut = folder / file_name(DAMAGED)
    cut.write_bytes(entries[0].path.read_bytes())
    entries.append(made_entry(DAMAGED, cut, None, "small"))
    cut.write_bytes(cut.read_bytes()[:-100])
    gone = folder / file_name(FAILED)
    entries.append(LibraryEntry(model=FAILED, path=gone, reason=Reason.GATED, failure="gated"))
    write_index(folder, entries)
    return folder


@pytest.fixture(scope="module")
def found(library, tmp_path_factory):
    """A child of s0, asked about its output head: the cheapest component."""
    home = tmp_path_factory.mktemp("home")
    return run_suites(
        *("--model", str(READY / "s0-finetune"), "--against-library", str(library)),
        *("--component", "lm_head", "--verdict-md", str(home / "run.md")),
        *("--verdict-html", str(home / "run.html"), "-m", "weights"),
        home=home,
    ), home


def test_the_parent_comes_first_and_is_named(found):
    ran, _ = found
    model = ran.model(str(READY / "s0-finetune"))
    assert model["components"]["lm_head"]["reference"] == "lab/s0"
    first, *others = model["nearest"]
    assert (first["reference"], first["verdict"]) == ("lab/s0", "DERIVED")
    assert first["effect"] > 0.99
    assert [row["verdict"] for row in others[:3]] == ["NO_EVIDENCE_OF_REUSE"] * 3
    assert {row["reference"] for row in others[3:]} == {DAMAGED, FAILED}
    assert {row["verdict"] for row in others[3:]} == {"INSUFFICIENT_EVIDENCE"}
    assert all(row["why"] for row in others[3:])
    assert ran.code == 1
    schema = json.loads(
        (ROOT / "pytest_scratchverify" / "report" / "run.schema.json").read_text("utf-8")
    )
    jsonschema.validate(ran.found, schema)


def test_terminal_and_reports_list_them_in_that_order(found):
    ran, home = found
    assert "library: 6 fingerprints" in ran.output
    assert "Nearest of 6 references" in ran.output
    assert "1. lab/s0: DERIVED" in ran.output
    assert f"not compared: {DAMAGED}, {FAILED}" in ran.output
    assert "--against-library=" in ran.output
    for name in ("run.md", "run.html"):
        text = (home / name).read_text("utf-8")
        text = text[text.index("Nearest of 6 references") :]
        assert text.index("lab/s0") < text.index("lab/s1") < text.index(DAMAGED)


def test_a_damaged_entry_does_not_withdraw_what_holds_against_the_others(library):
    run = verify(READY / "vl0", against_library=library, component="lm_head", offline=True)
    verdict = run.models[0].components[Component.LM_HEAD]
    assert verdict.verdict is Verdict.NO_EVIDENCE_OF_REUSE
    assert set(verdict.cleared) == {f"lab/{name}" for name in HELD}
    assert {entry.reference for entry in verdict.not_compared} == {DAMAGED, FAILED}
    assert run.models[0].policies["strict"].result is not Result.FAIL


def test_a_library_stands_in_for_the_matrix_and_beside_named_references(library):
    matrix = parse_matrix(
        'default_against = ["lab/other"]\n[models]\n"lab/s1" = { released = "2026-01-01" }\n'
    )
    specs = library_specs(library_entries([str(library)]), matrix)
    assert [spec.name for spec in specs] == sorted([*(f"lab/{n}" for n in HELD), DAMAGED, FAILED])
    assert next(s for s in specs if s.name == "lab/s1").released == "2026-01-01"
    model = ModelSpec(name="lab/s0")
    names = [pair.reference.name for pair in pairs([model], matrix, [], specs)]
    assert names == [spec.name for spec in specs if spec.name != "lab/s0"]  # never with itself
    named = pairs([model], matrix, ["lab/t0", "lab/else"], specs)
    assert [pair.reference.name for pair in named][:2] == ["lab/t0", "lab/else"]
    assert named[0].reference.saved is None  # what was named is read where it is
    assert len(named) == len(names) + 1


def test_a_folder_that_is_no_library_is_a_usage_error(tmp_path):
    ran = run_suites(
        "--model", str(READY / "s1"), "--against-library", str(tmp_path), home=tmp_path
    )
    assert ran.code == 4
    assert "no fingerprint" in ran.output
    with pytest.raises(ScratchError, match="no such folder"):
        library_entries([str(tmp_path / "nowhere")])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["s0-finetune", "s0-cpt-long"])
def test_among_a_hundred_the_parent_is_first_and_nobody_else_is_accused(model, tmp_path):
    """The benchmark of the page: five trained models and a twin of the parent, 94 drawn ones."""
    from benchmarks.library import ACCUSED, ask, build

    build(tmp_path, 100)
    _, run = ask(tmp_path, [READY / model], workers=2)
    nearest = run["models"][0]["nearest"]
    assert len(nearest) == 100
    assert [row["reference"] for row in nearest[:2]] == ["models/s0", "models/s0-twin"]
    assert nearest[0]["verdict"] == "DERIVED"
    assert not any(row["verdict"] in ACCUSED for row in nearest[2:])
    open_ones = [row for row in nearest if row["verdict"] == "INSUFFICIENT_EVIDENCE"]
    assert all(row["why"] for row in open_ones)  # a control that failed by chance is said
    decoder = run["models"][0]["components"]["text_decoder"]
    assert (decoder["verdict"], decoder["reference"]) == ("DERIVED", "models/s0")


@pytest.mark.slow
def test_many_models_in_one_run_and_nobody_else_is_accused():
    """The benchmark of docs/scale.md, small: a child and three strangers, eight fingerprints."""
    from benchmarks.library import many

    assert many(4, 8, workers=2, child="s0-finetune", only="-m weights --component lm_head") == 0
