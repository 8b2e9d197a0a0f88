"""Folders of several saves of known truth, made of the ready models: s0, its child, a stranger."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np

from tools.zoo.ready_models import READY, read_model

TYPES = {"bfloat16": "BF16", "uint32": "U32", "float32": "F32"}
CONFIG = json.loads((READY / "s0" / "config.json").read_text())


def base():
    return dict(read_model("s0").tensors)


def child():
    return dict(read_model("s0-finetune").tensors)


def stranger():
    return dict(read_model("s1").tensors)


def layers(tensors, *numbers):
    return {k: v for k, v in tensors.items() if any(f".layers.{n}." in k for n in numbers)}


def outside(tensors):
    return {k: v for k, v in tensors.items() if ".layers." not in k}


def write(path: Path, tensors) -> None:
    """Write safetensors: float32 becomes BF16, every other dtype stays."""
    table, body = {}, b""
    for name in sorted(tensors):
        values = tensors[name]
        if values.dtype == np.float32:
            values = values.astype(ml_dtypes.bfloat16)
        raw = np.ascontiguousarray(values).tobytes()
        span = [len(body), len(body) + len(raw)]
        table[name] = {
            "dtype": TYPES[values.dtype.name],
            "shape": [*values.shape],
            "data_offsets": span,
        }
        body += raw
    head = json.dumps(table).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)


def folder(path: Path, files=None, *, config=None, index=None, card="# A model\n") -> Path:
    """Make a model folder: `files` from name to tensors, `index` from shard to tensor names."""
    path.mkdir(parents=True)
    if config is not False:
        (path / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    shutil.copy(READY / "s0" / "tokenizer.json", path)
    if card is not None:
        (path / "README.md").write_text(card)
    for name, tensors in (files or {}).items():
        write(path / name, tensors)
    if index is not None:
        table = {tensor: shard for shard, names in index.items() for tensor in names}
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    return path


def two_shards(tensors):
    """Cut a model into the files that transformers would write."""
    return {
        "model-00001-of-00002.safetensors": {**outside(tensors), **layers(tensors, 0, 1)},
        "model-00002-of-00002.safetensors": layers(tensors, 2, 3),
    }


def mlx(tensors, bits, width=32):
    """Quantise as mlx.core.quantize does, matrices whose rows are whole groups."""
    out = {}
    for name, values in tensors.items():
        if values.ndim < 2 or values.shape[1] % width or values.shape[1] * bits % 32:
            out[name] = values
            continue
        groups = values.reshape(len(values), -1, width)
        low, high = groups.min(2, keepdims=True), groups.max(2, keepdims=True)
        step = np.maximum((high - low) / (2**bits - 1), 1e-8)
        codes = np.clip(np.round((groups - low) / step), 0, 2**bits - 1).astype(np.uint8)
        stream = np.unpackbits(codes.reshape(len(values), -1, 1), axis=2, bitorder="little")
        packed = np.packbits(stream[:, :, :bits].reshape(len(values), -1), 1, bitorder="little")
        out[name] = np.ascontiguousarray(packed).view("<u4")
        out[name.replace("weight", "scales")] = step[..., 0].astype(np.float32)
        out[name.replace("weight", "biases")] = low[..., 0].astype(np.float32)
    return out
