"""Options, ids, typos: what a user types and what comes back."""

from __future__ import annotations

import difflib
import re
import shutil

import pytest

from tools.running import ROOT, run_suites
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY


def collected(*arguments, home, env=None):
    ran = run_suites("--collect-only", "-q", *arguments, home=home, env=env)
    return ran, [line for line in ran.output.splitlines() if "::" in line]


def test_ids_are_readable_and_selectable(tmp_path):
    ran, ids = collected("--model", "skt/A.X-K1", home=tmp_path)
    assert ran.code == 0, ran.output
    wanted = (
        "suites/test_architecture.py::test_core_fields_are_not_the_references"
        "[skt/A.X-K1:moonshotai/Kimi-K2-Instruct]"
    )
    assert wanted in ids
    assert all(re.fullmatch(r"[\w/.]+::\w+\[[A-Za-z0-9_:+./-]+\]", line) for line in ids)
    _, by_k = collected("-k", "skt/A.X-K1 and Kimi-K2", home=tmp_path)
    assert wanted in by_k
    assert all("Kimi-K2" in line for line in by_k)


def test_a_node_id_runs_by_itself(tmp_path):
    node = "suites/test_architecture.py::test_parameters_add_up[skt/A.X-K1]"
    ran = run_suites("--model", "skt/A.X-K1", home=tmp_path, suites=node)
    assert ran.run["plan"]["planned"] == 1
    assert "1 passed" in ran.output


def test_markers_select_a_method(tmp_path):
    _, ids = collected("-m", "disclosure", home=tmp_path)
    assert ids
    assert {line.split("::")[0] for line in ids} == {"suites/test_disclosure.py"}


def test_collection_asks_no_hub(tmp_path):
    with LoopbackHub() as hub:
        ran, ids = collected(home=tmp_path, env=hub.environment(tmp_path))
    assert ran.code == 0
    assert len(ids) > 100
    assert hub.log == []


def test_without_model_the_whole_matrix_is_planned(tmp_path):
    _, ids = collected(home=tmp_path)
    for name in ("upstage/Solar-Open-100B", "PrimeIntellect/INTELLECT-3", "Qwen/Qwen2.5-7B"):
        assert any(name in line for line in ids)


def test_globs_go_over_the_matrix(tmp_path):
    _, ids = collected("--model", "Qwen/Qwen2.5-*7B*", home=tmp_path)
    assert {line.split("[")[1].split(":")[0].rstrip("]") for line in ids} == {
        "Qwen/Qwen2.5-7B",
        "Qwen/Qwen2.5-7B-Instruct",
    }


def test_case_does_not_matter_for_listed_models(tmp_path):
    _, ids = collected("--model", "SKT/a.x-k1", home=tmp_path)
    assert any("[skt/A.X-K1]" in line for line in ids)


def test_against_replaces_the_references(tmp_path):
    _, ids = collected("--model", "skt/A.X-K1", "--against", "org/suspected-parent", home=tmp_path)
    pairs = [line for line in ids if "test_core_fields" in line]
    assert [line.split("[")[1] for line in pairs] == ["skt/A.X-K1:org/suspected-parent]"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "A.X-K1"), "did you mean skt/A.X-K1"),
        (("--model", "skt/A.XK1"), "did you mean skt/A.X-K1"),
        (("--model", "skt/A.X-K"), "did you mean skt/A.X-K1"),
        (("--model", "upstge/Solar-Open-100B"), "did you mean upstage/Solar-Open-100B"),
        (("--model", "nobody/*"), "no model of the matrix matches"),
        (("--model", "./no/such/folder"), "there is no such folder"),
        (("--component", "vison_encoder"), "did you mean vision_encoder"),
        (("--policy", "lenient"), "invalid choice: 'lenient'"),
        (("--depth", "deep"), "invalid choice: 'deep'"),
        (("--byte-budget", "much"), "is not a size"),
        (("--matrix", "none.toml"), "cannot read the matrix"),
    ],
)
def test_a_slip_is_one_clear_usage_error(arguments, message, tmp_path):
    ran = run_suites(*arguments, home=tmp_path)
    assert ran.code == 4, ran.output
    assert message.lower() in ran.output.lower()
    assert "Traceback" not in ran.output
    assert ran.run is None


def test_an_unlisted_version_is_no_typo(tmp_path):
    ran, ids = collected("--model", "skt/A.X-K2", home=tmp_path)
    assert ran.code == 0, ran.output
    assert ids


def test_an_exact_id_can_be_insisted_on(tmp_path):
    ran, ids = collected("--model", "hf:skt/A.XK1", home=tmp_path)
    assert ran.code == 0
    assert any("[skt/A.XK1]" in line for line in ids)


def test_every_option_has_an_ini_twin(tmp_path, pytester, suite, run):
    suite()
    result, found = run("-o", "scratch_model=org/other", "-o", "scratch_policy=text-only",
                        "-o", "scratch_depth=robust")  # fmt: skip
    assert result.ret == 0, result.stdout.str()
    assert [model["model"] for model in found["models"]] == ["org/other"]
    assert list(found["models"][0]["policies"]) == ["text-only"]
    assert found["options"]["depth"] == "robust"


def test_a_folder_with_an_awkward_name_gets_a_selectable_id(tmp_path):
    folder = tmp_path / "내 모델 (v=1)"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    _, ids = collected("--model", str(folder), home=tmp_path)
    assert all(re.fullmatch(r"[\w/.]+::\w+\[[A-Za-z0-9_:+./-]+\]", line) for line in ids)


def test_a_folder_of_another_checkout_is_a_folder(tmp_path):
    """pytest takes the value of an option that it does not know yet for a path to collect."""
    other = tmp_path / "other"
    shutil.copytree(READY / "s0", other / "s0")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, other)
    ran = run_suites("--model", str(other / "s0"), "--offline", "-m", "disclosure", home=tmp_path)
    assert ran.code == 10, ran.output
    assert [model["model"] for model in ran.run["models"]] == [str(other / "s0")]


def test_the_aliases_and_the_prefixed_options_are_the_same(tmp_path):
    _, short = collected("--model", "skt/A.X-K1", home=tmp_path)
    _, long = collected("--scratch-model", "skt/A.X-K1", home=tmp_path)
    assert short == long
    assert (ROOT / "conftest.py").exists()


def test_adding_a_model_is_one_line(tmp_path):
    """One line in a copy of the matrix, and the model is planned everywhere."""
    matrix = tmp_path / "matrix.toml"
    shutil.copy(ROOT / "suites" / "matrix.toml", matrix)
    before = matrix.read_text("utf-8")
    matrix.write_text(before + '"org/new" = { against = ["org/reference"] }\n', "utf-8")
    diff = list(difflib.unified_diff(before.splitlines(), matrix.read_text("utf-8").splitlines()))
    assert sum(line.startswith("+") and not line.startswith("+++") for line in diff) == 1
    assert not any(line.startswith("-") and not line.startswith("---") for line in diff)
    ran = run_suites("--matrix", str(matrix), "--collect-only", "-q", home=tmp_path)
    planned = [line for line in ran.output.splitlines() if "org/new" in line]
    files = {line.split("::")[0].rsplit("/")[-1] for line in planned}
    assert {
        "test_architecture.py",
        "test_disclosure.py",
        "test_tokenizer.py",
        "test_weights.py",
    } <= files
    assert any("[org/new:org/reference]" in line for line in planned)


def test_workers_share_the_threads(pytester, suite):
    suite()
    pytester.makepyfile(
        test_threads="""
        import os

        def test_threads():
            assert int(os.environ["OPENBLAS_NUM_THREADS"]) == max(1, os.cpu_count() // 2)
        """
    )
    result = pytester.runpytest_subprocess("-n", "2", "test_threads.py")
    assert result.ret == 0, result.stdout.str()
