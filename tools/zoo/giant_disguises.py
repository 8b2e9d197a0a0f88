"""The checkpoint of 519 billion parameters, renumbered, rotated or merged, made on demand.

FIXTURE: random weights. Every tensor is the base's with its residual channels changed, row by
row, so that nothing is stored. The rotation mixes 64 channels at a time after a renumbering of
all, and takes the norms' gains as constant, which they are not quite.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
from scipy.linalg import hadamard

from tools.zoo.giant import CONFIG, HIDDEN, _stream, repository, shapes
from tools.zoo.hub_server import Body, Generated

MIXED = 64
READS = (
    "q_a_proj",
    "kv_a_proj_with_mqa",
    "gate_proj",
    "up_proj",
    "mlp.gate",
    "embed_tokens",
    "lm_head",
)
WRITES = ("o_proj", "down_proj")
Rows = Callable[[np.ndarray], np.ndarray]  # row numbers to rows


@dataclass(frozen=True)
class Disguise:
    """What is done to the residual channels and to the neurons of the experts."""

    rotated: bool

    @property
    def order(self) -> np.ndarray:
        return np.random.default_rng(77).permutation(HIDDEN)

    @property
    def signs(self) -> np.ndarray:
        return np.random.default_rng(78).choice([-1.0, 1.0], HIDDEN).astype(np.float32)

    def columns(self, values: np.ndarray) -> np.ndarray:
        """Change the channels of rows that read the residual stream."""
        moved = values[..., self.order]
        if not self.rotated:
            return moved
        parts = (moved * self.signs).reshape(*moved.shape[:-1], -1, MIXED)
        return (parts @ (hadamard(MIXED) / 8)).reshape(moved.shape).astype(np.float32)

    def rows(self, wanted: np.ndarray, base: Rows) -> np.ndarray:
        """Return rows of a matrix that writes into it."""
        if not self.rotated:
            return base(self.order[wanted])
        found = []
        for row in wanted:
            place = np.arange(row // MIXED * MIXED, (row // MIXED + 1) * MIXED)
            parts = base(self.order[place]) * self.signs[place][:, None]
            found.append((hadamard(MIXED)[:, row % MIXED] / 8) @ parts)
        return np.stack(found).astype(np.float32)

    def neurons(self, name: str, size: int) -> np.ndarray:
        """Renumber the neurons of a gated block, unless rotated: then they keep their order."""
        if self.rotated or "_proj" not in name or ".mlp." not in name:
            return np.arange(size)
        block = name.rsplit(".", 2)[0]
        return np.random.default_rng(zlib.crc32(block.encode())).permutation(size)

    def apply(
        self, name: str, shape: tuple[int, ...], wanted: np.ndarray, base: Rows
    ) -> np.ndarray:
        """Return the wanted rows of a tensor as the disguised model has them."""
        if any(name.endswith(f"{part}.weight") for part in READS):
            return self.columns(base(self.neurons(name, shape[0])[wanted]))
        if any(name.endswith(f"{part}.weight") for part in WRITES):
            return self.rows(wanted, base)[:, self.neurons(name, shape[1])]
        if shape == (HIDDEN,):
            return base(wanted)[:, self.order]
        return base(wanted)


def disguised(base_seed: int, tokenizer: Path, *, rotated: bool) -> dict[str, Body]:
    """Return the files of the base in another order, or in another basis."""
    files = repository(shapes(), CONFIG, base_seed, tokenizer)
    disguise = Disguise(rotated)
    parts = _parts()
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{len(parts):05d}.safetensors"
        files[file] = _changed(files[file], part, number, base_seed, disguise)
    return files


def merged(one: int, two: int, share: float, tokenizer: Path) -> dict[str, Body]:
    """Return the files of (1 - share) of base `one` and `share` of its fine-tune of seed `two`."""
    files = repository(shapes(), CONFIG, one, tokenizer)
    parts = _parts()
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{len(parts):05d}.safetensors"
        files[file] = _mixed(files[file], part, number, (one, two), share)
    return files


def _parts() -> list[dict[str, tuple[int, ...]]]:
    everything = shapes()
    count = min(61, 1 + len(everything) // 100)
    parts: list[dict[str, tuple[int, ...]]] = [{} for _ in range(count)]
    for number, (name, shape) in enumerate(everything.items()):
        parts[number * count // len(everything)][name] = shape
    return parts


def _decoded(raw: bytes) -> np.ndarray:
    return np.frombuffer(raw, ml_dtypes.bfloat16).astype(np.float32)


def _changed(
    shard: Generated, part: dict[str, tuple[int, ...]], number: int, seed: int, disguise: Disguise
) -> Generated:
    stream = _stream(number, seed, None)
    size = sum(2 * int(np.prod(shape)) for shape in part.values())
    head = shard.size - size

    def make(start: int, stop: int) -> bytes:
        found = [shard.make(start, min(stop, head))] if start < head else []
        place = 0
        for name, shape in part.items():
            bytes_ = 2 * int(np.prod(shape))
            first, last = max(start - head, place), min(stop - head, place + bytes_)
            if first < last:
                found.append(_part(name, shape, place, first, last))
            place += bytes_
        return b"".join(found)

    def _part(name: str, shape: tuple[int, ...], place: int, first: int, last: int) -> bytes:
        width = shape[-1]
        top, bottom = (first - place) // (2 * width), -(-(last - place) // (2 * width))

        def base(rows: np.ndarray) -> np.ndarray:
            at = [place + 2 * width * int(row) for row in rows]
            return np.stack([_decoded(stream(a, a + 2 * width)) for a in at])

        rows = disguise.apply(name, shape, np.arange(top, bottom), base)
        raw = rows.astype(ml_dtypes.bfloat16).tobytes()
        skip = first - place - 2 * width * top
        return raw[skip : skip + last - first]

    return Generated(shard.size, make, sha256=f"{int(disguise.rotated) + 7:064x}")


def _mixed(
    shard: Generated,
    part: dict[str, tuple[int, ...]],
    number: int,
    seeds: tuple[int, int],
    share: float,
) -> Generated:
    one, two = _stream(number, seeds[0], None), _stream(number, seeds[1], seeds[0])
    head = shard.size - sum(2 * int(np.prod(shape)) for shape in part.values())

    def make(start: int, stop: int) -> bytes:
        front = shard.make(start, min(stop, head)) if start < head else b""
        first, last = max(0, start - head), max(0, stop - head)
        low, high = first // 2 * 2, -(-last // 2) * 2
        mixed = (1 - share) * _decoded(one(low, high)) + share * _decoded(two(low, high))
        return front + mixed.astype(ml_dtypes.bfloat16).tobytes()[first - low :][: last - first]

    return Generated(shard.size, make, sha256=f"{int(1000 * share):064x}")
