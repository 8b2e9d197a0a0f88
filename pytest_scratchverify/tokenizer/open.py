"""Open the tokenizer of a model through the artifact store, wherever its files come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import reading
from pytest_scratchverify.tokenizer.compare import Vocabulary
from pytest_scratchverify.tokenizer.read import FILES, read_tokenizer
from pytest_scratchverify.tokenizer.read_gguf import read_gguf_head
from pytest_scratchverify.tokenizer.sketch import sketch_for

# A file is there or not; these reasons mean that nobody knows, and the catalogue may help.
OUT_OF_REACH = frozenset(
    {Reason.OFFLINE, Reason.UNREACHABLE, Reason.GATED, Reason.RATE_LIMITED, Reason.ABSENT}
)


class File(Protocol):
    """A file on disk and the record of how it got there."""

    @property
    def value(self) -> Path:
        """Where the file is."""
        ...

    @property
    def record(self) -> ArtifactRecord:
        """What was read."""
        ...


class Head(Protocol):
    """The head of a GGUF file and the record of how it was read."""

    @property
    def value(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def record(self) -> ArtifactRecord:
        """What was read."""
        ...


class Store(Protocol):
    """The part of `hub.store.ArtifactStore` that a tokenizer needs."""

    @property
    def repo(self) -> str:
        """The repository or folder."""
        ...

    def tokenizer_files(self) -> Sequence[File]:
        """Every file that defines the tokenizer."""
        ...

    def vocabulary_head(self) -> Head:
        """The head of a GGUF file."""
        ...


def open_tokenizer(
    store: Store, name: str | None = None
) -> tuple[Vocabulary, tuple[ArtifactRecord, ...]]:
    """Read the fullest tokenizer file of a model; the shipped sketch where none is in reach.

    `name` is what findings call the model, the store's repository otherwise.
    tokenizer.json says most, then tekken, SentencePiece, vocab.json, tiktoken; without any of
    them the vocabulary that weights in GGUF carry is read. The records
    say what was read, or that the catalogue stood in. Raises `Unavailable` if neither has it.
    """
    name = name or store.repo
    try:
        return _read(store, name)
    except Unavailable as error:
        out_of_reach = error.reason in OUT_OF_REACH
        sketch = sketch_for(name) or sketch_for(store.repo) if out_of_reach else None
        if sketch is None:
            raise
        return sketch.called(name), (_from_catalogue(name, error),)


def _read(store: Store, name: str) -> tuple[Vocabulary, tuple[ArtifactRecord, ...]]:
    try:
        files = list(store.tokenizer_files())
        chosen = fullest_file(files)
        if chosen is None or _preference(chosen)[0] > len(FILES):  # settings, and no vocabulary
            raise _no_file(name)
    except Unavailable as error:
        embedded = _embedded(store, name) if error.reason is Reason.ABSENT else None
        if embedded is None:
            raise
        return embedded
    return read_tokenizer(chosen.value, name), tuple(file.record for file in files)


def _embedded(store: Store, name: str) -> tuple[Vocabulary, tuple[ArtifactRecord, ...]] | None:
    """Read the vocabulary that weights in GGUF carry; None where there are no such weights."""
    try:
        head = store.vocabulary_head()
    except Unavailable:
        return None
    with reading(head.record.file, store.repo):
        return read_gguf_head(head.value, head.record.file, name), (head.record,)


def fullest_file(files: Sequence[File]) -> File | None:
    """Return the tokenizer file that says most, None where there is none."""
    return min(files, key=_preference, default=None)


def _preference(file: File) -> tuple[int, str]:
    name = file.value.name
    known = FILES.index(name) if name in FILES else len(FILES)
    other = name.endswith((".model", ".tiktoken", ".gguf")) or ".model.v" in name
    return (known if name in FILES or other else len(FILES) + 1), name


def _from_catalogue(repo: str, error: Unavailable) -> ArtifactRecord:
    return ArtifactRecord(
        repo=repo,
        file="tokenizer (shipped sketch)",
        source=Source.CATALOGUE,
        note=Text("A sketch of the vocabulary stood in for the file: {why}", why=str(error.what)),
    )


def _no_file(repo: str) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text("{repo} holds no tokenizer file.", repo=repo),
        Text("Give a repository or folder with one of {files}.", files=list(FILES)),
    )
