"""Decoder-only language models, dense, with experts or with a vision tower, named as the hub's."""

from __future__ import annotations

import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional as F  # noqa: N812, TID251

from .journal import Journal
from .shapes import PATCH, Shape


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
        self.journal = Journal()
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
