"""Damaged versions of sound files: byte by byte, and value by value where they hold JSON."""

from __future__ import annotations

import json
from random import Random
from typing import Any

# What readers are known to trip over; added to what is cut, doubled and flipped.
VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**53 + 1, 2**63, 2**64, 2**70, 10**300, int("9" * 4299),
    1e308, -1e308, 5e-324, 1e30, float("inf"), float("nan"), "", "a", "\ud800", "\x1b[2J", "\u202e",
    "../../etc/passwd", "x" * 300, "𒐫", [], [[]], [[], []], {}, {"": {}}, [None], [0] * 70,
    {"type": []}, {"type": "Sequence", "pretokenizers": 5}, "NaN", "1e999", "0x10",
]  # fmt: skip
BYTES = [
    b"", b"\x00", b"\xff", b"\xff" * 8, b"\x00" * 8, b"\x7f" * 9, b"\n", b"{", b"[", b"]", b'"', b",",
    b"\\ud800", b"\\u", b"1e999", b"9" * 400, b"NaN", b"-", b"\xed\xa0\x80", b"\x80", b"&a", b"*a",
    b"<<: *a", b"- ", b": ", b"? ", b"!!python/object:os.system", b"0" * 70, b"PK\x05\x06", b"\r",
]  # fmt: skip
LONGEST = 1 << 20


def mutated(seed: bytes, rng: Random) -> bytes:
    """Return `seed` with some damage."""
    body = seed
    change = _json if rng.random() < 0.8 else _bytes
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        body = change(body, rng)
    return body[:LONGEST]


def _bytes(body: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    end = min(len(body), at + rng.choice((0, 1, 1, 2, 4, 8, 64, 4096)))
    kind = rng.randrange(6)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + body[end:]
    if kind == 2:
        return body[:at] + body[at:end] * rng.choice((2, 3, 50)) + body[end:]
    if kind == 3:
        return body[:at] + rng.randbytes(end - at) + body[end:]
    if kind == 4 and at < len(body):
        return body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :]
    return body[:at] + rng.choice(BYTES) + body[end:]


def _json(body: bytes, rng: Random) -> bytes:
    """Damage the whole as JSON, or one line of it, or nothing that is JSON at all."""
    try:
        return _dumped(_changed(json.loads(body), rng))
    except (ValueError, RecursionError):
        pass
    lines = body.split(b"\n")
    number = rng.randrange(len(lines))
    try:
        lines[number] = _dumped(_changed(json.loads(lines[number]), rng))
    except (ValueError, RecursionError):
        return _bytes(body, rng)
    return b"\n".join(lines)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _changed(value: Any, rng: Random) -> Any:
    """Replace, remove, add or move one value, somewhere."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.2:
        return rng.choice(VALUES)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = rng.choice(keys)
    kind = rng.random()
    if kind < 0.6:
        value[key] = _changed(value[key], rng)
    elif kind < 0.75:
        value[key] = rng.choice(VALUES)
    elif kind < 0.85:
        del value[key]
    elif isinstance(value, dict):
        value[rng.choice(("", "a", "\ud800", "type", "model", "x" * 300))] = rng.choice(VALUES)
    else:
        value.append(rng.choice([*VALUES, value[key]]))
    return value
