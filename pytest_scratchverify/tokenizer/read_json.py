"""Read Hugging Face's tokenizer.json, and its older pair vocab.json and merges.txt.

The files are parsed, never handed to a library that could run or fetch something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pytest_scratchverify.tokenizer import alphabet
from pytest_scratchverify.tokenizer.limits import (
    MAX_MERGES,
    MAX_TOKENS,
    check_tokens,
    lines_of,
    malformed,
    read_bytes,
    read_json,
    too_large,
)
from pytest_scratchverify.tokenizer.placeholders import OPENING, is_placeholder
from pytest_scratchverify.tokenizer.vocabulary import Draft, Kind, Token, Tokenizer, Traits, mark

Vocab = Mapping[str, int]
MAX_ID = 2**31
BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class Added(NamedTuple):
    """A token that was added to a vocabulary instead of learnt."""

    id: int
    special: bool


def read_tokenizer_json(path: Path, name: str, data: Mapping[str, Any]) -> Tokenizer:
    """Read the parsed tokenizer.json of a BPE, Unigram or WordPiece model."""
    model = data.get("model")
    if not isinstance(model, dict):
        raise malformed(path, "it has no model section")
    added = _added(path, data.get("added_tokens"))
    draft = _draft(path, name, model, added)
    draft.traits = _traits(path, data, model)
    return draft.canonical()


def read_vocab_and_merges(path: Path, name: str, data: Mapping[str, Any]) -> Tokenizer:
    """Read vocab.json with the merges.txt beside it; added_tokens.json too, if it is there."""
    beside = path.with_name("merges.txt")
    raw = read_bytes(beside)
    if raw.count(b"\n") > MAX_MERGES:
        raise too_large(beside, f"more than {MAX_MERGES} merges")
    try:
        lines = raw.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise malformed(beside, "it is not UTF-8") from error
    merges = [line for line in lines if line and not line.startswith("#version")]
    extra = path.with_name("added_tokens.json")
    names = _vocab(extra, read_json(extra)) if extra.is_file() else {}
    added = {token: Added(index, special=True) for token, index in names.items()}
    draft = _bpe(path, name, {"vocab": data, "merges": merges}, added)
    draft.source = "vocab.json"
    return draft.canonical()


def read_vocab_txt(path: Path, name: str) -> Tokenizer:
    """Read BERT's vocab.txt: one WordPiece token per line, its line number being its id."""
    lines = lines_of(path, read_bytes(path), MAX_TOKENS)
    check_tokens(path, len(lines))
    vocab = {token: index for index, token in enumerate(lines)}
    added = {t: Added(vocab[t], special=True) for t in BERT_SPECIALS if t in vocab}
    draft = _wordpiece(path, name, {"vocab": vocab}, added)
    draft.source = "vocab.txt"
    return draft.canonical()


def _draft(path: Path, name: str, model: Mapping[str, Any], added: Mapping[str, Added]) -> Draft:
    kind = model.get("type")
    if kind is None:  # written before `type` existed; the shape tells
        kind = "BPE" if "merges" in model else "Unigram" if "unk_id" in model else "WordPiece"
    readers = {"BPE": _bpe, "Unigram": _unigram, "WordPiece": _wordpiece}
    if not isinstance(kind, str) or kind not in readers:
        raise malformed(path, f"its model type {str(kind)[:40]!r} is not known")
    return readers[kind](path, name, model, added)


def _bpe(path: Path, name: str, model: Mapping[str, Any], added: Mapping[str, Added]) -> Draft:
    draft = Draft(name, Kind.BPE, "tokenizer.json", {})
    vocab = _ordinary(draft, _vocab(path, model.get("vocab")), added)
    merges = _merges(path, model.get("merges"))
    byte_level = alphabet.is_byte_level({token for token in vocab if len(token) == 1})
    decode = alphabet.from_byte_level if byte_level else alphabet.from_sentencepiece
    contents = {token: decode(token) for token in vocab}
    draft.tokens = (
        {
            c: Token(c, i, len(c) == 1)
            for c, i in zip(contents.values(), vocab.values(), strict=True)
        }
        if byte_level
        else piece_tokens(vocab.items())
    )
    # Distinct results only: an exporter may list every way to split a token.
    draft.order = [contents[result] for result in dict.fromkeys(merges) if result in contents]
    draft.merges_listed = len(merges)
    return draft


def _unigram(path: Path, name: str, model: Mapping[str, Any], added: Mapping[str, Added]) -> Draft:
    rows = model.get("vocab")
    if not isinstance(rows, list):
        raise malformed(path, "its vocabulary is not a list of pieces")
    check_tokens(path, len(rows))
    try:
        scores = {str(piece): float(score) for piece, score in rows}
    except (TypeError, ValueError) as error:
        raise malformed(path, "a piece has no score") from error
    draft = Draft(name, Kind.UNIGRAM, "tokenizer.json", {})
    vocab = _ordinary(draft, {piece: index for index, piece in enumerate(scores)}, added)
    draft.tokens = piece_tokens(vocab.items())
    likely = sorted(vocab, key=lambda piece: -scores[piece])
    draft.order = [alphabet.from_sentencepiece(piece) for piece in likely]
    return draft


def _wordpiece(
    path: Path, name: str, model: Mapping[str, Any], added: Mapping[str, Added]
) -> Draft:
    draft = Draft(name, Kind.WORDPIECE, "tokenizer.json", {})
    vocab = _ordinary(draft, _vocab(path, model.get("vocab")), added)
    draft.tokens = wordpiece_tokens(vocab.items())
    return draft


def _vocab(path: Path, value: object) -> Vocab:
    if not isinstance(value, dict):
        raise malformed(path, "its vocabulary is not a table of tokens")
    check_tokens(path, len(value))
    ids = value.values()
    if set(map(type, ids)) != {int} or min(ids) < 0 or max(ids) >= MAX_ID:
        raise malformed(path, "a token's id is not a number")
    return value


def _merges(path: Path, value: object) -> list[str]:
    if not isinstance(value, list):
        raise malformed(path, "its merges are not a list")
    if len(value) > MAX_MERGES:
        raise too_large(path, f"{len(value)} merges")
    try:
        # Old files write "a b", newer ones ["a", "b"]; the first space divides the former,
        # and neither alphabet has a space inside a token.
        return [
            m.replace(" ", "", 1) if isinstance(m, str) else "".join((m[0], m[1])) for m in value
        ]
    except (TypeError, IndexError, KeyError) as error:
        raise malformed(path, "a merge does not name two tokens") from error


def piece_tokens(pieces: Iterable[tuple[str, int]]) -> dict[bytes, Token]:
    """Tokens of a SentencePiece-like vocabulary; one character or one byte is a symbol.

    A fallback piece such as ``<0x41>`` stays beside the character "A": both have a row.
    """
    tokens: dict[bytes, Token] = {}
    for piece, index in pieces:
        byte = alphabet.byte_piece(piece)
        if byte is not None:
            tokens[piece.encode()] = Token(byte, index, single=True)
        else:
            content = alphabet.from_sentencepiece(piece)
            tokens[content] = Token(content, index, len(piece) == 1)
    return tokens


def wordpiece_tokens(pieces: Iterable[tuple[str, int]]) -> dict[bytes, Token]:
    """Tokens of a BERT vocabulary; a character or its ``##`` twin is a symbol."""
    decoded = (
        (alphabet.from_wordpiece(token), index, len(token.removeprefix("##")) == 1)
        for token, index in pieces
    )
    return {content: Token(content, index, single) for content, index, single in decoded}


def _ordinary(draft: Draft, vocab: Vocab, added: Mapping[str, Added]) -> dict[str, int]:
    """The learnt part of a vocabulary; added tokens and placeholders are noted in the draft.

    An added token may be spelled like a learnt one (OLMo adds runs of spaces that its merges
    give, too), so it is taken out by name and id before spellings are undone.
    """
    draft.added = {token: entry.id for token, entry in added.items()}
    draft.special = {token for token, entry in added.items() if entry.special}
    draft.rows = 1 + max(chain(vocab.values(), draft.added.values()))
    kept = dict(vocab)
    for token, index in draft.added.items():
        if kept.get(token) == index:
            del kept[token]
    placeholders = [t for t in kept if t.startswith(OPENING) and is_placeholder(t)]
    for token in placeholders:
        del kept[token]
    draft.padding = len(placeholders)
    return kept


def _added(path: Path, rows: object) -> dict[str, Added]:
    if rows is None:
        return {}
    if not isinstance(rows, list):
        raise malformed(path, "its added tokens are not a list")
    found: dict[str, Added] = {}
    for row in rows:
        if not isinstance(row, dict) or not _is_id(row.get("id")):
            raise malformed(path, "an added token has no id")
        content = row.get("content", "")
        if not isinstance(content, str):
            raise malformed(path, "an added token is no text")
        found[content] = Added(row["id"], special=bool(row.get("special")))
    return found


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_ID


def _traits(path: Path, data: Mapping[str, Any], model: Mapping[str, Any]) -> Traits:
    try:
        steps = [describe(data.get(name)) for name in ("pre_tokenizer", "normalizer")]
    except TypeError as error:
        raise malformed(path, "the steps of a sequence are not a list") from error
    return Traits(
        pre_tokenizer=mark(*steps[0]),
        normalizer=mark(*steps[1]),
        byte_fallback=bool(model.get("byte_fallback")),
    )


def describe(section: object) -> list[str]:
    """List what a pre-tokenizer or normalizer does, step by step.

    Sequences are unrolled; a splitting pattern is its regular expression, which other
    formats write alone; a ByteLevel step that does not split is the alphabet, not a step.
    """
    if not isinstance(section, dict):
        return []
    if section.get("type") == "Sequence":
        steps = section.get("pretokenizers") or section.get("normalizers") or []
        if not isinstance(steps, list):
            raise TypeError(type(steps).__name__)
        return [line for step in steps for line in describe(step)][:100]
    if section.get("type") == "ByteLevel" and section.get("use_regex") is False:
        return []
    pattern = section.get("pattern")
    if section.get("type") == "Split" and isinstance(pattern, dict) and "Regex" in pattern:
        return [str(pattern["Regex"])]
    return [json.dumps(section, sort_keys=True, ensure_ascii=False)]
