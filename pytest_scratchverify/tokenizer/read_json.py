"""Read Hugging Face's tokenizer.json, and its older pair vocab.json and merges.txt.

The files are parsed, never handed to a library that could run or fetch something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_scratchverify.tokenizer import alphabet
from pytest_scratchverify.tokenizer.limits import (
    MAX_MERGES,
    check_tokens,
    malformed,
    read_bytes,
    read_json,
    too_large,
)
from pytest_scratchverify.tokenizer.placeholders import is_placeholder
from pytest_scratchverify.tokenizer.vocabulary import Draft, Kind, Token, Tokenizer, Traits, mark

Vocab = Mapping[str, int]


def read_tokenizer_json(path: Path, name: str, data: Mapping[str, Any]) -> Tokenizer:
    """Read the parsed tokenizer.json of a BPE, Unigram or WordPiece model."""
    model = data.get("model")
    if not isinstance(model, dict):
        raise malformed(path, "it has no model section")
    draft = _draft(path, name, model)
    _take_added(path, draft, data.get("added_tokens"))
    draft.traits = _traits(data, model)
    return draft.canonical()


def read_vocab_and_merges(path: Path, name: str, data: Mapping[str, Any]) -> Tokenizer:
    """Read vocab.json with the merges.txt beside it; added_tokens.json too, if it is there."""
    vocab = _vocab(path, data)
    beside = path.with_name("merges.txt")
    lines = read_bytes(beside).decode("utf-8", "surrogatepass").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    draft = _bpe(path, name, {"vocab": vocab, "merges": merges})
    draft.source = "vocab.json"
    extra = path.with_name("added_tokens.json")
    if extra.is_file():
        for token, index in _vocab(extra, read_json(extra)).items():
            _add(draft, token, index, special=True)
    return draft.canonical()


def read_vocab_txt(path: Path, name: str) -> Tokenizer:
    """Read BERT's vocab.txt: one WordPiece token per line, its line number being its id."""
    lines = read_bytes(path).decode("utf-8", "replace").splitlines()
    check_tokens(path, len(lines))
    vocab = {token: index for index, token in enumerate(lines)}
    draft = _wordpiece(path, name, {"vocab": vocab})
    draft.source = "vocab.txt"
    for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"):
        if token in vocab:
            _add(draft, token, vocab[token], special=True)
    return draft.canonical()


def _draft(path: Path, name: str, model: Mapping[str, Any]) -> Draft:
    kind = model.get("type")
    if kind is None:  # written before `type` existed; the shape tells
        kind = "BPE" if "merges" in model else "Unigram" if "unk_id" in model else "WordPiece"
    readers = {"BPE": _bpe, "Unigram": _unigram, "WordPiece": _wordpiece}
    if kind not in readers:
        raise malformed(path, f"its model type {str(kind)[:40]!r} is not known")
    return readers[kind](path, name, model)


def _bpe(path: Path, name: str, model: Mapping[str, Any]) -> Draft:
    vocab = _vocab(path, model.get("vocab"))
    merges = _merges(path, model.get("merges"))
    byte_level = alphabet.is_byte_level({token for token in vocab if len(token) == 1})
    tokens = _byte_level_tokens(vocab) if byte_level else piece_tokens(vocab.items())
    decode = alphabet.from_byte_level if byte_level else alphabet.from_sentencepiece
    # Distinct results only: an exporter may list every way to split a token.
    order = [decode(result) for result in dict.fromkeys(merges)]
    draft = Draft(name, Kind.BPE, "tokenizer.json", tokens, order, merges_listed=len(merges))
    _set_placeholders_apart(draft, vocab)
    return draft


def _unigram(path: Path, name: str, model: Mapping[str, Any]) -> Draft:
    rows = model.get("vocab")
    if not isinstance(rows, list):
        raise malformed(path, "its vocabulary is not a list of pieces")
    check_tokens(path, len(rows))
    try:
        scores = {str(piece): float(score) for piece, score in rows}
    except (TypeError, ValueError) as error:
        raise malformed(path, "a piece has no score") from error
    vocab = {piece: index for index, piece in enumerate(scores)}
    tokens = piece_tokens(vocab.items())
    order = [alphabet.from_sentencepiece(p) for p in sorted(scores, key=lambda p: -scores[p])]
    draft = Draft(name, Kind.UNIGRAM, "tokenizer.json", tokens, order)
    _set_placeholders_apart(draft, vocab)
    return draft


def _wordpiece(path: Path, name: str, model: Mapping[str, Any]) -> Draft:
    vocab = _vocab(path, model.get("vocab"))
    tokens = wordpiece_tokens(vocab.items())
    draft = Draft(name, Kind.WORDPIECE, "tokenizer.json", tokens)
    _set_placeholders_apart(draft, vocab)
    return draft


def _vocab(path: Path, value: object) -> Vocab:
    if not isinstance(value, dict):
        raise malformed(path, "its vocabulary is not a table of tokens")
    check_tokens(path, len(value))
    if not all(type(index) is int and 0 <= index < 2**31 for index in value.values()):
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
        return [m.replace(" ", "", 1) if isinstance(m, str) else m[0] + m[1] for m in value]
    except (TypeError, IndexError, KeyError) as error:
        raise malformed(path, "a merge does not name two tokens") from error


def _byte_level_tokens(vocab: Vocab) -> dict[bytes, Token]:
    decoded = ((alphabet.from_byte_level(token), index) for token, index in vocab.items())
    return {content: Token(content, index, len(content) == 1) for content, index in decoded}


def piece_tokens(pieces: Iterable[tuple[str, int]]) -> dict[bytes, Token]:
    """Tokens of a SentencePiece-like vocabulary; one character or one byte is a symbol."""
    tokens: dict[bytes, Token] = {}
    for piece, index in pieces:
        byte = alphabet.byte_piece(piece)
        content = alphabet.from_sentencepiece(piece) if byte is None else byte
        if byte is None or content not in tokens:  # "<0x41>" stands behind a real "A"
            tokens[content] = Token(content, index, byte is not None or len(piece) == 1)
    return tokens


def wordpiece_tokens(pieces: Iterable[tuple[str, int]]) -> dict[bytes, Token]:
    """Tokens of a BERT vocabulary; a character or its ``##`` twin is a symbol."""
    decoded = (
        (alphabet.from_wordpiece(token), index, len(token.removeprefix("##")) == 1)
        for token, index in pieces
    )
    return {content: Token(content, index, single) for content, index, single in decoded}


def _set_placeholders_apart(draft: Draft, vocab: Vocab) -> None:
    for token, index in vocab.items():
        draft.rows = max(draft.rows, index + 1)
        if is_placeholder(token):
            _forget(draft, token, index)
            draft.padding += 1


def _take_added(path: Path, draft: Draft, rows: object) -> None:
    if rows is None:
        return
    if not isinstance(rows, list):
        raise malformed(path, "its added tokens are not a list")
    for row in rows:
        if not isinstance(row, dict) or type(row.get("id")) is not int:
            raise malformed(path, "an added token has no id")
        _add(draft, str(row.get("content", "")), row["id"], special=bool(row.get("special")))


def _add(draft: Draft, token: str, index: int, *, special: bool) -> None:
    if not 0 <= index < 2**31:
        return
    _forget(draft, token, index)
    draft.added[token] = index
    if special:
        draft.special.add(token)


def _forget(draft: Draft, token: str, index: int) -> None:
    """Take a token out of the learnt ones, under whichever spelling it is filed there."""
    spellings = (
        token.encode("utf-8", "surrogatepass"),
        alphabet.from_sentencepiece(token),
        alphabet.from_byte_level(token),
        alphabet.from_wordpiece(token),
    )
    for content in spellings:
        found = draft.tokens.get(content)
        if found is not None and found.id == index and not found.single:
            del draft.tokens[content]


def _traits(data: Mapping[str, Any], model: Mapping[str, Any]) -> Traits:
    return Traits(
        pre_tokenizer=mark(*describe(data.get("pre_tokenizer"))),
        normalizer=mark(*describe(data.get("normalizer"))),
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
        return [line for step in steps for line in describe(step)][:100]
    if section.get("type") == "ByteLevel" and section.get("use_regex") is False:
        return []
    pattern = section.get("pattern")
    if section.get("type") == "Split" and isinstance(pattern, dict) and "Regex" in pattern:
        return [str(pattern["Regex"])]
    return [json.dumps(section, sort_keys=True, ensure_ascii=False)]
