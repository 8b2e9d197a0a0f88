"""Byte-level and SentencePiece encodings, in which vocabularies write their bytes.

GPT-2's byte-level alphabet shows every byte as a printable character; SentencePiece writes
a space as U+2581 and a lone byte as ``<0xE3>``. Here both become plain bytes, so that the
same token compares equal whoever exported it.
"""

from __future__ import annotations

import re

SPACE = "\u2581"
SHOWN_SPACE = "\u0120"
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_level_alphabet() -> dict[int, str]:
    """GPT-2's table from a byte to its printable character (Radford et al. 2019, encoder.py)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in shown}
    hidden = (byte for byte in range(256) if byte not in table)
    table.update({byte: chr(0x100 + index) for index, byte in enumerate(hidden)})
    return table


_TO_LATIN = {ord(character): byte for byte, character in byte_level_alphabet().items()}


def is_byte_level(symbols: set[str]) -> bool:
    """Whether a vocabulary's single characters are GPT-2's alphabet.

    The byte-level space always occurs in it and SentencePiece's never. Counting letters
    would not do: Falcon lacks 28 of the 256 and Command-R adds 1,403 symbols of its own.
    """
    return SHOWN_SPACE in symbols and SPACE not in symbols


def from_byte_level(token: str) -> bytes:
    """Undo GPT-2's alphabet. Example: ``from_byte_level("Ġthe")`` is ``b" the"``.

    A token with a character outside the alphabet was added by hand and stays as it is.
    """
    try:
        return token.translate(_TO_LATIN).encode("latin-1")
    except UnicodeEncodeError:
        return token.encode("utf-8", "surrogatepass")


def to_byte_level(token: bytes) -> str:
    """Inverse of `from_byte_level`, for writers of test files."""
    table = byte_level_alphabet()
    return "".join(table[byte] for byte in token)


def from_sentencepiece(piece: str) -> bytes:
    """Undo SentencePiece's spaces. Example: ``from_sentencepiece("▁the")`` is ``b" the"``."""
    return piece.replace(SPACE, " ").encode("utf-8", "surrogatepass")


def byte_piece(piece: str) -> bytes | None:
    """The byte that a fallback piece such as ``<0x0A>`` stands for, or None."""
    match = _BYTE_PIECE.fullmatch(piece) if len(piece) == 6 else None
    return bytes([int(match[1], 16)]) if match else None


def from_wordpiece(token: str) -> bytes:
    """Undo BERT's ``##``: a word's beginning gets the space that other formats write."""
    text = token.removeprefix("##") if token.startswith("##") else f" {token}"
    return text.encode("utf-8", "surrogatepass")
