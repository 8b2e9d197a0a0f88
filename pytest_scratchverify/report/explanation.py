"""What a test asks, by which null, and what each of its outcomes means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_scratchverify.core.evidence import Finding, Level, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.failure import number
from pytest_scratchverify.report.wording import COMPONENT_NAMES, OUTCOME_WORDS

OUTCOME_MEANING: Mapping[Outcome, Text] = {
    Outcome.CONSISTENT: Text(
        "the null hypothesis stands: what was measured is what unrelated models show. This"
        " clears a component only at level E3 and with the power stated."
    ),
    Outcome.DERIVED: Text(
        "the null hypothesis is rejected: what was measured is what descendants show, and what"
        " unrelated models do not"
    ),
    Outcome.DECLARED: Text("the relation was found, and the developer declares it"),
    Outcome.INDETERMINATE: Text(
        "measured, but between the two, without a control, or of a kind that decides nothing"
    ),
    Outcome.UNAVAILABLE: Text("what would have to be read could not be had; this is no evidence"),
    Outcome.NOT_APPLICABLE: Text("the question does not arise for this model"),
    Outcome.MISSING: Text("planned and never reported; this is no evidence"),
    Outcome.HARNESS_ERROR: Text("the test itself broke; this is no evidence"),
}

LEVEL_MEANING: Mapping[Level, Text] = {
    Level.E4: Text("decisive: equal bytes, or a vocabulary equal token for token"),
    Level.E3: Text("calibrated: a null that holds, and controls of known truth in the same run"),
    Level.E2: Text("circumstantial: accuses nobody and clears nobody"),
    Level.E1: Text("declared: somebody's statement"),
    Level.E0: Text("none: nothing was measured, or a control failed"),
}


def explained(
    method: str, area: Text | None, hypothesis: str | None, findings: Iterable[Finding]
) -> Iterator[Text]:
    """Explain a test, then each of its findings.

    `area` is the explanation that its method is registered with, `hypothesis` its docstring in
    the suites.
    """
    yield Text("Test {method}", method=method)
    if area is not None:
        yield area
    if hypothesis:
        yield Text("In the suites (English): {text}", text=" ".join(hypothesis.split()))
    found = list(findings)
    told = [f for f in found if f.outcome is not Outcome.NOT_APPLICABLE] or found
    for finding in told:
        yield Text("")
        yield from _finding(finding)
    if len(told) < len(found):
        yield Text("")
        yield Text("not applicable in {n} more cases", n=len(found) - len(told))
    if not found:
        yield Text("")
        for outcome, meaning in OUTCOME_MEANING.items():
            yield Text("{outcome}: {meaning}", outcome=OUTCOME_WORDS[outcome], meaning=meaning)


def _finding(finding: Finding) -> Iterator[Text]:
    if finding.reference:
        yield Text(
            "{model} against {reference}, {component}",
            model=finding.model,
            reference=finding.reference,
            component=COMPONENT_NAMES[finding.component],
        )
    else:
        yield Text(
            "{model}, {component}",
            model=finding.model,
            component=COMPONENT_NAMES[finding.component],
        )
    yield Text("  Null hypothesis: {text}", text=finding.hypothesis)
    if finding.null is not None:
        yield Text("  How chance was reckoned: {text}", text=finding.null.description)
    yield Text(
        "  Outcome: {outcome}: {meaning}",
        outcome=OUTCOME_WORDS[finding.outcome],
        meaning=OUTCOME_MEANING[finding.outcome],
    )
    yield Text("  Finding: {text}", text=finding.headline)
    for name, statistic in (("statistic", finding.statistic), ("effect", finding.effect)):
        if statistic is not None:
            yield Text("  {name}: {statistic}", name=name, statistic=number(statistic))
    if finding.pvalue is not None:
        yield Text("  p {p}, before the correction for the number of tests", p=finding.pvalue)
    yield from _calibration(finding)
    yield Text(
        "  Level {level}: {meaning}",
        level=finding.level.value,
        meaning=LEVEL_MEANING[finding.level],
    )
    if finding.remedy is not None:
        yield Text("  What to do: {text}", text=finding.remedy)


def _calibration(finding: Finding) -> Iterator[Text]:
    for control in finding.controls:
        one, two = control.shown_pair
        yield Text(
            "  Control of known truth, {kind}, {a} / {b}: {value}, {passed}",
            kind=control.kind,
            a=one,
            b=two,
            value=control.value,
            passed=Text("passed") if control.passed else Text("failed"),
        )
    if not finding.controls:
        yield Text("  No control of known truth ran beside it: it can accuse nobody.")
    if finding.power is not None and finding.power.description is not None:
        yield Text(
            "  Power: {text} ({effect})",
            text=finding.power.description,
            effect=finding.power.minimum_detectable_effect,
        )
