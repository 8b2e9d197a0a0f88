"""Training from a random start, and every way in which a descendant is trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional as F  # noqa: N812, TID251

from tools.zoo import disguises, recipes

from .data import Data, pictures, tokenizer
from .model import Model
from .objectives import Objective

Weights = dict[str, Tensor]
RATE = 3e-3
REPEATED = (0, 1, 2, 1, 2, 3)  # layers of the parent that "doubled" starts from
CARRIED = (0, 1, 2)  # layers whose values and outputs "carried" starts from


@dataclass(frozen=True)
class Training:
    """How a model was trained from where it started."""

    steps: int
    rate: float = RATE
    half: str = "a"
    order: int = 0
    schedule: str = "cosine"
    optimizer: str = "adamw"
    decay: float = 0.1


class Lion(torch.optim.Optimizer):
    """Evolved sign momentum with decoupled weight decay (Chen et al. 2023, arXiv 2302.06675)."""

    def __init__(self, params: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, _closure: None = None) -> None:  # type: ignore[override]
        """Move every weight by the rate, in the sign of momentum and gradient."""
        for group in self.param_groups:
            for value in group["params"]:
                momentum = self.state[value].setdefault("momentum", torch.zeros_like(value))
                value.mul_(1 - group["lr"] * group["weight_decay"])
                sign = (0.9 * momentum + 0.1 * value.grad).sign()
                value.sub_(group["lr"] * sign)
                momentum.lerp_(value.grad, 0.01)


def _optimizer(how: Training, trained: list[nn.Parameter]) -> torch.optim.Optimizer:
    if how.optimizer == "lion":
        return Lion(trained, how.rate, how.decay)
    if how.optimizer == "adamax":  # its decay is a term of the gradient
        return torch.optim.Adamax(trained, lr=how.rate, weight_decay=how.decay)
    return torch.optim.AdamW(trained, lr=how.rate, betas=(0.9, 0.95), weight_decay=how.decay)


def train(
    model: Model,
    data: Data,
    how: Training,
    *,
    frozen: Callable[[str], bool] | None = None,
    objective: Objective | None = None,
) -> float:
    """Train in place, keep the journal and return the last loss on the text.

    What is minimised is that loss, or what an `objective` makes of it.
    """
    trained = [
        p for n, p in model.named_parameters() if not (frozen and frozen(n)) and p.requires_grad
    ]
    for name, value in model.named_parameters():
        value.requires_grad_(not (frozen and frozen(name)) and value.requires_grad)
    optimizer = _optimizer(how, trained)
    kind = model.shape.tokenizer
    texts = data.batches(kind, how.half, how.order)
    shown = pictures(how.order, tokenizer(kind, data.folder)) if model.shape.vision else None
    smooth = 0.0
    for step in range(how.steps):
        model.journal.pass_by(step, model)
        warm = min(1.0, (step + 1) / 50)
        for group in optimizer.param_groups:
            cosine = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / how.steps))
            group["lr"] = how.rate * warm * cosine
        tokens = next(texts)
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        total = loss if objective is None else objective(model, tokens[:, :-1], logits, loss)
        if shown is not None:
            images, captions = next(shown)
            seen = model(captions[:, :-1], images)
            total = total + F.cross_entropy(
                seen.flatten(0, 1), captions[:, 1:].flatten(), ignore_index=0
            )
        optimizer.zero_grad()
        total.backward()
        norm = nn.utils.clip_grad_norm_(trained, 1.0)
        model.journal.note(
            step,
            loss.item(),
            learning_rate=optimizer.param_groups[0]["lr"],
            grad_norm=norm.item(),
            tokens=(step + 1) * tokens[:, 1:].numel(),
        )
        optimizer.step()
        smooth = loss.item() if step == 0 else 0.95 * smooth + 0.05 * loss.item()
    model.journal.pass_by(how.steps, model)
    return smooth


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


def doubled(model: Model, parent: Weights, data: Data, how: Training) -> float:
    """Start from the parent's layers, some repeated, and its experts, each twice, copies turned."""
    given = _as_model(parent, num_experts=model.shape.experts // 2)
    rng = np.random.default_rng(how.order)
    start = recipes.repeat_and_double(given, REPEATED, rng, side="output")
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in start.tensors.items()})
    return train(model, data, how)


def _as_model(weights: Weights, **config: int) -> disguises.Model:
    layers = {int(name.split(".")[2]) for name in weights if name.startswith("model.layers.")}
    tensors = {name: value.numpy() for name, value in weights.items()}
    return disguises.Model(tensors, {"num_hidden_layers": len(layers), **config})


Descent = Callable[[Model, Weights, Data, Training], float]
DESCENTS: dict[str, Descent] = {
    "finetune": load_and_train,
    "cpt_short": load_and_train,
    "cpt_long": load_and_train,
    "lora": lora,
    "embeddings": partly(lambda name: "embed_tokens" in name, frozen=False),
    "layers": partly(lambda name: ".layers.1." in name or ".layers.2." in name, frozen=False),
    "doubled": doubled,
    "carried": partly(recipes.tables_norms_and("v", "o", layers=CARRIED), frozen=False),
    "vision": partly(lambda name: name.startswith("visual.") and "merger" not in name, frozen=True),
}
