"""Logs as trainers of many kinds print them: one run, whatever the format and however many ranks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.training_log.readers import read_training_log
from pytest_scratchverify.methods.training_log.readers.numbers import number
from tests.training_log.simulated import CHANCE, VOCABULARY, nats

N = 300
LOSS = np.round(nats(np.random.default_rng(11), N), 4)
RATE = 3e-4 * np.minimum(1, (np.arange(N) + 1) / 50)
NORM = np.round(1 + np.random.default_rng(12).lognormal(-1.5, 0.4, N), 3)
TOKENS = (np.arange(N) + 1) * 2**19
RUN = [(s + 1, float(x), float(r), float(g), int(t))
       for s, (x, r, g, t) in enumerate(zip(LOSS, RATE, NORM, TOKENS, strict=True))]  # fmt: skip
BLUE, OFF = "\x1b[34m", "\x1b[39m"


def short(value):
    for unit in ("", "K", "M", "G", "T"):
        if value < 1000:
            return f"{value:.4g}{unit}"
        value /= 1000
    raise AssertionError(value)


def torchtitan(s, x, r, g, t, rank=0):
    return (f"[rank{rank}]:[titan] 2025-06-01 10:00:00,123 - root - INFO - {BLUE}step: {s:2}  "
            f"\x1b[32mloss: {x:7.4f}  {OFF}grad_norm: {g:7.4f}  memory: 60.00GiB(75.00%)  "
            f"tps: 1,234  tflops: 99.9  mfu: 10.1%{OFF}")  # fmt: skip


FORMATS = {
    "transformers 5": lambda s, x, r, g, t: (
        f"{{'loss': '{x}', 'grad_norm': '{g}', 'learning_rate': '{r:.4g}', 'epoch': '{s / N:.4g}'}}"
    ),
    "transformers 4": lambda s, x, r, g, t: (
        f"{{'loss': {x}, 'grad_norm': {g}, 'learning_rate': {r}, 'epoch': {s / N:.2f}}}"
    ),
    "LLaMA-Factory": lambda s, x, r, g, t: json.dumps(
        {"current_steps": s, "total_steps": N, "loss": x, "lr": r, "epoch": s / N,
         "percentage": 0.3, "elapsed_time": "0:00:10", "remaining_time": "0:10:00",
         "throughput": 1234.5, "total_tokens": t}
    ),
    "LLaMA-Factory, printed": lambda s, x, r, g, t: (
        f"[INFO|2025-06-01 10:00:00] llamafactory.train.callbacks:143 >> {{'loss': {x},"
        f" 'learning_rate': {r:.4e}, 'epoch': {s / N:.2f}, 'throughput': 1234.56}}"
    ),
    "ms-swift": lambda s, x, r, g, t: json.dumps(
        {"loss": x, "grad_norm": g, "learning_rate": r, "epoch": s / N,
         "global_step/max_steps": f"{s}/{N}", "memory(GiB)": 12.3}
    ),
    "litgpt": lambda s, x, r, g, t: (
        f"Epoch {1 + s // 200} | iter {s} step {s} | loss train: {x}, val: n/a |"
        " iter time: 123.45 ms (step) remaining time: 1:23:45"
    ),
    "MLX": lambda s, x, r, g, t: (
        f"Iter {s}: Train loss {x}, Learning Rate {r:.3e}, It/sec 1.234, Tokens/sec 345.678,"
        f" Trained Tokens {t}, Peak mem 12.345 GB"
        + (f"\nIter {s}: Val loss {x + 0.4:.3f}, Val took 5.2s" if s % 20 == 0 else "")
    ),
    "torchtitan": torchtitan,
    "nanotron": lambda s, x, r, g, t: (
        f"06/01/2025 10:00:00 [INFO|DP=0|PP=1|TP=0]: iteration: {s} / {N} | consumed_tokens:"
        f" {short(t)} | elapsed_time_per_iteration_ms: 1.23K | tokens_per_sec: 123K |"
        f" global_batch_size: 1.02K | lm_loss: {x} | lr: {r:.3g} | grad_norm: {g}"
    ),
    "Megatron": lambda s, x, r, g, t: (
        f" [2025-06-01 10:00:00] iteration {s:8d}/{N:8d} | consumed samples: {s * 8:12d} |"
        f" elapsed time per iteration (ms): 123.4 | learning rate: {r:.6E} | global batch size:"
        f"     8 | load_balancing_loss: 1.01E+00 | mtp_1 loss: {x + 1:.6E} | lm loss: {x:.6E} |"
        f" loss scale: 1.0 | grad norm: {g:.3f} | number of skipped iterations:   0 |"
    ),
    "GPT-NeoX": lambda s, x, r, g, t: (
        f" samples/sec: 12.345 | iteration {s:8d}/{N:8d} | elapsed time per iteration (ms): 123.4 |"
        f" learning rate: {r:.3E} | approx flops per GPU: 60.1TFLOPS | lm_loss: {x:.6E} |"
        " loss scale: 4096.0 | number of skipped iterations:   0 |"
    ),
    "OLMo": lambda s, x, r, g, t: (
        f"2025-06-01 10:00:00.123\thost:0\tolmo.train:780\tINFO\t[step={s}/{N},epoch=0]\n"
        f"    optim/total_grad_norm={g}\n    train/CrossEntropyLoss={x}\n"
        f"    train/Perplexity=55,123\n    throughput/total_tokens={t:,}\n"
        f"    throughput/device/tokens_per_second=1,234\n    optim/learning_rate_group0={r:.6g}"
    ),
    "OLMo-core": lambda s, x, r, g, t: (
        f"2025-06-01 10:00:00\thost:0\tolmo_core.train:101\tINFO\t[step={s}/{N},epoch=1]\n"
        f"    optim/LR (group 0)={r:.4g}\n    optim/total grad norm={g}\n    train/CE loss={x}\n"
        f"    train/PPL=55,000"
    ),
    "Composer": lambda s, x, r, g, t: (
        f"[batch={s}/{N}]:\n\t Train time/epoch: 0\n\t Train lr-DecoupledAdamW/group0: {r}\n"
        f"\t Train loss/train/total: {x}"
    ),
    "DeepSpeed": lambda s, x, r, g, t: (
        f"steps: {s} loss: {x} iter time (s): 1.234 samples/sec: 12.345"
    ),
    "MaxText": lambda s, x, r, g, t: (
        f"completed step: {s}, seconds: 1.234, TFLOP/s/device: 99.9, Tokens/s/device: 1234.5,"
        f" total_weights: 524288, loss: {x}"
    ),
    "mmengine": lambda s, x, r, g, t: (
        f"06/01 10:00:00 - mmengine - INFO - Iter(train) [{s:5d}/{N}]  lr: {r:.4e}  eta: 1:00:00"
        f"  time: 1.2345  data_time: 0.0123  memory: 12345  loss: {x}"
    ),
    "a progress bar": lambda s, x, r, g, t: (
        f"  3%|▎         | {s}/{N} [00:10<1:30:00,  1.23it/s, loss={x}, lr={r:.3g}]\r"
        f"  3%|▎         | {s}/{N} [00:11<1:30:00,  1.23it/s, loss={x}, lr={r:.3g}]"
    ),
    "torchtune": lambda s, x, r, g, t: (
        f"Step {s} | loss:{x} lr:{r:.6g} tokens_per_second_per_gpu:1234.5 "
    ),
    "a tensor": lambda s, x, r, g, t: (
        f"step {s} loss tensor({x}, device='cuda:0', grad_fn=<NllLossBackward0>) norm {g}"
    ),
    "numpy": lambda s, x, r, g, t: f"step={s} loss=np.float64({x}) lr={r:.3g}",
    "InternEvo": lambda s, x, r, g, t: (
        f"tflops=99.9 step={s} loss={x} tgs (tokens/gpu/second)=1234.5 lr={r:.3g}"
        f" loss_scale=65536.0 grad_norm={{'0_default': {g}}}"
    ),
}  # fmt: skip
COUNTED = {"transformers 5", "transformers 4", "LLaMA-Factory, printed"}


def written(tmp_path, rows, name="train.log", **kwargs):
    path = tmp_path / name
    path.write_text("\n".join(rows) + "\n", **{"encoding": "utf-8", **kwargs})
    return read_training_log(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_is_read_back_from_what_its_trainer_prints(name, tmp_path):
    log = written(tmp_path, ["Setting up, please wait", *(FORMATS[name](*row) for row in RUN)]
                  if name not in {"LLaMA-Factory", "ms-swift"}
                  else [FORMATS[name](*row) for row in RUN])  # fmt: skip
    assert len(log) == N
    assert np.allclose(log.loss, LOSS, atol=1e-6)
    assert log.counted == (name in COUNTED)
    assert log.steps.tolist() == list(range(0 if log.counted else 1, N + (not log.counted)))
    assert log.lost is None
    if log.lr is not None:
        assert np.allclose(log.lr, RATE, rtol=1e-2)
    if log.tokens is not None:
        assert np.allclose(log.tokens, TOKENS, rtol=1e-3)


def test_optional_columns_are_not_lost(tmp_path):
    """Where a trainer prints tokens or norms, they are read: these formats have them."""
    for name in ("nanotron", "MLX", "OLMo", "LLaMA-Factory"):
        log = written(tmp_path, [FORMATS[name](*row) for row in RUN])
        assert log.tokens is not None, name
    for name in ("transformers 5", "torchtitan", "Megatron", "OLMo", "OLMo-core", "nanotron"):
        log = written(tmp_path, [FORMATS[name](*row) for row in RUN])
        assert log.grad_norm is not None, name
        assert np.allclose(log.grad_norm, NORM, atol=1e-3), name


@pytest.mark.parametrize(
    "mark", ["[rank{}]: ", "[default{}]:", "{}: ", "[1,{}]<stdout>:", "rank {} | ", "(rank {}) "]
)
@pytest.mark.parametrize("differ", [False, True])
def test_ranks_that_print_each_step_are_one_run(mark, differ, tmp_path):
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.05, (N, 4)) * differ
    rows = [mark.format(k) + f"step: {s} loss: {x + noise[s - 1, k]:.6f}"
            for s, x, *_ in RUN for k in rng.permutation(4)]  # fmt: skip
    log = written(tmp_path, rows)
    assert log.steps.tolist() == list(range(1, N + 1))
    assert np.allclose(log.loss, LOSS + noise.mean(axis=1), atol=1e-5)
    assert "1200 rows are 300 steps" in " ".join(map(str, log.notes))


def test_ranks_without_a_mark_are_one_run_too(tmp_path):
    rows = [f"step: {s} loss: {x}" for s, x, *_ in RUN for _ in range(4)]
    assert written(tmp_path, rows).loss.tolist() == LOSS.tolist()
    rows = [f"{{'loss': {x}}}" for _, x, *_ in RUN for _ in range(8)]  # nor steps
    assert written(tmp_path, rows).loss.tolist() == LOSS.tolist()
    rows = ["step,loss,rank", *(f"{s},{x},{k}" for s, x, *_ in RUN for k in range(2))]
    assert written(tmp_path, rows, "train.csv").loss.tolist() == LOSS.tolist()
    pairs = [RUN[at : at + 2] for at in range(0, N, 2)]  # two steps of one rank, then the other's
    rows = [f"step: {s} loss: {x}" for pair in pairs for _ in range(2) for s, x, *_ in pair]
    assert written(tmp_path, rows).loss.tolist() == LOSS.tolist()


def test_rows_written_again_after_a_resume_are_not_taken_together(tmp_path, limits):
    rows = [f"step: {s} loss: {x}" for s, x, *_ in RUN[:200]]
    rows += [f"step: {s} loss: {x + 0.01:.4f}" for s, x, *_ in RUN[150:]]
    log = written(tmp_path, rows)
    assert len(log) == 350
    assert methods.continuity("m", log, limits).details["duplicates"] == 50


@pytest.mark.parametrize("filler", ["-1.0", "-100", "-1", "nan", "0.0", "12345"])
def test_constants_of_pipeline_ranks_are_no_losses(filler, tmp_path, limits):
    rows = [f"[rank{k}]: step: {s}  loss: {v}" for s, x, *_ in RUN
            for k, v in ((0, filler), (3, filler), (7, x))]  # fmt: skip
    log = written(tmp_path, rows)
    assert log.loss.tolist() == LOSS.tolist()
    assert "ranks without a loss print it" in str(log.notes[0])
    assert log.lost is None
    found = methods.first_loss("m", log, VOCABULARY, limits)
    assert found.kinds == ("random start",)
    unmarked = written(tmp_path, [row.split(": ", 1)[1] for row in rows])
    assert unmarked.loss.tolist() == LOSS.tolist()


def test_a_log_of_fillers_alone_names_the_rank_that_is_wanted(tmp_path):
    with pytest.raises(Unavailable, match=r"Every loss .* is -1.*rank that computes the loss"):
        written(tmp_path, [f"step: {s} loss: -1.0" for s, *_ in RUN])


@pytest.mark.parametrize("lost", ["0.0", "nan", "inf"])
@pytest.mark.parametrize("style", ["text", "csv", "jsonl", "counted"])
def test_what_an_overflow_leaves_is_named_as_such(lost, style, tmp_path, limits):
    def values(s, x, r, g, t):
        return (s, x, g) if s <= 200 else (s, lost, "nan")

    write = {
        "text": lambda s, x, g: f"step: {s} loss: {x} grad_norm: {g}",
        "csv": lambda s, x, g: f"{s},{x},{g}",
        "jsonl": lambda s, x, g: json.dumps({"step": s, "loss": float(x), "grad_norm": float(g)}),
        "counted": lambda s, x, g: f"{{'loss': {x}, 'grad_norm': {g}, 'epoch': 0.1}}",
    }[style]  # fmt: skip
    rows = [write(*values(*row)) for row in RUN]
    log = written(tmp_path, ["step,loss,grad_norm", *rows] if style == "csv" else rows)
    assert len(log) == 200
    assert (log.lost.n, log.lost.broken_norms) == (100, 100)
    found = methods.continuity("m", log, limits)
    assert found.kinds == ("overflow",)
    assert "An overflow leaves this" in str(found.headline)
    if style != "counted":
        assert "from step 201 to 300" in str(found.headline)
    assert methods.smoothness("m", log, limits).relation is None
    assert methods.first_loss("m", log, VOCABULARY, limits).outcome is Outcome.CONSISTENT


def test_a_skipped_step_or_two_leaves_the_log_whole(tmp_path, limits):
    rows = [f"step: {s} loss: {'nan' if s in {40, 41} else x}" for s, x, *_ in RUN]
    found = methods.continuity("m", written(tmp_path, rows), limits)
    assert found.outcome is Outcome.CONSISTENT
    assert found.details["rows_without_a_number"] == 2


def test_losses_that_round_to_zero_are_losses(tmp_path):
    x = np.round(np.exp(-np.arange(N) / 30), 4)
    log = written(tmp_path, [f"step: {s} loss: {v:.4f}" for s, v in enumerate(x)])
    assert len(log) == N
    assert log.lost is None


def test_columns_of_a_printed_log_can_be_named(tmp_path):
    path = tmp_path / "train.log"
    path.write_text("".join(f"round {s} badness {x} loss 1.0\n" for s, x, *_ in RUN))
    log = read_training_log(path, {"step": "round", "loss": "badness"})
    assert log.loss.tolist() == LOSS.tolist()
    assert log.steps.tolist() == list(range(1, N + 1))


def test_estimates_between_the_steps_are_not_mixed_with_them(tmp_path):
    rows = [row for s, x, *_ in RUN for row in
            [f"step {s}: train loss {x + 1:.4f}, val loss {x + 2:.4f}"] * (s % 100 == 1)
            + [f"iter {s}: loss {x}, time 100.00ms, mfu 10.00%"]]  # fmt: skip
    log = written(tmp_path, [*rows, "{'train_runtime': 12.3, 'train_loss': 2.5, 'epoch': 3.0}"])
    assert log.loss.tolist() == LOSS.tolist()
    assert log.steps.tolist() == list(range(1, N + 1))


def test_a_log_of_another_shell_is_read(tmp_path):
    rows = [f"step: {s} loss: {x}" for s, x, *_ in RUN]
    assert written(tmp_path, rows, encoding="utf-16").loss.tolist() == LOSS.tolist()


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.57G", 1.57e9), ("1.57B", 1.57e9), ("4.19M", 4.19e6), ("12k", 12e3), ("1.2T", 1.2e12),
     ("1,048,576", 1048576.0), ("'2.34'", 2.34), ("tensor(2.34)", 2.34), ("10/1000", 10.0),
     ("[1e-05]", 1e-5), ("2.34", 2.34), ("nan", None), ("", None), ("n/a", None), ("1.5GiB", None),
     ("12:30:05", None), ("2024-01-01", None)],
)  # fmt: skip
def test_numbers_as_they_are_written(cell, value):
    found = number(cell)
    if value is None:
        assert found is None or np.isnan(found)
    else:
        assert found == pytest.approx(value)


def test_the_text_s_own_loss_stands_before_a_sum(tmp_path):
    rows = [f"step: {s} loss: {x + 3} lm_loss: {x} aux_loss: 3.0 z_loss: 0.1" for s, x, *_ in RUN]
    log = written(tmp_path, rows)
    assert log.columns["loss"] == "lm_loss"
    assert abs(log.loss[0] - CHANCE) < 1


def test_a_step_in_front_of_its_line_is_no_rank(tmp_path):
    """As `srun --label` puts a rank there, others put the step."""
    path = tmp_path / "x.log"
    path.write_text("".join(f"{step}: loss {x}\n" for step, x, *_ in RUN))
    assert len(read_training_log(path).loss) == N


def test_fillers_beside_losses_that_are_no_numbers_leave_no_loss(tmp_path):
    path = tmp_path / "x.csv"
    lines = "".join(f"{s},0,-1\n{s},3,nan\n" for s in range(1, 101))
    path.write_text("step,rank,loss\n" + lines)
    with pytest.raises(Unavailable, match="loss"):
        read_training_log(path)
