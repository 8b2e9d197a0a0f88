"""Open any tokenizer file: the content tells the format, never the name.

Llama-3's tokenizer.model is a tiktoken file and Mistral's a SentencePiece model, so names
are not believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, reading
from pytest_scratchverify.tokenizer.limits import malformed, read_bytes, read_json
from pytest_scratchverify.tokenizer.read_gguf import MAGIC, read_gguf
from pytest_scratchverify.tokenizer.read_json import (
    read_tokenizer_json,
    read_vocab_and_merges,
    read_vocab_txt,
)
from pytest_scratchverify.tokenizer.read_sentencepiece import read_sentencepiece
from pytest_scratchverify.tokenizer.read_tiktoken import read_tekken, read_tiktoken
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer, mark

# In order of how much they say about the tokenizer.
FILES = (
    "tokenizer.json",
    "tekken.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "tokenizer.tiktoken",
    "tiktoken.model",
)
PATTERNS = ("*.tiktoken", "*.model", "*.model.v*", "*.gguf")
_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")
_PEEK = 4096

Reader = Callable[[Path, str], Tokenizer]


def read_tokenizer(path: Path, name: str | None = None) -> Tokenizer:
    """Read a tokenizer from a file or a model folder. Raises `Unavailable`, never runs code.

    `name` is what the tokenizer is called in reports; the path's own name otherwise.
    """
    path = path.expanduser()
    with reading(path.name):
        if path.is_dir():
            return _read_folder(path, name or path.name)
        return _usable(_reader(path)(path, name or path.name))


def _read_folder(folder: Path, name: str) -> Tokenizer:
    candidates = [folder / file for file in FILES]
    candidates += [found for pattern in PATTERNS for found in sorted(folder.glob(pattern))]
    for candidate in candidates:
        if candidate.is_file():
            with reading(candidate.name):
                tokenizer = _usable(_reader(candidate)(candidate, name))
            return _with_config(tokenizer, folder / "tokenizer_config.json")
    raise Unavailable(
        Reason.ABSENT,
        Text("The folder {folder} holds no tokenizer file.", folder=folder.name),
        Text("Put one of {files} there.", files=list(FILES)),
    )


def _reader(path: Path) -> Reader:
    head = _head(path)
    if path.name == "vocab.txt":  # the one format without a mark of its own
        return read_vocab_txt
    if head.startswith(MAGIC):
        return read_gguf
    if head.lstrip()[:1] in (b"{", b"["):
        return _read_any_json
    if _TIKTOKEN_LINE.match(head):
        return read_tiktoken
    return read_sentencepiece


def _read_any_json(path: Path, name: str) -> Tokenizer:
    data = read_json(path)
    if not isinstance(data, dict):
        raise malformed(path, "it is not a table")
    if isinstance(data.get("model"), dict):
        return read_tokenizer_json(path, name, data)
    if isinstance(data.get("config"), dict) and isinstance(data.get("vocab"), list):
        return read_tekken(path, name, data)
    if path.with_name("merges.txt").is_file():
        return read_vocab_and_merges(path, name, data)
    raise malformed(path, "it is none of the known JSON formats")


def _usable(tokenizer: Tokenizer) -> Tokenizer:
    """Compute what comparisons will ask for, so that content which breaks it breaks here."""
    _ = tokenizer.sizes, tokenizer.keys
    return tokenizer


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            return stream.read(_PEEK)
    except OSError:
        return read_bytes(path)[:_PEEK]  # raises with the sentence for the user


def _with_config(tokenizer: Tokenizer, path: Path) -> Tokenizer:
    """Take the chat template from the tokenizer_config.json beside the file, if there is one."""
    if not path.is_file():
        return tokenizer
    config = read_json(path)
    template = config.get("chat_template") if isinstance(config, dict) else None
    if template is None:
        return tokenizer
    text = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return replace(tokenizer, traits=replace(tokenizer.traits, chat_template=mark(text)))
