"""Strangers by the hundred: models of a ready model's design with weights drawn anew.

FIXTURE: drawn, not trained. Every tensor is normal noise of the original's size, its channels and
neurons scaled by factors of the model's own, as training leaves them; nothing of the original's
numbers is in it, and no two are related. The tokenizer, which they share, is the original's.
"""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from tools.zoo.ready_models import READY, read_model

SPREAD = 0.3  # of the logarithm of a channel's scale


def write_stranger(folder: Path, seed: int, like: str = "s1") -> Path:
    """Write a checkpoint of `like`'s design, drawn from `seed`."""
    folder.mkdir(parents=True)
    model = read_model(like)
    rng = np.random.default_rng([2026, seed])
    hidden = int(model.config["hidden_size"])
    channels = np.exp(SPREAD * rng.standard_normal(hidden)).astype(np.float32)
    drawn = {
        name: _drawn(value, channels, rng).astype(ml_dtypes.bfloat16)
        for name, value in sorted(model.tensors.items())
    }
    save_file(drawn, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model.config, indent=1), "utf-8")
    (folder / "tokenizer.json").write_bytes((READY / like / "tokenizer.json").read_bytes())
    (folder / "README.md").write_text(
        f"---\nlicense: mit\n---\nFixture: drawn weights, seed {seed}.\n", "utf-8"
    )
    return folder


def _drawn(like: np.ndarray, channels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a tensor of the size and mean of another one, scaled by channel and by neuron."""
    noise = rng.standard_normal(like.shape, np.float32)
    if like.ndim == 1:  # norm gains: of one sign, as trained ones are
        return np.float32(like.mean()) + np.float32(like.std()) * noise
    if like.shape[-1] == channels.size:
        noise *= channels
    if like.shape[0] == channels.size:
        noise *= channels[:, None]
    noise *= np.exp(SPREAD * rng.standard_normal((like.shape[0], 1))).astype(np.float32)
    return noise * np.float32(like.std() / noise.std())
