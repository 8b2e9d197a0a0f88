"""Whole runs over models with one hostile file: a finding about that file, no error of the harness."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.training_log.writing import event, record
from tools.running import run_suites
from tools.zoo import small_checkpoints


def outlier(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        weights = {key: np.array(value) for key, value in small_checkpoints.read(folder).items()}
        for value in weights.values():
            value.reshape(-1)[0] = 1e30
        save_file(weights, path)


def noise(folder: Path) -> None:
    """Random bytes where weights were: huge numbers, NaN, infinities."""
    for path in folder.glob("*.safetensors"):
        raw = path.read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        path.write_bytes(raw[:start] + np.random.default_rng(0).bytes(len(raw) - start))


def tokenizer(folder: Path) -> None:
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [[[], []]]}
    (folder / "tokenizer.json").write_text(json.dumps({"model": model}))


def tekken(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tekken.json").write_text(
        '{"config":{"default_num_special_tokens":0,"default_vocab_size":Infinity},"vocab":[]}'
    )


def tensorboard_step(folder: Path) -> None:
    value = b"\x0a\x04loss\x15" + struct.pack("<f", 3.0)
    body = b"\x10" + b"\xff" * 9 + b"\x7f" + bytes([42, len(value) + 2, 10, len(value)]) + value
    (folder / "events.out.tfevents.1").write_bytes(event(1, "loss", 3.0) + record(body))


def huge_log(folder: Path) -> None:
    rows = "0,1e308,1e308,1e308,1e308\n" * 2000
    (folder / "training_log.csv").write_text("step,loss,lr,grad_norm,tokens\n" + rows)


def large_log(folder: Path) -> None:
    rows = "".join(f"{i},{10.0 ** (i % 29)},1e29,1e29,1e29\n" for i in range(2000))
    (folder / "training_log.csv").write_text("step,loss,lr,grad_norm,tokens\n" + rows)


def digits(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type":"llama","hidden_size":' + "9" * 4299 + "}")


def merge_keys(folder: Path) -> None:
    rows = ["a0: &a0 {k: v}"]
    rows += [f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 11)]
    (folder / "README.md").write_text("---\n" + "\n".join(rows) + "\n---\n")


KINDS = (
    outlier,
    noise,
    tokenizer,
    tekken,
    tensorboard_step,
    huge_log,
    large_log,
    digits,
    merge_keys,
)


@pytest.mark.slow
def test_each_is_a_finding_and_the_sound_model_keeps_its_verdict(tmp_path: Path) -> None:
    """All kinds are judged in one run with a sound model, and by the same reference."""
    reference = small_checkpoints.independent(tmp_path / "reference", seed=0)
    sound = small_checkpoints.independent(tmp_path / "sound", seed=99)
    models = [sound]
    for number, spoil in enumerate(KINDS, 1):
        folder = tmp_path / spoil.__name__
        shutil.copytree(small_checkpoints.independent(tmp_path / f"s{number}", seed=number), folder)
        spoil(folder)
        models.append(folder)
    named = [part for folder in models for part in ("--model", str(folder))]
    ran = run_suites(*named, "--against", str(reference), home=tmp_path)
    alone = run_suites("--model", str(sound), "--against", str(reference), home=tmp_path)
    broken = [f for f in ran.found["findings"] if f["outcome"] == "harness-error"]
    assert not broken, [(f["model"], f["method"], f["headline"]["text"]) for f in broken]
    assert not ran.found["partial"]
    assert ran.model(str(sound))["components"] == alone.model(str(sound))["components"]
    for folder in models[1:]:
        accused = {"REUSED_VERBATIM", "DERIVED"} & {
            verdict for part, verdict in ran.verdicts(str(folder)).items() if part != "tokenizer"
        }
        assert not accused, (folder, accused)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [outlier, noise])
def test_hostile_values_of_a_derived_model_clear_nobody(spoil, tmp_path: Path) -> None:
    base = small_checkpoints.independent(tmp_path / "base", seed=0)
    derived = small_checkpoints.finetuned(tmp_path / "derived", base)
    spoil(derived)
    ran = run_suites("--model", str(derived), "--against", str(base), home=tmp_path)
    assert "harness-error" not in ran.model(str(derived))["outcomes"], ran.output
    assert ran.verdicts(str(derived))["text_decoder"] != "NO_EVIDENCE_OF_REUSE"
