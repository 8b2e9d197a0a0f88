"""Checks that an answer is about the file that the hub listed, before its bytes are evidence.

Between a hub and its reader stand proxies, login pages and caches; each of them may answer 200
or 206 with something else. What is compared is what HTTP and the hub promise of a response
(RFC 9110, sections 14.4 and 8.8.3): status, length, the total of Content-Range, and the ETag,
with the size and the sha256 of the hub's listing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_scratchverify.stores.http.failures import ListingMismatchError, ShortBodyError
from pytest_scratchverify.stores.http.hub_client import httpx
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import FileEntry

LINKED_ETAG, LINKED_SIZE, XET_HASH = "X-Linked-ETag", "X-Linked-Size", "X-Xet-Hash"
_CONTENT_RANGE = re.compile(r"bytes\s*(\d+)-(\d+)/(\d+|\*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BodyPlan:
    """How to take a range out of a body: bytes to `skip`, and whether it was `ranged`.

    A body that is not ranged is a whole file that nobody asked for; it is used if its length
    is the listed one, and never cached.
    """

    skip: int
    ranged: bool


def checked_plan(response: httpx.Response, wanted: ByteRange, entry: FileEntry) -> BodyPlan:
    """Return how to read `wanted` from a response that is about `entry`.

    Raises
    ------
    ListingMismatchError
        If status, length, total or digest is not the listed file's.
    ShortBodyError
        If another range of the right file came.
    """
    _check_digests(response, entry)
    if response.status_code == 206:
        return _ranged(response, wanted, entry)
    if response.status_code != 200:
        raise ListingMismatchError(f"status {response.status_code}")
    length = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    if encoded or not length.isdigit() or entry.size is None or int(length) != entry.size:
        raise ListingMismatchError(
            f"a whole file of {length or 'unknown'} bytes instead of {_listed(entry.size)}"
        )
    return BodyPlan(wanted.start, ranged=False)


def entity_tag(response: httpx.Response) -> str | None:
    """Return the strong ETag of the answer itself, without quotes."""
    tag = response.headers.get("ETag", "")
    return None if not tag or tag.startswith("W/") else tag.strip('"')


def _ranged(response: httpx.Response, wanted: ByteRange, entry: FileEntry) -> BodyPlan:
    said = response.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(said.strip())
    if match is None or int(match[1]) != wanted.start:
        raise ShortBodyError(f"another range came: {said!s:.80}")
    if match[3] != "*" and entry.size is not None and int(match[3]) != entry.size:
        raise ListingMismatchError(f"a part of {match[3]} bytes instead of {_listed(entry.size)}")
    return BodyPlan(0, ranged=True)


def _check_digests(response: httpx.Response, entry: FileEntry) -> None:
    chain = [*response.history, response]
    for answer in chain:
        linked = answer.headers.get(LINKED_ETAG, "").strip('"')
        if entry.sha256 and _SHA256.fullmatch(linked) and linked != entry.sha256:
            raise ListingMismatchError(f"a file with digest {linked:.12} instead of the listed one")
        size = answer.headers.get(LINKED_SIZE, "")
        if entry.size is not None and size.isdigit() and int(size) != entry.size:
            raise ListingMismatchError(f"a file of {size} bytes instead of {_listed(entry.size)}")
    tag = entity_tag(response)
    # The bridge to Xet storage names its own hash there; what it announces is not the sha256.
    bridged = any(XET_HASH in answer.headers for answer in chain)
    if entry.sha256 and tag and _SHA256.fullmatch(tag) and tag != entry.sha256 and not bridged:
        raise ListingMismatchError(f"a file with ETag {tag:.12} instead of the listed digest")


def _listed(size: int | None) -> str:
    return "the listed ones" if size is None else f"the listed {size}"
