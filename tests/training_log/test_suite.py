"""The suite as a user runs it: every format, found or given, and the verdict that follows."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.training_log import writing
from tests.training_log.shipped import LOGS
from tools.running import run_suites

SUITE = "suites/test_training_log.py"
CONFIG = {"model_type": "gpt_neox", "vocab_size": 50304}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    return path


def run(folder, tmp_path, *arguments):
    return run_suites("--model", str(folder), "--offline", *arguments, home=tmp_path, suites=SUITE)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("checkpoint-9/trainer_state.json", writing.trainer_state),
        ("runs/events.out.tfevents.17.host", writing.tensorboard),
        ("training_log.csv", writing.csv_file),
        ("wandb_history.jsonl", writing.wandb_jsonl),
        ("train.log", writing.megatron),
    ],
)
def test_a_log_in_the_repository_is_found_by_itself(name, write, folder, tmp_path):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    ran = run(folder, tmp_path)
    found = ran.finding("training_log.continuity")
    assert found["outcome"] == "consistent", ran.output
    assert found["details"]["rows"] == 120
    assert found["artifacts"][0]["file"] == name
    assert ran.finding("training_log.first_loss")["outcome"] == "consistent"


def test_a_given_log_of_a_copy_is_a_lead_and_is_reported_visibly(folder, tmp_path):
    log = LOGS / "pythia-70m-0.csv"
    ran = run(folder, tmp_path, "--training-log", str(log), "--against", "EleutherAI/pythia-70m",
              "--training-log", f"EleutherAI/pythia-70m={log}")  # fmt: skip
    assert ran.code == 10, ran.output  # no policy that was chosen asks about the record
    found = ran.finding("training_log.same_order")
    assert found["outcome"] == "derived"
    assert found["relation"] == "copied_segment"
    assert "1 reported" in ran.output
    assert ran.verdicts(str(folder))["training_record"] == "SUSPECTED"


def test_a_resumed_export_leaves_the_record_undecided_and_accuses_nobody(folder, tmp_path):
    ran = run(folder, tmp_path, "--training-log", str(LOGS / "pythia-410m-0.csv"))
    assert ran.code == 10, ran.output
    assert ran.finding("training_log.first_loss")["kinds"] == ["under way"]
    assert ran.verdicts(str(folder))["training_record"] == "INSUFFICIENT_EVIDENCE"


def test_a_whole_log_never_clears(folder, tmp_path):
    ran = run(folder, tmp_path, "--training-log", str(LOGS / "pythia-160m-5.csv"))
    assert ran.verdicts(str(folder))["training_record"] == "INSUFFICIENT_EVIDENCE"


def test_a_name_inside_the_repository_and_named_columns(folder, tmp_path):
    shutil.copy(LOGS / "olmo-ladder-1B-1xC.csv", folder / "odd.csv")
    given = "odd.csv#loss=eval/pile-validation/CrossEntropyLoss"
    ran = run(folder, tmp_path, "--training-log", given)
    found = ran.finding("training_log.schedule")
    assert found["kinds"] == ["cosine"]
    assert found["details"]["columns"]["loss"] == "eval/pile-validation/CrossEntropyLoss"


def test_without_a_log_the_remedy_names_the_option(folder, tmp_path):
    ran = run(folder, tmp_path)
    found = ran.finding("training_log.continuity")
    assert found["outcome"] == "unavailable"
    assert "--training-log" in str(found["remedy"])


def test_a_missing_file_is_one_sentence(folder, tmp_path):
    ran = run(folder, tmp_path, "--training-log", "nowhere.csv")
    assert ran.code == 4
    assert "--training-log nowhere.csv: there is no such file" in ran.output
    assert "Traceback" not in ran.output


def test_compute_of_the_matrix(tmp_path):
    ran = run_suites("--model", "skt/A.X-K1", "--offline", home=tmp_path, suites=SUITE)
    found = ran.finding("training_log.compute")
    assert found["outcome"] == "consistent"
    assert 0.30 < found["statistic"]["low"] < found["statistic"]["high"] < 0.39
    assert found["details"]["facts"]["tokens"]["status"] == "read in a secondary source"


def test_two_processes_give_the_same_run(folder, tmp_path):
    arguments = ["--training-log", str(LOGS / "pythia-70m-1.csv")]
    one = run(folder, tmp_path, *arguments)
    two = run(folder, tmp_path, *arguments, "-n", "2")
    assert one.json_bytes == two.json_bytes
