"""Run again what a statement says was run, and compare what is found with what it says."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_scratchverify.cli.attested import SaidOfModel, SignedRun, options_of
from pytest_scratchverify.cli.saved_runs import UnreadableError, read_run
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.run import CALIBRATION, Run

TOLERANCE = 1e-6  # relative; `scratchverify diff` counts no smaller difference either


def run_again(said: SignedRun, places: Mapping[str, str]) -> Run:
    """Run the command of a statement again, on the models at their places by name.

    Raises `ScratchError` where it cannot be repeated, or left no run.
    """
    options = [*_options(said, places)]
    with tempfile.TemporaryDirectory(prefix="scratchverify-") as folder:
        out = Path(folder, "run.json")
        # No shell, and -P: a module of the working directory is not imported.
        command = [sys.executable, "-P", "-m", "pytest_scratchverify.cli", "run", *options]
        command += [f"--verdict-json={out}", "-q"]
        done = subprocess.run(  # noqa: S603 - this Python, and options one by one
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=_quiet()
        )
        if not out.is_file():
            lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["no output"]
            raise ScratchError(f"exit code {done.returncode}, {lines[-1]:.300}")
        try:
            return read_run(out)
        except UnreadableError as error:
            raise ScratchError(f"its run cannot be read: {error!s:.300}") from error


def _quiet() -> dict[str, str]:
    """Return an environment in which a run writes no summary of a step and no annotations."""
    return {name: text for name, text in os.environ.items() if not name.startswith("GITHUB_")}


def _options(said: SignedRun, places: Mapping[str, str]) -> Iterator[str]:
    given = options_of(said.reproduce)
    names = {one.model for one in said.models}
    moved = any(places.get(name, name) != name for name in names)
    for option, value in given:
        if option == "revision" and moved:
            continue  # of the model as it was; what lies at the other place has none
        if option == "model" and value is not None:
            yield f"--model={places.get(value.removeprefix('=='), value)}"
        else:
            yield f"--{option}" if value is None else f"--{option}={value}"


def differences(
    said: SignedRun, again: Run, places: Mapping[str, str]
) -> tuple[list[Text], list[Text]]:
    """Return what another run says otherwise, and what it measured otherwise beside that.

    The first are verdicts, references and results of policies; the second numbers, versions and
    thresholds, which may explain the first and are no difference by themselves.
    """
    found: list[Text] = []
    beside: list[Text] = []
    if again.version != said.version:
        beside.append(_changed("pytest-scratchverify", said.version, again.version))
    if said.calibration and again.environment.get(CALIBRATION) != said.calibration:
        now = again.environment.get(CALIBRATION, "-")
        beside.append(_changed("calibration", said.calibration[:12], now[:12]))
    models = {one.model: one for one in again.models}
    for before in said.models:
        after = models.get(places.get(before.model, before.model))
        if after is None:
            found.append(Text("{model}: no longer tested", model=before.model))
            continue
        verdicts = {c.value: (v.verdict.value, v.reference) for c, v in after.components.items()}
        policies = {name: judged.result.value for name, judged in after.policies.items()}
        numbers = {c.value: (v.p_adjusted, v.effect) for c, v in after.components.items()}
        found += _differing(before, before.policies, policies)
        found += _differing(before, _worded(before.verdicts), _worded(verdicts))
        beside += [
            Text(
                "{model}, {part}: p and effect differ in their numbers",
                model=before.model,
                part=name,
            )
            for name, pair in before.numbers.items()
            if not _same_numbers(pair, numbers.get(name, (None, None)))
        ]
    return found, beside


def _worded(verdicts: Mapping[str, tuple[str, str | None]]) -> dict[str, str]:
    return {n: f"{v} ({ref})" if ref else v for n, (v, ref) in verdicts.items()}


def _differing(
    model: SaidOfModel, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[Text]:
    for name in [*before, *(name for name in after if name not in before)]:
        was, now = before.get(name, "-"), after.get(name, "-")
        if was != now:
            yield Text(
                "{model}, {part}: {before} -> {after}",
                model=model.model,
                part=name,
                before=was,
                after=now,
            )


def _changed(name: str, before: str, after: str) -> Text:
    return Text("{name}: {before} -> {after}", name=name, before=before, after=after)


def _same_numbers(before: Sequence[float | None], after: Sequence[float | None]) -> bool:
    return all(
        a is b or (a is not None and b is not None and math.isclose(a, b, rel_tol=TOLERANCE))
        for a, b in zip(before, after, strict=True)
    )
