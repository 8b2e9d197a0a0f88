"""A reference library: a folder of fingerprints, and the index that says whose they are.

``library.json`` names every model with the file that answers for it, its commit, size and sha256,
or the reason why there is none. `cli.library` builds it, a model at a time; whoever is killed in
between finds all finished ones again. A fingerprint that was put there by hand is taken too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.json_values import Json, load_bounded
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, printable, reading
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.atomic import write_atomically
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fingerprint import SUFFIX, FingerprintStore

SCHEMA = "scratchverify/library/1"
INDEX = "library.json"
MAX_INDEX = 16 * 2**20
MAX_ITEMS = 200_000
MAX_ENTRIES = 10_000
MAX_NAME = 300
MAX_FILE = 255  # bytes of a file's name, as file systems take them


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryEntry:
    """A model of a library: the file that answers for it, or why there is none.

    `size` and `sha256` are the file's as it was made; a file that was put into the folder by hand
    has neither. `reason` and `failure` are of the last try to make it.
    """

    model: str
    path: Path
    revision: str | None = None
    depth: str = ""
    size: int | None = None
    sha256: str | None = None
    reason: Reason | None = None
    failure: str | None = None

    @property
    def is_made(self) -> bool:
        """Whether a file was made, whatever became of it since."""
        return self.sha256 is not None

    def is_sound(self) -> bool:
        """Whether the file is the one that was made: by its size, then by its digest."""
        try:
            return self.path.stat().st_size == self.size and _sha256(self.path) == self.sha256
        except OSError:
            return False


def file_name(model: str, revision: str | None = None) -> str:
    """Return the name of a model's fingerprint in a library: readable, and one for each model."""
    asked = f"{model}@{revision}" if revision else model
    clean = re.sub(r"[^A-Za-z0-9_.+-]", "-", asked.strip("./").replace("/", "--"))[-120:]
    digest = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{clean.lstrip('.-') or 'model'}-{digest}{SUFFIX}"


def made_entry(model: str, path: Path, revision: str | None, depth: str) -> LibraryEntry:
    """Return the entry of a fingerprint that was just made."""
    size, digest = path.stat().st_size, _sha256(path)
    return LibraryEntry(
        model=model, path=path, revision=revision, depth=depth, size=size, sha256=digest
    )


def read_library(folder: Path) -> dict[str, LibraryEntry]:
    """Return the entries of a library by model, those of its index first.

    Raises `ScratchError` where there is no such folder, nothing in it, or a damaged index.
    """
    if not folder.is_dir():
        raise ScratchError(f"library {folder}: there is no such folder")
    entries = read_index(folder)
    listed = {entry.path.name for entry in entries.values()}
    strays = (path for path in sorted(folder.glob(f"*{SUFFIX}")) if path.name not in listed)
    for stray in map(_stray, strays):
        known = entries.get(stray.model)
        taken = known is not None and known.failure is None
        name = f"{stray.model} ({stray.path.stem})" if taken else stray.model
        entries[name] = replace(stray, model=name)
        if len(entries) > MAX_ENTRIES:
            raise ScratchError(f"library {folder}: more than {MAX_ENTRIES} fingerprints")
    if not entries:
        raise ScratchError(f"library {folder}: no fingerprint and no {INDEX} in it")
    return entries


def read_index(folder: Path) -> dict[str, LibraryEntry]:
    """Return what a library's index lists; nothing where there is no index."""
    path = folder / INDEX
    if not path.exists():
        return {}
    try:
        with open_regular(path) as stream:
            raw = stream.read(MAX_INDEX + 1)
        if len(raw) > MAX_INDEX:
            raise ValueError(f"larger than {MAX_INDEX} bytes")  # noqa: TRY301 - said below
        document = load_bounded(raw, MAX_ITEMS)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")  # noqa: TRY301
        rows = document.get("models")
        if not isinstance(rows, dict) or len(rows) > MAX_ENTRIES:
            raise ValueError("its list of models is not one")  # noqa: TRY301
        return {name: _entry(folder, name, row) for name, row in rows.items()}
    except (OSError, ValueError, RecursionError) as error:
        raise ScratchError(f"library {path}: {printable(str(error))[:200]}") from error


def write_index(folder: Path, entries: Iterable[LibraryEntry]) -> None:
    """Write a library's index, whole or not at all, sorted by model."""
    rows = {entry.model: _row(entry) for entry in sorted(entries, key=lambda e: e.model)}
    document = {"schema": SCHEMA, "models": rows}
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True)
    body = f"{text}\n".encode("utf-8", "backslashreplace")
    write_atomically(folder / INDEX, body, shared=True)


def open_entry(
    entry: LibraryEntry, *, run_dir: RunDirectory, budget: ByteBudget | None = None
) -> FingerprintStore:
    """Open the fingerprint of an entry.

    Raises `Unavailable` where there is none, or where it is not the file that was made.
    """
    again = Text("Run `scratchverify fingerprint` on the library again: it makes what is missing.")
    if not entry.path.is_file():
        why = entry.failure or Text("the file is gone")
        raise Unavailable(
            entry.reason or Reason.ABSENT,
            Text("The library has no fingerprint of {repo}: {why}", repo=entry.model, why=why),
            again,
        )
    if entry.is_made and not entry.is_sound():
        raise Unavailable(
            Reason.MISMATCH,
            Text(
                "{file}, the library's fingerprint of {repo}, is not the file that was made: size"
                " or sha256 differ.",
                file=entry.path.name,
                repo=entry.model,
            ),
            again,
        )
    with reading(entry.path.name, entry.model):
        return FingerprintStore(entry.path, run=run_dir, budget=budget)


def _stray(path: Path) -> LibraryEntry:
    """Return the entry of a fingerprint that no index lists: it says itself whose it is."""
    try:
        with reading(path.name):
            model, revision, depth = FingerprintStore.described(path)
    except Unavailable:  # said when it is opened
        return LibraryEntry(model=printable(path.stem)[:MAX_NAME], path=path)
    return LibraryEntry(model=model[:MAX_NAME], path=path, revision=revision, depth=depth)


def _entry(folder: Path, name: str, row: Any) -> LibraryEntry:
    if not isinstance(row, dict) or not 0 < len(name) <= MAX_NAME:
        raise ValueError("an entry is not one")
    file = row.get("file")
    if not isinstance(file, str) or Path(file).name != file or not file.endswith(SUFFIX):
        raise ValueError(f"the file of {name} is no name of a fingerprint")
    if (
        not file.isprintable() or len(file.encode()) > MAX_FILE
    ):  # asking a file system for more is an error of its own
        raise ValueError(f"the file of {name} has a name that no file system takes")
    texts = [row.get(key) for key in ("revision", "sha256", "failure")]
    size = row.get("size")
    if not all(isinstance(t, str | None) for t in texts) or not isinstance(size, int | None):
        raise ValueError(f"the entry of {name} is not one")
    reason = row.get("reason")
    return LibraryEntry(
        model=name,
        path=folder / file,
        revision=texts[0],
        depth=str(row.get("depth") or "")[:20],
        size=size,
        sha256=texts[1],
        reason=None if reason is None else Reason(reason),
        failure=texts[2],
    )


def _row(entry: LibraryEntry) -> dict[str, Json]:
    row: dict[str, Json] = {
        "file": entry.path.name,
        "revision": entry.revision,
        "depth": entry.depth,
        "size": entry.size,
        "sha256": entry.sha256,
        "reason": None if entry.reason is None else entry.reason.value,
        "failure": entry.failure,
    }
    return {key: value for key, value in row.items() if value not in (None, "")}


def _sha256(path: Path) -> str:
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
