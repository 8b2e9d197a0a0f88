"""What a forger does to a checkpoint, as arithmetic on its tensors: for the zoo and for tests.

Every function takes the tensors and the config of a small Llama-like model (names as on the
hub, float32 arrays) and returns new ones. Those of the first part leave what the model computes
as it was; `tools/zoo/build_disguises.py` checks that on real text before it stores one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]
FFN = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Model:
    """A checkpoint at hand."""

    tensors: Tensors
    config: dict[str, Any]

    def number(self, key: str) -> int:
        """Return a size of the config."""
        return int(self.config.get(key) or 0)

    @property
    def layers(self) -> range:
        return range(self.number("num_hidden_layers"))

    @property
    def heads(self) -> tuple[int, int, int]:
        """Query heads, key heads and the size of one."""
        queries = self.number("num_attention_heads")
        size = self.number("head_dim") or self.number("hidden_size") // queries
        return queries, self.number("num_key_value_heads"), size

    def copy(self, **config: object) -> Model:
        return replace(self, tensors=dict(self.tensors), config={**self.config, **config})

    def ffns(self, layer: int) -> list[str]:
        """Return the prefixes of the gated blocks of a layer: one, or one for each expert."""
        root = f"model.layers.{layer}.mlp."
        count = self.number("num_experts")
        return [f"{root}experts.{e}." for e in range(count)] if count else [root]


def reads(model: Model, layer: int) -> list[tuple[str, str]]:
    """Return (matrix, norm before it) for everything of a layer that reads the residual stream."""
    root = f"model.layers.{layer}."
    before, after = f"{root}input_layernorm.weight", f"{root}post_attention_layernorm.weight"
    found = [(f"{root}self_attn.{k}_proj.weight", before) for k in "qkv"]
    found += [(f"{f}{k}.weight", after) for f in model.ffns(layer) for k in FFN[:2]]
    if model.number("num_experts"):
        found.append((f"{root}mlp.gate.weight", after))
    return found


def writes(model: Model, layer: int) -> list[str]:
    """Return the matrices of a layer that write into the residual stream."""
    found = [f"{f}down_proj.weight" for f in model.ffns(layer)]
    return [f"model.layers.{layer}.self_attn.o_proj.weight", *found]


# --- what changes nothing that the model computes ---------------------------------------


def fold_norms(model: Model, gains: Callable[[int], Array] = np.ones) -> Model:
    """Move the gains of all norms into the matrices behind them and leave `gains` in place."""
    out = model.copy()
    w = out.tensors
    pairs = [pair for layer in model.layers for pair in reads(model, layer)]
    pairs.append(("lm_head.weight", "model.norm.weight"))
    left = {norm: gains(len(w[norm])).astype(np.float32) for norm in {n for _, n in pairs}}
    for name, norm in pairs:
        w[name] = w[name] * (model.tensors[norm] / left[norm])
    w.update(left)
    return out


def turn_residual(model: Model, basis: Array) -> Model:
    """Change the basis of the residual stream: `basis` is orthogonal. Norms are folded first."""
    out = fold_norms(model)
    w = out.tensors
    turn = basis.astype(np.float32)
    for layer in model.layers:
        for name, _ in reads(model, layer):
            w[name] = w[name] @ turn
        for name in writes(model, layer):
            w[name] = turn.T @ w[name]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        w[name] = w[name] @ turn
    return out


def rotate_residual(model: Model, rng: np.random.Generator) -> Model:
    """Rotate the residual stream by a random rotation."""
    return turn_residual(
        model, np.linalg.qr(rng.normal(size=(model.number("hidden_size"),) * 2))[0]
    )


def permute_channels(model: Model, rng: np.random.Generator) -> Model:
    """Renumber the channels of the residual stream; norms keep their gains."""
    order = rng.permutation(model.number("hidden_size"))
    out = model.copy()
    w = out.tensors
    for layer in model.layers:
        for name, norm in reads(model, layer):
            w[name] = w[name][:, order]
            w[norm] = model.tensors[norm][order]
        for name in writes(model, layer):
            w[name] = w[name][order]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        w[name] = w[name][:, order]
    w["model.norm.weight"] = w["model.norm.weight"][order]
    return out


def permute_neurons(model: Model, rng: np.random.Generator) -> Model:
    """Renumber the neurons of every gated block."""
    out = model.copy()
    w = out.tensors
    for layer in model.layers:
        for root in model.ffns(layer):
            gate, up, down = (f"{root}{k}.weight" for k in FFN)
            order = rng.permutation(len(w[gate]))
            w[gate], w[up], w[down] = w[gate][order], w[up][order], w[down][:, order]
    return out


def permute_heads(model: Model, rng: np.random.Generator) -> Model:
    """Renumber the groups of keys and values, and the queries inside of each."""
    queries, keys, size = model.heads
    share = queries // keys
    out = model.copy()
    for layer in model.layers:
        groups = rng.permutation(keys)
        order = np.concatenate([g * share + rng.permutation(share) for g in groups])
        _reorder_heads(out.tensors, layer, _spread(order, size), _spread(groups, size))
    return out


def _spread(order: Array, size: int) -> Array:
    return (order[:, None] * size + np.arange(size)).ravel()


def _reorder_heads(w: Tensors, layer: int, queries: Array, keys: Array) -> None:
    root = f"model.layers.{layer}.self_attn."
    w[f"{root}q_proj.weight"] = w[f"{root}q_proj.weight"][queries]
    w[f"{root}o_proj.weight"] = w[f"{root}o_proj.weight"][:, queries]
    for kind in "kv":
        w[f"{root}{kind}_proj.weight"] = w[f"{root}{kind}_proj.weight"][keys]


def rotate_heads(model: Model, rng: np.random.Generator) -> Model:
    """Rotate values inside of heads, and queries and keys inside of their rotary planes."""
    queries, keys, size = model.heads
    out = model.copy()
    w = out.tensors
    for layer in model.layers:
        root = f"model.layers.{layer}.self_attn."
        for key in range(keys):
            turn = np.linalg.qr(rng.normal(size=(size, size)))[0].astype(np.float32)
            angle = rng.uniform(0, 2 * np.pi, size // 2)
            rows = slice(key * size, (key + 1) * size)
            w[f"{root}v_proj.weight"] = _put(w[f"{root}v_proj.weight"], rows, turn)
            w[f"{root}k_proj.weight"] = _put(w[f"{root}k_proj.weight"], rows, _planes(angle))
            share = queries // keys
            for head in range(key * share, (key + 1) * share):
                at = slice(head * size, (head + 1) * size)
                w[f"{root}q_proj.weight"] = _put(w[f"{root}q_proj.weight"], at, _planes(angle))
                w[f"{root}o_proj.weight"] = _put(w[f"{root}o_proj.weight"].T, at, turn).T
    return out


def _put(matrix: Array, rows: slice, turn: Array) -> Array:
    changed = matrix.copy()
    changed[rows] = turn @ matrix[rows]
    return changed


def _planes(angle: Array) -> Array:
    """Return the rotation of the planes (i, i + size / 2), the rotary layout of the hub."""
    cos, sin = np.diag(np.cos(angle)), np.diag(np.sin(angle))
    return np.block([[cos, -sin], [sin, cos]]).astype(np.float32)


def permute_experts(model: Model, rng: np.random.Generator) -> Model:
    """Renumber the experts of every layer."""
    out = model.copy()
    count = model.number("num_experts")
    for layer in model.layers:
        order = rng.permutation(count)
        router = f"model.layers.{layer}.mlp.gate.weight"
        out.tensors[router] = model.tensors[router][order]
        prefixes = model.ffns(layer)
        for new, old in enumerate(order):
            for kind in FFN:
                out.tensors[f"{prefixes[new]}{kind}.weight"] = model.tensors[
                    f"{prefixes[old]}{kind}.weight"
                ]
    return out


def rescale(model: Model, rng: np.random.Generator) -> Model:
    """Rescale neurons and values against what reads them, with signs, and the norms' gains."""
    out = fold_norms(model, lambda size: np.exp(rng.normal(0, 0.5, size)))
    w = out.tensors
    queries, keys, size = model.heads
    for layer in model.layers:
        for root in model.ffns(layer):
            factor = _factors(rng, len(w[f"{root}up_proj.weight"]))
            w[f"{root}up_proj.weight"] = w[f"{root}up_proj.weight"] * factor[:, None]
            w[f"{root}down_proj.weight"] = w[f"{root}down_proj.weight"] / factor
        root = f"model.layers.{layer}.self_attn."
        factor = _factors(rng, keys * size)
        heads = np.repeat(factor.reshape(keys, size), queries // keys, axis=0).ravel()
        w[f"{root}v_proj.weight"] = w[f"{root}v_proj.weight"] * factor[:, None]
        w[f"{root}o_proj.weight"] = w[f"{root}o_proj.weight"] / heads
    return out


def _factors(rng: np.random.Generator, size: int) -> Array:
    signed = np.exp(rng.normal(0, 0.5, size)) * rng.choice(np.array([-1, 1]), size)
    factors: Array = signed.astype(np.float32)
    return factors


Blocks = dict[tuple[int, str], list[Array]]


def disguise_blocks(
    blocks: Blocks,
    rng: np.random.Generator,
    *,
    rotate: bool = True,
    renumber: bool = True,
    rescale: bool = True,
) -> Blocks:
    """Rotate, renumber and rescale gated blocks without the network around them.

    Parameters
    ----------
    blocks
        Gate, up and transposed down [neurons, width] of each block, by layer and expert.
    """
    width = next(iter(blocks.values()))[0].shape[1]
    basis = np.linalg.qr(rng.normal(size=(width, width)))[0] if rotate else np.eye(width)
    found = {}
    for key, block in blocks.items():
        size = len(block[0])
        order = rng.permutation(size) if renumber else np.arange(size)
        factor = _factors(rng, size)[:, None]
        scales = (1, factor, 1 / factor) if rescale else (1, 1, 1)
        found[key] = [
            ((view * scale) @ basis)[order].astype(np.float32)
            for view, scale in zip(block, scales, strict=False)
        ]
    return found


def permute_all(model: Model, rng: np.random.Generator) -> Model:
    """Renumber everything that can be renumbered."""
    steps = [permute_neurons, permute_heads, permute_channels]
    if model.number("num_experts"):
        steps.append(permute_experts)
    for step in steps:
        model = step(model, rng)
    return model


def every_disguise(model: Model, rng: np.random.Generator) -> Model:
    """Renumber everything, rescale, and rotate heads and the residual stream."""
    steps = [permute_all, rescale, rotate_residual]
    if not model.number("num_experts"):  # the zoo's experts' models norm queries and keys
        steps.append(rotate_heads)
    for step in steps:
        model = step(model, rng)
    return model


# --- what changes what it computes -------------------------------------------------------


def prune(model: Model, share: float = 0.6) -> Model:
    """Set the smallest share of every matrix to zero."""
    out = model.copy()
    for name, value in model.tensors.items():
        if value.ndim > 1:
            bar = np.quantile(np.abs(value), share)
            out.tensors[name] = np.where(np.abs(value) >= bar, value, 0).astype(np.float32)
    return out


def choose_layers(model: Model, chosen: Sequence[int]) -> Model:
    """Keep, drop, repeat or move layers: layer i of the result is layer chosen[i]."""
    out = model.copy(num_hidden_layers=len(chosen))
    out.tensors.clear()
    for name, value in model.tensors.items():
        if not name.startswith("model.layers."):
            out.tensors[name] = value
    for new, old in enumerate(chosen):
        prefix = f"model.layers.{old}."
        for name, value in model.tensors.items():
            if name.startswith(prefix):
                out.tensors[f"model.layers.{new}.{name.removeprefix(prefix)}"] = value
    return out


def resize_ffn(model: Model, size: int, rng: np.random.Generator) -> Model:
    """Keep the largest neurons, or duplicate some and share out what they write (Net2Wider)."""
    out = model.copy(intermediate_size=size)
    w = out.tensors
    for layer in model.layers:
        for root in model.ffns(layer):
            gate, up, down = (f"{root}{k}.weight" for k in FFN)
            have = len(w[gate])
            norms = np.linalg.norm(w[gate], axis=1) * np.linalg.norm(w[down], axis=0)
            kept = np.sort(np.argsort(-norms)[: min(size, have)])
            chosen = np.concatenate([kept, rng.integers(0, have, max(0, size - have))])
            times = np.bincount(chosen, minlength=have)[chosen]
            w[gate], w[up] = w[gate][chosen], w[up][chosen]
            w[down] = w[down][:, chosen] / times
    return out


def resize_residual(model: Model, size: int, rng: np.random.Generator) -> Model:
    """Keep the channels with the largest embeddings, or add small random ones."""
    have = model.number("hidden_size")
    out = model.copy(hidden_size=size, head_dim=model.heads[2])
    weight = np.linalg.norm(model.tensors["model.embed_tokens.weight"], axis=0)
    kept = np.sort(np.argsort(-weight)[: min(size, have)])
    for name, value in model.tensors.items():
        axis = _residual_axis(name)
        taken = np.take(value, kept, axis)
        if size > have:
            shape = list(value.shape)
            shape[axis] = size - have
            fresh = np.ones(shape) if value.ndim == 1 else rng.normal(0, 0.02, shape)
            taken = np.concatenate([taken, fresh], axis)
        out.tensors[name] = taken.astype(np.float32)
    return out


def _residual_axis(name: str) -> int:
    return 0 if name.endswith(("o_proj.weight", "down_proj.weight", "norm.weight")) else -1


def upcycle(model: Model, experts: int, rng: np.random.Generator) -> Model:
    """Make every gated block several equal experts behind a new router."""
    out = model.copy(
        architectures=["MixtralForCausalLM"],
        model_type="mixtral",
        num_experts=experts,
        num_experts_per_tok=2,
        moe_intermediate_size=model.number("intermediate_size"),
    )
    for layer in model.layers:
        root = f"model.layers.{layer}.mlp."
        for kind in FFN:
            value = out.tensors.pop(f"{root}{kind}.weight")
            for expert in range(experts):
                out.tensors[f"{root}experts.{expert}.{kind}.weight"] = value
        hidden = model.number("hidden_size")
        out.tensors[f"{root}gate.weight"] = rng.normal(0, 0.02, (experts, hidden)).astype("f4")
    return out


def new_vocabulary(model: Model, size: int, rng: np.random.Generator) -> Model:
    """Put fresh tables in place of the embeddings and the head."""
    out = model.copy(vocab_size=size)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        shape = (size, model.number("hidden_size"))
        out.tensors[name] = rng.normal(0, 0.02, shape).astype(np.float32)
    return out


# --- merges -------------------------------------------------------------------------------


def merged(models: Sequence[Model], join: Callable[[list[Array]], Array]) -> Model:
    """Join several checkpoints tensor by tensor."""
    first = models[0]
    tensors = {
        name: join([m.tensors[name] for m in models]).astype(np.float32) for name in first.tensors
    }
    return replace(first, tensors=tensors)


def linear(models: Sequence[Model], shares: Sequence[float]) -> Model:
    """Average with the given shares."""

    def join(values: list[Array]) -> Array:
        total: Array = sum(
            (s * v for s, v in zip(shares, values, strict=True)), np.zeros_like(values[0])
        )
        return total

    return merged(models, join)


def slerp(one: Model, two: Model, share: float) -> Model:
    """Interpolate on the sphere; `share` is how much of the second there is."""

    def join(values: list[Array]) -> Array:
        a, b = values
        cosine = float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))
        angle = np.arccos(np.clip(cosine, -1, 1))
        if angle < 1e-3:
            return (1 - share) * a + share * b
        one_s, other_s = np.sin((1 - share) * angle), np.sin(share * angle)
        mixed: Array = (one_s * a + other_s * b) / np.sin(angle)
        return mixed

    return merged([one, two], join)


def ties(base: Model, models: Sequence[Model], shares: Sequence[float], density: float) -> Model:
    """Trim small changes, elect a sign, average what agrees (Yadav et al., arXiv 2306.01708)."""

    def join(values: list[Array]) -> Array:
        root, *others = values
        changes = [s * (v - root) for s, v in zip(shares, others, strict=True)]
        changes = [
            np.where(np.abs(c) >= np.quantile(np.abs(c), 1 - density), c, 0) for c in changes
        ]
        elected = np.sign(sum(changes))
        agreeing = [np.where(np.sign(c) == elected, c, 0) for c in changes]
        return root + sum(agreeing)

    return merged([base, *models], join)


def dare(
    base: Model,
    models: Sequence[Model],
    shares: Sequence[float],
    density: float,
    rng: np.random.Generator,
) -> Model:
    """Drop changes at random and scale up the rest (Yu et al., arXiv 2311.03099)."""

    def join(values: list[Array]) -> Array:
        root, *others = values
        kept = [rng.random(root.shape) < density for _ in others]
        return root + sum(
            s * (v - root) * k / density for s, v, k in zip(shares, others, kept, strict=True)
        )

    return merged([base, *models], join)
