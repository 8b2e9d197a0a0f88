"""Fingerprint files: the byte ranges that comparisons read of a model, without the original.

A zip archive: ``fingerprint.json`` (whose, which commit, the listing of its files, which bytes
of which file are kept), the small files whole, and the kept ranges. As the places that are read
depend on roles and shapes and never on the model, a fingerprint made today answers the
comparisons of tomorrow: against models that do not exist yet, by people who cannot reach the
original. `methods.weights.fingerprint` makes them; a path ending in ``.fingerprint`` opens them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.json_values import load_bounded
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.bounds import MAX_FILE_BYTES, MAX_FILES, is_safe_name, malformed
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.atomic import write_atomically
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, Confirmation, FileEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".fingerprint"
SCHEMA = "scratchverify/fingerprint/1"
CONTENTS = "fingerprint.json"
MAX_CONTENTS = 32 * 2**20
MAX_ITEMS = 1_000_000  # values of its JSON: three for each file and part
MAX_DIRECTORY = 16 * 2**20  # of the archive: 46 bytes a member at least, and each costs memory
LARGEST_PART = 256 * 2**20
EPOCH = (2026, 1, 1, 0, 0, 0)  # zip wants a time, and equal models make equal bytes


@dataclass(slots=True)
class FingerprintContents:
    """The listing, the whole files and the byte ranges that a fingerprint is made of."""

    model: str
    revision: str | None
    depth: str
    listing: tuple[FileEntry, ...]
    whole: dict[str, bytes] = field(default_factory=dict)
    parts: list[tuple[str, ByteRange, bytes]] = field(default_factory=list)


def write_fingerprint(path: Path, contents: FingerprintContents) -> None:
    """Write a fingerprint, whole or not at all; the same content gives the same bytes."""
    parts = sorted(contents.parts, key=lambda part: (part[0], part[1]))
    index = {
        "schema": SCHEMA,
        "model": contents.model,
        "revision": contents.revision,
        "depth": contents.depth,
        "files": [
            {"path": entry.path, "size": entry.size, "sha256": entry.sha256}
            for entry in contents.listing
        ],
        "parts": [[file, span.start, span.stop] for file, span, _ in parts],
    }
    members = {CONTENTS: json.dumps(index, ensure_ascii=False).encode()}
    members |= {f"files/{name}": body for name, body in sorted(contents.whole.items())}
    members |= {f"parts/{number}": body for number, (_, _, body) in enumerate(parts)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), body, zipfile.ZIP_DEFLATED)
    write_atomically(path, packed.getvalue(), shared=True)


class FingerprintStore(BaseStore):
    """The artifacts of a model as far as its fingerprint keeps them."""

    def __init__(self, path: Path, *, run: RunDirectory, budget: ByteBudget | None = None) -> None:
        self._archive = path
        contents = self._contents(path)
        super().__init__(
            str(contents.get("model") or path.stem),
            contents.get("revision"),
            Source.FINGERPRINT,
            budget=budget or ByteBudget(),
            note=Text("from a fingerprint of depth {depth}", depth=str(contents.get("depth"))),
        )
        self._files = _listing(contents, path)
        self._parts = _parts(contents, path)
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
        self._folder = run.path / "fingerprints" / key

    @classmethod
    def described(cls, path: Path) -> tuple[str, str | None, str]:
        """Return what a fingerprint says of itself: model, revision, depth."""
        contents = cls._contents(path)
        model = str(contents.get("model") or path.stem)
        return model, contents.get("revision"), str(contents.get("depth"))

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:
        """Whether all of `spans` are kept of a file."""
        have = self._parts.get(file, {})
        return all(any(kept.holds(span) for kept in have) for span in spans)

    def confirm(
        self,
        file: str,
        seen: Mapping[ByteRange, bytes],  # noqa: ARG002
        further: Sequence[ByteRange] = (),
    ) -> Artifact[Confirmation]:
        """Give further ranges only: what a fingerprint keeps cannot be read again.

        It was read under the same checks when it was made, and holds no whole file of weights.
        An identity with it is sustained if digests are equal, or if it tells the files apart.
        """
        read = self.read_ranges(file, further)
        return Artifact(Confirmation(whole=False, further=read.value), read.record)

    def _entries(self) -> tuple[FileEntry, ...]:
        return self._files

    def _fetch(self, name: str) -> Path:
        place = self._folder / name
        if not place.exists():
            write_atomically(place, self._member(f"files/{name}", name))
        return place

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        have = self._parts.get(name, {})
        wanted_of: dict[ByteRange, list[ByteRange]] = {}
        for wanted in ranges:
            kept = next((span for span in have if span.holds(wanted)), None)
            if kept is None:
                raise self._missing(name)
            wanted_of.setdefault(kept, []).append(wanted)
        found: dict[ByteRange, bytes] = {}
        with _opened(self._archive) as archive:
            for kept, inside in wanted_of.items():  # one part in memory at a time
                body = self._unpacked(archive, f"parts/{have[kept]}", name, len(kept))
                if len(body) != len(kept):
                    raise malformed(self.repo, self._archive.name, f"part of {name} is cut short")
                for span in inside:
                    found[span] = body[span.start - kept.start : span.stop - kept.start]
        return [found[wanted] for wanted in ranges]

    def _missing(self, name: str) -> Unavailable:
        return Unavailable(
            Reason.ABSENT,
            Text("The fingerprint {path} does not hold this part of {file}.",
                 path=self._archive.name, file=name),
            Text("Compare at the depth of the fingerprint, or make a deeper one."),
        )  # fmt: skip

    def _member(self, member: str, name: str) -> bytes:
        with _opened(self._archive) as archive:
            return self._unpacked(archive, member, name, MAX_FILE_BYTES)

    def _unpacked(self, archive: zipfile.ZipFile, member: str, name: str, limit: int) -> bytes:
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise self._missing(name) from None
        return _bounded(archive, info, limit, self._archive)

    @staticmethod
    def _contents(path: Path) -> dict[str, Any]:
        with _opened(path) as archive:
            try:
                info = archive.getinfo(CONTENTS)
                found = load_bounded(_bounded(archive, info, MAX_CONTENTS, path), MAX_ITEMS)
            except (KeyError, ValueError, RecursionError) as error:
                raise malformed(path.as_posix(), CONTENTS, type(error).__name__) from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise malformed(path.as_posix(), CONTENTS, f"its schema is not {SCHEMA}")
        if not isinstance(found.get("revision"), str | None):
            raise malformed(path.as_posix(), CONTENTS, "its revision is no name")
        return found


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with open_regular(path) as stream:
            _refuse_large_directory(stream, path)
            with zipfile.ZipFile(stream) as archive:
                yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
        raise malformed(path.as_posix(), path.name, f"{error!s:.200}") from error


def _refuse_large_directory(stream: BinaryIO, path: Path) -> None:
    """Look at what the archive's end says of its directory, which `zipfile` reads whole."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - (1 << 16) - 22))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and int.from_bytes(tail[at + 12 : at + 16], "little") > MAX_DIRECTORY:
        raise malformed(path.as_posix(), path.name, f"it lists more than {MAX_DIRECTORY} bytes")


def _bounded(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, path: Path) -> bytes:
    """Unpack a member without believing what it says of its size."""
    with archive.open(info) as stream:
        return _at_most(stream, limit, path)


def _at_most(stream: IO[bytes], limit: int, path: Path) -> bytes:
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise malformed(path.as_posix(), path.name, f"a part is larger than {limit} bytes")
    return body


def _listing(contents: Mapping[str, Any], path: Path) -> tuple[FileEntry, ...]:
    found = contents.get("files")
    rows = found[:MAX_FILES] if isinstance(found, list) else None
    if rows is None or not all(map(_is_entry, rows)):
        raise malformed(path.as_posix(), CONTENTS, "its list of files is not one")
    entries = [FileEntry(path=r["path"], size=r["size"], sha256=r["sha256"]) for r in rows]
    return tuple(sorted((e for e in entries if is_safe_name(e.path)), key=lambda e: e.path))


def _is_entry(row: object) -> bool:
    if not isinstance(row, dict):
        return False
    known = (row.get("path"), row.get("size"), row.get("sha256"))
    kinds: tuple[Any, ...] = (str, int | None, str | None)
    return all(isinstance(value, kind) for value, kind in zip(known, kinds, strict=True))


def _parts(contents: Mapping[str, Any], path: Path) -> dict[str, dict[ByteRange, int]]:
    found: dict[str, dict[ByteRange, int]] = {}
    try:
        for number, (file, start, stop) in enumerate(contents["parts"]):
            if type(start) is not int or type(stop) is not int:
                raise TypeError("an offset is no number")  # noqa: TRY301
            if not 0 <= start <= stop <= start + LARGEST_PART:
                raise ValueError("a part is too large")  # noqa: TRY301
            found.setdefault(str(file), {})[ByteRange(start, stop)] = number
    except (KeyError, TypeError, ValueError) as error:
        raise malformed(path.as_posix(), CONTENTS, "its list of parts is not one") from error
    return found
