"""The catalogue as a fallback for metadata that a store cannot deliver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.stores.store import Artifact, ArtifactStore

T = TypeVar("T")
Catalogue: TypeAlias = Callable[[str], ArtifactStore | None]

NO_ANSWER = frozenset({Reason.OFFLINE, Reason.UNREACHABLE})
# A file that the hub says is absent, malformed or too large is a fact about the model, and
# the catalogue's memory of it must not paper over it.
WORTH_A_FALLBACK = NO_ANSWER | {Reason.GATED, Reason.RATE_LIMITED, Reason.CUT_OFF}


@dataclass(frozen=True, slots=True)
class Fallback:
    """A catalogue, and the reasons of failure for which it may answer in a store's place."""

    catalogue: Catalogue | None = None
    reasons: frozenset[Reason] = WORTH_A_FALLBACK

    def answer(
        self,
        repo: str,
        read: Callable[[], Artifact[T]],
        ask: Callable[[ArtifactStore], Artifact[T]],
    ) -> Artifact[T]:
        """Return what `read` gives, else what the catalogue's store gives when asked.

        The record of a catalogue's answer notes why the store gave none.

        Raises
        ------
        Unavailable
            That of `read`, if the catalogue may not answer or has no answer either: the first
            obstacle is the one that can be removed.
        """
        try:
            return read()
        except Unavailable as failure:
            entry = self._entry(repo, failure)
            if entry is None:
                raise
            try:
                artifact = ask(entry)
            except Unavailable:
                raise failure from None
            return Artifact(artifact.value, replace(artifact.record, note=failure.what))

    def _entry(self, repo: str, failure: Unavailable) -> ArtifactStore | None:
        if self.catalogue is None or failure.reason not in self.reasons:
            return None
        return self.catalogue(repo)
