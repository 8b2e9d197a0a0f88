"""The published figures of the LayerNorm episode, as facts with sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOLAR, GLM = "Solar-Open-100B", "GLM-4.5-Air"


@dataclass(frozen=True, slots=True)
class Series:
    """One published metric of one tensor of one pair, by layer.

    `suspect` series contradict the raw data of their own repository and are kept to show
    that; they are never expected values.
    """

    pair: tuple[str, str]
    tensor: str
    metric: str
    source: str
    truth: str
    suspect: bool
    values: Mapping[str, float]

    def by_layer(self) -> dict[int, float]:
        """Return the values of numbered layers, in order."""
        numbered = {int(layer): v for layer, v in self.values.items() if layer.isdigit()}
        return {layer: numbered[layer] for layer in sorted(numbered)}


@cache
def published_series() -> tuple[Series, ...]:
    """Return every published series."""
    path = Path(__file__).parent / "data" / "layernorm_published.json"
    data = json.loads(path.read_text("utf-8"))
    return tuple(
        Series(
            pair=(row["pair"][0], row["pair"][1]),
            tensor=row["tensor"],
            metric=row["metric"],
            source=data["sources"][row["source"]],
            truth=row["truth"],
            suspect=row["suspect"],
            values=row["values"],
        )
        for row in data["series"]
    )


def series_of(pair: tuple[str, str], tensor: str, metric: str) -> Series:
    """Return the longest series of a pair that is not suspect. Raises `LookupError`."""
    found = [
        s
        for s in published_series()
        if (s.pair, s.tensor, s.metric) == (pair, tensor, metric) and not s.suspect
    ]
    if not found:
        raise LookupError(f"nothing published: {pair} {tensor} {metric}")
    return max(found, key=lambda s: len(s.by_layer()))
