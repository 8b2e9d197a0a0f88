"""Refresh and extend the catalogue from the hub: all models of catalogue and matrix at once.

What was read at a commit that is still the branch's is not fetched again, and every model is
written as soon as it is read: whoever is stopped in between goes on where it ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.core.errors import ScratchError, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.matrix_file import read_matrix
from pytest_scratchverify.core.untrusted import reading
from pytest_scratchverify.plugin.selection import is_repository
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.store import ArtifactStore

SHOWN = 8  # changed fields that a line names


class Change(StrEnum):
    """What became of one repository."""

    NEW = "new"
    CHANGED = "changed"
    CONFIRMED = "confirmed"  # read for the first time, and as the catalogue had it
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """One repository: what changed, in words, and its entry where there is a new one."""

    repo: str
    change: Change
    said: str = ""
    entry: Mapping[str, Json] | None = None
    vocabulary: str = ""

    @property
    def line(self) -> str:
        """Return the line of the report."""
        said = "; ".join(part for part in (self.said, self.vocabulary) if part)
        return f"{self.change:<9} {self.repo}{f': {said}' if said else ''}"


@dataclass
class CatalogueUpdate:
    """An update of one file of entries, and of one folder of sketches where one is given."""

    target: Path
    sketches: Path | None = None
    done: list[Updated] = field(default_factory=list)

    def __post_init__(self) -> None:
        from pytest_scratchverify.cli.catalog import read_entries  # noqa: PLC0415 - as below

        self.entries = read_entries(self.target)

    def run(self, repos: Sequence[str], jobs: int) -> Iterator[Updated]:
        """Read all repositories, and yield what became of each as soon as it is written."""
        from pytest_scratchverify.cli.catalog import write  # noqa: PLC0415 - it calls this module

        pool = ThreadPoolExecutor(jobs)
        try:
            started: list[Future[Updated]] = [pool.submit(self._updated, repo) for repo in repos]
            for future in as_completed(started):
                one = future.result()
                if one.entry is not None:
                    self.entries[one.repo] = dict(one.entry)
                    write(self.target, self.entries)
                self.done.append(one)
                yield one
        finally:
            pool.shutdown(cancel_futures=True)

    def report(self) -> str:
        """Return the report of what changed, as Markdown, sorted by kind of change."""
        lines = ["# Catalogue update", ""]
        for change in Change:
            of = sorted((u for u in self.done if u.change is change), key=lambda u: u.repo)
            if of:
                lines += [f"## {change} ({len(of)})", "", *(f"- {u.line}" for u in of), ""]
        return "\n".join(lines)

    def _updated(self, repo: str) -> Updated:
        from pytest_scratchverify.cli.catalog import entry  # noqa: PLC0415

        try:
            with tempfile.TemporaryDirectory() as scratch, reading(repo):
                store = open_store(repo, run_dir=RunDirectory(Path(scratch)))
                known = self.entries.get(repo)
                commit = store.revision or "unknown"
                fresh = known is None or not _is_of(known, commit)
                vocabulary = self._sketch(store, repo, commit)
                if not fresh:
                    return Updated(repo=repo, change=Change.UNCHANGED, vocabulary=vocabulary)
                made = entry(_config_on_the_hub(store), repo, commit)
        except (Unavailable, ScratchError) as failure:
            return Updated(repo=repo, change=Change.FAILED, said=str(failure))
        change, said = _difference(_before(repo, known), made["config"])
        return Updated(repo=repo, change=change, said=said, entry=made, vocabulary=vocabulary)

    def _sketch(self, store: ArtifactStore, repo: str, commit: str) -> str:
        """Sketch the repository's tokenizer where sketches are wanted; say what was done."""
        if self.sketches is None:
            return ""
        from pytest_scratchverify.tokenizer.open import fullest_file  # noqa: PLC0415 - numpy
        from pytest_scratchverify.tokenizer.sketch import (  # noqa: PLC0415
            LOCK,
            add_sketch,
            load_sketches,
        )

        with LOCK:
            known = load_sketches(self.sketches) if _has_index(self.sketches) else ()
        if any(source.startswith(f"hub {repo} ") and source.endswith(f"@{commit}")
               for sketch in known for source in sketch.sources):  # fmt: skip
            return ""
        try:
            file = fullest_file(store.tokenizer_files())
        except Unavailable as failure:
            return f"no tokenizer: {failure.what}"
        if file is None or file.record.source is not Source.HUB:
            return "no tokenizer file on the hub"
        source = f"hub {repo} {file.value.name} @{commit}"
        name = _short(repo)
        with LOCK:
            if _has_index(self.sketches) and name in {s.name for s in load_sketches(self.sketches)}:
                name = f"{name}-{commit[:7]}"  # the file of that name is another vocabulary's
            made = add_sketch(file.value, name, folder=self.sketches, repos=(repo,), source=source)
        return f"tokenizer sketched as {made.name}"


def _config_on_the_hub(store: ArtifactStore) -> dict[str, Json]:
    config = store.config()
    if config.record.source is not Source.HUB:
        raise ScratchError(f"not read from the hub but from {config.record.source.value}")
    return config.value


def repositories(matrix: Path, named: Sequence[str]) -> list[str]:
    """Return the repositories that an update asks for: those named, or catalogue and matrix."""
    if named:
        return list(dict.fromkeys(named))
    lines = read_matrix(matrix)
    listed = [*lines.models, *lines.default_against, *shipped_catalogue()]
    return list(dict.fromkeys(name for name in listed if is_repository(name)))


def _has_index(folder: Path) -> bool:
    return (folder / "index.json").is_file()


def _is_of(known: Mapping[str, Any], commit: str) -> bool:
    return any(source.endswith(f"@{commit}") for source in known.get("sources", ()))


def _before(repo: str, known: Mapping[str, Any] | None) -> Mapping[str, Json] | None:
    """Return the config that the catalogue had: what was read before, or what was published."""
    if known is not None:
        config: Mapping[str, Json] = known["config"]
        return config
    shipped = shipped_catalogue().get(repo)
    return shipped.config if shipped is not None and shipped.config else None


def _difference(before: Mapping[str, Json] | None, after: Any) -> tuple[Change, str]:
    """Say which fields of a config changed; fields that are new are counted only."""
    if before is None:
        return Change.NEW, f"{len(after)} fields"
    changed = [key for key in before if key in after and before[key] != after[key]]
    gone = [key for key in before if key not in after]
    added = sum(key not in before for key in after)
    parts = [f"{key} {before[key]} -> {after[key]}" for key in changed[:SHOWN]]
    parts += [f"and {len(changed) - SHOWN} more fields"] if len(changed) > SHOWN else []
    parts += [f"{len(gone)} fields are not in it ({', '.join(gone[:SHOWN])})"] if gone else []
    parts += [f"{added} fields added"] if added else []
    return (Change.CHANGED if changed or gone else Change.CONFIRMED), "; ".join(parts)


def _short(repo: str) -> str:
    name = repo.rpartition("/")[2].lower()
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in name)
