"""Training steps in checkpoint names: ``checkpoint-500``, ``step1000``.

The names are habits, not a standard: Hugging Face's trainer writes ``checkpoint-N``, Pythia
has branches ``stepN``, OLMo 2 ``stage1-stepN-tokensMB`` with a series for every stage and
ingredient. Steps of two series are not steps of one run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_STEP = re.compile(
    r"(?P<series>.*?)(?:global[-_]?step|checkpoint|ckpt|step|iteration|iter)[-_]?"
    r"(?P<step>\d{1,9})(?:[-_]tokens[-_]?\d+[kmbt]?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class StepName:
    """The name of one checkpoint: its series, its step, and the name as it is written."""

    series: str
    step: int
    name: str


def read_step(name: str) -> StepName | None:
    """Read a branch, a tag or the last part of a folder's path; None if it names no step.

    Example: ``stage1-step5000-tokens21B`` is step 5000 of the series ``stage1-``.
    """
    head, slash, last = name.rpartition("/")
    found = _STEP.fullmatch(last)
    if found is None:
        return None
    return StepName(f"{head}{slash}{found['series']}".lower(), int(found["step"]), name)


def longest_series(names: Iterable[str]) -> tuple[tuple[StepName, ...], Mapping[str, int]]:
    """Return the series with the most steps, sorted by step, and how many the others have.

    Of two names for one step the first in the alphabet counts. Ties go to the first series.
    """
    series: dict[str, dict[int, StepName]] = {}
    for name in sorted(names):
        found = read_step(name)
        if found is not None:
            series.setdefault(found.series, {}).setdefault(found.step, found)
    if not series:
        return (), {}
    best = min(series, key=lambda key: (-len(series[key]), key))
    others = {key: len(steps) for key, steps in sorted(series.items()) if key != best}
    return tuple(sorted(series[best].values())), others
