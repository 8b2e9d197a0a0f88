"""What no table of names knows, of every model type: shares of tensors and of parameters.

    python -m tools.facts.unmapped [PATH] [--names]

PATH is a JSON object: model type to ``{"tensors": [[name, shape, count], ...]}``, one example of
each pattern of names (without it, the shipped list of `tests/checkpoint`). Three questions are
answered. Which names does no line or rule of the tables know? Those are still compared under
their own name, or at a place found by shape. Which parameters are placed, that is: have a
component and a side of the residual stream, or a name that says what they are? And which share of
a component would withhold its clearance: what has no known name and would find no partner in a
model of another family, or no slot at all?
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.roles import read_roles
from pytest_scratchverify.tensors.inventory import Inventory, is_unnamed, take_inventory
from pytest_scratchverify.tensors.matrices import OTHER, is_no_evidence
from pytest_scratchverify.tensors.structure import probable_component

SHIPPED = Path(__file__).parents[2] / "tests" / "checkpoint" / "tensor_names.json.gz"


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Shares of the tensors and of the parameters of one model type, and the names unknown.

    `unknown` have no line and no rule; `nowhere` have no slot either; `placed` is the share of
    the parameters that have a known name, or the residual stream on a side; `withheld` is, by
    component, the share that would withhold its clearance.
    """

    model_type: str
    unknown: tuple[float, float]
    nowhere: tuple[float, float]
    names: tuple[str, ...]
    placed: float = 1.0
    withheld: Mapping[str, float] = field(default_factory=dict)


def unmapped_of(model_type: str, patterns: Sequence[Sequence[Any]]) -> Unmapped:
    """Return what the inventory of one model type does not know.

    Parameters
    ----------
    patterns
        Name, shape and number of tensors of each pattern.
    """
    inventory = inventory_of((name, shape) for name, shape, _ in patterns)
    unknown = {*inventory.unmapped, *inventory.twice, *inventory.oversized}
    slotted = {matrix.info.name for matrix in inventory.matrices.values()}
    names = tuple(name for name, *_ in patterns if name in unknown)
    nowhere = [name for name in names if name not in slotted]
    lost = {*nowhere, *_named(inventory, (OTHER,)), *inventory.twice, *inventory.oversized}
    return Unmapped(
        model_type,
        _shares(patterns, names),
        _shares(patterns, nowhere),
        names,
        1 - _shares(patterns, lost)[1],
        _withheld(inventory, patterns),
    )


def _named(inventory: Inventory, marks: tuple[str, ...]) -> set[str]:
    return {m.info.name for s, m in inventory.matrices.items() if s.kind.startswith(marks)}


def _withheld(inventory: Inventory, patterns: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Return by component the share of what `methods.weights.uncompared` would miss."""
    slotted = {m.info.name: s for s, m in inventory.matrices.items()}
    roles = read_roles(name for name, *_ in patterns)
    total: dict[str, int] = {}
    missed: dict[str, int] = {}
    for name, shape, count in patterns:
        if name in roles.ignored:
            continue
        slot, role = slotted.get(name), roles.roles.get(name)
        if slot is not None:
            component = slot.component
        else:
            component = (role.component if role else probable_component(name)).value
        size = prod(shape) * count
        total[component] = total.get(component, 0) + size
        kind = slot.kind if slot is not None and len(shape) > 1 else ""
        alone = is_unnamed(kind) or is_no_evidence(kind)
        double = name in inventory.twice or name in inventory.oversized
        if alone or double or (slot is None and name in inventory.unmapped):
            missed[component] = missed.get(component, 0) + size
    return {key: missed.get(key, 0) / size for key, size in total.items()}


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


def read_patterns(path: Path = SHIPPED) -> Mapping[str, Any]:
    """Read a list of tensor names by model type, compressed or not; `_source` is left out."""
    raw = path.read_bytes()
    found: Mapping[str, Any] = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return {name: entry for name, entry in found.items() if not name.startswith("_")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a model type, the worst first, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", default=SHIPPED)
    parser.add_argument("--names", action="store_true", help="print the names too")
    chosen = parser.parse_args(arguments)
    found = [
        unmapped_of(name, entry["tensors"]) for name, entry in read_patterns(chosen.path).items()
    ]
    print(table(found, names=chosen.names))


def table(found: Sequence[Unmapped], *, names: bool = False) -> str:
    """Return a line a model type, the worst first, and the mean."""
    lines = [
        f"{'':24} {'no line, no rule':>17} {'no place at all':>18} {'':>8}  most withheld",
        f"{'model type':24} {'tensors':>8}{'params':>9} {'tensors':>9}{'params':>9}{'placed':>9}",
    ]
    for item in sorted(found, key=lambda i: (max(i.withheld.values()), i.unknown), reverse=True):
        worst = max(item.withheld, key=lambda key: item.withheld[key])
        lines.append(
            _line(item.model_type, [*item.unknown, *item.nowhere, item.placed])
            + f"  {item.withheld[worst]:.2%} of {worst}"
        )
        lines += [f"    {name}" for name in item.names if names]
    columns = zip(*((*i.unknown, *i.nowhere, i.placed) for i in found), strict=True)
    lines.append(_line(f"mean of {len(found)}", [sum(c) / len(found) for c in columns]))
    lines.append(f"known whole: {sum(not item.names for item in found)} of {len(found)}")
    return "\n".join(lines)


def _line(name: str, shares: Sequence[float]) -> str:
    return f"{name:24} " + " ".join(f"{share:8.1%}" for share in shares)


if __name__ == "__main__":
    main()
