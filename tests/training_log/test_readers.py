"""The same log in every format is read back equal; a bad file costs one sentence."""

from __future__ import annotations

import contextlib
import csv
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.methods.training_log.readers import read_training_log
from tests.training_log import writing
from tests.training_log.shipped import LOGS
from tests.training_log.writing import ROWS

FULL = {
    "a.csv": (writing.csv_file, "csv"),
    "b.jsonl": (writing.wandb_jsonl, "jsonl"),
    "trainer_state.json": (writing.trainer_state, "trainer_state"),
    "events.out.tfevents.1.x": (writing.tensorboard, "tensorboard"),
    "megatron.log": (writing.megatron, "text"),
}
LOSS_ONLY = {
    "wandb.csv": (writing.wandb_csv, "csv"),
    "llmc.log": (writing.llm_c, "text"),
    "nanogpt.log": (writing.nanogpt, "text"),
    "speedrun.log": (writing.speedrun, "text"),
    "hf.log": (writing.hugging_face_lines, "text"),
}


@pytest.mark.parametrize("name", [*FULL, *LOSS_ONLY])
def test_every_format_is_read_back_equal(name, tmp_path):
    write, kind = (FULL | LOSS_ONLY)[name]
    write(tmp_path / name)
    log = read_training_log(tmp_path / name)
    assert log.format == kind
    assert np.allclose(log.loss, [row["loss"] for row in ROWS], rtol=1e-6)
    if name != "hf.log":
        assert log.steps.tolist() == [row["step"] for row in ROWS]
    else:
        assert log.counted
    if name in FULL:
        for quantity in ("lr", "grad_norm", "tokens"):
            wanted = [row[quantity] for row in ROWS]
            assert np.allclose(getattr(log, quantity), wanted, rtol=1e-5), quantity


def test_tensors_of_tensorflow_2_are_scalars_too(tmp_path):
    writing.tensorboard(tmp_path / "events", tensor=True)
    assert np.array_equal(read_training_log(tmp_path / "events").loss, [r["loss"] for r in ROWS])


def test_a_cut_off_event_file_is_read_up_to_there(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    writing.tensorboard(path)
    path.write_bytes(path.read_bytes()[:-350])
    log = read_training_log(path)
    assert 100 < len(log) < len(ROWS)
    assert "cut off" in str(log.notes[0])


def test_a_changed_byte_of_an_event_file_is_noticed(tmp_path):
    path = tmp_path / "events"
    writing.tensorboard(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(Unavailable, match="checksum") as caught:
        read_training_log(path)
    assert caught.value.reason is Reason.MALFORMED


def test_columns_can_be_named(tmp_path):
    (tmp_path / "x.csv").write_text("k,a,b\n0,1.5,2\n1,1.4,3\n")
    with pytest.raises(Unavailable, match=r"no column that is a loss.*#step=NAME"):
        read_training_log(tmp_path / "x.csv")
    log = read_training_log(tmp_path / "x.csv", {"step": "b", "loss": "a"})
    assert log.steps.tolist() == [2, 3]
    assert log.loss.tolist() == [1.5, 1.4]
    with pytest.raises(Unavailable, match="no column zzz; it has k, a, b"):
        read_training_log(tmp_path / "x.csv", {"loss": "zzz"})


def test_training_loss_is_preferred_and_several_runs_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("step,eval/loss,train/loss\n0,9,11\n")
    assert read_training_log(tmp_path / "x.csv").loss.tolist() == [11]
    (tmp_path / "y.csv").write_text("Step,a - train/loss,b - train/loss\n0,9,11\n")
    with pytest.raises(Unavailable, match="several runs"):
        read_training_log(tmp_path / "y.csv")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("\0\1\2binary", "binary"),
        ("step,loss\n0,\n", "no column that is a loss"),
        ('{"step": 0, "loss": 1}\nnot json\n', "line 2 is not JSON"),
        ('{"log_history": [{"step": 1, "loss": 2},', "cut off"),
        ('{\n"a": 1\n}', "no log_history"),
        ("hello\nworld\n", "no column that is a loss"),
        ("step,loss\n" + "1" * (1 << 20) + ",2\n", "longer than a mebibyte"),
    ],
)
def test_a_bad_file_costs_one_sentence(text, match, tmp_path):
    (tmp_path / "log").write_text(text)
    with pytest.raises(Unavailable, match=match) as caught:
        read_training_log(tmp_path / "log")
    assert "\n" not in str(caught.value)
    assert str(caught.value.remedy)


def test_an_absent_file_names_the_option(tmp_path):
    with pytest.raises(Unavailable, match="--training-log PATH"):
        read_training_log(tmp_path / "none")


def test_rows_without_a_finite_loss_are_counted(tmp_path):
    (tmp_path / "x.csv").write_text("step,loss\n0,11\n1,nan\n2,inf\n3,10\n")
    log = read_training_log(tmp_path / "x.csv")
    assert log.steps.tolist() == [0, 3]
    assert "2 rows" in str(log.notes[0])


def test_steps_of_real_ladder_come_from_tokens():
    log = read_training_log(LOGS / "olmo-ladder-190M-1xC.csv")
    assert log.steps[:3].tolist() == [200, 400, 600]
    assert log.evaluation
    assert log.lr is not None


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=150,
)
@given(data=st.binary(max_size=400))
def test_no_bytes_raise_anything_but_unavailable(data, tmp_path):
    for start in (b"", b"step,loss\n", b'{"log_history": [', b'{"loss": 1}\n'):
        (tmp_path / "f").write_bytes(start + data)
        with contextlib.suppress(Unavailable):
            read_training_log(tmp_path / "f")


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=100,
)
@given(at=st.integers(0, 1000), value=st.integers(0, 255))
def test_no_mutated_event_file_raises_anything_but_unavailable(at, value, tmp_path):
    path = tmp_path / "e"
    writing.tensorboard(path, ROWS[:5])
    data = bytearray(path.read_bytes())
    data[at % len(data)] = value
    path.write_bytes(data)
    with contextlib.suppress(Unavailable):
        read_training_log(path)


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=50,
)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**40), st.floats(0.01, 20)),
        min_size=1,
        max_size=50,
        unique_by=lambda row: row[0],  # rows of one step are one row
    )
)
def test_csv_and_jsonl_agree_on_any_rows(tmp_path, rows):
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("step", "loss"), *rows])
    text = "\n".join(json.dumps({"step": s, "loss": x}) for s, x in rows)
    (tmp_path / "b.jsonl").write_text(text)
    a, b = read_training_log(tmp_path / "a.csv"), read_training_log(tmp_path / "b.jsonl")
    assert a.steps.tolist() == b.steps.tolist() == [s for s, _ in rows]
    assert a.loss.tolist() == b.loss.tolist() == [x for _, x in rows]
