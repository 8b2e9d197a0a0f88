"""What a test that rejected its hypothesis says where it failed: five lines under its assert."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_scratchverify.core.evidence import Control, Finding, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import COMPONENT_NAMES

LEAST_P = 1e-300  # p-values are cut off here: what is smaller is not told apart


def failure_lines(finding: Finding, language: str) -> list[str]:
    """Return claim, measure with effect, p, controls and reference, a line each."""
    rows = list(_rows(finding))
    names = [translate(name, language) for name, _ in rows]
    widest = max(map(len, names))
    return [
        f"{name:<{widest}}  {'; '.join(translate(text, language) for text in said)}"
        for name, (_, said) in zip(names, rows, strict=True)
    ]


def _rows(finding: Finding) -> Iterator[tuple[Text, list[Text]]]:
    yield Text("claim"), [finding.hypothesis]
    measured = [number(finding.statistic)] if finding.statistic else [Text("no statistic")]
    if finding.effect is not None:
        measured.append(Text("effect: {effect}", effect=number(finding.effect)))
    yield Text("measured"), measured
    yield Text("p"), list(_chance(finding))
    yield Text("controls"), list(_controls(finding.controls))
    yield Text("reference"), [_reference(finding)]


def number(statistic: Statistic) -> Text:
    """Say a statistic with what it has of sample size and interval."""
    said = Text("{name} = {value}", name=statistic.name, value=statistic.value)
    if statistic.n is not None:
        said = Text("{said} (n = {n})", said=said, n=statistic.n)
    if statistic.low is not None and statistic.high is not None:
        said = Text("{said}, {low} to {high}", said=said, low=statistic.low, high=statistic.high)
    return said


def _chance(finding: Finding) -> Iterator[Text]:
    if finding.pvalue is None:
        yield Text("none was computed: identity needs none, and without it nothing else accuses")
    else:
        p = max(finding.pvalue, LEAST_P)  # shown as an upper bound
        yield Text("{p}, before the correction for the number of tests", p=p)
    if finding.null is not None:
        yield finding.null.description


def _controls(controls: tuple[Control, ...]) -> Iterator[Text]:
    if not controls:
        yield Text("none ran: it can accuse nobody")
    for kind in dict.fromkeys(control.kind for control in controls):
        own = [control for control in controls if control.kind == kind]
        passed = sum(control.passed is True for control in own)
        yield Text("{kind}: {n} of {total} passed", kind=kind, n=passed, total=len(own))


def _reference(finding: Finding) -> Text:
    said = {"model": finding.model, "component": COMPONENT_NAMES[finding.component]}
    if finding.reference is None:
        return Text("none named ({model}, {component})", **said)
    return Text("{reference} ({model}, {component})", reference=finding.reference, **said)
