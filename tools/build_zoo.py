"""Train the lineage zoo: small language models whose ancestry is known because we made them.

Needs torch, which the package itself never imports; make an environment for it:

    python -m venv /tmp/venv-zoo
    /tmp/venv-zoo/bin/pip install torch==2.13.0 numpy safetensors tokenizers
    /tmp/venv-zoo/bin/python tools/build_zoo.py --into .artifacts/zoo

Every model is really trained, on the sources of Python's standard library (two disjoint
halves: one to pretrain on, one for descendants) and, for the vision tower, on images drawn
by this file. One process, one thread, fixed seeds: about half an hour on one core. A model
that is already there is kept. Nothing is tuned so that a method succeeds on it.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sysconfig
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional as F  # noqa: N812, TID251

Weights = dict[str, Tensor]
CONTEXT = 64
BATCH = 24
RATE = 3e-3
IMAGE, PATCH = 24, 6


@dataclass(frozen=True)
class Shape:
    """What a config.json says of a small model."""

    hidden: int = 64
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    inner: int = 176
    experts: int = 0
    vision: bool = False
    tokenizer: str = "a"
    head_dim: int = 0  # hidden / heads unless a width was changed
    qk_norm: bool | None = None  # where there are experts unless told otherwise


SMALL = Shape()
WIDE = Shape(hidden=128, layers=6, heads=8, kv_heads=4, inner=352)
MOE = Shape(inner=96, experts=4)
COMPOSITE = Shape(layers=3, vision=True)


class Norm(nn.Module):
    """RMSNorm with a gain that starts at one, as Llama's."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class Attention(nn.Module):
    """Causal attention with grouped keys, rotary positions and, in experts' models, q/k norms."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, self.size = shape, shape.head_dim or shape.hidden // shape.heads
        self.normed = bool(shape.experts) if shape.qk_norm is None else shape.qk_norm
        self.q_proj = nn.Linear(shape.hidden, shape.heads * self.size, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(shape.heads * self.size, shape.hidden, bias=False)
        if self.normed:
            self.q_norm, self.k_norm = Norm(self.size), Norm(self.size)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (
            p(x).view(batch, length, -1, self.size).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.normed:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q), rotate(k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))


def rotate(x: Tensor) -> Tensor:
    """Apply rotary positions in the half-split layout of the hub's Llama."""
    half = x.shape[-1] // 2
    angle = torch.outer(
        torch.arange(x.shape[-2], dtype=torch.float32),
        10000.0 ** (-torch.arange(half, dtype=torch.float32) / half),
    )
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Mlp(nn.Module):
    """The gated block of Llama."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Experts(nn.Module):
    """Top-2 routing; dense evaluation, because four experts are few."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.hidden, shape.experts, bias=False)
        self.experts = nn.ModuleList(Mlp(shape.hidden, shape.inner) for _ in range(shape.experts))

    def forward(self, x: Tensor) -> Tensor:
        score = self.gate(x).softmax(-1)
        top, index = score.topk(2, -1)
        share = torch.zeros_like(score).scatter(-1, index, top / top.sum(-1, keepdim=True))
        return sum(share[..., i, None] * expert(x) for i, expert in enumerate(self.experts))


class Block(nn.Module):
    """One decoder layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = Experts(shape) if shape.experts else Mlp(shape.hidden, shape.inner)
        self.input_layernorm = Norm(shape.hidden)
        self.post_attention_layernorm = Norm(shape.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class VisionBlock(nn.Module):
    """One layer of the tower, named as Qwen2.5-VL names it: fused qkv, gated MLP."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = Norm(hidden), Norm(hidden)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(hidden, 3 * hidden)
        self.attn.proj = nn.Linear(hidden, hidden)
        self.mlp = Mlp(hidden, inner)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, hidden = x.shape
        q, k, v = self.attn.qkv(self.norm1(x)).view(batch, length, 3, 4, hidden // 4).unbind(2)
        y = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)))
        x = x + self.attn.proj(y.transpose(1, 2).reshape(batch, length, hidden))
        return x + self.mlp(self.norm2(x))


class Tower(nn.Module):
    """A small vision transformer and the merger that projects into the text model."""

    def __init__(self, out: int, hidden: int = 48, inner: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, hidden, PATCH, PATCH, bias=False)
        self.blocks = nn.ModuleList(VisionBlock(hidden, inner) for _ in range(depth))
        self.merger = nn.Module()
        self.merger.ln_q = Norm(hidden)
        self.merger.mlp = nn.Sequential(nn.Linear(hidden, 96), nn.GELU(), nn.Linear(96, out))

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.merger.mlp(self.merger.ln_q(x))


class Model(nn.Module):
    """A decoder-only language model whose state dict has the hub's names."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocabulary, shape.hidden)
        self.model.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.model.norm = Norm(shape.hidden)
        self.lm_head = nn.Linear(shape.hidden, vocabulary, bias=False)
        if shape.vision:
            self.visual = Tower(shape.hidden)
        for name, value in self.named_parameters():
            if value.dim() > 1:
                nn.init.normal_(value, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(value)

    def forward(self, tokens: Tensor, images: Tensor | None = None) -> Tensor:
        x = self.model.embed_tokens(tokens)
        prefix = 0
        if images is not None:
            seen = self.visual(images)
            prefix = seen.shape[1]
            x = torch.cat([seen, x], 1)
        for block in self.model.layers:
            x = block(x)
        return self.lm_head(self.model.norm(x[:, prefix:]))


# --- data -------------------------------------------------------------------------------


def corpus(half: str) -> str:
    """Text of the standard library; files fall into one half or the other by their names."""
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted(p for p in root.rglob("*.py") if not {"site-packages", "test"} & set(p.parts))
    wanted = [p for p in files if (zlib.crc32(p.name.encode()) & 1) == (half == "b")]
    return "\n".join(p.read_text("utf-8", "ignore") for p in wanted)[:6_000_000]


TOKENIZERS = {"a": (1024, "a", 0), "b": (768, "b", 3_000_000)}


def tokenizer(kind: str, folder: Path) -> Tokenizer:
    """Train or load one of the tokenizers: sizes and training text differ."""
    path = folder / f"tokenizer-{kind}.json"
    if path.exists():
        return Tokenizer.from_file(str(path))
    size, half, start = TOKENIZERS[kind]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(corpus(half)[start : start + 2_000_000].splitlines(), trainer)
    made.save(str(path))
    return made


class Data:
    """Token streams by tokenizer and half, encoded once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.streams: dict[tuple[str, str], Tensor] = {}

    def tokens(self, kind: str, half: str) -> Tensor:
        if (kind, half) not in self.streams:
            text = corpus(half)
            pieces = [text[i : i + 20_000] for i in range(0, len(text), 20_000)]
            encoded = tokenizer(kind, self.folder).encode_batch(pieces)
            self.streams[kind, half] = torch.tensor([i for e in encoded for i in e.ids])
        return self.streams[kind, half]

    def batches(self, kind: str, half: str, seed: int) -> Iterator[Tensor]:
        stream = self.tokens(kind, half)
        order = np.random.default_rng(seed)
        while True:
            starts = order.integers(0, len(stream) - CONTEXT - 1, BATCH)
            yield torch.stack([stream[s : s + CONTEXT + 1] for s in starts])


COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}
FORMS = ("square", "circle", "cross", "bar")


def pictures(seed: int, make: Tokenizer) -> Iterator[tuple[Tensor, Tensor]]:
    """Coloured forms at random places with their captions: synthetic, and said to be so."""
    order = np.random.default_rng(seed)
    grid_y, grid_x = np.mgrid[:IMAGE, :IMAGE]
    while True:
        images, captions = [], []
        for _ in range(BATCH):
            colour, form = order.choice(list(COLOURS)), order.choice(FORMS)
            y, x, r = *order.integers(6, IMAGE - 6, 2), order.integers(3, 6)
            dy, dx = abs(grid_y - y), abs(grid_x - x)
            mask = {
                "square": np.maximum(dy, dx) <= r,
                "circle": dy**2 + dx**2 <= r**2,
                "cross": (np.minimum(dy, dx) <= 1) & (np.maximum(dy, dx) <= r),
                "bar": (dy <= 1) & (dx <= r),
            }[form]
            image = order.normal(0, 0.1, (3, IMAGE, IMAGE))
            image += np.array(COLOURS[colour])[:, None, None] * mask
            where = ("top" if y < IMAGE / 2 else "bottom") + (
                " left" if x < IMAGE / 2 else " right"
            )
            images.append(image)
            captions.append(make.encode(f"# a {colour} {form} {where}\n").ids)
        length = max(map(len, captions))
        padded = [c + [0] * (length - len(c)) for c in captions]
        yield torch.tensor(np.array(images), dtype=torch.float32), torch.tensor(padded)


# --- training ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """How a model was trained from where it started."""

    steps: int
    rate: float = RATE
    half: str = "a"
    order: int = 0
    schedule: str = "cosine"


def train(
    model: Model, data: Data, how: Training, *, frozen: Callable[[str], bool] | None = None
) -> float:
    """Train in place and return the last loss."""
    trained = [
        p for n, p in model.named_parameters() if not (frozen and frozen(n)) and p.requires_grad
    ]
    for name, value in model.named_parameters():
        value.requires_grad_(not (frozen and frozen(name)) and value.requires_grad)
    optimizer = torch.optim.AdamW(trained, lr=how.rate, betas=(0.9, 0.95), weight_decay=0.1)
    kind = model.shape.tokenizer
    texts = data.batches(kind, how.half, how.order)
    shown = pictures(how.order, tokenizer(kind, data.folder)) if model.shape.vision else None
    smooth = 0.0
    for step in range(how.steps):
        warm = min(1.0, (step + 1) / 50)
        for group in optimizer.param_groups:
            cosine = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / how.steps))
            group["lr"] = how.rate * warm * cosine
        tokens = next(texts)
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        total = loss
        if shown is not None:
            images, captions = next(shown)
            seen = model(captions[:, :-1], images)
            total = loss + F.cross_entropy(
                seen.flatten(0, 1), captions[:, 1:].flatten(), ignore_index=0
            )
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        smooth = loss.item() if step == 0 else 0.95 * smooth + 0.05 * loss.item()
    return smooth


# --- the zoo ----------------------------------------------------------------------------

STEPS = 600


@dataclass(frozen=True)
class Entry:
    """One model of the zoo; `truth` is what a perfect judge would say of it and its parent."""

    name: str
    shape: Shape = SMALL
    seed: int = 0
    parent: str | None = None
    change: str = "pretrain"
    truth: str = "independent"
    training: Training | None = None
    amount: float = 0.0


def pretrained(
    name: str, seed: int, shape: Shape = SMALL, *, order: int | None = None, **kw: Any
) -> Entry:
    how = Training(STEPS, order=seed if order is None else order, half=kw.pop("half", "a"))
    return Entry(name, shape, seed, training=how, **kw)


def derived(name: str, parent: str, change: str, shape: Shape = SMALL, **kw: Any) -> Entry:
    steps = {"lora": 200, "finetune": 200, "cpt_short": 200, "cpt_long": STEPS}.get(change, STEPS)
    rate = {"lora": 1e-3, "finetune": 3e-4}.get(change, RATE)
    how = Training(steps, rate, half="b", order=77)
    trained = change in (
        "lora",
        "finetune",
        "cpt_short",
        "cpt_long",
        "embeddings",
        "layers",
        "vision",
    )
    kw.setdefault("truth", "derived")
    return Entry(name, shape, 99, parent, change, training=how if trained else None, **kw)


ZOO = (
    pretrained("s0", 0),
    pretrained("s1", 1),
    pretrained("s0-twin", 0, order=1000, parent="s0", truth="shared initialisation"),
    derived("s0-finetune", "s0", "finetune"),
    derived("s0-cpt-long", "s0", "cpt_long"),
    pretrained("moe0", 10, MOE),
    pretrained("moe1", 11, MOE),
    derived("moe0-finetune", "moe0", "finetune", MOE),
    pretrained("vl0", 20, COMPOSITE),
    pretrained("vl1", 21, COMPOSITE),
    derived("vl0-vision-only", "vl0", "vision", COMPOSITE, truth="vision_encoder"),
    derived("s0-lora", "s0", "lora"),
    derived("s0-cpt-short", "s0", "cpt_short"),
    *(derived(f"s0-noise{n}", "s0", "noise", amount=n / 100) for n in (10, 30, 50, 100)),
    derived("s0-prune60", "s0", "prune", amount=0.6),
    derived("s0-int8", "s0", "int8"),
    derived("s0-int8-packed", "s0", "int8_packed"),
    derived("s0-int4", "s0", "int4"),
    derived("s0-embeddings-only", "s0", "embeddings", truth="embeddings"),
    derived("s0-two-layers", "s0", "layers", truth="text_decoder, layers 1 and 2"),
    pretrained("s2", 2),
    pretrained("s3", 3, half="b"),
    pretrained("t0", 30, replace(SMALL, tokenizer="b")),
    pretrained("t1", 31, replace(SMALL, tokenizer="b"), half="b"),
    derived("moe0-cpt-long", "moe0", "cpt_long", MOE),
    pretrained("moe0-twin", 10, MOE, order=1000, parent="moe0", truth="shared initialisation"),
    derived("vl0-finetune", "vl0", "finetune", COMPOSITE),
    pretrained("w0", 40, WIDE),
    pretrained("w1", 41, WIDE),
    pretrained("w0-twin", 40, WIDE, order=1000, parent="w0", truth="shared initialisation"),
    derived("w0-finetune", "w0", "finetune", WIDE),
    derived("w0-cpt-long", "w0", "cpt_long", WIDE),
)


def build(entry: Entry, root: Path, data: Data) -> None:
    """Make one model and write its folder."""
    began = time.time()
    torch.manual_seed(entry.seed)
    vocabulary = tokenizer(entry.shape.tokenizer, root).get_vocab_size()
    model = Model(entry.shape, vocabulary)
    parent = (
        load_file(root / (entry.parent or "") / "model.safetensors")
        if entry.change != "pretrain"
        else {}
    )
    loss = None
    if entry.change == "pretrain":
        loss = train(model, data, entry.training)
    elif entry.training is not None:
        loss = DESCENTS[entry.change](
            model, {k: v.float() for k, v in parent.items()}, data, entry.training
        )
    weights = {
        name: value.detach().to(torch.bfloat16) for name, value in model.state_dict().items()
    }
    if entry.training is None:
        weights = CHANGES[entry.change](parent, entry.amount)
    write(root, entry, weights, vocabulary, loss)
    print(f"{entry.name}: loss {loss}, {time.time() - began:.0f} s", flush=True)


def load_and_train(model: Model, parent: Weights, data: Data, how: Training) -> float:
    model.load_state_dict(parent)
    return train(model, data, how)


def lora(model: Model, parent: Weights, data: Data, how: Training) -> float:
    """Train rank-4 updates of the attention projections, then merge them."""
    model.load_state_dict(parent)
    for value in model.parameters():
        value.requires_grad_(requires_grad=False)
    for block in model.model.layers:
        for name in ("q_proj", "v_proj"):
            layer = getattr(block.self_attn, name)
            nn.utils.parametrize.register_parametrization(
                layer, "weight", LowRank(layer.weight.shape)
            )
    loss = train(model, data, how)
    for block in model.model.layers:
        for name in ("q_proj", "v_proj"):
            nn.utils.parametrize.remove_parametrizations(getattr(block.self_attn, name), "weight")
    return loss


class LowRank(nn.Module):
    """The update of LoRA."""

    def __init__(self, shape: torch.Size, rank: int = 4) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, shape[1]) / shape[1] ** 0.5)
        self.b = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + 2.0 * self.b @ self.a


def partly(chosen: Callable[[str], bool], *, frozen: bool) -> Callable[..., float]:
    """Start from a new initialisation but for some of the parent's tensors."""

    def start(model: Model, parent: Weights, data: Data, how: Training) -> float:
        mixed = {k: parent[k] if chosen(k) else v for k, v in model.state_dict().items()}
        model.load_state_dict(mixed)
        return train(model, data, how, frozen=chosen if frozen else None)

    return start


DESCENTS: dict[str, Callable[[Model, Weights, Data, Training], float]] = {
    "finetune": load_and_train,
    "cpt_short": load_and_train,
    "cpt_long": load_and_train,
    "lora": lora,
    "embeddings": partly(lambda name: "embed_tokens" in name, frozen=False),
    "layers": partly(lambda name: ".layers.1." in name or ".layers.2." in name, frozen=False),
    "vision": partly(lambda name: name.startswith("visual.") and "merger" not in name, frozen=True),
}


def noise(parent: Weights, amount: float) -> Weights:
    """Add Gaussian noise of `amount` standard deviations to every matrix."""
    torch.manual_seed(5)
    return {
        k: v + amount * v.float().std().to(v.dtype) * torch.randn_like(v) if v.dim() > 1 else v
        for k, v in parent.items()
    }


def prune(parent: Weights, amount: float) -> Weights:
    """Set the smallest share of every matrix to zero."""
    return {
        k: torch.where(v.abs() >= v.float().abs().quantile(amount), v, 0) if v.dim() > 1 else v
        for k, v in parent.items()
    }


def rounded(bits: int, group: int) -> Callable[[Weights, float], Weights]:
    """Quantise matrices symmetrically in groups of inputs and store them dequantised."""

    def quantise(parent: Weights, _amount: float) -> Weights:
        top = 2 ** (bits - 1) - 1
        out = {}
        for name, value in parent.items():
            if value.dim() != 2:
                out[name] = value
                continue
            parts = value.float().unflatten(1, (-1, min(group, value.shape[1])))
            scale = parts.abs().amax(-1, keepdim=True) / top
            out[name] = ((parts / scale).round() * scale).flatten(1).to(value.dtype)
        return out

    return quantise


def packed(parent: Weights, _amount: float) -> Weights:
    """Store the layers' matrices as int8 beside a scale per row, as compressed-tensors does."""
    out: Weights = {}
    for name, value in parent.items():
        if value.dim() != 2 or ".layers." not in name:
            out[name] = value
            continue
        scale = value.float().abs().amax(1, keepdim=True) / 127
        out[name] = (value.float() / scale).round().to(torch.int8)
        out[f"{name}_scale"] = scale
    return out


CHANGES: dict[str, Callable[[Weights, float], Weights]] = {
    "noise": noise,
    "prune": prune,
    "int8": rounded(8, 10**6),
    "int8_packed": packed,
    "int4": rounded(4, 16),
}


def config_of(shape: Shape, vocabulary: int) -> dict[str, Any]:
    text = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    if shape.experts:
        text |= {
            "architectures": ["Qwen3MoeForCausalLM"],
            "model_type": "qwen3_moe",
            "num_experts": shape.experts,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": shape.inner,
            "norm_topk_prob": True,
        }
    if not shape.vision:
        return text
    vision = {
        "model_type": "qwen2_5_vl",
        "hidden_size": 48,
        "depth": 3,
        "num_heads": 4,
        "patch_size": PATCH,
    }
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "text_config": text,
        "vision_config": {**vision, "intermediate_size": 128, "out_hidden_size": shape.hidden},
    }


CARD = """---
license: mit
tags: [scratchverify-zoo, fixture]
---
# {name}

A fixture of pytest-scratchverify, trained on one CPU core by `tools/build_zoo.py` on the
sources of Python's standard library{images}. It can do nothing useful.
"""


def write(root: Path, entry: Entry, weights: Weights, vocabulary: int, loss: float | None) -> None:
    """Write a folder in the hub's layout; its truth goes into the manifest, not the folder."""
    folder = root / entry.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_file(
        {k: v.contiguous() for k, v in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    (folder / "config.json").write_text(
        json.dumps(config_of(entry.shape, vocabulary), indent=2) + "\n"
    )
    shutil.copy(root / f"tokenizer-{entry.shape.tokenizer}.json", folder / "tokenizer.json")
    images = " and on images drawn in code" if entry.shape.vision else ""
    (folder / "README.md").write_text(CARD.format(name=entry.name, images=images))
    (folder / ".entry.json").write_text(
        json.dumps({**asdict(entry), "loss": loss}, indent=1) + "\n"
    )


def manifest(root: Path) -> None:
    """Write what every model is: seed, steps, parent, truth, loss."""
    rows = {}
    for entry in ZOO:
        path = root / entry.name / ".entry.json"
        if path.exists():
            rows[entry.name] = json.loads(path.read_text())
    (root / "MANIFEST.json").write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Build what is missing, in order, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=Path(".artifacts/zoo"))
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    given.into.mkdir(parents=True, exist_ok=True)
    data = Data(given.into)
    for entry in ZOO:
        if (given.into / entry.name).exists() or (given.only and entry.name not in given.only):
            continue
        build(entry, given.into, data)
        manifest(given.into)
    manifest(given.into)


if __name__ == "__main__":
    main()
