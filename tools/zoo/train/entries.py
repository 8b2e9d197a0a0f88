"""The zoo: which models there are, and what a perfect judge would say of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .shapes import COMPOSITE, DOUBLED, MOE, SMALL, WIDE, Shape
from .training import RATE, Training

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
    short = ("lora", "finetune", "cpt_short")
    steps = 200 if change in short else STEPS // 2 if change in ("doubled", "carried") else STEPS
    rate = {"lora": 1e-3, "finetune": 3e-4}.get(change, RATE)
    how = Training(steps, rate, half="b", order=77)
    trained = change in (
        "lora",
        "finetune",
        "cpt_short",
        "cpt_long",
        "embeddings",
        "layers",
        "doubled",
        "carried",
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
    derived("s0-gptq-packed", "s0", "gptq_packed"),
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
    # Another initialisation and width on the very batches of s0, in their order.
    pretrained("s0-order", 4, order=0),
    pretrained("w0-order", 42, WIDE, order=40),
    # A warm start on text of another kind, whose loss falls at first.
    Entry(
        "s0-prose",
        seed=99,
        parent="s0",
        change="cpt_short",
        truth="derived",
        training=Training(200, half="prose", order=78),
    ),
    # The two public recipes of 2026 for a start from an own earlier model (tools/zoo/recipes.py),
    # and strangers made in the same two ways.
    *(derived(f"{n}-doubled", n, "doubled", DOUBLED, truth="doubled") for n in ("moe0", "moe1")),
    *(derived(f"{n}-carried", n, "carried", MOE, truth="carried") for n in ("moe0", "moe1")),
    *(derived(f"{n}-carried", n, "carried", truth="carried") for n in ("s0", "s1")),
)

# After how many updates the weights of some trainings are kept, below trajectories/NAME.
CHECKPOINTS = {
    "s0": (0, 10, 25, 50, 100, 200, 350, 500, 600),
    "s1": (0, 10, 25, 50, 100, 200, 350, 500, 600),
    "s0-finetune": (0, 10, 25, 50, 75, 100, 150, 200),
    "s0-cpt-long": (0, 10, 25, 50, 100, 200, 350, 500, 600),
    "moe0": (0, 10, 25, 50, 100, 200, 350, 500, 600),
}
