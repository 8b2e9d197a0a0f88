"""File digests: whether files of weights are byte for byte another model's.

The hub publishes the sha256 of every weight file, so whole shards are compared without
reading one weight. A hit needs no statistics: 2^-256 is the chance of a coincidence. A miss
means little: one changed bit in every file hides the rest, so this never clears a model.
"""

from __future__ import annotations

from dataclasses import replace

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
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, FileEntry

# Smaller files hold headers, scalars or initialisation constants that two models may share.
MINIMUM_BYTES = 16 * 2**10
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".gguf", ".pt", ".pth")

CONFIRMED = 4  # equal files of which the listing's word is confirmed, the largest first
START = ByteRange(0, 8)

Listing = Artifact[tuple[FileEntry, ...]]


def shard_digests(
    pair: Pair, ours: ArtifactStore, theirs: ArtifactStore, *, declared: bool
) -> Finding:
    """Compare the sha256 digests of all weight files of two models.

    Raises `Unavailable` where either side publishes no digest of any weight file, or where the
    word of a listing that two files are equal could not be confirmed.
    """
    files, reference = ours.files(), theirs.files()
    finding = _compared(pair, files, reference, declared=declared)
    if finding.relation is not Relation.VERBATIM:
        return finding
    records = _confirmed(ours, theirs, files.value, reference.value)
    return replace(finding, artifacts=(*finding.artifacts, *records))


def _confirmed(
    ours: ArtifactStore,
    theirs: ArtifactStore,
    files: tuple[FileEntry, ...],
    reference: tuple[FileEntry, ...],
) -> list[ArtifactRecord]:
    """Ask for the start of equal files: with it comes the digest, in another answer of the hub."""
    same = {entry.sha256 for entry in files} & {entry.sha256 for entry in reference} - {None}
    records = []
    for store, entries in ((ours, files), (theirs, reference)):
        equal = [entry for entry in entries if entry.sha256 in same and _is_weights(entry)]
        for entry in sorted(equal, key=lambda entry: (-(entry.size or 0), entry.path))[:CONFIRMED]:
            start = [START] if store.holds(entry.path, [START]) else []
            records += [store.confirm(entry.path, {}, start).record]
    return [record for record in records if record.bytes_read]


def _compared(pair: Pair, files: Listing, reference: Listing, *, declared: bool) -> Finding:
    mine, theirs = _weights(pair.model.name, files), _weights(pair.reference.name, reference)
    same = sorted(path for path, entry in mine.items() if entry.sha256 in _digests(theirs))
    total = sum(entry.size or 0 for entry in mine.values())
    equal = sum(mine[path].size or 0 for path in same)
    outcome = Outcome.CONSISTENT
    if same:
        outcome = Outcome.DECLARED if declared else Outcome.DERIVED
    return Finding(
        method="weights.shard_digests",
        component=Component.TEXT_DECODER,
        model=pair.model.name,
        reference=pair.reference.name,
        outcome=outcome,
        headline=_headline(pair, same, len(mine), equal / total if total else 0.0),
        hypothesis=Text("no weight file is byte for byte the reference's"),
        level=Level.E4 if same else Level.E0,
        direction=Direction.TOWARD_REUSE if same else Direction.NONE,
        relation=Relation.VERBATIM if same else None,
        kinds=(Kind.IDENTICAL,) if same and len(same) == len(mine) else (),
        statistic=Statistic(name="identical_files", value=len(same), n=len(mine)),
        effect=Statistic(name="identical_share_of_bytes", value=equal / total if total else None),
        null=Null(
            kind="exact",
            description=Text("equal sha256 digests of different files: chance 2^-256"),
        ),
        coverage=Coverage(parameters=equal / total if total and same else None),
        dependence_group="bytes",
        artifacts=(files.record, reference.record),
        details={"identical": [*same], "weight_files": len(mine)},
    )


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


def _headline(pair: Pair, same: list[str], n: int, share: float) -> Text:
    if not same:
        return Text(
            "none of {n} weight files is byte for byte {reference}'s; this finds copies only",
            n=n,
            reference=pair.reference.name,
        )
    return Text(
        "{same} of {n} weight files ({share} of the bytes) are byte for byte {reference}'s",
        same=len(same),
        n=n,
        share=f"{share:.1%}",
        reference=pair.reference.name,
    )
