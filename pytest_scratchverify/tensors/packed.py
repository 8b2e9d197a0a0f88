"""What decoding needs beside headers: small tensors with shapes, and the heads by the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_scratchverify.checkpoint.attention_shape import AttentionShape, read_attention
from pytest_scratchverify.checkpoint.formats.recognise import Unpacked, shape_tensors, unpack
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.stores.bounds import MAX_CONFIG_BYTES, parse_object
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import ArtifactStore

NATIVE_CONFIG = "params.json"  # of Meta and Mistral
OLD_CONFIG = "quantize_config.json"  # of AutoGPTQ, before transformers took it in


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint as it decodes, and what was read to know it beyond its headers."""

    unpacked: Unpacked
    shape_tensors: tuple[TensorInfo, ...]
    bytes_read: int


def open_packed(store: ArtifactStore, index: TensorIndex) -> Opened:
    """Find the packed matrices of a checkpoint; ask its files for the shapes they state."""
    asked = shape_tensors(index)
    answers: dict[str, bytes] = {}
    for file in sorted({info.file for info in asked}):
        here = [info for info in asked if info.file == file]
        spans = [ByteRange(info.start, info.stop) for info in here]
        bodies = store.read_ranges(file, spans).value
        answers |= {info.name: body for info, body in zip(here, bodies, strict=True)}
    second = _is_second_gptq(store) if _holds_gptq(index) else False
    mlx = _mlx_config(store) if _holds_mlx(index) else {}
    unpacked = unpack(index, answers, second_gptq=second, mlx=mlx)
    return Opened(unpacked, tuple(asked), sum(map(len, answers.values())))


def attention_of(store: ArtifactStore) -> AttentionShape | None:
    """Return how many heads the config states, or Meta's and Mistral's own file of parameters."""
    try:
        found = read_attention(store.config().value)
    except Unavailable:
        found = None
    return found or read_attention(_small_object(store, NATIVE_CONFIG))


def _holds_gptq(index: TensorIndex) -> bool:
    return any(name.endswith(".qweight") for name in index.tensors)


def _holds_mlx(index: TensorIndex) -> bool:
    return any(name.endswith(".biases") for name in index.tensors)


def _mlx_config(store: ArtifactStore) -> Mapping[str, Json]:
    """Return the settings that MLX writes, under either of its names."""
    try:
        config = store.config().value
    except Unavailable:
        return {}
    found = config.get("quantization", config.get("quantization_config"))
    return found if isinstance(found, dict) else {}


def _is_second_gptq(store: ArtifactStore) -> bool:
    """Whether zeros are stored as they are: only the configuration says so."""
    return any(
        found.get("checkpoint_format") == "gptq_v2"
        for found in (_config(store), _small_object(store, OLD_CONFIG))
    )


def _config(store: ArtifactStore) -> Mapping[str, Json]:
    try:
        found = store.config().value.get("quantization_config")
    except Unavailable:
        return {}
    return found if isinstance(found, dict) else {}


def _small_object(store: ArtifactStore, name: str) -> Mapping[str, Json]:
    try:
        raw = store.file(name).value.read_bytes()[: MAX_CONFIG_BYTES + 1]
        return parse_object(raw, repo=store.repo, file=name)
    except (Unavailable, OSError):
        return {}
