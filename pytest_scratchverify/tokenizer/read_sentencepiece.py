"""Read SentencePiece's tokenizer.model straight from its protobuf bytes.

Three messages of one small file format do not need the protobuf runtime or the
sentencepiece library (which the tests use to check this reader): a field is a varint tag
and a value, and unknown fields are skipped. Schema: sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_scratchverify.tokenizer.alphabet import from_sentencepiece
from pytest_scratchverify.tokenizer.limits import MAX_TOKENS, check_tokens, malformed, read_bytes
from pytest_scratchverify.tokenizer.placeholders import is_placeholder
from pytest_scratchverify.tokenizer.read_json import piece_tokens
from pytest_scratchverify.tokenizer.vocabulary import Draft, Kind, Tokenizer, Traits, mark

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
MODEL_TYPES = {1: Kind.UNIGRAM, 2: Kind.BPE}
_FLOAT = struct.Struct("<f").unpack_from
MAX_FIELDS = MAX_TOKENS + 100_000  # of one message: every piece is one
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Piece(NamedTuple):
    """One entry of the vocabulary; its place in the file is its id."""

    text: str
    score: float
    type: int


class WireError(ValueError):
    """Bytes that are not a protobuf message."""


def read_sentencepiece(path: Path, name: str) -> Tokenizer:
    """Read a SentencePiece model of type BPE or Unigram."""
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    try:
        for number, value in fields(read_bytes(path)):
            if number == 1 and isinstance(value, bytes):
                pieces.append(_piece(value))
            elif number == 2 and isinstance(value, bytes):
                trainer = dict(fields(value))
            elif number == 3 and isinstance(value, bytes):
                normalizer = dict(fields(value))
            if len(pieces) > MAX_TOKENS:
                break
    except (WireError, UnicodeDecodeError, struct.error) as error:
        raise malformed(path, "it is not a SentencePiece model") from error
    stated = trainer.get(3, 1)
    kind = MODEL_TYPES.get(stated) if isinstance(stated, int) else None
    if kind is None:
        raise malformed(path, "its model type is neither BPE nor Unigram")
    draft = Draft(name, kind, "sentencepiece", {}, traits=_traits(trainer, normalizer))
    return from_pieces(path, draft, pieces)


def from_pieces(path: Path, draft: Draft, pieces: list[Piece]) -> Tokenizer:
    """Build the canonical form from pieces with scores and types (also GGUF's columns)."""
    check_tokens(path, len(pieces))
    draft.rows = len(pieces)
    ordinary: dict[str, int] = {}
    scores: dict[str, float] = {}
    for index, piece in enumerate(pieces):
        if piece.type == UNUSED or is_placeholder(piece.text):
            draft.padding += 1
        elif piece.type in (NORMAL, BYTE):
            ordinary[piece.text] = index
            scores[piece.text] = piece.score
        else:
            draft.added[piece.text] = index
            draft.special.update([piece.text] if piece.type != USER_DEFINED else [])
    draft.tokens = piece_tokens(ordinary.items())
    # A BPE piece's score is minus its merge rank; a unigram piece's is a log probability.
    draft.order = [from_sentencepiece(text) for text in sorted(scores, key=lambda t: -scores[t])]
    return draft.canonical()


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Walk a protobuf message: pairs of field number and value (varint or bytes)."""
    position, end, count = 0, len(data), 0
    while position < end:
        count += 1
        if count > MAX_FIELDS:
            raise WireError(f"more than {MAX_FIELDS} fields")
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == BYTES:
            size, position = _varint(data, position)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
        if size < 0 or position + size > end:
            raise WireError(wire)
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise WireError(position)


def _piece(data: bytes) -> Piece:
    # Nearly every piece is a short text and a score, written in this order.
    size = data[1] if len(data) > 1 and data[0] == 0x0A and data[1] < 0x80 else -1
    if size >= 0 and len(data) == size + 7 and data[size + 2] == 0x15:
        return Piece(data[2 : size + 2].decode("utf-8"), _FLOAT(data, size + 3)[0], NORMAL)
    text, score, kind = "", 0.0, NORMAL
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8")
        elif number == 2 and isinstance(value, bytes):
            score = float(struct.unpack("<f", value)[0])
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


def _traits(trainer: dict[int, int | bytes], normalizer: dict[int, int | bytes]) -> Traits:
    name = normalizer.get(1)
    return Traits(
        normalizer=mark(name.decode("utf-8", "replace")) if isinstance(name, bytes) else None,
        byte_fallback=bool(trainer.get(35, 0)),
    )
