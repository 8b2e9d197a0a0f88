"""Checkpoints of real shapes with spectra as trained ones have, and whole disguises of them.

FIXTURE: generated weights, made row by row on demand; nothing is stored. What is fitted to a
trained model (SmolLM2-135M, `python -m benchmarks.real_size --fit`): how the squares of singular
values fall over the width, how much of that a layer's matrices have in common, and all layers,
and how alike gate and up rows of a neuron are. Outputs (o, down) and tables are drawn without
structure, and drawn anew in a copy, as is what reads latents; a disguised copy has a new
vocabulary.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from scipy.fft import dct

from tools.zoo.giant import CONFIG, dense_shapes, shapes
from tools.zoo.hub_server import Body, Generated

Array = np.ndarray

FALL, FLAT, FITTED = 0.65, 3.0, 576  # eigenvalue i of a matrix of width 576: (i + 3) ** -.65
SHARED = {"all": 0.1, "layer": 0.15, "own": 0.75}  # of the squares, by what a part is common to
ALIKE = 0.1  # standard deviation of the cosine of gate and up rows beside chance
SPREAD = 0.2  # of norm gains, in logarithms
READERS = ("q", "k", "v", "q_a", "kv_a_proj_with_mqa", "gate", "up")
SHARD = 4 * 2**30
KEPT = 64  # ranges of a tensor


@dataclass(frozen=True)
class Size:
    """One design: what it is called, its tensors and its config."""

    name: str
    tensors: Mapping[str, tuple[int, ...]] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)

    @property
    def parameters(self) -> int:
        """How many there are."""
        return sum(int(np.prod(shape)) for shape in self.tensors.values())


def _dense(  # noqa: PLR0913 - the sizes of a design
    name: str,
    hidden: int,
    layers: int,
    inner: int,
    *,
    heads: tuple[int, int],
    experts: int = 0,
) -> Size:
    vocabulary, head = 32000, 128
    queries, groups = heads
    found: dict[str, tuple[int, ...]] = {}
    for tensor, shape in dense_shapes(hidden, layers, inner, vocabulary).items():
        rows = {"q_proj": queries * head, "k_proj": groups * head, "v_proj": groups * head}
        part = tensor.split(".")[-2]
        if part in rows:
            found[tensor] = (rows[part], hidden)
        elif part == "o_proj":
            found[tensor] = (hidden, queries * head)
        elif experts and ".mlp." in tensor:
            root = tensor.split("mlp.")[0]
            for expert in range(experts):
                found[f"{root}mlp.experts.{expert}.{part}.weight"] = shape
            found[f"{root}mlp.gate.weight"] = (experts, hidden)
        else:
            found[tensor] = shape
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
        "num_hidden_layers": layers, "intermediate_size": inner, "vocab_size": vocabulary,
        "num_attention_heads": queries, "num_key_value_heads": groups, "head_dim": head,
        "tie_word_embeddings": False, "hidden_act": "silu", "rms_norm_eps": 1e-5,
        "torch_dtype": "bfloat16",
    }  # fmt: skip
    if experts:
        config |= {
            "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
            "num_experts": experts, "num_experts_per_tok": 8, "moe_intermediate_size": inner,
        }  # fmt: skip
    return Size(name, found, config)


def sizes() -> dict[str, Size]:
    """Return the designs by name: dense ones, a mixture, and a mixture with latent attention."""
    found = (
        _dense("1 B", 2048, 22, 5632, heads=(16, 4)),
        _dense("7 B, heads of their own", 4096, 32, 11008, heads=(32, 32)),
        _dense("7 B, grouped heads", 4096, 32, 14336, heads=(32, 8)),
        _dense("70 B", 8192, 80, 28672, heads=(64, 8)),
        _dense("100 B, mixture", 4096, 48, 1280, heads=(64, 8), experts=128),
        Size("519 B, latent attention", shapes(), CONFIG),
    )
    return {size.name: size for size in found}


@dataclass(frozen=True)
class Change:
    """What was done to a model: noise of a size beside the weights', pruning, rounding, disguise.

    `experts` says whether those of a mixture have other numbers, too.
    """

    noise: float = 0.0
    pruned: float = 0.0
    bits: int = 0
    disguised: bool = True
    experts: bool = False


@dataclass(frozen=True)
class Turn:
    """A rotation of the residual stream that costs a transform, and is stored nowhere."""

    seed: int
    width: int

    @cached_property
    def _drawn(self) -> list[tuple[Array, Array]]:
        rng = np.random.default_rng(self.seed)
        signs = np.array([-1, 1], np.float32)
        return [(rng.permutation(self.width), rng.choice(signs, self.width)) for _ in range(2)]

    def __call__(self, rows: Array) -> Array:
        for order, signs in self._drawn:
            rows = dct(rows[:, order] * signs, norm="ortho", axis=1)
        return rows.astype(np.float32)


@lru_cache(2)  # of a model and a stranger
def _kept(_design: str, _seed: int) -> dict[str, Array]:
    """Return where the drawn matrices of a model are kept."""
    return {}


class Weights:
    """The rows of one model's tensors: drawn from `seed`, then changed."""

    def __init__(self, size: Size, seed: int, change: Change | None = None) -> None:
        self.size, self.seed, self.change = size, seed, change
        self.width = int(size.config["hidden_size"])
        place = np.arange(self.width) * (FITTED / self.width)
        falling = (place + FLAT) ** -FALL
        self.spectrum = np.sqrt(falling / falling.mean()).astype(np.float32)
        self.turn = Turn(1000 + seed, self.width)
        self.kept = _kept(size.name, seed)

    def rows(self, name: str, start: int, stop: int) -> Array:
        """Return rows of a tensor as the model has them, or a stretch of a vector."""
        shape = self.size.tensors[name]
        change = self.change
        if len(shape) == 1:
            folded = change is not None and change.disguised
            gains = np.ones(shape[0], np.float32) if folded else self.gains(name)
            return gains[start:stop]
        wanted = np.arange(start, stop)
        kind = name.split(".")[-2].removesuffix("_proj")
        if kind not in READERS or change is None:
            seed = self.seed if change is None else self.seed + 500
            return self._read(name, wanted) if kind in READERS else self._plain(name, wanted, seed)
        name = self._expert_of(name) if change.experts else name
        order = self._order(name, shape[0]) if change.disguised else np.arange(shape[0])
        found = self._read(name, order[wanted])
        found = self._rounded(name, found, order[wanted])
        if change.disguised:
            found = self.turn(found * self.gains(_norm_of(name)))
        return found

    def gains(self, name: str) -> Array:
        """Return the gains of a norm as they were trained."""
        width = self.size.tensors[name][0]
        rng = np.random.default_rng((self.seed, zlib.crc32(name.encode())))
        return np.exp(rng.normal(0, SPREAD, width)).astype(np.float32)

    def _read(self, name: str, wanted: Array) -> Array:
        """Draw rows, of attention once for a model and all of its copies: they read it whole."""
        if ".mlp." in name or len(wanted) < self.size.tensors[name][0] // 4:
            return self._drawn(name, wanted)
        if name not in self.kept:
            self.kept[name] = self._drawn(name, np.arange(self.size.tensors[name][0]))
        found: Array = self.kept[name][wanted]
        return found

    def _drawn(self, name: str, wanted: Array) -> Array:
        """Draw rows that have part of their spectrum in common with their layer's, and with all."""
        kind = name.split(".")[-2]
        layer = name.split(".")[2]
        found = np.zeros((len(wanted), self.width), np.float32)
        for part, share in SHARED.items():
            words = {"all": "all", "layer": layer, "own": f"{layer}.{kind}"}[part]
            turn = Turn(zlib.crc32(f"{self.seed}.{words}".encode()), self.width)
            noise = self._noise(f"{name}.{part}", wanted)
            found += np.sqrt(share).astype(np.float32) * turn(noise * self.spectrum)
        if kind == "up_proj":
            gate = name.replace("up_proj", "gate_proj")
            alike = self._noise(f"{name}.alike", wanted, 1) * ALIKE
            found += alike * self._drawn(gate, wanted)
        return np.float32(0.02) * found

    def _noise(self, words: str, rows: Array, width: int = 0) -> Array:
        key = zlib.crc32(f"{self.seed}.{words}".encode())
        return np.stack(
            [
                np.random.Generator(np.random.SFC64([key, int(row)])).standard_normal(
                    width or self.width, np.float32
                )
                for row in rows
            ]
        )

    def _plain(self, name: str, rows: Array, seed: int) -> Array:
        width = self.size.tensors[name][1]
        key = zlib.crc32(f"{seed}.{name}".encode())
        draws = (np.random.Generator(np.random.SFC64([key, int(row)])) for row in rows)
        return np.float32(0.02) * np.stack([d.standard_normal(width, np.float32) for d in draws])

    def _expert_of(self, name: str) -> str:
        """Return the tensor of the original that a renumbered expert's is."""
        root, dot, rest = name.partition(".experts.")
        if not dot:
            return name
        number, _, rest = rest.partition(".")
        count = sum(n.startswith(f"{root}.experts.") for n in self.size.tensors) // 3
        rng = np.random.default_rng((self.seed, zlib.crc32(root.encode()), 9))
        return f"{root}.experts.{rng.permutation(count)[int(number)]}.{rest}"

    def _order(self, name: str, rows: int) -> Array:
        """Renumber neurons, and heads by their groups."""
        block = name.rsplit(".", 2)[0]
        rng = np.random.default_rng((self.seed, zlib.crc32(block.encode()), 7))
        if ".mlp." in name:
            return rng.permutation(rows)
        groups = int(self.size.config["num_key_value_heads"])
        if "_a_proj" in name:  # latents are renumbered; what keys have for their places is not
            latents = rows - (int(self.size.config["qk_rope_head_dim"]) if "kv_a" in name else 0)
            return np.concatenate([rng.permutation(latents), np.arange(latents, rows)])
        order = rng.permutation(groups)
        return np.arange(rows).reshape(groups, -1)[order].ravel()

    def _rounded(self, name: str, rows: Array, wanted: Array) -> Array:
        """Add noise, prune and round as `change` says, row by row: whichever rows are asked for."""
        change = self.change
        if change is None:
            return rows
        if change.noise:
            spread = np.float32(change.noise) * rows.std(axis=1, keepdims=True)
            rows = rows + spread * self._noise(f"{name}.late", wanted)
        if change.pruned:
            bar = np.quantile(np.abs(rows), change.pruned, axis=1, keepdims=True)
            rows = np.where(np.abs(rows) < bar, 0, rows)
        if change.bits:
            parts = rows.reshape(len(rows), -1, 128)
            step = np.abs(parts).max(axis=2, keepdims=True) / (2 ** (change.bits - 1) - 1)
            rows = (np.round(parts / step) * step).reshape(rows.shape)
        return rows.astype(np.float32)


def _norm_of(name: str) -> str:
    layer = ".".join(name.split(".")[:3])
    return f"{layer}.{'post_attention' if '.mlp.' in name else 'input'}_layernorm.weight"


def repository(
    size: Size, seed: int, tokenizer: Path, change: Change | None = None
) -> dict[str, Body]:
    """Return the files of a model, whose shards are made when they are read."""
    weights = Weights(size, seed, change)
    files: dict[str, Body] = {
        "config.json": json.dumps(dict(size.config)).encode(),
        "tokenizer.json": tokenizer.read_bytes(),
        "README.md": b"---\nlicense: mit\n---\nFixture: generated weights.\n",
    }
    parts: list[dict[str, tuple[int, ...]]] = [{}]
    room = SHARD
    for name, shape in size.tensors.items():
        room -= 2 * int(np.prod(shape))
        if room < 0:
            parts.append({})
            room = SHARD
        parts[-1][name] = shape
    weight_map = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{len(parts):05d}.safetensors"
        weight_map |= dict.fromkeys(part, file)
        files[file] = _shard(part, weights, f"{seed}.{change}.{number}")
    files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    return files


def _shard(part: Mapping[str, tuple[int, ...]], weights: Weights, words: str) -> Generated:
    header: dict[str, Any] = {}
    places: list[tuple[int, int, Callable[[int, int], bytes]]] = []
    place = 0
    for name, shape in part.items():
        stop = place + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [place, stop]}
        places.append((place, stop, _bytes_of(name, shape, weights)))
        place = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    head = len(text).to_bytes(8, "little") + text

    def make(start: int, stop: int) -> bytes:
        found = [head[start:stop]]
        for first, last, read in places:
            one, two = max(first, start - len(head)), min(last, stop - len(head))
            if one < two:
                found.append(read(one - first, two - first))
        return b"".join(found)

    digest = zlib.crc32(words.encode())
    return Generated(len(head) + place, make, sha256=f"{digest:064x}")


def _bytes_of(name: str, shape: tuple[int, ...], weights: Weights) -> Callable[[int, int], bytes]:
    row = 2 * (shape[1] if len(shape) > 1 else 1)

    @lru_cache(KEPT if weights.change is None else 0)  # the original is read for every copy
    def read(start: int, stop: int) -> bytes:
        first, last = start // row, -(-stop // row)
        raw = weights.rows(name, first, last).astype(ml_dtypes.bfloat16).tobytes()
        return raw[start - first * row : stop - first * row]

    return read
