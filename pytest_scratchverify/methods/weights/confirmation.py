"""Confirmation of bytes before a finding rests on them: faults of a network are nobody's copy.

Headers of HTTP cannot tell that a cache mixed two files up and says nothing. So whatever a
comparison found, the files that it read are asked once more (`ArtifactStore.confirm`): a small one
by its own digest, a larger one by fresh ranges. Files whose listed digests are equal need nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Direction, Finding, Outcome, Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import CONFIRMED_WHOLE, ArtifactStore, Confirmation
from pytest_scratchverify.tensors.reading import CheckpointPair, ReadLog

FURTHER = 16  # ranges over a whole file that have to differ somewhere, if its digest does
FURTHER_BYTES = 4096
HEADER_BYTES = 64 * 2**10
_CANDIDATES = 2048  # places that are tried, where a fingerprint holds few of them


def sustained(finding: Finding, pair: CheckpointPair, *, differing: bool = False) -> Finding:
    """Return a finding whose bytes were confirmed, or an open one that says what was wrong.

    Parameters
    ----------
    finding : Finding
        What a comparison of the two says; one that says nothing needs no confirmation.
    pair : CheckpointPair
        What was compared, with the log of what was read.
    differing : bool
        Whether some tensors of the comparison differed: then unequal digests are explained.
    """
    says = finding.outcome is Outcome.CONSISTENT or finding.direction is Direction.TOWARD_REUSE
    if finding.relation is None and not says:
        return finding
    try:
        records = _confirmed(finding, pair, differing=differing)
    except Unavailable as failure:
        return Hypothesis(
            method=finding.method,
            component=finding.component,
            model=finding.model,
            reference=finding.reference,
            statement=finding.hypothesis,
            dependence_group=finding.dependence_group,
        ).finding(
            Outcome.INDETERMINATE,
            failure.what,
            artifacts=finding.artifacts,
            remedy=failure.remedy,
            weight_bytes=finding.weight_bytes,
            details={"reason": failure.reason.value},
        )
    return replace(finding, artifacts=(*finding.artifacts, *records))


def _confirmed(finding: Finding, pair: CheckpointPair, *, differing: bool) -> list[ArtifactRecord]:
    """Confirm what was read of either; raises `Unavailable` where that fails."""
    identical = finding.relation is Relation.VERBATIM
    clearing = finding.outcome is Outcome.CONSISTENT
    sides = ((pair.ours.store, pair.logs[0]), (pair.theirs.store, pair.logs[1]))
    further = _further(pair) if identical else {}
    records, found = [], []
    for (store, log), (other, _) in zip(sides, reversed(sides), strict=True):
        of_side: dict[str, Confirmation] = {}
        for file, seen in _to_confirm(store, log, other, clearing=clearing):
            try:
                answer = store.confirm(file, seen, further.get(_size(log, file), ()))
            except Unavailable as failure:
                if clearing and failure.reason is not Reason.MISMATCH:
                    continue  # nothing speaks against the bytes, and nobody is accused by them
                raise
            of_side[file] = answer.value
            if answer.record.bytes_read:
                records.append(answer.record)
        found.append(of_side)
    if identical and not differing:
        for ours, theirs in sorted(pair.files):
            sizes = {_size(log, file) for (_, log), file in zip(sides, (ours, theirs), strict=True)}
            if len(sizes) == 1 and _alike(found[0].get(ours), found[1].get(theirs)):
                raise _not_sustained(ours)
    return records


def _to_confirm(
    store: ArtifactStore, log: ReadLog, other: ArtifactStore, *, clearing: bool
) -> Iterator[tuple[str, Mapping[ByteRange, bytes]]]:
    """Yield the files that were read and whose listed digest the other model does not list.

    Before a clearance only small files are asked again: of larger ones that would double what a
    run reads.
    """
    digests = {entry.path: entry.sha256 for entry in store.files().value} if log.seen else {}
    theirs = {entry.sha256 for entry in other.files().value} if log.seen else set()
    for file, seen in sorted(log.seen.items()):
        large = (_size(log, file) or CONFIRMED_WHOLE + 1) > CONFIRMED_WHOLE
        if clearing and large:
            continue
        if digests.get(file) is None or digests[file] not in theirs:
            yield file, seen


def _further(pair: CheckpointPair) -> dict[int | None, Sequence[ByteRange]]:
    """Draw ranges over whole files of one size: the header, and places that both can give."""
    drawn: dict[int | None, Sequence[ByteRange]] = {}
    for ours, theirs in sorted(pair.files):
        size = _size(pair.logs[0], ours)
        if size is None or size != _size(pair.logs[1], theirs) or size in drawn:
            continue
        stop = max(1, size - FURTHER_BYTES)
        starts = np.random.default_rng(size).integers(0, stop, _CANDIDATES)
        spans = [ByteRange(0, min(size, HEADER_BYTES))]
        spans += [ByteRange(s, min(size, s + FURTHER_BYTES)) for s in map(int, starts)]
        readable = (
            span
            for span in spans
            if pair.ours.store.holds(ours, [span]) and pair.theirs.store.holds(theirs, [span])
        )
        drawn[size] = [span for span, _ in zip(readable, range(FURTHER + 1), strict=False)]
    return drawn


def _alike(ours: Confirmation | None, theirs: Confirmation | None) -> bool:
    """Whether two files cannot be told apart by what was confirmed of them."""
    if ours is None or theirs is None or (ours.whole and theirs.whole):
        return False
    return ours.further == theirs.further


def _size(log: ReadLog, file: str) -> int | None:
    return log.files[file].bytes_total if file in log.files else None


def _not_sustained(file: str) -> Unavailable:
    return Unavailable(
        Reason.MISMATCH,
        Text(
            "What was read of {file} is the reference's, and so is every further part that was"
            " looked at, while the listed digests of the two files differ: not sustained.",
            file=file,
        ),
        Text("Read whole files with --depth full, or give a downloaded folder."),
    )
