"""Nothing to copy is no copy: equal files of constants are no evidence, real ones are."""

from __future__ import annotations

import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.file_digests import shard_digests
from pytest_scratchverify.stores.folder import FolderStore
from tools.running import run_suites
from tools.zoo import small_checkpoints

SHAPE = (128, 64)
RNG = np.random.default_rng(0)
FILLINGS = {
    "zeros": lambda shape: np.zeros(shape, np.float32),
    "ones": lambda shape: np.ones(shape, np.float32),
    "any constant": lambda shape: np.full(shape, 0.02, np.float32),
    "half zeros": lambda shape: np.arange(np.prod(shape)).reshape(shape).astype(np.float32) % 2,
    "equal rows": lambda shape: np.tile(RNG.standard_normal(shape[-1]), (*shape[:-1], 1)).astype(
        "f4"
    ),
    "not a number": lambda shape: np.full(shape, np.nan, np.float32),
    "beyond any weight": lambda shape: (RNG.standard_normal(shape) * 1e30).astype(np.float32),
    "constant in BF16": lambda shape: np.full(shape, 0.02, ml_dtypes.bfloat16),
}


def judged(ours: Path, theirs: Path):
    pair = Pair(ModelSpec(name="a"), ModelSpec(name="b"))
    return shard_digests(pair, FolderStore(ours), FolderStore(theirs), declared=False)


def copies(tmp_path: Path, tensors: dict) -> tuple[Path, Path]:
    for name in "ab":
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.parametrize("filling", FILLINGS)
def test_equal_placeholders_are_no_copies(filling, tmp_path):
    tensors = {f"model.layers.{i}.mlp.up_proj.weight": FILLINGS[filling](SHAPE) for i in range(3)}
    found = judged(*copies(tmp_path, tensors))
    assert found.outcome is Outcome.INDETERMINATE
    assert found.details["nothing_to_copy"] == ["model.safetensors"]
    assert "nothing to copy" in str(found.headline)


def test_one_real_tensor_among_constants_is_a_copy(tmp_path):
    tensors = {
        f"model.layers.{i}.mlp.up_proj.weight": np.zeros(SHAPE, np.float32) for i in range(9)
    }
    tensors["model.layers.9.mlp.up_proj.weight"] = RNG.standard_normal(SHAPE).astype(np.float32)
    assert judged(*copies(tmp_path, tensors)).outcome is Outcome.DERIVED


def test_norms_beside_constants_are_too_little(tmp_path):
    tensors = {"model.embed_tokens.weight": np.zeros((512, 64), np.float32),
               "model.norm.weight": RNG.standard_normal(64).astype(np.float32)}  # fmt: skip
    assert judged(*copies(tmp_path, tensors)).outcome is Outcome.INDETERMINATE


def test_files_that_nobody_can_open_accuse_nobody(tmp_path):
    """Equal digests of what is no checkpoint: judged by its bytes alone."""
    for name, body, wanted in (
        ("a", bytes(2**17), Outcome.INDETERMINATE),
        ("b", RNG.bytes(2**17), Outcome.DERIVED),
    ):
        for side in ("x", "y"):
            (tmp_path / name / side).mkdir(parents=True)
            (tmp_path / name / side / "model.safetensors").write_bytes(body)
        assert judged(tmp_path / name / "x", tmp_path / name / "y").outcome is wanted


def test_two_placeholders_in_a_whole_run(tmp_path):
    for seed, name in enumerate(("model", "other")):
        folder = small_checkpoints.independent(tmp_path / name, seed=seed)
        for path in folder.glob("*.safetensors"):
            zeros = {
                key: np.zeros_like(value) for key, value in small_checkpoints.read(folder).items()
            }
            save_file(zeros, path)
    ran = run_suites(
        "--model", str(tmp_path / "model"), "--against", str(tmp_path / "other"), home=tmp_path
    )
    assert ran.verdicts(str(tmp_path / "model"))["text_decoder"] == "INSUFFICIENT_EVIDENCE", (
        ran.output
    )
    shutil.rmtree(tmp_path / "other")
