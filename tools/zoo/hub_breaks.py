"""Broken answers of a loopback hub: what proxies, portals, caches and cables make of a sound one.

`LoopbackHub.fault` knows faults by file; a break is armed on one request of a run, whatever it asks
for: the `first`-th of a method and a path, once, twice or for ever. A break gets the answer that
the hub would have given, and sends what it makes of it::

    hub.arm(Break("bit-flip", Place("cdn", "GET", "/org/model/.../model.safetensors", 2)))
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import select
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

EVER = 10**9
PAGE = b"<html><body>Please log in to this network</body></html>" * 2**15
HEADER_FLOOD = 2**17


@dataclass(frozen=True, order=True)
class Place:
    """One request of a run: the `first`-th (from 0) of its origin, method and path."""

    origin: str
    method: str
    path: str
    first: int = 0


@dataclass
class Break:
    """A fault at a place, for `times` requests from there on."""

    kind: str
    place: Place
    times: int = EVER
    options: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    applied: int = 0

    def takes(self, origin: str, method: str, path: str) -> bool:
        """Count a request, and say whether it is one of those that break."""
        place = self.place
        if (origin, method, path) != (place.origin, place.method, place.path):
            return False
        number = self.seen
        self.seen += 1
        due = place.first <= number < place.first + self.times
        self.applied += due
        return due


@dataclass(frozen=True)
class Answer:
    """A response as it would go over the wire; `end` says what then happens to the connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    version: str = "HTTP/1.1"
    end: str = "keep"  # close: an orderly end; reset: none; stall: nothing more until the end
    cut: int | None = None  # bytes of the body that are sent
    piece: int | None = None  # bytes sent at once, with a rest between them
    raw: bytes | None = None  # instead of all

    def said(self, **headers: str | None) -> Answer:
        """Return it with some headers changed; None removes one. `_` stands for a hyphen."""
        named = {key.replace("_", "-").lower(): value for key, value in headers.items()}
        kept = {key: v for key, v in self.headers.items() if key.lower() not in named}
        return replace(self, headers=kept | {key: v for key, v in named.items() if v is not None})

    def with_body(self, body: bytes) -> Answer:
        """Return it with another body of an honest length."""
        return replace(self, body=body).said(content_length=str(len(body)))


def parsed(raw: bytes) -> Answer:
    """Parse what a handler wrote."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(first.split(" ")[1]), headers, body)


def send(answer: Answer, stream: Any, connection: socket.socket, stopping: Any) -> bool:
    """Write an answer; returns whether the connection may be used again."""
    try:
        if answer.raw is not None:
            stream.write(answer.raw)
            return False
        if answer.status:
            lines = [f"{answer.version} {answer.status} Said"]
            lines += [f"{key}: {value}" for key, value in answer.headers.items()]
            stream.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        if answer.piece is None:
            stream.write(body)
        else:
            for position in range(0, len(body), answer.piece):
                stream.write(body[position : position + answer.piece])
                if stopping.wait(0.02):
                    break
        stream.flush()
        if answer.end == "stall":
            while not (stopping.wait(0.02) or _left(connection)):
                pass
        if answer.end == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(connection.detach())  # as it is: an orderly end would be told first
    except OSError:
        return False
    return answer.end == "keep"


def _left(connection: socket.socket) -> bool:
    """Whether a client hung up."""
    # Bytes that wait to be read say nothing: a client may have asked again and then gone.
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def _status(code: int, **headers: str) -> Callable[[Answer, Break], Answer]:
    def made(_: Answer, __: Break) -> Answer:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return Answer(code, {**named, "Content-Length": "0"}, b"")

    return made


def _flip(body: bytes, seed: int, bits: int) -> bytes:
    if not body:
        return body
    changed, rng = bytearray(body), random.Random(seed)  # noqa: S311
    for _ in range(bits):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _drawn(answer: Answer) -> bytes:
    return random.Random(len(answer.body)).randbytes(len(answer.body))  # noqa: S311


def _page(answer: Answer, size: int | None = None) -> Answer:
    page = Answer(200, {"Content-Type": "text/html"}, PAGE[:size])
    return replace(page.with_body(PAGE[:size]), body=b"" if not answer.body else PAGE[:size])


def _chunked(answer: Answer) -> Answer:
    pieces = [answer.body[i : i + 1000] for i in range(0, len(answer.body), 1000)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces) + b"0\r\n\r\n"
    return replace(answer, body=body).said(content_length=None, transfer_encoding="chunked")


def _listing(change: Callable[[dict[str, Any]], None]) -> Callable[[Answer, Break], Answer]:
    """Change what the API says of a repository."""

    def made(answer: Answer, _: Break) -> Answer:
        try:
            said = json.loads(answer.body)
        except ValueError:
            return answer
        if isinstance(said, dict) and isinstance(said.get("siblings"), list):
            change(said)
        return answer.with_body(json.dumps(said).encode())

    return made


def _files(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [file for file in said["siblings"] if file["rfilename"].endswith((".safetensors", "n"))]


def _sizes(said: dict[str, Any], change: Callable[[int], Any]) -> None:
    for file in _files(said):
        file["size"] = change(file["size"])
        if "lfs" in file:
            file["lfs"]["size"] = change(file["lfs"]["size"])


def _digests(said: dict[str, Any], sha256: str, oid: str) -> None:
    for file in said["siblings"]:
        if "lfs" in file:
            file["lfs"]["sha256"] = sha256
        else:
            file["blobId"] = oid


def _other_commit(answer: Answer, _: Break) -> Answer:
    body = re.sub(rb'"sha": "[0-9a-f]{40}"', b'"sha": "%b"' % (b"0" * 40), answer.body)
    changed = answer.with_body(body) if body != answer.body else answer
    return changed.said(x_repo_commit="0" * 40) if "X-Repo-Commit" in answer.headers else changed


def _mixed_up(answer: Answer, broken: Break) -> Answer:
    """Send what another repository has at this place, with nothing that tells."""
    other = broken.options.get("other")
    return answer if other is None else other().said(etag=None)


def _total(answer: Answer, _: Break) -> Answer:
    said = re.sub(r"/\d+$", "/12", answer.headers.get("Content-Range", ""))
    return answer.said(content_range=said or None)


def _end(answer: Answer, end: str, cut: int | None) -> Answer:
    return replace(answer, end=end, cut=cut)


_CODES = (400, 401, 403, 404, 410, 416, 418, 429, 451, 500, 501, 502, 503, 504, 520)
KINDS: dict[str, Callable[[Answer, Break], Answer]] = {
    **{f"status {code}": _status(code) for code in _CODES},
    "429, wait a second": _status(429, Retry_After="1"),
    "429, wait a year": _status(429, Retry_After="31536000"),
    "503, wait a year": _status(503, Retry_After="31536000"),
    "401 private": _status(401, X_Error_Code="RepoNotFound"),
    "403 gated": _status(403, X_Error_Code="GatedRepo"),
    "404 no entry": _status(404, X_Error_Code="EntryNotFound"),
    "204": _status(204),
    "304": _status(304),
    "reset": lambda a, _: replace(a, status=0, body=b"", end="reset"),
    "closed": lambda a, _: replace(a, status=0, body=b"", end="close"),
    "no answer": lambda a, _: replace(a, status=0, body=b"", end="stall"),
    "stalled in the body": lambda a, _: _end(a, "stall", len(a.body) // 2),
    "reset in the body": lambda a, _: _end(a, "reset", len(a.body) // 2),
    "cut in the body": lambda a, _: _end(a, "close", len(a.body) // 2),
    "cut before the body": lambda a, _: _end(a, "close", 0),
    "no HTTP": lambda a, _: replace(a, raw=b"\x16\x03\x01\x00\x00 not http\r\n\r\n"),
    "half a header": lambda a, _: replace(a, raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
    "header without end": lambda a, _: replace(
        a, raw=b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * HEADER_FLOOD
    ),
    "HTTP/1.0": lambda a, _: replace(
        a.said(content_length=None), version="HTTP/1.0", end="close"
    ),
    "no length": lambda a, _: replace(
        a.said(content_length=None, connection="close"), end="close"
    ),
    "chunked": lambda a, _: _chunked(a),
    "gzip": lambda a, _: a.with_body(gzip.compress(a.body)).said(content_encoding="gzip"),
    "gzip that is none": lambda a, _: a.said(content_encoding="gzip"),
    "length too long": lambda a, _: replace(
        a.said(content_length=str(len(a.body) + 7)), end="close"
    ),
    "length too short": lambda a, _: replace(
        a.said(content_length=str(max(0, len(a.body) - 7))), end="close"
    ),
    "drips": lambda a, _: replace(a, piece=max(1, len(a.body) // 8)),
    "drips for ever": lambda a, _: replace(a, piece=1),
    "portal": lambda a, _: _page(a),
    "short portal": lambda a, _: _page(a, 60),
    "empty body": lambda a, _: a.with_body(b""),
    "half the body": lambda a, _: a.with_body(a.body[: len(a.body) // 2]),
    "zeros": lambda a, _: a.with_body(bytes(len(a.body))),
    "ones": lambda a, _: a.with_body(b"\xff" * len(a.body)),
    "random bytes": lambda a, _: a.with_body(_drawn(a)),
    "a flipped bit": lambda a, _: a.with_body(_flip(a.body, 1, 1)),
    "flipped bits": lambda a, _: a.with_body(_flip(a.body, 2, 1 + len(a.body) // 50)),
    "shifted by a byte": lambda a, _: a.with_body(a.body[1:] + a.body[:1]),
    "redirect to itself": lambda _, b: Answer(
        302, {"Location": b.place.path, "Content-Length": "0"}, b""
    ),
    "redirect to a file": lambda _a, _b: Answer(
        302, {"Location": "file:///etc/passwd", "Content-Length": "0"}, b""
    ),
    "redirect without place": lambda _a, _b: Answer(302, {"Content-Length": "0"}, b""),
    "redirect to another host": lambda _, b: Answer(
        302, {"Location": f"{b.options.get('cdn', '')}/elsewhere", "Content-Length": "0"}, b""
    ),
    "mixed-up": _mixed_up,
    "another commit": _other_commit,
    "another ETag": lambda a, _: a.said(etag=f'"{"0" * 64}"'),
    "weak ETag": lambda a, _: a.said(etag='W/"1"'),
    "no ETag": lambda a, _: a.said(etag=None, x_linked_etag=None),
    "another linked ETag": lambda a, _: a.said(x_linked_etag=f'"{"0" * 64}"'),
    "another linked size": lambda a, _: a.said(x_linked_size="12"),
    "no commit": lambda a, _: a.said(x_repo_commit=None),
    "no Content-Range": lambda a, _: a.said(content_range=None),
    "another Content-Range": lambda a, _: a.said(content_range="bytes 5-9/100"),
    "another total": _total,
    "multipart": lambda a, _: a.said(
        content_range=None, content_type="multipart/byteranges; boundary=x"
    ),
    "sizes one more": _listing(lambda said: _sizes(said, lambda n: n + 1)),
    "sizes zero": _listing(lambda said: _sizes(said, lambda _: 0)),
    "sizes enormous": _listing(lambda said: _sizes(said, lambda _: 2**62)),
    "sizes negative": _listing(lambda said: _sizes(said, lambda _: -1)),
    "sizes are words": _listing(lambda said: _sizes(said, str)),
    "no sizes": _listing(lambda said: _sizes(said, lambda _: None)),
    "other digests": _listing(lambda said: _digests(said, "0" * 64, "0" * 40)),
    "digests are none": _listing(lambda said: _digests(said, "x", "x")),
    "no files": _listing(lambda said: said.update(siblings=[])),
    "no weights": _listing(
        lambda said: said.update(
            siblings=[f for f in said["siblings"] if "safetensors" not in f["rfilename"]]
        )
    ),
    "files are null": _listing(lambda said: said.update(siblings=None)),
}  # fmt: skip


def captured(handler: Any, route: Callable[[], None]) -> Answer:
    """Let a handler answer into memory."""
    stream, handler.wfile = handler.wfile, io.BytesIO()
    try:
        route()
        raw = handler.wfile.getvalue()
    finally:
        handler.wfile = stream
    return parsed(raw)
