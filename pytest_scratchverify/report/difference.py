"""What changed between two runs: verdicts, findings, numbers. Settings are said, not counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isclose

from pytest_scratchverify.core.evidence import Finding, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.wording import COMPONENT_NAMES, OUTCOME_WORDS
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict

TOLERANCE = 1e-6  # relative; another version of numpy may round the last digits otherwise


def differences(old: Run, new: Run) -> Iterator[Text]:
    """Yield every difference of what was found, verdicts first; none means equal runs."""
    before = {model.model: model for model in old.models}
    after = {model.model: model for model in new.models}
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield Text("{model}: no longer tested", model=name)
        elif name not in before:
            yield Text("{model}: newly tested", model=name)
        else:
            yield from _verdicts(before[name], after[name])
    if old.partial != new.partial:
        yield Text("the new run is partial") if new.partial else Text("the old run was partial")
    yield from _findings(_by_id(old), _by_id(new))


def settings(old: Run, new: Run) -> Iterator[Text]:
    """Yield what was different about the runs themselves; it may explain the rest."""
    pairs = [
        ("pytest-scratchverify", old.version, new.version),
        ("matrix", old.matrix_digest[:12], new.matrix_digest[:12]),
        *((key, old.versions.get(key), new.versions.get(key)) for key in old.versions),
        ("command", old.reproduce, new.reproduce),
    ]
    for name, before, after in pairs:
        if before != after:
            yield Text("{name}: {before} -> {after}", name=name, before=before, after=after)


def _verdicts(old: ModelVerdict, new: ModelVerdict) -> Iterator[Text]:
    for name in [*old.policies, *(name for name in new.policies if name not in old.policies)]:
        before, after = old.policies.get(name), new.policies.get(name)
        was = before.result.value if before else None
        now = after.result.value if after else None
        if was != now:
            yield Text(
                "{model}, policy {policy}: {before} -> {after}",
                model=new.model,
                policy=name,
                before=was,
                after=now,
            )
    for component in COMPONENT_NAMES:
        verdicts = old.components.get(component), new.components.get(component)
        said = [_said(verdict) for verdict in verdicts]
        if said[0] != said[1]:
            yield Text(
                "{model}, {component}: {before} -> {after}",
                model=new.model,
                component=COMPONENT_NAMES[component],
                before=said[0],
                after=said[1],
            )


def _said(verdict: ComponentVerdict | None) -> str | None:
    if verdict is None:
        return None
    more = [part for part in (verdict.reference, *verdict.kinds) if part]
    return f"{verdict.verdict.value} ({', '.join(more)})" if more else verdict.verdict.value


def _joined(kinds: Sequence[str]) -> str | None:
    return ", ".join(kinds) or None


def _by_id(run: Run) -> dict[str, Finding]:
    return {finding.id: finding for finding in run.findings}


def _findings(old: Mapping[str, Finding], new: Mapping[str, Finding]) -> Iterator[Text]:
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before is None and after is not None:
            yield Text("new finding {id}: {outcome}", id=key, outcome=OUTCOME_WORDS[after.outcome])
        elif after is None and before is not None:
            yield Text(
                "lost finding {id}: {outcome}", id=key, outcome=OUTCOME_WORDS[before.outcome]
            )
        elif before is not None and after is not None:
            yield from _changed(key, before, after)


def _changed(key: str, old: Finding, new: Finding) -> Iterator[Text]:
    if old.outcome is not new.outcome:
        yield Text("{id}: {before} -> {after}", id=key, before=OUTCOME_WORDS[old.outcome],
                   after=OUTCOME_WORDS[new.outcome])  # fmt: skip
    names = (
        ("relation", old.relation, new.relation),
        ("kind", _joined(old.kinds), _joined(new.kinds)),
        ("level", old.level, new.level),
    )
    for name, before, after in names:
        if before != after:
            yield Text(
                "{id}, {name}: {before} -> {after}", id=key, name=name, before=before, after=after
            )
    numbers = (
        ("statistic", _value(old.statistic), _value(new.statistic)),
        ("effect", _value(old.effect), _value(new.effect)),
        ("p", old.pvalue, new.pvalue),
    )
    for name, was, now in numbers:
        if not _same(was, now):
            yield Text(
                "{id}, {name}: {before} -> {after}", id=key, name=name, before=was, after=now
            )


def _value(statistic: Statistic | None) -> float | None:
    return None if statistic is None else statistic.value


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-300)
