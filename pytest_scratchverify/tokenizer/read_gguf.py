"""Read the vocabulary that a GGUF file carries in its header; tensors are never touched.

Only the key-value section is walked, within a byte limit, and of it only the keys under
``tokenizer.``. Format: ggml/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular
from pytest_scratchverify.tokenizer import alphabet
from pytest_scratchverify.tokenizer.limits import (
    MAX_HEADER,
    MAX_MERGES,
    MAX_TOKEN_BYTES,
    MAX_TOKENS,
    check_tokens,
    malformed,
)
from pytest_scratchverify.tokenizer.placeholders import is_placeholder
from pytest_scratchverify.tokenizer.read_json import wordpiece_tokens
from pytest_scratchverify.tokenizer.read_sentencepiece import (
    NORMAL,
    UNUSED,
    USER_DEFINED,
    Piece,
    from_pieces,
)
from pytest_scratchverify.tokenizer.vocabulary import Draft, Kind, Token, Tokenizer, Traits, mark

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {  # value type of the format -> struct code
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
MAX_KEYS = 10_000
MAX_KEPT = 3 * MAX_TOKENS + MAX_MERGES  # texts and numbers of all arrays together
VERSIONS = (2, 3)
LONG_TEXT = 1 << 20  # a chat template


class GgufHeaderError(ValueError):
    """A header that is not GGUF's, or beyond the limits."""


def read_gguf(path: Path, name: str) -> Tokenizer:
    """Read the embedded vocabulary of any of llama.cpp's tokenizer models."""
    try:
        # Mapped, not read: the file may hold a hundred gigabytes of tensors behind the header.
        with (
            open_regular(path) as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return _read(data, path, name)
    except OSError as error:
        raise _absent(path) from error


def read_gguf_head(head: bytes, file: str, name: str) -> Tokenizer:
    """Read the vocabulary out of the first bytes of a file, as far as they were fetched."""
    return _read(head, Path(file), name)


def _read(data: mmap.mmap | bytes, path: Path, name: str) -> Tokenizer:
    try:
        header = _header(data)
        columns = _columns(header)
    except (GgufHeaderError, struct.error, MemoryError) as error:
        raise malformed(path, f"its GGUF header is broken ({error})"[:200]) from error
    check_tokens(path, len(columns))
    model = str(header.get("tokenizer.ggml.model"))
    if model == "bert":
        return _bert(name, columns, header)
    if alphabet.is_byte_level({piece.text for piece in columns if len(piece.text) == 1}):
        return _byte_level(name, columns, header)
    kind = Kind.UNIGRAM if model == "t5" else Kind.BPE
    return from_pieces(path, Draft(name, kind, "gguf", {}, traits=_traits(header)), columns)


def _header(data: mmap.mmap | bytes) -> dict[str, Any]:
    """Return the ``tokenizer.`` keys of a GGUF header; other keys are skipped."""
    cursor = _Cursor(data)
    magic, version = cursor.unpack("<4sI")
    if magic != MAGIC or version not in VERSIONS:
        raise GgufHeaderError("not GGUF version 2 or 3")
    _, count = cursor.unpack("<QQ")
    if count > MAX_KEYS:
        raise GgufHeaderError("too many keys")
    header: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.strings(1, MAX_TOKEN_BYTES)[0]
        value = _value(cursor, cursor.unpack("<I")[0])
        if key.startswith("tokenizer."):
            header[key] = value
    return header


class _Cursor:
    """A place in a mapped header that never leaves it."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self.data = data
        self.position = 0
        self.left = MAX_KEPT
        self.end = min(len(data), MAX_HEADER)

    def unpack(self, code: str) -> tuple[Any, ...]:
        start = self._skip(struct.calcsize(code))
        return struct.unpack_from(code, self.data, start)

    def strings(self, count: int, limit: int) -> list[str]:
        length, data, position = struct.Struct("<Q").unpack_from, self.data, self.position
        found = []
        for _ in range(count):
            if position + 8 > self.end:
                raise GgufHeaderError("the file ends too early")
            size = length(data, position)[0]
            position += 8 + size
            if size > limit or position > self.end:
                raise GgufHeaderError("a text is too long")
            found.append(data[position - size : position].decode("utf-8", "replace"))
        self.position = position
        return found

    def _skip(self, size: int) -> int:
        start = self.position
        if start + size > self.end:
            raise GgufHeaderError("the file ends too early")
        self.position += size
        return start


def _value(cursor: _Cursor, kind: int) -> Any:
    if kind == STRING:
        return cursor.strings(1, LONG_TEXT)[0]
    if kind in SCALARS:
        return cursor.unpack("<" + SCALARS[kind])[0]
    if kind != ARRAY:
        raise GgufHeaderError(f"unknown value type {kind}")
    item, count = cursor.unpack("<IQ")
    cursor.left -= count
    if count > MAX_MERGES or cursor.left < 0:
        raise GgufHeaderError("an array is too long")
    if item == STRING:
        return cursor.strings(count, MAX_TOKEN_BYTES)
    if item not in SCALARS:
        raise GgufHeaderError("arrays of arrays are not read")
    return cursor.unpack(f"<{count}{SCALARS[item]}")


def _columns(header: dict[str, Any]) -> list[Piece]:
    tokens = header.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        raise GgufHeaderError("no tokens")
    # Files without scores exist (byte-level BPE); their order is that of ids.
    scores = header.get("tokenizer.ggml.scores") or tuple(-i for i in range(len(tokens)))
    types = header.get("tokenizer.ggml.token_type") or (NORMAL,) * len(tokens)
    if not len(scores) == len(types) == len(tokens):
        raise GgufHeaderError("columns of different length")
    return [Piece(*row) for row in zip(tokens, scores, types, strict=True)]


def _byte_level(name: str, columns: list[Piece], header: dict[str, Any]) -> Tokenizer:
    draft = _apart(name, Kind.BPE, columns, header)
    ordinary = ((p.text, i) for i, p in enumerate(columns) if _is_ordinary(p))
    decoded = ((alphabet.from_byte_level(text), index) for text, index in ordinary)
    draft.tokens = {t: Token(t, index, len(t) == 1) for t, index in decoded}
    merges = header.get("tokenizer.ggml.merges") or ()
    draft.merges_listed = len(merges)
    results = dict.fromkeys(str(merge).replace(" ", "", 1) for merge in merges)
    draft.order = [alphabet.from_byte_level(result) for result in results]
    return draft.canonical()


def _bert(name: str, columns: list[Piece], header: dict[str, Any]) -> Tokenizer:
    draft = _apart(name, Kind.WORDPIECE, columns, header)
    # llama.cpp turns BERT's spelling round: a word's beginning carries the mark.
    marked = any(p.text.startswith(alphabet.SPACE) for p in columns)
    ordinary = [(p.text, i) for i, p in enumerate(columns) if _is_ordinary(p)]
    if marked:
        ordinary = [
            (t.removeprefix(alphabet.SPACE) if t.startswith(alphabet.SPACE) else f"##{t}", i)
            for t, i in ordinary
        ]
    draft.tokens = wordpiece_tokens(ordinary)
    return draft.canonical()


def _apart(name: str, kind: Kind, columns: list[Piece], header: dict[str, Any]) -> Draft:
    draft = Draft(name, kind, "gguf", {}, traits=_traits(header), rows=len(columns))
    for index, piece in enumerate(columns):
        if is_placeholder(piece.text) or piece.type == UNUSED:
            draft.padding += 1
        elif piece.type != NORMAL:
            draft.added[piece.text] = index
            draft.special.update([piece.text] if piece.type != USER_DEFINED else [])
    return draft


def _is_ordinary(piece: Piece) -> bool:
    return piece.type == NORMAL and not is_placeholder(piece.text)


def _traits(header: dict[str, Any]) -> Traits:
    template = header.get("tokenizer.chat_template")
    return Traits(chat_template=mark(template) if isinstance(template, str) else None)


def _absent(path: Path) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text("The tokenizer file {file} cannot be opened.", file=path.name),
        Text("Give a folder or a file that exists and may be read."),
    )
