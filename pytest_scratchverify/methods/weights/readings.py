"""All readings of a repository: every save that a loader may take is judged, none clears alone.

What transformers loads is judged first. Whatever it says, silence about it is worth nothing while
another save of the repository says more, cannot be judged, or is not silent itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.thresholds import UNPLACED
from pytest_scratchverify.stores.one_set import OneSetStore, first_files, other_readings
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.stores.weight_files import Format
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


def judge_readings(judge_one: JudgeOne, ours: ArtifactStore, theirs: ArtifactStore) -> Finding:
    """Judge every save of either model, and say which one decided.

    An accusation of the first save stands as it is. One of another save is made where some
    loader takes it without being told to, with its p-value multiplied by the number of saves
    that were asked (Bonferroni), and else is a lead.

    Raises
    ------
    Unavailable
        Where the save that is loaded first cannot be read.
    """
    finding = judge_one(ours, theirs)
    pairs: list[tuple[OneSetStore, ArtifactStore, ArtifactStore]] = [
        *((other, other, theirs) for other in other_readings(ours)),
        *((other, ours, other) for other in other_readings(theirs)),
    ]
    if not pairs or finding.outcome in ACCUSED:
        return finding
    readings: list[Json] = []
    for other, mine, reference in pairs:
        whole = ours if reference is theirs else theirs
        named = {"repo": whole.repo, "first": [*first_files(whole)], "files": [*other.files_of_set]}
        readings.append({"repo": whole.repo, "files": [*other.files_of_set]})
        try:
            same = same_weights(whole, other) if other.one.kind is Format.GGUF else Sameness.OTHER
            if same is Sameness.UNDECODED and other.one.is_default:
                finding = _open(finding, Text(HEADLINES["undecoded"], **named))
            if same is not Sameness.OTHER:
                continue  # in fewer bits what was judged: one answer holds for both
            found = judge_one(mine, reference)
        except Unavailable as failure:
            if other.one.is_default:
                finding = _open(finding, Text(HEADLINES["unread"], why=failure.what, **named))
            continue
        said = Text(HEADLINES["accused"], said=found.headline, **named)
        if found.outcome in ACCUSED:
            raised = min(1.0, (found.pvalue or 0.0) * (1 + len(pairs)))
            pvalue = raised if found.pvalue is not None else None
            accused = replace(found, headline=said, pvalue=pvalue)
            return accused if other.one.is_default else _open(accused, said)
        if found.outcome is Outcome.INDETERMINATE and finding.outcome is not found.outcome:
            finding = replace(
                found, headline=said, remedy=Text(HEADLINES["open"], said=found.headline, **named)
            )
        elif found.outcome is Outcome.NOT_APPLICABLE and _is_nameless(other):
            finding = _open(
                finding, Text(HEADLINES["open"], said=Text(HEADLINES["nameless"]), **named)
            )
    return replace(finding, details={**finding.details, "readings": readings})


def _open(finding: Finding, why: Text) -> Finding:
    """Leave open what one save alone does not decide."""
    return replace(finding, outcome=Outcome.INDETERMINATE, remedy=why)


def _is_nameless(store: OneSetStore) -> bool:
    """Whether a save holds more than a trifle under names that say nothing."""
    inventory = open_checkpoint(store).inventory
    total = sum(inventory.parameters.values()) + sum(inventory.nameless.values())
    return sum(inventory.nameless.values()) > UNPLACED * total
