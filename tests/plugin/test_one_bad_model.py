"""What breaks on one model's files leaves that model open, and takes no verdict of another."""

from __future__ import annotations


def test_other_models_of_the_run_keep_their_verdicts(suite, run, pytester):
    suite()
    path = pytester.path / "test_suite.py"
    path.write_text(
        path.read_text().replace(
            'if wanted == "bug":', 'if wanted == "bug" or pair.model.name == "org/other":'
        )
    )
    result, found = run()
    assert result.ret == 10, result.stdout.str()
    verdicts = {
        model["model"]: {v["verdict"] for v in model["components"].values()}
        for model in found["models"]
    }
    assert verdicts["org/suspect"] == {"NO_EVIDENCE_OF_REUSE"}
    assert verdicts["org/other"] == {"INSUFFICIENT_EVIDENCE"}
    assert found["partial"]
    assert {model["model"]: model["partial"] for model in found["models"]} == {
        "org/suspect": False,
        "org/other": True,
    }
    result.stdout.fnmatch_lines(["*3 tests broke in the harness*"])


def test_a_worker_that_dies_of_one_models_files_takes_no_verdict_of_another(suite, run, pytester):
    suite()
    path = pytester.path / "test_suite.py"
    path.write_text(
        path.read_text().replace(
            'if wanted == "crash":', 'if wanted == "crash" or pair.model.name == "org/other":'
        )
    )
    result, found = run("-n", "2")
    assert result.ret == 10, result.stdout.str()
    partial = {model["model"]: model["partial"] for model in found["models"]}
    assert partial == {"org/suspect": False, "org/other": True}
    assert found["partial"]
    suspect = next(model for model in found["models"] if model["model"] == "org/suspect")
    assert suspect["planned"] == suspect["arrived"]
    assert {v["verdict"] for v in suspect["components"].values()} == {"NO_EVIDENCE_OF_REUSE"}
    result.stdout.fnmatch_lines(["*worker processes were lost*"])
