"""The interface of all stores: the artifacts of one model repository at one commit.

A folder, the hub, the local cache and the catalogue all answer these questions, and a test
cannot tell them apart except by the record of what was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pytest_scratchverify.checkpoint.header import TensorIndex
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.stores.http.ranges import ByteRange

T_co = TypeVar("T_co", covariant=True)
SUMMED = (".safetensors", ".gguf")  # weights of which folders compute digests and hubs list them
CONFIRMED_WHOLE = 64 * 2**20  # bytes: smaller files are confirmed by their own digest
# What is called what in the sentence about a file that nobody foresaw.
FILE_OF = {
    "card": "README.md",
    "tensor_index": "the list of tensors",
    "files": "the list of files",
    "listing": "the list of files",
}


@dataclass(frozen=True, slots=True)
class Artifact(Generic[T_co]):
    """A value and the record of what was read to get it.

    Records are deterministic: `bytes_read` counts the content that was needed, not the
    traffic, so that two workers that share a cache hand in equal records.
    """

    value: T_co
    record: ArtifactRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a repository: its path, its size in bytes and, if known, a digest.

    `sha256` is that of a large file (LFS, Xet), `oid` the git object id of a small one.
    """

    path: str
    size: int | None
    sha256: str | None = None
    oid: str | None = field(default=None, compare=False)


def weights_digest(entries: Iterable[FileEntry]) -> str | None:
    """Return one digest for all weight files of a listing; None where one of them has none.

    It is the sha256 of what ``sha256sum`` prints of them, sorted by path.
    """
    weights = [entry for entry in entries if entry.path.endswith(SUMMED)]
    if not weights or any(entry.sha256 is None for entry in weights):
        return None
    lines = (_summed(entry) for entry in sorted(weights, key=lambda entry: entry.path))
    text = "".join(f"{line}\n" for line in lines)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _summed(entry: FileEntry) -> str:
    line = f"{entry.sha256}  {entry.path}"
    if "\\" not in line and "\n" not in line:
        return line
    escaped = line.replace("\\", "\\\\").replace("\n", "\\n")  # as sha256sum marks and escapes them
    return f"\\{escaped}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What the publisher says in README.md: claims, not evidence."""

    base_model: tuple[str, ...] = ()
    base_model_relation: str | None = None
    license: str | None = None
    license_name: str | None = None
    language: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """How far bytes that were read were confirmed to be the listed file's.

    `whole` says that the file's own digest was computed, or that it lies in the user's hands;
    `further` are the further ranges that were asked for, as they were read now.
    """

    whole: bool
    further: tuple[bytes, ...] = ()


class ArtifactStore(Protocol):
    """The artifacts of one model at one commit; every method may raise `Unavailable`."""

    @property
    def repo(self) -> str:
        """The repository's name, after renaming, or the folder's path."""
        ...

    @property
    def revision(self) -> str | None:
        """The commit that everything is read from; None for a folder."""
        ...

    @property
    def derived(self) -> MutableMapping[type, object]:
        """What upper floors made of this store and keep as long as it, by its type.

        `tensors.reading.open_checkpoint` keeps the `Checkpoint` here: headers are sorted once.
        """
        ...

    def config(self) -> Artifact[dict[str, Json]]:
        """Read the model's config.json."""
        ...

    def generation_config(self) -> Artifact[dict[str, Json]]:
        """Read the model's generation_config.json."""
        ...

    def card(self) -> Artifact[ModelCard]:
        """Read the model card: the metadata and the text of README.md."""
        ...

    def file(self, name: str) -> Artifact[Path]:
        """One whole small file, on disk."""
        ...

    def tokenizer_files(self) -> tuple[Artifact[Path], ...]:
        """Every file that defines the tokenizer, sorted by name."""
        ...

    def vocabulary_head(self) -> Artifact[bytes]:
        """The head of a GGUF file, where no other file defines the tokenizer."""
        ...

    def tensor_index(self) -> Artifact[TensorIndex]:
        """Names, shapes, dtypes and places of all tensors, without their weights."""
        ...

    def files(self) -> Artifact[tuple[FileEntry, ...]]:
        """List the files, sorted by path, with sizes and known digests."""
        ...

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:
        """Whether ranges of a file can be read at all; False in parts of a fingerprint only."""
        ...

    def read_ranges(self, file: str, ranges: Sequence[ByteRange]) -> Artifact[tuple[bytes, ...]]:
        """Several ranges of one file, in the order in which they were asked for."""
        ...

    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Make sure that what was read of a file is what the publisher put there.

        Parameters
        ----------
        file : str
            A listed file.
        seen : mapping
            From ranges that were read to the sha256 of what came.
        further : sequence of ByteRange
            To be read now, beside a check of what was seen.

        Raises
        ------
        Unavailable
            Where other bytes come now (`Reason.MISMATCH`, and nothing of the file is kept), or
            where nothing can be confirmed.
        """
        ...


def total_size(entries: Sequence[FileEntry]) -> int | None:
    """Add up the sizes of files in bytes; None if one is unknown."""
    sizes = [entry.size for entry in entries]
    return None if None in sizes else sum(size for size in sizes if size is not None)
