"""Which of two related models came first, on trained chains of descent that calibrated nothing.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.chains --into .artifacts/chains
    python -m benchmarks.direction .artifacts/chains

Prints, in Markdown: pairs of descent by what was done last, told right, wrong and left open, of a
pair alone; siblings, which have no direction; the same within whole families; Witness Overlap
(arXiv 2609.31784), re-implemented here, on the same pairs with one witness drawn at random; roots
of whole chains and of three to seven of their models; and merges. `--calibration` prints the same
of the chains that the numbers were fitted to.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.direction import OrderWeights, log_odds
from pytest_scratchverify.stats.weights.family import Family, family_of, overlap
from tools import ROOT
from tools.calibrate.direction import draws_of, earliest
from tools.zoo.chain_pairs import Chain, read_chains

KINDS = {
    "cpt_long": "continued pretraining",
    "finetune": "fine-tune",
    "lora": "LoRA",
    "merge": "merge of two",
    "prune": "pruned",
    "int8": "rounded to 8 bits",
    "int4": "rounded to 4 bits",
}
WITNESS_SEED = 7
Order = Callable[[Chain, str, str], float]  # above zero: the first came before


def tally(said: Iterable[float]) -> str:
    """Count what was said of pairs whose first came first: right, wrong, left open."""
    found = Counter("right" if s > 0 else "wrong" if s < 0 else "open" for s in said)
    n = sum(found.values())
    shares = [f"{found[name]} ({100 * found[name] / max(n, 1):.0f} %)" for name in found_order()]
    return f"{n} | " + " | ".join(shares)


def found_order() -> tuple[str, ...]:
    """Return the columns of a table of counts."""
    return "right", "wrong", "open"


def alone(weights: OrderWeights) -> Order:
    """Tell the order of a pair by itself."""

    def order(chain: Chain, one: str, other: str) -> float:
        found = chain.pairs[one, other]
        odds = log_odds(found.growths, weights, found.marks)
        return odds if abs(odds) >= weights.bar else 0.0

    return order


def within(families: Mapping[str, tuple[list[str], Family]]) -> Order:
    """Tell the order of a pair by the tree of all models of its chain."""

    def order(chain: Chain, one: str, other: str) -> float:
        names, family = families[chain.name]
        if family.root is None:
            return 0.0
        first, second = names.index(one), names.index(other)
        return float(first in family.ancestors(second)) - float(second in family.ancestors(first))

    return order


def witnessed(
    chain: Chain, weights: OrderWeights, rng: np.random.Generator, *, chosen: bool
) -> Order:
    """Tell the order by one witness: at the parent, the two differences do not overlap.

    Any model of the chain may be the witness, or, chosen by who knows the truth, one that was made
    of the first on another branch than the second; without one nothing is said.
    """
    names = list(chain.parents)
    distances, _ = chain.matrices(names, weights)

    def order(_: Chain, one: str, other: str) -> float:
        first, second = names.index(one), names.index(other)
        usable = [
            i
            for i, name in enumerate(names)
            if i not in (first, second) and (not chosen or branches_off(chain, one, other, name))
        ]
        if not usable:
            return 0.0
        witness = int(rng.choice(usable))
        at_first = abs(overlap(distances, first, second, witness))
        at_second = abs(overlap(distances, second, first, witness))
        return at_second - at_first

    return order


def branches_off(chain: Chain, one: str, other: str, name: str) -> bool:
    """Whether a model was made of the first beside all that leads to the second or from it."""
    beside = {other} | chain.ancestors(other)
    own = chain.ancestors(name) - chain.ancestors(one) - {one}
    return one in chain.ancestors(name) and name not in beside and not own & beside


def by_number(number: str, sign: float) -> Order:
    """Tell the order by one number of either model alone: the later one's is larger, or less."""

    def order(chain: Chain, one: str, other: str) -> float:
        found = chain.single[number]
        return sign * (found[other] - found[one])

    return order


NUMBERS: Mapping[str, Order] = {
    "size alone: the larger is later": by_number("size", 1.0),
    "kurtosis alone: the larger is later": by_number("kurtosis", 1.0),
    "spectral entropy alone: the smaller is later": by_number("spectral entropy", -1.0),
}


def by_kind(chains: Sequence[Chain], orders: Mapping[str, Order]) -> None:
    """Print how pairs of descent were told, by what was done to the later one last."""
    pairs = [(c, one, other) for c in chains for one, other in c.descents()]
    print("\n| of a pair of descent, the later is a | told by | pairs | right | wrong | open |")
    print("|---|---|---|---|---|---|")
    for kind, words in {**KINDS, "": "all"}.items():
        chosen = [p for p in pairs if not kind or p[0].changes[p[2]] == kind]
        for name, order in orders.items():
            print(f"| {words} | {name} | {tally(order(*pair) for pair in chosen)} |")


def siblings(chains: Sequence[Chain], orders: Mapping[str, Order]) -> None:
    """Print what was said of pairs of which neither was made of the other."""
    print("\n| siblings: one went this much further | told by | pairs |", end="")
    print(" the nearer called earlier | the farther | open |")
    print("|---|---|---|---|---|---|")
    pairs = [(c, *pair) for c in chains for pair in c.siblings()]
    for words, least, most in (("less than 3 times", 1, 3), ("3 times and more", 3, np.inf)):
        chosen = [
            (c, one, other)
            for c, one, other in pairs
            if least <= c.step((one, other), other) / max(c.step((one, other), one), 1e-12) < most
        ]
        for name, order in orders.items():
            print(f"| {words} | {name} | {tally(order(*pair) for pair in chosen)} |")


def roots(chains: Sequence[Chain], weights: OrderWeights) -> None:
    """Print how often the earliest of whole chains and of parts of them was told."""
    print("\n| the earliest of | families | right | wrong | open |")
    print("|---|---|---|---|---|")
    whole, parts, rootless = [], [], []
    for number, chain in enumerate(chains):
        for models in [list(chain.parents), *draws_of(chain, number)]:
            family = family_of(*chain.matrices(models, weights), bar=weights.root)
            true, is_root = earliest(chain, models)
            told = 0.0
            if family.root is not None:
                told = 1.0 if models[family.root] == true else -1.0
            place = parts if is_root else rootless
            (whole if len(models) == len(chain.parents) else place).append(told)
    print(f"| whole chains | {tally(whole)} |")
    print(f"| three to seven models, the root among them | {tally(parts)} |")
    print(f"| three to seven models without their root: the nearest to it | {tally(rootless)} |")


def trees(chains: Sequence[Chain], families: Mapping[str, tuple[list[str], Family]]) -> None:
    """Print parents and merges that the trees of whole chains have right."""
    print("\n| whole chain | root | models with their very parents | merges, with their parents |")
    print("|---|---|---|---|")
    for chain in chains:
        names, family = families[chain.name]
        given: dict[str, set[str]] = {name: set() for name in names}
        for edge in family.edges:
            given[names[edge.child]].add(names[edge.parent])
        right = sum(given[name] == set(chain.parents[name]) for name in names)
        truth = {n: set(p) for n, p in chain.parents.items() if chain.changes[n] == "merge"}
        found = {names[m]: {names[p] for p in ps} for m, ps in family.merges.items()}
        hits = sum(truth.get(name) == parents for name, parents in found.items())
        root = "-" if family.root is None else names[family.root]
        print(
            f"| {chain.name} | {root} | {right if family.root is not None else 0} of {len(names)}"
            f" | {hits} of {len(truth)}, {len(found) - hits} false |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calibration", action="store_true")
    given = parser.parse_args()
    numbers = WeightsThresholds.load(ROOT / "suites" / "calibration" / "weights.json")
    weights = numbers.direction
    chains = read_chains(given.folder, held_out=not given.calibration)
    families = {}
    for chain in chains:
        names = list(chain.parents)
        families[chain.name] = (
            names,
            family_of(*chain.matrices(names, weights), bar=weights.root),
        )
    rng = np.random.default_rng(WITNESS_SEED)
    drawn, chosen = (
        {chain.name: witnessed(chain, weights, rng, chosen=chosen) for chain in chains}
        for chosen in (False, True)
    )
    orders: dict[str, Order] = {
        "the pair alone": alone(weights),
        "the family": within(families),
        "Witness Overlap": lambda chain, *pair: drawn[chain.name](chain, *pair),
        "the same, witness chosen by the truth": lambda chain, *pair: chosen[chain.name](
            chain, *pair
        ),
    }
    by_kind(chains, orders | NUMBERS)
    siblings(chains, orders)
    roots(chains, weights)
    trees(chains, families)


if __name__ == "__main__":
    main()
