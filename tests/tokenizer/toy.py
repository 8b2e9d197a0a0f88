"""Small vocabularies in every format, written by hand for the tests."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from pytest_scratchverify.tokenizer.alphabet import to_byte_level

ALPHABET = [bytes([byte]) for byte in range(256)]


def learn(words: Sequence[bytes], merges: int) -> list[tuple[bytes, bytes]]:
    """A byte-pair encoding learnt the slow, plain way (Sennrich et al. 2016)."""
    parts = [[bytes([byte]) for byte in word] for word in words]
    learnt: list[tuple[bytes, bytes]] = []
    while len(learnt) < merges:
        counts: dict[tuple[bytes, bytes], int] = {}
        for word in parts:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        learnt.append(best)
        parts = [_apply(word, best) for word in parts]
    return learnt


def _apply(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    out: list[bytes] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def all_splits(tokens: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Every way to split every token, as exporters of rank files list them."""
    known = set(tokens) | set(ALPHABET)
    return [
        (token[:at], token[at:])
        for token in tokens
        for at in range(1, len(token))
        if token[:at] in known and token[at:] in known
    ]


def write_tokenizer_json(
    path: Path,
    tokens: Sequence[bytes],
    merges: Sequence[tuple[bytes, bytes]],
    added: Mapping[str, int] | None = None,
    shift: int = 0,
    ids: Sequence[int] | None = None,
    *,
    as_lists: bool = False,
) -> Path:
    """A byte-level BPE; `shift` moves all ids, `ids` deals them out at will."""
    places = ids if ids is not None else range(256 + len(tokens))
    vocab = {
        to_byte_level(token): place + shift
        for token, place in zip([*ALPHABET, *tokens], places, strict=True)
    }
    shown = [(to_byte_level(a), to_byte_level(b)) for a, b in merges]
    extra = [{"id": i, "content": t, "special": True} for t, i in (added or {}).items()]
    model = {
        "type": "BPE",
        "vocab": vocab,
        "merges": [list(m) for m in shown] if as_lists else [f"{a} {b}" for a, b in shown],
    }
    path.write_text(json.dumps({"added_tokens": extra, "model": model}), "utf-8")
    return path


def write_tiktoken(path: Path, tokens: Sequence[bytes]) -> Path:
    """A rank file."""
    lines = (
        b"%s %d" % (base64.b64encode(token), rank)
        for rank, token in enumerate([*ALPHABET, *tokens])
    )
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def write_gguf(path: Path, pairs: Mapping[str, object]) -> Path:
    """A GGUF header of strings and lists of strings, numbers or types, without tensors."""
    body = b"".join(_text(key) + _gguf_value(value) for key, value in pairs.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body)
    return path


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _gguf_value(value: object) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    assert isinstance(value, list)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
