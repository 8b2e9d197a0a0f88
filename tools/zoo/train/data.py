"""What the zoo is trained on: the standard library's sources in two halves, and drawn images."""

from __future__ import annotations

import ast
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor  # noqa: TID251

from .shapes import CONTEXT, IMAGE

BATCH = 24


def corpus(half: str) -> str:
    """Text of the standard library; files fall into one half or the other by their names.

    "prose" is text of another kind: the language reference in plain English (the first half has
    its file too, wrapped in string literals).
    """
    root = Path(sysconfig.get_path("stdlib"))
    if half == "prose":
        source = (root / "pydoc_data" / "topics.py").read_text("utf-8")
        return "\n".join(ast.literal_eval(source[source.index("{") :]).values())
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
