"""What is given beside a model: declarations, logs, answers, servers; a slip is one line."""

from __future__ import annotations

import socket

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.matrix_file import parse_matrix
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.asking.locate import Given
from pytest_scratchverify.plugin.declarations import with_declarations
from pytest_scratchverify.plugin.given_inputs import check_answers, check_logs, unused_inputs
from pytest_scratchverify.plugin.selection import folder_name, pairs, resolve_name, select_models

MATRIX = parse_matrix(
    """
[models]
"org/one" = { against = ["org/Base-V3"], declares = { projector = { from = "a/b", by = "Org", source = "card" } } }
"org/Base-V3" = { role = "reference" }
"lab/early" = { role = "reference", developer = "Lab" }
"""
)
ONE = ModelSpec(name="my/model", developer="Lab")


def declared(*entries, file=None, models=(ONE,), references=()):
    [model] = with_declarations(models, MATRIX, declared=entries, file=file, references=references)
    return {part.value: stated for part, stated in model.declares.items()}, model


def test_a_declaration_needs_no_matrix():
    found, _ = declared("tokenizer=org/parent", "vision_encoder = org/eyes")
    assert found["tokenizer"].origin == "org/parent"
    assert (found["tokenizer"].by, found["tokenizer"].source) == ("", "--declare")
    assert found["vision_encoder"].origin == "org/eyes"
    _, model = declared("predecessor=lab/early")
    assert model.predecessor.origin == "lab/early"


def test_the_command_line_wins_over_the_file_and_the_file_over_the_matrix(tmp_path):
    file = tmp_path / "scratchverify.toml"
    file.write_text(
        '[scratchverify]\ndeveloper = "Lab"\nreleased = "2026-11-01"\nagainst = ["org/two"]\n'
        '[scratchverify.declares]\ntokenizer = "org/a"\nprojector = "org/p"\n'
        'lm_head = { from = "org/h", by = "Lab", source = "card", state = "frozen" }\n'
    )
    found, model = declared("tokenizer=org/b", file=file, models=[MATRIX.models["org/one"]])
    assert {part: stated.origin for part, stated in found.items()} == {
        "projector": "org/p",
        "tokenizer": "org/b",
        "lm_head": "org/h",
    }
    assert (found["projector"].by, found["lm_head"].state) == ("Lab", "frozen")
    assert (model.against, model.released) == (("org/two",), "2026-11-01")


def test_a_pyproject_holds_the_table_below_tool(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.scratchverify.declares]\ntokenizer = "org/a"\n')
    assert declared(file=file)[0]["tokenizer"].source == "pyproject.toml"


def test_an_origin_is_the_reference_that_it_is_by_another_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    found, _ = declared("tokenizer=./base/", references=["base"])
    assert found["tokenizer"].origin == "base"


@pytest.mark.parametrize(
    ("entries", "table", "said"),
    [
        (["tokenizer"], None, "write COMPONENT=NAME"),
        (["=org/a"], None, "no such component"),
        (["tokenizr=org/a"], None, "--declare tokenizr: no such component; did you mean tokenizer"),
        (["lm_head=a/b", "lm_head=a/c"], None, "from two models"),
        (["predecessor=other/x"], None, "not of the same developer"),
        ([], "[scratch]", "no table [scratchverify]"),
        ([], "[scratchverify]\nmodel = 'x'", "model: known are against, components, declares"),
        ([], "[scratchverify.declares]\ntokenizr = 'x'", "tokenizr"),
        ([], "[scratchverify]\ndeclares = 'x'", "declares"),
        ([], "[scratchverify.declares.tokenizer]\nby = 'x'", "from"),
        ([], "[[scratchverify]]", "no table [scratchverify]"),
        ([], "[scratchverify", "not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_said(entries, table, said, tmp_path):
    file = tmp_path / "x.toml"
    file.write_text(table or "")
    with pytest.raises(ScratchError) as failed:
        declared(*entries, file=file if table else None)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_declaration_speaks_of_one_model(tmp_path):
    for models in ([], [ONE, ModelSpec(name="my/other")]):
        with pytest.raises(ScratchError, match="speaks of one model"):
            declared("tokenizer=a/b", models=models)
    with pytest.raises(ScratchError, match="cannot read it"):
        declared(file=tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org/Base-V33", "--against org/Base-V33: not in the matrix; did you mean org/Base-V3"),
        ("models/s00", "there is a folder models, and no s00 in it; did you mean models/s0?"),
        ("./models/s1x", "no such folder, GGUF file or fingerprint"),
        ("s0", "--against s0: neither a repository id"),
    ],
)
def test_a_slip_in_a_reference_is_said_in_its_own_options_name(name, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "s0").mkdir(parents=True)
    with pytest.raises(ScratchError) as failed:
        pairs([ONE], MATRIX, [name])
    assert said in str(failed.value)
    if name.startswith("models"):
        [pair] = pairs([ONE], MATRIX, [f"hf:{name}"])
        assert not pair.reference.folder


def test_a_glob_means_those_that_are_tested():
    assert [spec.name for spec in select_models(["org/*"], MATRIX, None)] == ["org/one"]
    assert [spec.name for spec in select_models(["*/early"], MATRIX, None)] == ["lab/early"]


def test_a_folder_has_one_name_and_no_dots_for_it(tmp_path, monkeypatch):
    (tmp_path / "s0" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "s0" / "in")
    names = {".": "../in", "./": "../in", "..": "../../s0", "../../s0/": "../../s0", "./x": "./x"}
    assert {given: folder_name(given) for given in names} == names
    assert resolve_name(".", MATRIX).name == "../in"


def test_logs_that_are_not_there_or_nobodys_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = ModelSpec(name="model", folder=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "log.csv").write_text("")
    check_logs(["log.csv", "model=log.csv#step=a"], [folder], [])
    check_logs(["in/its/repository.csv", "org/ref=log.csv"], [ONE], ["org/ref"])
    for entry, models in (
        ("nope.csv", [folder]),
        ("./nope.csv", [ONE]),
        ("/nope.csv#step=a", [ONE]),
        ("org/else=log.csv", [ONE]),
        ("log.csv", [ONE, folder]),
    ):
        with pytest.raises(ScratchError, match="--training-log"):
            check_logs([entry], models, [])


def test_answers_and_servers_that_are_not_there_are_refused(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    kept = tmp_path / "kept.jsonl"
    kept.write_text("")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        dead = f"http://user:secret@127.0.0.1:{server.getsockname()[1]}/v1"  # nobody listens
        with pytest.raises(ScratchError, match="no server answers there") as failed:
            check_answers([Given(model="m", url=dead)], offline=False)
        assert "secret" not in str(failed.value)
        check_answers([Given(model="m", url=dead, path=kept)], offline=False)
        check_answers([Given(model="m", url=dead)], offline=True)
        server.listen()
        check_answers([Given(model="m", url=dead)], offline=False)
    with pytest.raises(ScratchError, match="write an address"):
        check_answers([Given(model="m", url="127.0.0.1:9/v1")], offline=False)
    with pytest.raises(ScratchError, match="there is no such file"):
        check_answers([Given(model="m", path=tmp_path / "none.jsonl")], offline=False)


def found(method, outcome, reference=None):
    return Finding(
        method=method,
        component=Component.TRAINING_RECORD,
        model="m",
        reference=reference,
        outcome=outcome,
        headline=Text("There is no log.csv in m."),
        hypothesis=Text("h"),
    )


def test_what_was_given_and_answered_nothing_is_said_once_of_the_run():
    lost = [found(f"training_log.{n}", Outcome.UNAVAILABLE) for n in "ab"]
    lost.append(found("training_log.c", Outcome.NOT_APPLICABLE))
    said = [str(text) for text in unused_inputs(["training-log"], lost)]
    assert said == ["what --training-log gave could not be used for m: There is no log.csv in m."]
    assert not [*unused_inputs([], lost)]
    assert not [
        *unused_inputs(["training-log"], [*lost, found("training_log.d", Outcome.CONSISTENT)])
    ]
    assert not [*unused_inputs(["answers"], lost)]
