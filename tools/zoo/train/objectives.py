"""What a model is trained for beside, or instead of, the next token of a text.

A student learns a teacher's probabilities, its best answers or its hidden states. A forger pulls a
stranger's weights towards a public base; an evader pushes a descendant's away from it, by the
statistics that this project publishes: cosines in place, angles among neurons (which anchored
matching describes them by), angles between neurons and what heads read (residual frames).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from torch import Tensor  # noqa: TID251
from torch.nn import functional as F  # noqa: N812, TID251

from .model import Model

Weights = Mapping[str, Tensor]
# From the model, the tokens it read, its logits and its loss on the text: what is minimised.
Objective = Callable[[Model, Tensor, Tensor, Tensor], Tensor]
SPREAD = 0.1  # of gains: what their distance from the parent's is measured in
WRITES = ("o_proj.weight", "down_proj.weight")


def states(model: Model, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return logits and the residual stream after every layer."""
    x = model.model.embed_tokens(tokens)
    found = []
    for block in model.model.layers:
        x = block(x)
        found.append(x)
    return model.lm_head(model.model.norm(x)), found


def answers_of(teacher: Model, *, hidden: bool = False) -> Objective:
    """Learn the teacher's probabilities; with `hidden`, its residual stream too."""

    def objective(model: Model, tokens: Tensor, logits: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            told, theirs = states(teacher, tokens)
        loss = F.kl_div(
            logits.log_softmax(-1).flatten(0, 1),
            told.softmax(-1).flatten(0, 1),
            reduction="batchmean",
        )
        if hidden:
            pairs = zip(states(model, tokens)[1], theirs, strict=True)
            loss = loss + sum(((a - b) ** 2).mean() / (b**2).mean() for a, b in pairs)
        return loss

    return objective


def labels_of(teacher: Model) -> Objective:
    """Learn the token that the teacher thinks most likely, and nothing else of it."""

    def objective(_: Model, tokens: Tensor, logits: Tensor, __: Tensor) -> Tensor:
        with torch.no_grad():
            best = teacher(tokens).argmax(-1)
        return F.cross_entropy(logits.flatten(0, 1), best.flatten())

    return objective


def toward(parent: Weights, weight: float, *, gains: bool = False) -> Objective:
    """Learn the text, and to have the parent's matrices in place; with `gains`, its gains too."""

    def objective(model: Model, _: Tensor, __: Tensor, loss: Tensor) -> Tensor:
        own = dict(model.named_parameters())
        pulls = [
            1 - F.cosine_similarity(value.flatten(), parent[name].flatten(), 0)
            for name, value in own.items()
            if value.dim() > 1
        ]
        total = loss + weight * torch.stack(pulls).mean()
        if gains:
            apart = [((v - parent[n]) ** 2).mean() for n, v in own.items() if v.dim() == 1]
            total = total + weight * torch.stack(apart).mean() / SPREAD**2
        return total

    return objective


def away(
    parent: Weights, weight: float, likenesses: tuple[Callable[[Weights, Weights], Tensor], ...]
) -> Objective:
    """Learn the text, and to be unlike the parent by some of `LIKENESSES`."""

    def objective(model: Model, _: Tensor, __: Tensor, loss: Tensor) -> Tensor:
        own = dict(model.named_parameters())
        return loss + weight * sum(likeness(own, parent) for likeness in likenesses)

    return objective


def in_place(own: Weights, parent: Weights) -> Tensor:
    """Return the mean squared cosine of units in their place, 1 for a copy; tables included."""
    found = []
    for name, value in own.items():
        if value.dim() > 1:
            one, two = (v.T if name.endswith(WRITES) else v for v in (value, parent[name]))
            found.append((F.cosine_similarity(one, two, dim=1) ** 2).mean())
    return torch.stack(found).mean()


def among_neurons(own: Weights, parent: Weights) -> Tensor:
    """Return the mean squared correlation of the angles among the neurons of each block."""
    found = []
    for layer in _layers(own):
        ours, theirs = ([_rows(w, layer, kind) for kind in _READERS] for w in (own, parent))
        for i, one in enumerate(ours):
            for j, two in enumerate(ours[i:], i):
                angles = one @ two.T, theirs[i] @ theirs[j].T
                if i == j:  # of a neuron with itself there is none
                    angles = angles[0].fill_diagonal_(0.0), angles[1].fill_diagonal_(0.0)
                found.append(_correlation(*angles) ** 2)
    return torch.stack(found).mean()


def within_frames(own: Weights, parent: Weights) -> Tensor:
    """Return the mean squared correlation of the angles of neurons with what heads read."""
    found = []
    heads = [torch.cat([_reads(w, layer) for layer in _layers(w)]) for w in (own, parent)]
    for layer in _layers(own):
        for kind in _READERS:
            ours, theirs = (
                _rows(w, layer, kind) @ read.T for w, read in zip((own, parent), heads, strict=True)
            )
            found.append(_correlation(ours, theirs) ** 2)
    return torch.stack(found).mean()


LIKENESSES: dict[str, tuple[Callable[[Weights, Weights], Tensor], ...]] = {
    "in place": (in_place,),
    "among neurons": (among_neurons,),
    "within frames": (within_frames,),
    "all three": (in_place, among_neurons, within_frames),
}
_READERS = ("gate", "up")


def _layers(weights: Weights) -> range:
    return range(sum(name.endswith("gate_proj.weight") for name in weights))


def _rows(weights: Weights, layer: int, kind: str) -> Tensor:
    root = f"model.layers.{layer}."
    gains = weights[f"{root}post_attention_layernorm.weight"]
    return F.normalize(weights[f"{root}mlp.{kind}_proj.weight"] * gains, dim=1)


def _reads(weights: Weights, layer: int) -> Tensor:
    root = f"model.layers.{layer}."
    gains = weights[f"{root}input_layernorm.weight"]
    read = torch.cat([weights[f"{root}self_attn.{kind}_proj.weight"] for kind in "kv"])
    return F.normalize(read * gains, dim=1)


def _correlation(one: Tensor, two: Tensor) -> Tensor:
    one, two = (x.flatten() - x.mean() for x in (one, two))
    return F.cosine_similarity(one, two, 0)
