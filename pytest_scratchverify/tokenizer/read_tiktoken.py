"""Read tiktoken's rank files and Mistral's tekken.json: bytes and ranks, and little else.

A tiktoken file is lines of base64 and a rank. It says nothing of special tokens or of the
pre-tokenizer, so neither is compared.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from pytest_scratchverify.tokenizer.limits import (
    MAX_TOKENS,
    check_tokens,
    malformed,
    read_bytes,
)
from pytest_scratchverify.tokenizer.vocabulary import Draft, Kind, Token, Tokenizer, Traits, mark


def read_tiktoken(path: Path, name: str) -> Tokenizer:
    """Read a tiktoken file, whatever its name (Llama-3 calls it tokenizer.model)."""
    ranks: dict[bytes, int] = {}
    for ended in BytesIO(read_bytes(path)):
        line = ended.rstrip(b"\r\n")
        if not line or line.startswith(b"= "):  # Whisper's file ends with an empty token
            continue
        try:
            token, rank = line.split()
            ranks[b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise malformed(path, "a line is not base64 and a rank") from error
        if len(ranks) > MAX_TOKENS:
            break
    return _draft(path, name, "tiktoken", ranks).canonical()


def read_tekken(path: Path, name: str, data: Mapping[str, Any]) -> Tokenizer:
    """Read Mistral's tekken.json.

    The file lists more tokens than the model uses (150,000 against 131,072 less 1,000
    specials); the rest are not part of the vocabulary.
    """
    config = data["config"]
    try:
        specials = int(config["default_num_special_tokens"])
        used = int(config["default_vocab_size"]) - specials
        ranks = {b64decode(row["token_bytes"]): int(row["rank"]) for row in data["vocab"][:used]}
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise malformed(path, "a token has no bytes or no rank") from error
    # Specials come first in the ids that the model sees, and ranks are counted after them.
    ranks = {token: rank + specials for token, rank in ranks.items()}
    draft = _draft(path, name, "tekken", ranks)
    draft.added = _tekken_specials(data)
    draft.special = set(draft.added)
    draft.traits = Traits(pre_tokenizer=mark(str(config.get("pattern"))))
    return draft.canonical()


def _tekken_specials(data: Mapping[str, Any]) -> dict[str, int]:
    stated = data.get("special_tokens")
    rows = stated if isinstance(stated, list) else ()
    return {
        str(row["token_str"]): int(row["rank"])
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("rank"), int) and "token_str" in row
    }


def _draft(path: Path, name: str, source: str, ranks: Mapping[bytes, int]) -> Draft:
    check_tokens(path, len(ranks))
    if not all(0 <= rank < 2**31 for rank in ranks.values()):
        raise malformed(path, "a rank is out of range")
    tokens = {t: Token(t, rank, len(t) == 1) for t, rank in ranks.items() if t}
    return Draft(name, Kind.BPE, source, tokens)
