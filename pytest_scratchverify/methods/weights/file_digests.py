"""File digests: whether files of weights are byte for byte another model's.

The hub publishes the sha256 of every weight file, so whole shards are compared without
reading one weight. A hit needs no statistics: 2^-256 is the chance of a coincidence. A miss
means little: one changed bit in every file hides the rest, so this never clears a model. Files
that hold constants only (placeholders of zeros) are equal and were copied by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import (
    ArtifactRecord,
    Coverage,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.weights.file_content import MINIMUM_BYTES, says_something
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, FileEntry, weights_digest

WEIGHT_SUFFIXES = (".safetensors", ".bin", ".gguf", ".pt", ".pth")

MOST_NAMED = 64  # weight files whose digests a finding names; of more, their joint digest alone
CONFIRMED = 4  # equal files of which the listing's word is confirmed, the largest first
START = ByteRange(0, 8)

Listing = Artifact[tuple[FileEntry, ...]]


def shard_digests(
    pair: Pair, ours: ArtifactStore, theirs: ArtifactStore, *, declared: bool
) -> Finding:
    """Compare the sha256 digests of all weight files of two models; of equal ones, see what is in.

    Raises `Unavailable` where either side publishes no digest of any weight file, or where the
    word of a listing that two files are equal could not be confirmed.
    """
    files, reference = ours.files(), theirs.files()
    mine, others = _weights(pair.model.name, files), _weights(pair.reference.name, reference)
    equal = sorted(path for path, entry in mine.items() if entry.sha256 in _digests(others))
    # The same bytes on either side, so that the one that can be read will do.
    there = {entry.sha256: path for path, entry in sorted(others.items(), reverse=True)}
    held = {path: _content(path, there[mine[path].sha256], ours, theirs) for path in equal}
    same = [path for path in equal if held[path]]
    found = _Equal(
        pair=pair,
        same=same,
        unread=[path for path in equal if held[path] is None],
        empty=[path for path in equal if held[path] is False],
        n=len(mine),
        share=_size(mine, same) / (_size(mine, mine) or 1),
    )
    outcome = found.outcome(declared=declared)
    records = _confirmed(ours, theirs, mine, others) if same else []
    return Hypothesis(
        method="weights.shard_digests",
        component=Component.TEXT_DECODER,
        model=pair.model.name,
        reference=pair.reference.name,
        statement=Text("no weight file is byte for byte the reference's"),
        dependence_group="bytes",
    ).finding(
        outcome,
        found.headline(),
        level=Level.E4 if same else Level.E0,
        direction=Direction.TOWARD_REUSE if same or found.unread else Direction.NONE,
        relation=Relation.VERBATIM if same else None,
        kinds=(Kind.IDENTICAL,) if same and len(same) == len(mine) else (),
        statistic=Statistic(name="identical_files", value=len(same), n=len(mine)),
        effect=Statistic(name="identical_share_of_bytes", value=found.share),
        null=Null(
            kind="exact",
            description=Text("equal sha256 digests of different files: chance 2^-256"),
        ),
        coverage=Coverage(parameters=found.share if same else None),
        artifacts=(_with_digest(files), _with_digest(reference), *records),
        details={
            "identical": [*same],
            "weight_files": len(mine),
            **_named(mine),
            **({"nothing_to_copy": [*found.empty]} if found.empty else {}),
            **({"unread": [*found.unread]} if found.unread else {}),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Equal:
    """The files with equal digests: with weights in them, with none, and of unknown content."""

    pair: Pair
    same: list[str]
    unread: list[str]
    empty: list[str]
    n: int
    share: float

    def outcome(self, *, declared: bool) -> Outcome:
        if self.same:
            return Outcome.DECLARED if declared else Outcome.DERIVED
        return Outcome.INDETERMINATE if self.unread or self.empty else Outcome.CONSISTENT

    def headline(self) -> Text:
        name = self.pair.reference.name
        if self.same:
            return Text(
                "{same} of {n} weight files ({share} of the bytes) are byte for byte {reference}'s",
                same=len(self.same),
                n=self.n,
                share=f"{self.share:.1%}",
                reference=name,
            )
        if self.unread:
            return Text(
                "{same} of {n} weight files have the digest of one of {reference}'s; that they hold"
                " more than constants could not be read",
                same=len(self.unread),
                n=self.n,
                reference=name,
            )
        if self.empty:
            return Text(
                "{same} of {n} weight files are byte for byte {reference}'s and hold constants"
                " only: there is nothing to copy",
                same=len(self.empty),
                n=self.n,
                reference=name,
            )
        return Text(
            "none of {n} weight files is byte for byte {reference}'s; this finds copies only",
            n=self.n,
            reference=name,
        )


def _with_digest(listing: Listing) -> ArtifactRecord:
    """Record the joint digest of the weight files that a listing names."""
    return replace(listing.record, digest=weights_digest(listing.value))


def _named(mine: dict[str, FileEntry]) -> dict[str, Json]:
    """Name the digests of the tested model's files; every pair repeats them, so not of hundreds."""
    if len(mine) > MOST_NAMED:
        return {}
    return {"digests": {path: entry.sha256 for path, entry in sorted(mine.items())}}


def _content(path: str, there: str, ours: ArtifactStore, theirs: ArtifactStore) -> bool | None:
    found = says_something(path, ours)
    return says_something(there, theirs) if found is None else found


def _confirmed(
    ours: ArtifactStore,
    theirs: ArtifactStore,
    mine: dict[str, FileEntry],
    others: dict[str, FileEntry],
) -> list[ArtifactRecord]:
    """Ask for the start of equal files: with it comes the digest, in another answer of the hub."""
    same = {entry.sha256 for entry in mine.values()} & _digests(others)
    records = []
    for store, entries in ((ours, mine), (theirs, others)):
        equal = [entry for entry in entries.values() if entry.sha256 in same]
        for entry in sorted(equal, key=lambda entry: (-(entry.size or 0), entry.path))[:CONFIRMED]:
            start = [START] if store.holds(entry.path, [START]) else []
            records += [store.confirm(entry.path, {}, start).record]
    return [record for record in records if record.bytes_read]


def _size(entries: dict[str, FileEntry], paths: Iterable[str]) -> int:
    return sum(entries[path].size or 0 for path in paths)


def _weights(repo: str, listing: Listing) -> dict[str, FileEntry]:
    found = {entry.path: entry for entry in listing.value if _is_weights(entry)}
    if not found:
        raise Unavailable(
            Reason.ABSENT,
            Text("{repo} publishes no digest of any weight file.", repo=repo),
            Text("Give a folder with the weights, or a repository that stores them."),
        )
    return found


def _is_weights(entry: FileEntry) -> bool:
    named = entry.path.endswith(WEIGHT_SUFFIXES) and entry.sha256 is not None
    return named and (entry.size or 0) >= MINIMUM_BYTES


def _digests(entries: dict[str, FileEntry]) -> set[str | None]:
    return {entry.sha256 for entry in entries.values()}
