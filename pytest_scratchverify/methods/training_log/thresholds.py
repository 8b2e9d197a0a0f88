"""What the tests of a training log have in common: limits, nulls, the shape of a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Null, Outcome, Statistic
from pytest_scratchverify.core.text import Text

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

ALPHA = 1e-3


@dataclass(frozen=True, slots=True)
class Limits:
    """The frozen thresholds, and how many real logs they rest on."""

    values: Mapping[str, Any]
    population: int
    controls: Mapping[str, Any]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Limits:
        """Read suites/calibration/training_log.json."""
        return cls(data["thresholds"], len(data["population"]), data["controls"])

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def null(self) -> Null:
        """Return the null of what has no distribution: the genuine logs that were measured."""
        return Null(
            kind="reference_population",
            description=Text("Samples of real training logs: Pythia, OLMo-2, nanoGPT"),
            draws=self.population,
        )


def finding(  # noqa: PLR0913, PLR0917 - what every finding of the method has
    method: str,
    model: str,
    log: TrainingLog | None,
    outcome: Outcome,
    headline: Text,
    hypothesis: Text,
    **parts: Any,
) -> Finding:
    """Return a finding on a training record: declared evidence (E1), one dependence group."""
    details = dict(parts.pop("details", {}))
    if log is not None:
        details |= {"file": log.name, "format": log.format, "rows": len(log),
                    "columns": dict(log.columns), "notes": [str(n) for n in log.notes]}  # fmt: skip
    if outcome is Outcome.INDETERMINATE:
        parts.setdefault("relation", "contradicted")
    return Finding(
        method=f"training_log.{method}",
        component=Component.TRAINING_RECORD,
        model=model,
        outcome=outcome,
        headline=headline,
        hypothesis=hypothesis,
        level=parts.pop("level", Level.E1),
        direction=parts.pop("direction", Direction.NONE),
        dependence_group="training_log",
        details=details,
        **parts,
    )


def number(name: str, value: float | None, n: int | None = None) -> Statistic:
    """Return a named number for a finding."""
    return Statistic(name=name, value=None if value is None else float(value), n=n)
