"""Reference facts that ship with the package, each with its sources and its status.

An entry is what somebody published about a checkpoint, not the checkpoint. Statuses, from
most to least direct: ``hub`` (config.json read from the hub at a commit), ``hub-page`` (its
full text read from a copy of the page), ``package`` (a package that carries checkpoint
configurations), ``published`` (sources that agree), ``class-default`` (defaults of a class
that is made for that checkpoint), ``unverified``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pytest_scratchverify.checkpoint.design import Design, Tower, read_designs
from pytest_scratchverify.core.json_values import Json

DATA = Path(__file__).parent / "data"
# Later files override earlier ones: what was read first-hand beats what was published.
DATA_FILES = (
    "litgpt.json",
    "class_defaults.json",
    "published.json",
    "published_2026.json",  # kept by hand: models released after the facts were collected
    "hub.json",
)


@dataclass(frozen=True)
class Entry:
    """One reference model: its config facts, where they come from, how far to trust them."""

    repo: str
    status: str
    sources: tuple[str, ...]
    config: Mapping[str, Json]
    verification: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)

    @cached_property
    def designs(self) -> Mapping[Tower, Design]:
        """Return the designs of the entry's towers."""
        return read_designs(self.config)

    @property
    def developer(self) -> str:
        """Return the organisation part of the repository id."""
        return self.repo.split("/", 1)[0]


class Catalogue(Mapping[str, Entry]):
    """All shipped entries by repository id, matched without regard to case."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)
        self._folded = {repo.lower(): repo for repo in self._entries}

    def __getitem__(self, repo: str) -> Entry:
        return self._entries[self._folded[repo.lower()]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, repo: object) -> bool:
        return isinstance(repo, str) and repo.lower() in self._folded

    def with_tower(self, tower: Tower) -> list[Entry]:
        """Return the entries that state a design for `tower`."""
        return [entry for entry in self.values() if tower in entry.designs]


@cache
def shipped_catalogue() -> Catalogue:
    """Return the catalogue that ships with the package."""
    return Catalogue(read_entries(DATA))


def read_entries(folder: Path) -> dict[str, Entry]:
    """Read a folder of catalogue data files."""
    entries: dict[str, Entry] = {}
    for name in DATA_FILES:
        path = folder / name
        if path.exists():
            for repo, raw in json.loads(path.read_text("utf-8")).items():
                entries[repo] = _merged(repo, raw, entries.get(repo))
    return entries


def _merged(repo: str, raw: Mapping[str, Any], earlier: Entry | None) -> Entry:
    known = {"status", "sources", "config", "verification"}
    facts = {key: value for key, value in raw.items() if key not in known}
    sources = tuple(raw["sources"])
    config = raw["config"]
    if earlier is not None:
        sources = (*sources, *(text for text in earlier.sources if text not in sources))
        facts = {**earlier.facts, **facts}
        config = config or earlier.config
    return Entry(
        repo=repo,
        status=raw["status"],
        sources=sources,
        config=config,
        verification=raw.get("verification", ""),
        facts=facts,
    )
