"""How often the bars of the weights method are wrong on trainings that they were not set on.

    python -m benchmarks.seed_twins [--lengths 40 120 360] [--vocabularies 384 1024 4096]
                                    [--widths 32 64]

The bars between a shared draw and descent were set on one length of training. Here small models
are trained for several lengths, with several vocabularies and widths, each three times: a parent, a
*twin* (the same first weights, other data in another order) and a *child* (the parent trained on
the twin's data for as long again). A twin that is called derived is a false accusation of descent,
a child that is not is missed; the word for both in between is a shared initialisation. Needs torch
and some minutes; prints Markdown, as docs/methods/weights-nulls.md shows it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import ml_dtypes

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tools import ROOT
from tools.zoo import small_checkpoints

CALIBRATION = ROOT / "suites" / "calibration" / "weights.json"
COMPONENTS = (Component.TEXT_DECODER, Component.EMBEDDINGS, Component.LM_HEAD)
LAYERS = 2
CORPUS = 600_000  # characters of either half
RATE = 3e-3


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one component of one trained pair."""

    steps: int
    vocabulary: int
    width: int
    truth: str
    component: str
    relation: str
    cosine: float
    gains: float
    spread: float  # of the gains of the less trained of the two
    step: str


def trained_pairs(steps: int, vocabulary: int, width: int, root: Path) -> Iterator[tuple[str, Any]]:
    """Train a parent, its twin and its child; yield the names and weights of all three."""
    from tools.zoo.train import data as texts  # noqa: PLC0415 - needs torch
    from tools.zoo.train.model import Model  # noqa: PLC0415
    from tools.zoo.train.shapes import Shape  # noqa: PLC0415
    from tools.zoo.train.training import Training, train  # noqa: PLC0415

    class Short(texts.Data):
        def tokens(self, kind: str, half: str) -> Any:
            if (kind, half) not in self.streams:
                found = texts.tokenizer(kind, self.folder).encode(texts.corpus(half)[:CORPUS])
                self.streams[kind, half] = texts.torch.tensor(found.ids)
            return self.streams[kind, half]

    texts.torch.set_num_threads(1)
    kind = f"of {vocabulary}"
    texts.TOKENIZERS[kind] = (vocabulary, "a", 0)
    shape = Shape(hidden=width, layers=LAYERS, heads=4, kv_heads=2, inner=3 * width, tokenizer=kind)
    data = Short(root)
    texts.torch.manual_seed(steps * vocabulary + width)
    parent = Model(shape, vocabulary)
    first = {name: value.clone() for name, value in parent.state_dict().items()}
    train(parent, data, Training(steps, RATE, "a", order=0))
    yield "parent", parent.state_dict()
    twin = Model(shape, vocabulary)
    twin.load_state_dict(first)
    train(twin, data, Training(steps, RATE, "b", order=1))
    yield "twin", twin.state_dict()
    child = Model(shape, vocabulary)
    child.load_state_dict(parent.state_dict())
    train(child, data, Training(steps, RATE, "b", order=1))
    yield "child", child.state_dict()


def measured(steps: int, vocabulary: int, width: int, root: Path) -> Iterator[Said]:
    """Train one cell of the table and ask what the weights method says of it."""
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
    }
    place = root / f"{steps}-{vocabulary}-{width}"
    spreads: dict[str, float] = {}
    for name, weights in trained_pairs(steps, vocabulary, width, root):
        gains = [v.numpy() for k, v in weights.items() if "norm" in k]
        spreads[name] = sum(float(one.std()) for one in gains) / len(gains)
        tensors = {k: v.numpy().astype(ml_dtypes.bfloat16) for k, v in weights.items()}
        small_checkpoints.write(place / name, tensors, config=config, card={})
        tokenizer = root / f"tokenizer-of {vocabulary}.json"
        (place / name / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
    calibration = json.loads(CALIBRATION.read_text())
    for truth, component in product(("twin", "child"), COMPONENTS):
        stores = FolderStore(place / truth), FolderStore(place / "parent")
        hypothesis = ComponentHypothesis(pair=pair, component=component)
        found = weights_origin(hypothesis, *stores, calibration)
        spread = min(spreads[truth], spreads["parent"])
        yield _said((steps, vocabulary, width), truth, component, found, spread)


def _said(
    cell: tuple[int, int, int], truth: str, component: Component, found: Finding, spread: float
) -> Said:
    gains = found.details.get("norm_gains")
    alike = gains.get("centred_cosine") if isinstance(gains, dict) else None
    relation = str(found.relation.value) if found.relation else "none"
    return Said(
        *cell,
        truth,
        component.value,
        relation,
        float(found.effect.value or 0.0) if found.effect else 0.0,
        float(alike) if isinstance(alike, int | float) else float("nan"),
        spread,
        str(found.details.get("step", "")),
    )


def table(rows: list[Said], by: str) -> Iterator[str]:
    """Write one line for every value of a column: twins called derived, children missed."""
    yield f"| {by} | component | twins called derived | their largest cosine | children missed |"
    yield "|---|---|---|---|---|"
    for value in sorted({getattr(row, by) for row in rows}):
        for component in COMPONENTS:
            some = [r for r in rows if getattr(r, by) == value and r.component == component.value]
            some = [r for r in some if r.relation != "not_comparable"]
            twins = [r for r in some if r.truth == "twin"]
            said = Counter((r.truth, r.relation in ("derived", "verbatim")) for r in some)
            yield (
                f"| {value} | {component.value} | {said['twin', True]} of {len(twins)} |"
                f" {max((r.cosine for r in twins), default=0.0):.2f} | {said['child', False]} of"
                f" {len(some) - len(twins)} |"
            )


def main() -> None:
    """Print the tables, and every pair as JSON to the error stream."""
    parser = argparse.ArgumentParser(description="Error rates of the bars out of sample")
    parser.add_argument("--lengths", type=int, nargs="+", default=[40, 120, 360])
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[384, 1024, 4096])
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rows", type=Path, default=None, help="also write every pair as JSON")
    given = parser.parse_args()
    rows: list[Said] = []
    with tempfile.TemporaryDirectory() as folder:
        for width, vocabulary, steps in product(given.widths, given.vocabularies, given.lengths):
            rows += measured(steps, vocabulary, width, Path(folder))
            if given.rows is not None:
                given.rows.write_text(json.dumps([asdict(row) for row in rows], indent=0))
    for by in ("steps", "vocabulary", "width"):
        print("\n".join(table(rows, by)), end="\n\n")


if __name__ == "__main__":
    main()
