"""Train nine families of language models, each a base and four that descend from it.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.families --into .artifacts/families

For `python -m benchmarks.one_token`: seeds, sizes, tokenizers, texts and experts differ between
the bases; the fine-tune, the merged LoRA and the short continued pretraining see the half of the
text that their base did not, the fourth is rounded to four bits. About half an hour on one core.
A model that is already there is kept.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch  # noqa: TID251 - this tool makes weights; the package only reads them

from .build import build
from .data import Data
from .entries import STEPS, Entry
from .shapes import MOE, SMALL, WIDE, Shape
from .training import RATE, Training

OTHER_TOKENS = replace(SMALL, tokenizer="b")
BASES: dict[str, tuple[int, Shape, str]] = {
    "s0": (0, SMALL, "a"), "s1": (1, SMALL, "a"), "s2": (2, SMALL, "a"), "s3": (3, SMALL, "b"),
    "w0": (40, WIDE, "a"),
    "t0": (30, OTHER_TOKENS, "a"), "t1": (31, OTHER_TOKENS, "b"),
    "moe0": (10, MOE, "a"), "moe1": (11, MOE, "a"),
}  # fmt: skip
CHILDREN = {"finetune": 3e-4, "lora": 1e-3, "cpt_short": RATE}  # learning rates
UNTRAINED = ("int4",)


def family(name: str) -> tuple[Entry, ...]:
    """Return a base and what descends from it, in the order of making."""
    seed, shape, half = BASES[name]
    base = Entry(name, shape, seed, training=Training(STEPS, order=seed, half=half))
    other = "b" if half == "a" else "a"
    trained = (
        Entry(f"{name}-{change.replace('_', '-')}", shape, 99, name, change, truth="derived",
              training=Training(200, rate, half=other, order=77))
        for change, rate in CHILDREN.items()
    )  # fmt: skip
    rounded = (
        Entry(f"{name}-{change}", shape, 99, name, change, truth="derived") for change in UNTRAINED
    )
    return (base, *trained, *rounded)


def main() -> None:
    """Build what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=Path(".artifacts/families"))
    parser.add_argument("--only", nargs="*", choices=BASES, default=[*BASES])
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    given.into.mkdir(parents=True, exist_ok=True)
    data = Data(given.into)
    for name in given.only:
        for entry in family(name):
            if not (given.into / entry.name).exists():
                build(entry, given.into, data)


if __name__ == "__main__":
    main()
