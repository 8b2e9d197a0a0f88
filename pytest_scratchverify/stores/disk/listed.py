"""Checks of whole files on disk against the publisher's listing, and against ranges of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import huggingface_hub

from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import FileEntry


def cached_path(repo: str, name: str, commit: str, access: HubAccess) -> Path | None:
    """Find a file in the cache of huggingface_hub, without a network."""
    found = huggingface_hub.try_to_load_from_cache(
        repo, name, revision=commit, cache_dir=access.cache_dir
    )
    return Path(found) if isinstance(found, str) else None


def has_digest(entry: FileEntry) -> bool:
    """Whether the listing says what the whole file has to be."""
    return bool(entry.sha256 or entry.oid)


def is_listed(path: Path, entry: FileEntry) -> bool:
    """Whether a file on disk has the size and the digest that the listing gives, if it gives any.

    The digest is the sha256 of a large file and the git object id of a small one: the sha1 (in a
    repository of sha256 objects the sha256) of "blob", a blank, the size, a zero byte, content.
    """
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        return False
    with path.open("rb") as stream:
        return _has_digest_of(iter(lambda: stream.read(2**20), b""), size, entry)


def is_content(body: bytes, entry: FileEntry) -> bool:
    """Whether bytes are the whole listed file."""
    return entry.size in (None, len(body)) and _has_digest_of([body], len(body), entry)


def _has_digest_of(parts: Iterable[bytes], size: int, entry: FileEntry) -> bool:
    expected = entry.sha256 or entry.oid
    if expected is None:
        return True
    digest = hashlib.new("sha256" if len(expected) == 64 else "sha1", usedforsecurity=False)
    if entry.sha256 is None:
        digest.update(b"blob %d\0" % size)
    for part in parts:
        digest.update(part)
    return digest.hexdigest() == expected


def is_seen(path: Path, seen: Mapping[ByteRange, bytes]) -> bool:
    """Whether ranges of a file have the sha256 digests that were seen of them."""
    with path.open("rb") as stream:
        for span, digest in sorted(seen.items()):
            stream.seek(span.start)
            if hashlib.sha256(stream.read(len(span))).digest() != digest:
                return False
    return True
