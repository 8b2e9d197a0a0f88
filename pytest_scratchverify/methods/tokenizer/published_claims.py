"""Published claims about models' tokenizers, as their sources state them.

Shipped facts of catalog/tokenizers/published.json; `published_figures` judges what they support.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parents[2] / "catalog" / "tokenizers" / "published.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigures:
    """One published comparison; what was not stated is None.

    `measured_on` is the model whose tokenizer was measured, where the publisher says that it
    was another one. `shared` counts tokens, `target_size` and `reference_size` are the sizes
    the publisher used, `stated_share` the percentage as a share.
    """

    source: str
    reference: str | None = None
    measured_on: str | None = None
    config_rows: int | None = None
    tokenizer_rows: int | None = None
    highest_id_in_use: int | None = None
    other_sizes: tuple[int, ...] = ()
    shared: int | None = None
    target_size: int | None = None
    reference_size: int | None = None
    stated_share: float | None = None
    positional_merge_match: float | None = None
    kendall: float | None = None
    kendall_tokens: int | None = None


def published_for(repo: str) -> tuple[PublishedFigures, ...]:
    """Return all published comparisons of a repository; none for an unknown one."""
    return tuple(_from_json(entry) for entry in _shipped().get(repo, ()))


def repositories() -> tuple[str, ...]:
    """Return the repositories with published figures."""
    return tuple(sorted(_shipped()))


@cache
def _shipped() -> Mapping[str, list[Mapping[str, Any]]]:
    data: dict[str, list[Mapping[str, Any]]] = json.loads(SHIPPED.read_text("utf-8"))["models"]
    return data


def _from_json(entry: Mapping[str, Any]) -> PublishedFigures:
    return PublishedFigures(**{**entry, "other_sizes": tuple(entry.get("other_sizes", ()))})
