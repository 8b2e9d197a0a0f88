"""A model that is partly, or not at all, where it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

from pytest_scratchverify.checkpoint.header import TensorIndex
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, FileEntry, ModelCard

T = TypeVar("T")
Catalogue: TypeAlias = Callable[[str], ArtifactStore | None]

NO_ANSWER = frozenset({Reason.OFFLINE, Reason.UNREACHABLE})
# A file that the hub says is absent, malformed or too large is a fact about the model, and
# the catalogue's memory of it must not paper over it.
WORTH_A_FALLBACK = NO_ANSWER | {Reason.GATED, Reason.RATE_LIMITED, Reason.CUT_OFF}


class FallbackStore:
    """A store, and a catalogue for the configuration and the card that it cannot give."""

    def __init__(self, first: ArtifactStore, catalogue: Catalogue | None) -> None:
        self._first = first
        self._catalogue = catalogue

    @cached_property
    def derived(self) -> dict[type, object]:
        """What upper floors made of this store and keep as long as it, by its type."""
        return {}

    @property
    def repo(self) -> str:
        """The repository's name, after renaming."""
        return self._first.repo

    @property
    def revision(self) -> str | None:
        """The commit that everything is read from, where there is one."""
        return self._first.revision

    def config(self) -> Artifact[dict[str, Json]]:
        """Read the model's config.json, or the catalogue's."""
        return self._or_catalogue(lambda store: store.config())

    def generation_config(self) -> Artifact[dict[str, Json]]:
        """Read the model's generation_config.json."""
        return self._first.generation_config()

    def card(self) -> Artifact[ModelCard]:
        """Read the model card, or the catalogue's."""
        return self._or_catalogue(lambda store: store.card())

    def file(self, name: str) -> Artifact[Path]:
        """One whole small file, on disk."""
        return self._first.file(name)

    def tokenizer_files(self) -> tuple[Artifact[Path], ...]:
        """Every file that defines the tokenizer."""
        return self._first.tokenizer_files()

    def tensor_index(self) -> Artifact[TensorIndex]:
        """Names, shapes, dtypes and places of all tensors."""
        return self._first.tensor_index()

    def files(self) -> Artifact[tuple[FileEntry, ...]]:
        """List the files."""
        return self._first.files()

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:
        """Whether ranges of a file can be read at all."""
        return self._first.holds(file, spans)

    def read_range(self, file: str, start: int, stop: int) -> Artifact[bytes]:
        """Bytes `start` to `stop` (exclusive) of a file."""
        return self._first.read_range(file, start, stop)

    def read_ranges(self, file: str, ranges: Sequence[ByteRange]) -> Artifact[tuple[bytes, ...]]:
        """Several ranges of one file."""
        return self._first.read_ranges(file, ranges)

    def _or_catalogue(self, ask: Callable[[ArtifactStore], Artifact[T]]) -> Artifact[T]:
        try:
            return ask(self._first)
        except Unavailable as failure:
            printed = self._printed(failure)
            if printed is None:
                raise
            try:
                artifact = ask(printed)
            except Unavailable:
                raise failure from None  # the first obstacle is the one that can be removed
            return Artifact(artifact.value, replace(artifact.record, note=failure.what))

    def _printed(self, failure: Unavailable) -> ArtifactStore | None:
        if self._catalogue is None:
            return None
        if failure.reason in WORTH_A_FALLBACK or isinstance(self._first, NoStore):
            return self._catalogue(self.repo)
        return None


class NoStore:
    """A model that no place can give: every question gets the same sentence."""

    def __init__(self, repo: str, failure: Unavailable) -> None:
        self.repo = repo
        self.revision: str | None = None
        self._failure = failure

    @cached_property
    def derived(self) -> dict[type, object]:
        """What upper floors made of this store and keep as long as it, by its type."""
        return {}

    def _refuse(self) -> Unavailable:
        return Unavailable(self._failure.reason, self._failure.what, self._failure.remedy)

    def config(self) -> Artifact[dict[str, Json]]:
        """Raise the failure."""
        raise self._refuse()

    def generation_config(self) -> Artifact[dict[str, Json]]:
        """Raise the failure."""
        raise self._refuse()

    def card(self) -> Artifact[ModelCard]:
        """Raise the failure."""
        raise self._refuse()

    def file(self, name: str) -> Artifact[Path]:  # noqa: ARG002
        """Raise the failure."""
        raise self._refuse()

    def tokenizer_files(self) -> tuple[Artifact[Path], ...]:
        """Raise the failure."""
        raise self._refuse()

    def tensor_index(self) -> Artifact[TensorIndex]:
        """Raise the failure."""
        raise self._refuse()

    def files(self) -> Artifact[tuple[FileEntry, ...]]:
        """Raise the failure."""
        raise self._refuse()

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:  # noqa: ARG002
        """Hold nothing."""
        return False

    def read_range(self, file: str, start: int, stop: int) -> Artifact[bytes]:  # noqa: ARG002
        """Raise the failure."""
        raise self._refuse()

    def read_ranges(
        self,
        file: str,  # noqa: ARG002
        ranges: Sequence[ByteRange],  # noqa: ARG002
    ) -> Artifact[tuple[bytes, ...]]:
        """Raise the failure."""
        raise self._refuse()
