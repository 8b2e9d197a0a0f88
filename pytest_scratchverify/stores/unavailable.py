"""A store of a model that cannot be read anywhere: every method raises the same `Unavailable`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.fallback import Catalogue, Fallback
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, Confirmation, FileEntry


class UnavailableStore(BaseStore):
    """Raises `failure` for everything, except for what a catalogue knows.

    Parameters
    ----------
    repo : str
        The name that was asked for.
    failure : Unavailable
        Why the model cannot be read, and what its user can do.
    catalogue : callable, optional
        Asked for the configuration and the card, whatever the reason of the failure.
    """

    def __init__(self, repo: str, failure: Unavailable, catalogue: Catalogue | None = None) -> None:
        super().__init__(
            repo,
            None,
            Source.HUB,
            budget=ByteBudget(),
            fallback=Fallback(catalogue, frozenset(Reason)),
        )
        self._failure = failure

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:  # noqa: ARG002
        """Hold nothing."""
        return False

    def confirm(
        self,
        file: str,
        seen: Mapping[ByteRange, bytes],  # noqa: ARG002
        further: Sequence[ByteRange] = (),  # noqa: ARG002
    ) -> Artifact[Confirmation]:
        """Confirm nothing."""
        raise self._missing(file)

    def _entries(self) -> tuple[FileEntry, ...]:
        raise self._failure

    def _fetch(self, name: str) -> Path:
        raise self._missing(name)

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:  # noqa: ARG002
        raise self._missing(name)

    def _missing(self, name: str) -> Unavailable:  # noqa: ARG002
        return Unavailable(self._failure.reason, self._failure.what, self._failure.remedy)
