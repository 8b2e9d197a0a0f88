"""What the tests of a training record leave for figures: a few hundred numbers of any log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pytest_scratchverify.core.figure import FigureData

Steps = tuple[int, ...]
Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FittedLaw:
    """The power law ``a + b * step ** -c``, drawn from step `start` on."""

    a: float
    b: float
    c: float
    start: int


@dataclass(frozen=True, slots=True)
class TrainingCurve(FigureData):
    """The loss in log-spaced groups of rows: median, and the middle nine tenths.

    `chance` is the loss of a guess at random, in nats, where the vocabulary is known.
    """

    kind: ClassVar[str] = "training_curve"

    steps: Steps
    middle: Values
    low: Values
    high: Values
    fit: FittedLaw | None = None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class OddStretch:
    """The stretch whose noise is `ratio` times its neighbours'; `judged` if that is beyond chance.

    `first` and `last` are steps.
    """

    first: int
    last: int
    ratio: float
    judged: bool


@dataclass(frozen=True, slots=True)
class NoiseByBlock(FigureData):
    """The noise of the loss in groups of blocks of `width` rows: median and extremes, in nats."""

    kind: ClassVar[str] = "noise_by_block"

    steps: Steps
    middle: Values
    low: Values
    high: Values
    width: int
    worst: OddStretch | None = None


@dataclass(frozen=True, slots=True)
class OrderResiduals(FigureData):
    """Detrended losses of two logs in standard deviations: a window, and points of the whole.

    `r` is their correlation over `n` common steps.
    """

    kind: ClassVar[str] = "order_residuals"

    steps: Steps
    mine: Values
    theirs: Values
    scatter_mine: Values
    scatter_theirs: Values
    r: float
    n: int


@dataclass(frozen=True, slots=True)
class CheckpointPath(FigureData):
    """Checkpoints of one run by step.

    `from_start` is the distance from the first, `edge` the largest singular value over the edge
    of chance, `z` the relation of each to the next; the last `z` is the one to the published
    model where `to_published`.
    """

    kind: ClassVar[str] = "checkpoint_path"

    steps: Steps
    from_start: Values
    edge: Values
    z: Values
    to_published: bool
