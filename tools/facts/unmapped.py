"""Share of tensors, per model type, to which the tables and rules of names give no role.

    python -m tools.facts.unmapped tensor_names.json [--names]

PATH is a JSON object: model type to ``{"tensors": [[name, shape, count], ...]}``, one example of
each pattern of names. What is counted is parameters of matrices and tensors, for both are what a
clearance can be withheld for.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.tensors.inventory import Inventory, take_inventory


@dataclass(frozen=True, slots=True)
class Unmapped:
    """What has no role of one model type: the share of tensors, of parameters, and names."""

    model_type: str
    tensors: float
    parameters: float
    names: tuple[str, ...]


def unmapped_of(model_type: str, patterns: Sequence[Sequence[Any]]) -> Unmapped:
    """Return what the inventory of one model type cannot place.

    Parameters
    ----------
    patterns
        Name, shape and number of tensors of each pattern.
    """
    inventory = inventory_of((name, shape) for name, shape, _ in patterns)
    lost = {*inventory.unmapped, *inventory.twice}
    missed = [(n, prod(s), c) for n, s, c in patterns if n in lost]
    everything = [(prod(s), c) for _, s, c in patterns]
    return Unmapped(
        model_type,
        sum(c for *_, c in missed) / sum(c for _, c in everything),
        sum(size * c for _, size, c in missed) / sum(size * c for size, c in everything),
        tuple(n for n, *_ in missed),
    )


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
    for item in sorted(found, key=lambda item: -item.tensors):
        print(f"{item.model_type:24} {item.tensors:7.1%} {item.parameters:7.1%}")
        for name in item.names if chosen.names else ():
            print(f"    {name}")
    count = len(found)
    whole = sum(not item.names for item in found)
    print(
        f"{'mean of ' + str(count):24} {sum(i.tensors for i in found) / count:7.1%}"
        f" {sum(i.parameters for i in found) / count:7.1%}   placed whole: {whole}"
    )


if __name__ == "__main__":
    main()
