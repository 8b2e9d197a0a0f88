"""Share of tensors, per model type, that no table of names knows, and that have no place at all.

    python -m tools.facts.unmapped PATH [--names]

PATH is a JSON object: model type to ``{"tensors": [[name, shape, count], ...]}``, one example of
each pattern of names. What no table knows is still compared, under its own name or at a place
found by its shape; what has no place is compared with nothing. Vectors count as tensors, so that
scales and gains of unknown names are seen, and hardly as parameters.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.tensors.inventory import Inventory, take_inventory


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Shares of the tensors and of the parameters of one model type, and the names unknown."""

    model_type: str
    unknown: tuple[float, float]
    nowhere: tuple[float, float]
    names: tuple[str, ...]


def unmapped_of(model_type: str, patterns: Sequence[Sequence[Any]]) -> Unmapped:
    """Return what the inventory of one model type does not know.

    Parameters
    ----------
    patterns
        Name, shape and number of tensors of each pattern.
    """
    inventory = inventory_of((name, shape) for name, shape, _ in patterns)
    unknown = {*inventory.unmapped, *inventory.twice}
    slotted = {matrix.info.name for matrix in inventory.matrices.values()}
    names = tuple(name for name, *_ in patterns if name in unknown)
    nowhere = [name for name in names if name not in slotted]
    return Unmapped(model_type, _shares(patterns, names), _shares(patterns, nowhere), names)


def _shares(patterns: Sequence[Sequence[Any]], names: Collection[str]) -> tuple[float, float]:
    found = []
    for sizes in ([c for *_, c in patterns], [prod(s) * c for _, s, c in patterns]):
        held = [x for x, (name, *_) in zip(sizes, patterns, strict=True) if name in names]
        found.append(sum(held) / sum(sizes))
    return found[0], found[1]


def inventory_of(tensors: Iterable[tuple[str, Sequence[int]]]) -> Inventory:
    """Take the inventory of a checkpoint of BF16 tensors of these names and shapes."""
    found, start = {}, 0
    for name, shape in tensors:
        size = 2 * prod(shape)
        found[name] = TensorInfo(name, "BF16", tuple(shape), start, start + size, "model")
        start += size
    return take_inventory(TensorIndex(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a model type, the worst first, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--names", action="store_true", help="print the names too")
    chosen = parser.parse_args(arguments)
    types: Mapping[str, Any] = json.loads(chosen.path.read_text())
    found = [unmapped_of(name, entry["tensors"]) for name, entry in types.items()]
    print(f"{'':24} {'no line of a table':>18} {'no place at all':>18}")
    print(f"{'model type':24} {'tensors':>9}{'params':>9} {'tensors':>9}{'params':>9}")
    for item in sorted(found, key=lambda item: item.unknown, reverse=True):
        print(_line(item.model_type, [*item.unknown, *item.nowhere]))
        for name in item.names if chosen.names else ():
            print(f"    {name}")
    columns = zip(*((*i.unknown, *i.nowhere) for i in found), strict=True)
    print(_line(f"mean of {len(found)}", [sum(column) / len(found) for column in columns]))
    print(f"known whole: {sum(not item.names for item in found)} of {len(found)}")


def _line(name: str, shares: Sequence[float]) -> str:
    return f"{name:24} " + " ".join(f"{share:8.1%}" for share in shares)


if __name__ == "__main__":
    main()
