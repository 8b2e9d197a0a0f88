"""All readings of a repository: every save that a loader may take is judged, none clears alone.

What transformers loads is judged first. Whatever it says, silence about it is worth nothing while
another save of the repository says more, cannot be judged, or is not silent itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Direction, Finding, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.thresholds import UNPLACED
from pytest_scratchverify.stores.one_set import OneSetStore, first_files, other_readings
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.stores.weight_files import Format
from pytest_scratchverify.tensors.adapted import AdaptedStore, adapted_beside
from pytest_scratchverify.tensors.reading import open_checkpoint
from pytest_scratchverify.tensors.same_weights import Sameness, same_weights

ACCUSED = (Outcome.DERIVED, Outcome.DECLARED)
HEADLINES = {
    "accused": "In {files} of {repo}, beside {first} that is read first: {said}",
    "open": "{repo} holds several saves, and nothing is cleared by {first} alone; in {files}:"
    " {said}",
    "unread": "{repo} holds several saves, and nothing is cleared by {first} alone; {files} could"
    " not be read: {why}",
    "undecoded": "{repo} holds several quantisations, and tensors of {files} are not decoded here:"
    " nothing is cleared by {first} alone. Behind {repo} and a colon the label of one file may be"
    " given, as Q4_K_M, and that file is judged by itself.",
    "nameless": "it holds tensors of unknown names",
}
JudgeOne = Callable[[ArtifactStore, ArtifactStore], Finding]


class _Rank(IntEnum):
    """Which of several findings decides: accusations, leads, what is open; loaded first first."""

    ACCUSED = 0
    ACCUSED_BESIDE = 1
    LEAD = 2
    LEAD_BESIDE = 3
    ACCUSED_UNASKED = 4  # a save that nobody takes without being told to
    LEAD_UNASKED = 5
    OPEN = 6
    OPEN_BESIDE = 7
    OPEN_UNASKED = 8
    SILENT = 9


@dataclass(frozen=True, slots=True)
class _Reading:
    """Another save of one of the two: the pair with it, and whose it is."""

    pair: tuple[ArtifactStore, ArtifactStore]
    whole: ArtifactStore
    save: OneSetStore | AdaptedStore

    @property
    def is_default(self) -> bool:
        """Whether some loader takes it without being told to, as it takes an adapter's base."""
        return not isinstance(self.save, OneSetStore) or self.save.one.is_default

    @property
    def sameness(self) -> Sameness:
        """Whether it is what was judged already in fewer bits: that answers for it."""
        other = self.save
        is_gguf = isinstance(other, OneSetStore) and other.one.kind is Format.GGUF
        return same_weights(self.whole, other) if is_gguf else Sameness.OTHER

    @property
    def named(self) -> dict[str, Any]:
        """What sentences name: the repository, what is read first, and these files."""
        first = [*first_files(self.whole)]
        return {"repo": self.whole.repo, "first": first, "files": [*self.save.files_of_set]}


def judge_readings(judge_one: JudgeOne, ours: ArtifactStore, theirs: ArtifactStore) -> Finding:
    """Judge every save of either model, and say which one decided.

    An accusation of the first save stands as it is. Else all are judged, and what a loader takes
    without being told to goes before what none takes: an accusation of such a save is made, with
    its p-value multiplied by the number of saves that were asked (Bonferroni); of any other it is
    a lead. Whatever is open of a save leaves open what the others are silent about.

    Raises
    ------
    Unavailable
        Where the save that is loaded first cannot be read, and no other accuses.
    """
    failure: Unavailable | None = None
    finding: Finding | None = None
    try:
        finding = judge_one(ours, theirs)
    except Unavailable as error:
        failure = error
    readings = [*_readings(ours, theirs)]
    if finding is not None and (not readings or finding.outcome in ACCUSED):
        return finding
    found = [_first(finding)] if finding is not None else []
    asked: list[Json] = []
    for reading in readings:
        known = _asked(judge_one, reading, finding, tests=1 + len(readings))
        word = known[1].outcome.value if known else None
        asked.append({"repo": reading.named["repo"], "files": reading.named["files"], "said": word})
        found += [known] if known else []
    found.sort(key=lambda one: (one[0], 1.0 if one[1].pvalue is None else one[1].pvalue))
    if failure is not None and (not found or found[0][0] > _Rank.ACCUSED_BESIDE):
        raise failure
    decided = found[0][1]
    return replace(decided, details={**decided.details, "readings": asked})


def _readings(ours: ArtifactStore, theirs: ArtifactStore) -> Iterator[_Reading]:
    for other in (*other_readings(ours), adapted_beside(ours)):
        if other is not None and other is not ours:
            yield _Reading((other, theirs), ours, other)
    for other in (*other_readings(theirs), adapted_beside(theirs)):
        if other is not None and other is not theirs:
            yield _Reading((ours, other), theirs, other)


def _first(finding: Finding) -> tuple[_Rank, Finding]:
    """Rank what the save says that is loaded first, and accuses nobody."""
    if finding.outcome is not Outcome.INDETERMINATE:
        return _Rank.SILENT, finding
    return (_Rank.LEAD if _is_lead(finding) else _Rank.OPEN), finding


def _asked(
    judge_one: JudgeOne, reading: _Reading, first: Finding | None, *, tests: int
) -> tuple[_Rank, Finding] | None:
    """Judge another save, and rank what it says; None where it says nothing."""
    named, default = reading.named, reading.is_default
    open_rank = _Rank.OPEN_BESIDE if default else _Rank.OPEN_UNASKED
    try:
        same = reading.sameness
        if same is not Sameness.OTHER:
            if same is Sameness.SAME or not default or first is None:
                return None
            return open_rank, _open(first, Text(HEADLINES["undecoded"], **named))
        found = judge_one(*reading.pair)
    except Unavailable as failure:
        if not default or first is None:
            return None
        return open_rank, _open(first, Text(HEADLINES["unread"], why=failure.what, **named))
    said = Text(HEADLINES["accused"], said=found.headline, **named)
    if found.outcome in ACCUSED:
        pvalue = None if found.pvalue is None else min(1.0, found.pvalue * tests)
        accused = replace(found, headline=said, pvalue=pvalue)
        if default:
            return _Rank.ACCUSED_BESIDE, accused
        return _Rank.ACCUSED_UNASKED, _open(accused, said)
    if found.outcome is Outcome.INDETERMINATE:
        why = Text(HEADLINES["open"], said=found.headline, **named)
        lead = _Rank.LEAD_BESIDE if default else _Rank.LEAD_UNASKED
        rank = lead if _is_lead(found) else open_rank
        return rank, replace(found, headline=said, remedy=why)
    if found.outcome is Outcome.NOT_APPLICABLE and first is not None and _is_nameless(reading):
        why = Text(HEADLINES["open"], said=Text(HEADLINES["nameless"]), **named)
        return open_rank, _open(first, why)
    return _Rank.SILENT, found if first is None else first


def _is_lead(finding: Finding) -> bool:
    return finding.direction is Direction.TOWARD_REUSE


def _open(finding: Finding, why: Text) -> Finding:
    """Leave open what one save alone does not decide."""
    return replace(finding, outcome=Outcome.INDETERMINATE, remedy=why)


def _is_nameless(reading: _Reading) -> bool:
    """Whether a save holds more than a trifle under names that say nothing."""
    inventory = open_checkpoint(reading.save).inventory
    total = sum(inventory.parameters.values()) + sum(inventory.nameless.values())
    return sum(inventory.nameless.values()) > UNPLACED * total
