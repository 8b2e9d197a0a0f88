"""Adapters and trainers' output folders through the suites, as their users give them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.weights.saves import base, child, folder, stranger, write
from tools.running import run_suites
from tools.zoo.ready_models import READY

BASE = READY / "s0"


def adapter(path):
    """A LoRA of every query and value of s0."""
    generator = np.random.default_rng(8)
    tensors = {}
    for layer in range(4):
        for x, rows in (("q", 64), ("v", 32)):
            stem = f"base_model.model.model.layers.{layer}.self_attn.{x}_proj.lora_"
            tensors[f"{stem}A.weight"] = generator.normal(0, 0.02, (8, 64)).astype(np.float32)
            tensors[f"{stem}B.weight"] = generator.normal(0, 0.02, (rows, 8)).astype(np.float32)
    made = folder(path, {"adapter_model.safetensors": tensors}, config=False)
    settings = {"peft_type": "LORA", "base_model_name_or_path": str(BASE), "r": 8}
    (made / "adapter_config.json").write_text(json.dumps(settings))
    return made


@pytest.mark.slow
def test_an_adapter_beside_its_base_is_a_declared_reuse(tmp_path):
    made = adapter(tmp_path / "a")
    ran = run_suites(f"--model={made}", f"--against={BASE}", "-m", "weights", home=tmp_path)
    decoder = ran.model(str(made))["components"]["text_decoder"]
    assert decoder["verdict"] == "DECLARED_REUSE"
    said = [f["headline"]["text"] for f in ran.run["findings"] if f["method"] == "weights.origin"]
    assert any("7.17k parameters in 8 modules, rank 8" in text for text in said)


@pytest.mark.slow
def test_an_adapter_without_its_base_clears_nothing_and_says_what_it_adds(tmp_path):
    made = adapter(tmp_path / "a")
    ran = run_suites(f"--model={made}", f"--against={READY / 't0'}", home=tmp_path)
    decoder = ran.model(str(made))["components"]["text_decoder"]
    assert decoder["verdict"] == "DECLARED_REUSE"  # by the name of its base
    said = [f["headline"]["text"] for f in ran.run["findings"] if f["method"] == "weights.origin"]
    assert any("adds 7.17k parameters in 8 modules (rank 8)" in text for text in said)
    outcomes = {f["outcome"] for f in ran.run["findings"] if f["method"] == "weights.origin"}
    assert outcomes == {"unavailable"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "verdict"), [(child, "DERIVED"), (stranger, "NO_EVIDENCE_OF_REUSE")]
)
def test_an_output_folder_is_its_last_checkpoint(tmp_path, last, verdict):
    made = folder(tmp_path / "out")
    for step, tensors in ((9, base()), (10, last())):
        (made / f"checkpoint-{step}").mkdir()
        write(made / f"checkpoint-{step}" / "model.safetensors", tensors)
    ran = run_suites(f"--model={made}", f"--against={BASE}", home=tmp_path)
    part = ran.model(str(made))["components"]["embeddings"]
    assert part["verdict"] == verdict
    if verdict != "DERIVED":
        assert "checkpoint-10" in part["because"][0]["text"]
        assert "checkpoint-9 below it are not" in part["because"][0]["text"]
