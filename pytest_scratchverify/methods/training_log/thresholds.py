"""What the tests of a training log have in common: limits, nulls, the shape of a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Null, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.thresholds import Thresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

ALPHA = 1e-3


@dataclass(frozen=True, kw_only=True)
class TrainingLogThresholds(Thresholds):
    """Read from suites/calibration/training_log.json, which tools/calibrate/training_log.py writes.

    `population` is the number of real logs that the thresholds rest on, `controls` the losses of
    a pair in the same data order and of one that is not.
    """

    method: ClassVar[str] = "training_log"

    first_loss_low: tuple[tuple[int, float], ...]  # up to a step, loss minus ln(vocabulary)
    first_loss_high: float
    unknown_vocabulary: float
    under_way_drop: float
    noise_times_root_batch: float
    largest_batch: float  # tokens
    smooth_share: float
    power_law_explained: float
    schedule_error: float
    order_from_step: int
    order_span: int  # points
    same_order: float
    copy: float
    stretch: float
    order_alpha: float
    detour: float
    path_growth: float
    highest_utilisation: float
    population: int
    controls: Mapping[str, Any]

    @classmethod
    def fields_of(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the file's thresholds, with the population's size and the control pairs."""
        population = len(data["population"])
        return {**data["thresholds"], "population": population, "controls": data["controls"]}

    def __getitem__(self, name: str) -> Any:
        """Return a threshold by name, for callers that do not name the field yet."""
        return getattr(self, name)

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
