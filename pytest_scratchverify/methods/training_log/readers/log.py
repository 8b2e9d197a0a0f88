"""A training log as arrays, and the growing columns that it is read into.

Ten million steps take 16 bytes each (step and loss) and 4 to 8 for each further column.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.readers.step_rows import (
    Columns,
    LostRows,
    StepRows,
    one_row_a_step,
)

Floats = NDArray[np.float64]
Column = NDArray[np.floating[Any]]
Steps = NDArray[np.int64]

MAX_ROWS = 20_000_000
SLICE = 1 << 20
# No loss, rate, norm or count of tokens comes near the first: what is below it stays finite in
# float64 to the eighth power, and in float32. Up to the second, steps are exact.
LARGEST = 1e30
LARGEST_STEP = 2.0**53
QUANTITIES = ("step", "loss", "lr", "grad_norm", "tokens", "batch", "rank")
_CODES = {"step": "d", "loss": "d", "lr": "f", "grad_norm": "f", "tokens": "d", "batch": "d",
          "rank": "f"}  # fmt: skip

GIVE_COLUMNS = Text(
    "Name the columns: --training-log PATH#step=NAME,loss=NAME (also lr, grad_norm, tokens)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLog:
    """The steps and losses of one run, in the order in which the file has them.

    `steps` may repeat or go back: that is for tests to find. `columns` says which name of the
    file each quantity came from; `evaluation` that the loss is of held-out text, whose noise
    is not that of batches. Where `counted`, the file had no steps and rows were counted.
    `every_step` are the steps with those of `lost` rows, whose loss is no number.
    """

    name: str
    format: str
    steps: Steps
    loss: Floats
    lr: Column | None = None
    grad_norm: Column | None = None
    tokens: Column | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    evaluation: bool = False
    counted: bool = False
    notes: tuple[Text, ...] = ()
    every_step: Steps | None = None
    lost: LostRows | None = None

    def __len__(self) -> int:
        return len(self.steps)


class Rows:
    """Columns that grow row by row; a row without any loss is counted and dropped."""

    def __init__(self, name: str, format_name: str) -> None:
        self.name, self.format = name, format_name
        self.values: dict[str, array[Any]] = {q: array(_CODES[q]) for q in QUANTITIES}
        self.seen: set[str] = set()
        self.dropped = 0
        self.notes: list[Text] = []

    def add(self, row: Mapping[str, float]) -> None:
        """Append one row of quantities; those it lacks become NaN."""
        if "loss" not in row:
            self.dropped += 1
            return
        if len(self.values["loss"]) >= MAX_ROWS:
            raise Unavailable(
                Reason.UNSUPPORTED,
                Text("{file} has more than {n} rows.", file=self.name, n=MAX_ROWS),
                Text("Give a log of every tenth step."),
            )
        for quantity in row.keys() - self.seen:
            self.seen.add(quantity)  # first seen here: earlier rows had none
            column = self.values[quantity]
            column.extend([np.nan] * (len(self.values["loss"]) - len(column)))
        for quantity in self.seen:
            value = row.get(quantity, np.nan)
            self.values[quantity].append(value if abs(value) < LARGEST else np.nan)

    def finish(
        self, columns: Mapping[str, str], *, evaluation: bool = False, index_note: bool = True
    ) -> TrainingLog:
        """Return the log. Raises `Unavailable` if no row had a loss."""
        found: dict[str, Column] = {
            name: np.frombuffer(values)
            if values.typecode == "d"
            else np.frombuffer(values, np.float32)
            for name, values in self.values.items()
            if name in self.seen
        }
        if "loss" not in found or not np.isfinite(found["loss"]).any():
            raise no_loss(self.name)
        sound = self._sound(found)
        found = sound.columns
        self.notes += sound.notes
        self.dropped += sound.lost.n - sound.lost.zeros if sound.lost else 0
        if self.dropped:
            self.notes.append(Text("{n} rows without a finite loss were left out", n=self.dropped))
        counted = False
        steps: Column | None = found.pop("step", None)
        if steps is not None and np.isnan(steps).any():
            raise Unavailable(
                Reason.MALFORMED,
                Text("{file} has rows with a loss and without a step.", file=self.name),
                GIVE_COLUMNS,
            )
        every = sound.every_step
        if steps is None:
            steps, counted = self._steps(found)
            if counted and index_note:
                self.notes.append(Text("the file has no steps; its rows were counted"))
        if every is not None:
            every = every[np.isfinite(every)]
        for column in (steps, every):
            if column is not None and not (np.abs(column) <= LARGEST_STEP).all():
                raise malformed(self.name, Text("a step is beyond 2^53"))
        return TrainingLog(
            name=self.name,
            format=self.format,
            steps=_whole(steps),
            loss=found["loss"].astype(np.float64, copy=False),
            lr=_useful(found.get("lr")),
            grad_norm=_useful(found.get("grad_norm")),
            tokens=_useful(found.get("tokens")),
            columns=dict(columns),
            evaluation=evaluation,
            counted=counted,
            notes=tuple(self.notes),
            every_step=None if every is None else every.astype(np.int64),
            lost=sound.lost,
        )

    def _sound(self, found: Columns) -> StepRows:
        """Return one row a step, without fillers. Raises `Unavailable` if no loss is left."""
        if only_filler(found["loss"]):
            raise self._all_fillers(float(found["loss"][0]))
        sound = one_row_a_step(found)
        if not np.isfinite(sound.columns["loss"]).any():
            raise no_loss(self.name)
        return sound

    def _all_fillers(self, value: float) -> Unavailable:
        return Unavailable(
            Reason.MALFORMED,
            Text(
                "Every loss in {file} is {value}: what ranks of a pipeline print that hold no"
                " loss.",
                file=self.name,
                value=value,
            ),
            Text("Give the log of the rank that computes the loss, usually the last."),
        )

    def _steps(self, found: Mapping[str, Column]) -> tuple[Column, bool]:
        tokens, batch = found.get("tokens"), found.get("batch")
        if tokens is not None and batch is not None and np.all(batch > 0):
            self.notes.append(Text("steps are total tokens by tokens per batch"))
            with np.errstate(over="ignore"):  # of batches next to nothing: refused as a step
                return np.rint(tokens / batch), False
        return np.arange(len(found["loss"]), dtype=np.float64), True


def _whole(steps: Column) -> Steps:
    """Turn steps into integers where they are: ten million are not kept twice."""
    whole = steps.view(np.int64)
    with np.errstate(invalid="ignore"):
        for start in range(0, len(steps), SLICE):
            whole[start : start + SLICE] = steps[start : start + SLICE].astype(np.int64)
    return whole


def only_filler(loss: Column) -> bool:
    """Whether every loss is one number that no cross-entropy is: negative."""
    return bool(len(loss) > 1 and loss[0] < 0 and np.all(loss == loss[0]))


def _useful(column: Column | None) -> Column | None:
    return None if column is None or np.isnan(column).all() else column


def no_loss(name: str) -> Unavailable:
    """Return the error of a file in which nothing looks like a loss."""
    return Unavailable(
        Reason.MALFORMED, Text("{file} holds no column that is a loss.", file=name), GIVE_COLUMNS
    )


def malformed(name: str, what: Text) -> Unavailable:
    """Return the error of a file that is not what it looked like; `what` says where."""
    return Unavailable(
        Reason.MALFORMED,
        Text("{file} cannot be read as a training log: {what}.", file=name, what=str(what)),
        Text("Give a CSV, JSONL, trainer_state.json, TensorBoard, W&B or plain-text log."),
    )
