"""Nearest-neighbour search of designs in the catalogue, by Gower distance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pytest_scratchverify.catalog.entries import Catalogue, Entry
from pytest_scratchverify.checkpoint.design import ABSENT, FIELDS, Design, FieldKind, Tower, Value
from pytest_scratchverify.stats.architecture.gower import GowerResult, gower_distance

# The public project's "5 of 5" rule (its docs/03; its wiki counts other fields).
CORE_FIELDS: Final = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
)
MINIMUM_FIELDS: Final = {Tower.TEXT: 8, Tower.VISION: 4, Tower.AUDIO: 4, Tower.PROJECTOR: 2}

_SIZES = tuple(name for name, field in FIELDS.items() if field.kind is FieldKind.SIZE)
# A family's name is a label, and head counts imply the attention kind only where they are
# stated, so the first is left out and the second kept.
_CHOICES = tuple(
    name
    for name, field in FIELDS.items()
    if field.kind is FieldKind.CHOICE and name != "model_type"
)


@dataclass(frozen=True, slots=True)
class DesignComparison:
    """One design against one catalogue entry, field by field."""

    entry: Entry
    distance: float
    result: GowerResult
    differences: Mapping[str, tuple[Value, Value]]
    core: tuple[str, ...]
    core_compared: int

    @property
    def core_equal(self) -> int:
        """Return how many of the five core fields are equal."""
        return len(self.core)


def compare(design: Design, entry: Entry) -> DesignComparison | None:
    """Compare a design with an entry's design of the same tower.

    Returns None where the entry states no such tower or too few fields in common: what cannot
    be compared has no distance.
    """
    other = entry.designs.get(design.tower)
    if other is None:
        return None
    result = gower_distance(design.fields, other.fields, _SIZES, _CHOICES, absent=ABSENT)
    if result.statistic is None or result.n < MINIMUM_FIELDS[design.tower]:
        return None
    both = [name for name in CORE_FIELDS if name in design.fields and name in other.fields]
    return DesignComparison(
        entry=entry,
        distance=result.statistic,
        result=result,
        differences={n: (design.fields[n], other.fields[n]) for n in result.differing},
        core=tuple(name for name in both if design.fields[name] == other.fields[name]),
        core_compared=len(both),
    )


def nearest(
    design: Design, catalogue: Catalogue, *, exclude: Iterable[str] = (), k: int | None = 5
) -> list[DesignComparison]:
    """Return the `k` nearest catalogue entries (all where `k` is None), nearest first.

    Entries named in `exclude` are left out; ties are broken by repository id.
    """
    hidden = {name.lower() for name in exclude}
    found = [
        comparison
        for entry in catalogue.with_tower(design.tower)
        if entry.repo.lower() not in hidden and (comparison := compare(design, entry)) is not None
    ]
    found.sort(key=lambda comparison: (comparison.distance, comparison.entry.repo))
    return found[:k]
