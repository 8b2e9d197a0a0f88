"""Statistics that were published as evidence, beside what two strangers have of them.

    python -m benchmarks.model_genome [--zoo FOLDER] [--figure docs/methods/no-evidence.svg]

Four numbers of public posts, written anew from their descriptions: the tuple of config fields, the
share of the smaller vocabulary that the other one holds, the linear CKA of the embeddings of shared
tokens ("Model Genome", August 2026) and the correlation of layer-wise standard deviations of
attention matrices (the Pangu affair, July 2025). Beside them, on the same pairs, what this project
says. Without --zoo the models that the repository holds; docs/methods/no-evidence.md shows the
families of `tools/zoo/train/families.py`, and of the repository's s0 and its descendants. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tools import ROOT
from tools.zoo.packing import read
from tools.zoo.ready_models import READY

Array = NDArray[np.float64]
FIELDS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
          "intermediate_size", "moe_intermediate_size")  # fmt: skip
ROLES = ("q", "k", "v", "o")
PUBLISHED = {  # what the posts and their answers say of real models
    "cka": {"descendant": 0.25, "strangers": 0.21},
    "spread": {"accused": 0.927, "strangers": 0.91},
}
READY_MODELS = ("s0", "s1", "t0", "moe0", "s0-finetune", "s0-cpt-long", "s0-twin")


@dataclass(frozen=True)
class Compared:
    """One pair: the published statistics, and what this project says of its decoder.

    `spread` is None where the numbers of layers differ. `truth` is "strangers", "descendant" or
    "one seed"; siblings are descendants of one base.
    """

    names: tuple[str, str]
    truth: str
    same_tuple: bool
    vocabulary: float
    cosine: float
    cka: float
    shuffled: float
    spread: float | None
    said: str
    accused: bool
    ours: float
    pvalue: float


@dataclass(frozen=True)
class Measured:
    """A model with what the four statistics read of it."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    tokens: Mapping[str, int]
    embeddings: Array
    spreads: Array


@cache
def measured(folder: Path) -> Measured:
    """Read a model's config, vocabulary, table, and the standard deviations of its attention."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tokens = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    weights = read(folder)
    layers = range(int(config["num_hidden_layers"]))
    spreads = [
        [weights[f"model.layers.{layer}.self_attn.{role}_proj.weight"].std() for layer in layers]
        for role in ROLES
    ]
    table = weights["model.embed_tokens.weight"].astype(np.float64)
    return Measured(folder.name, folder, config, tokens, table, np.array(spreads, np.float64))


def linear_cka(one: Array, two: Array) -> float:
    """Return the linear CKA of two tables of the same tokens, rows centred (Kornblith 2019)."""
    one, two = one - one.mean(0), two - two.mean(0)
    cross = np.linalg.norm(one.T @ two) ** 2
    return float(cross / (np.linalg.norm(one.T @ one) * np.linalg.norm(two.T @ two)))


def row_cosine(one: Array, two: Array) -> float:
    """Return the mean cosine of rows; 0 for tables of different widths."""
    if one.shape != two.shape:
        return 0.0
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return float(np.mean((one * two).sum(1) / np.maximum(sizes, 1e-12)))


def layer_correlation(one: Array, two: Array) -> float | None:
    """Return the mean correlation, over q, k, v and o, of standard deviations along the layers."""
    if one.shape != two.shape:
        return None
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(one, two, strict=True)]))


def same_tuple(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether the config fields that make a design are equal."""
    return all(one.get(name) == two.get(name) for name in FIELDS)


def compared(ours: Measured, theirs: Measured, truth: str, calibration: object) -> Compared:
    """Measure one pair by everybody's statistic."""
    shared = sorted(ours.tokens.keys() & theirs.tokens.keys())
    a = ours.embeddings[[ours.tokens[t] for t in shared]]
    b = theirs.embeddings[[theirs.tokens[t] for t in shared]]
    order = np.random.default_rng(3).permutation(len(shared))
    pair = Pair(ModelSpec(name=ours.name), ModelSpec(name=theirs.name))
    hypothesis = ComponentHypothesis(pair=pair, component=Component.TEXT_DECODER)
    stores = FolderStore(ours.folder), FolderStore(theirs.folder)
    found = weights_origin(hypothesis, *stores, calibration)
    said = ", ".join(found.kinds) or (found.relation or found.outcome.value).replace("_", " ")
    return Compared(
        names=(ours.name, theirs.name),
        truth=truth,
        same_tuple=same_tuple(ours.config, theirs.config),
        vocabulary=len(shared) / min(len(ours.tokens), len(theirs.tokens)),
        cosine=row_cosine(a, b),
        cka=linear_cka(a, b),
        shuffled=linear_cka(a, b[order]),
        spread=layer_correlation(ours.spreads, theirs.spreads),
        said=said if found.outcome is not Outcome.CONSISTENT else "nothing",
        accused=found.direction is Direction.TOWARD_REUSE or found.outcome is Outcome.DERIVED,
        ours=found.effect.value if found.effect and found.effect.value is not None else 0.0,
        pvalue=1.0 if found.pvalue is None else found.pvalue,
    )


def truth_of(one: str, two: str) -> str:
    """Return what two models of the zoo are to each other, by their names."""
    first, second = one.split("-"), two.split("-")
    if first[0] != second[0]:
        return "strangers"
    return "one seed" if "twin" in (*first, *second) else "descendant"


def all_pairs(folders: Sequence[Path], *, most_strangers: bool) -> list[tuple[Path, Path]]:
    """Return the pairs to measure: strangers among bases, and descendants with their base.

    With `most_strangers` descendants are measured beside all bases as well.
    """
    bases = [f for f in folders if "-" not in f.name]
    found = [*combinations(bases, 2)]
    for child in (f for f in folders if "-" in f.name):
        parents = [b for b in bases if child.name.startswith(f"{b.name}-")]
        found += [(child, b) for b in (bases if most_strangers else parents)]
    return found


def line(row: Compared) -> str:
    """Return a row of the table."""
    spread = "-" if row.spread is None else f"{row.spread:.2f}"
    p = f"{max(row.pvalue, 1e-300):.1g}"
    return (
        f"| {row.names[0]}, {row.names[1]} | {row.truth} | {'yes' if row.same_tuple else 'no'} |"
        f" {row.vocabulary:.2f} | {row.cka:.2f} | {row.cosine:.2f} | {spread} |"
        f" {row.said}, {row.ours:.2f}, p {p} |"
    )


def separation(rows: Sequence[Compared], field: str) -> str:
    """Return the ranges of a statistic among strangers and descendants, and how it tells them."""
    known = [(r, getattr(r, field)) for r in rows if getattr(r, field) is not None]
    strangers = [float(v) for r, v in known if r.truth == "strangers"]
    kin = [float(v) for r, v in known if r.truth == "descendant"]
    if not strangers or not kin:
        return "-"
    wins = np.mean([(k > s) + 0.5 * (k == s) for k in kin for s in strangers])
    above = sum(s >= min(kin) for s in strangers)
    return (
        f"{min(strangers):.2f} to {max(strangers):.2f} ({len(strangers)}) |"
        f" {min(kin):.2f} to {max(kin):.2f} ({len(kin)}) | {wins:.3f} |"
        f" {above} of {len(strangers)}"
    )


NAMES = {
    "same_tuple": "config tuple equal (1) or not (0)",
    "vocabulary": "shared vocabulary over the smaller",
    "cka": "linear CKA of shared rows",
    "shuffled": "the same, tokens shuffled",
    "spread": "correlation of layer-wise standard deviations",
    "cosine": "cosine of shared rows, which the post rejects",
    "ours": "this project, cosine after alignment",
}


def report(rows: Sequence[Compared]) -> None:
    """Print every pair, then the ranges."""
    print("| pair | truth | tuple equal | vocabulary | CKA | row cosine | layers | this project |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(line(row))
    print("\n| statistic | strangers | base and descendant | AUC | strangers not below the |")
    print("| | | | | least descendant |")
    for field, name in NAMES.items():
        print(f"| {name} | {separation(rows, field)} |")
    strangers = [r for r in rows if r.truth == "strangers"]
    accused = [r.names for r in strangers if r.accused]
    apart = sum(r.said == "not comparable" for r in strangers)
    print(
        f"\nThis project accuses or suspects {len(accused)} of {len(strangers)} strangers; of"
        f" {apart} it says that their decoders are not comparable."
    )


WORDS = {
    "en": ("strangers", "descendants", "published of real models",
           {"vocabulary": "shared vocabulary", "cka": "CKA of embeddings",
            "spread": "layer-wise\nstandard deviations", "ours": "this project:\naligned cosine"}),
    "ko": ("남남", "파생", "실제 모델에 대해 발표된 값",
           {"vocabulary": "공유 어휘", "cka": "임베딩 CKA",
            "spread": "층별 표준편차", "ours": "이 프로젝트:\n정렬한 코사인"}),
}  # fmt: skip


def draw(rows: Sequence[Compared], figure: Path, language: str) -> None:
    """Draw strangers and descendants by four statistics, a dot a pair."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "no-evidence", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt  # noqa: PLC0415

    strangers, kin, published, titles = WORDS[language]
    drawing, panels = plt.subplots(1, len(titles), figsize=(9, 3.4), sharey=True)
    rng = np.random.default_rng(1)
    for axes, (field, title) in zip(panels, titles.items(), strict=True):
        for place, truth, colour in ((0, "strangers", "#b5442e"), (1, "descendant", "#2f6f8f")):
            values = [getattr(r, field) for r in rows if r.truth == truth]
            values = [v for v in values if v is not None]
            across = place + rng.uniform(-0.22, 0.22, len(values))
            axes.plot(across, values, ".", color=colour, markersize=4, alpha=0.7)
        for value in PUBLISHED.get(field, {}).values():
            axes.axhline(value, color="grey", linewidth=0.8, linestyle=":", label=published)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([0, 1], [strangers, kin], fontsize=8)
        axes.set(xlim=(-0.5, 1.5), ylim=(-1.05, 1.05))
    handles, labels = panels[1].get_legend_handles_labels()
    drawing.legend(handles[:1], labels[:1], loc="lower center", fontsize=8, frameon=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font without Hangul here; readers have one
        drawing.tight_layout(rect=(0, 0.06, 1, 1))
        drawing.savefig(figure, metadata={"Date": None})
    plt.close(drawing)


def measure(folders: Iterable[Path], *, most_strangers: bool) -> list[Compared]:
    """Measure all pairs of some folders."""
    path = ROOT / "suites" / "calibration" / "weights.json"
    calibration = json.loads(path.read_text("utf-8"))
    pairs = all_pairs(sorted(folders, key=lambda f: f.name), most_strangers=most_strangers)
    return [
        compared(measured(a), measured(b), truth_of(a.name, b.name), calibration) for a, b in pairs
    ]


def main() -> None:
    """Print the tables, and draw the figure in both languages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, help="a folder of more models")
    parser.add_argument("--figure", type=Path, help="SVG; NAME.ko.svg is written beside it")
    given = parser.parse_args()
    ready = [READY / name for name in READY_MODELS if given.zoo is None or name.startswith("s0")]
    rows = measure(ready, most_strangers=given.zoo is None)
    if given.zoo is not None:
        families = [path.parent for path in given.zoo.glob("*/config.json")]
        rows += measure(families, most_strangers=False)
    report(rows)
    if given.figure is not None:
        draw(rows, given.figure, "en")
        draw(rows, given.figure.with_suffix(".ko.svg"), "ko")


if __name__ == "__main__":
    main()
