"""The Korean programme's later conditions as policies: what tests can tell of them, and what not.

Every condition stands in a row with its source. Most of what was asked after January 2026 (own
data, logs that the team holds, control, a panel's score) leaves no trace in published files: such a
row is UNDETERMINED and says that only an audit can tell. A row fails only by what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.policy import (
    NOT_ASKED,
    JudgedModel,
    PolicyTable,
    shipped_policies,
)
from pytest_scratchverify.verdict.verdict import PolicyResult, Result, Verdict

FOUND = frozenset({Verdict.REUSED_VERBATIM, Verdict.DERIVED})
FIRST_STEP = ("training_log.first_loss", "training_log.random_initialisation")
READINGS = ("msit-2026", "msit-2026-own-predecessor")
Judged = tuple[Result, Text]


@dataclass(frozen=True, slots=True)
class Condition:
    """One published condition: its words, where they stand, and what tests can say of it."""

    words: Text
    source: str
    judge: Callable[[JudgedModel], Judged]


def _only_audit(_judged: JudgedModel) -> Judged:
    return Result.UNDETERMINED, Text("only an audit can tell")


def _by_table(name: str) -> Callable[[JudgedModel], Judged]:
    """Judge by a table of policies.toml: with all its reasons for a failure, else the first."""

    def judge(judged: JudgedModel) -> Judged:
        table: PolicyTable = shipped_policies()[name]
        found = table.judge(judged)
        asked = [reason for reason in found.because if reason.template != NOT_ASKED]
        reasons = asked if found.result is Result.FAIL else asked[:1]
        return found.result, Text("by {policy}: {why}", policy=name, why=reasons or Text("-"))

    return judge


def _by_either_reading(judged: JudgedModel) -> Judged:
    """Judge a start from an own earlier model by both readings: where they differ it is open."""
    literal, by_purpose = (_by_table(name)(judged) for name in READINGS)
    if by_purpose[0] is Result.FAIL or literal[0] is by_purpose[0]:
        return by_purpose
    return Result.UNDETERMINED, Text(
        "the readings differ: {one}, {first}; {other}, {second}",
        one=literal[0],
        first=literal[1],
        other=by_purpose[0],
        second=by_purpose[1],
    )


def _training_record(judged: JudgedModel) -> Judged:
    """A record that is another's contradicts; one that holds together shows no more than itself."""
    verdict = judged.components.get(Component.TRAINING_RECORD)
    if verdict is not None and verdict.verdict in FOUND:
        return Result.FAIL, Text("the training record that was shown is another model's")
    if any(_said(judged.findings, "training_log.", Outcome.DERIVED)):
        return Result.UNDETERMINED, Text("the training record that was shown is contradicted")
    if any(_of_start(judged.findings)):
        return Result.UNDETERMINED, Text(
            "a record from the first step was shown and nothing in it speaks against it; it is its"
            " author's claim, and that the team holds it only an audit can tell"
        )
    return Result.UNDETERMINED, Text("no training record from the first step was shown")


def _of_start(findings: Iterable[Finding]) -> Iterable[Finding]:
    return (f for f in findings if f.method in FIRST_STEP and f.outcome is Outcome.CONSISTENT)


def _said(findings: Iterable[Finding], area: str, outcome: Outcome) -> Iterable[Finding]:
    return (f for f in findings if f.method.startswith(area) and f.outcome is outcome)


def _references_disclosed(judged: JudgedModel) -> Judged:
    """A reuse that was found and that nobody declares is a reference that was not disclosed."""
    hidden = [
        v for v in judged.components.values() if v.component.is_trained and v.verdict in FOUND
    ]
    if hidden:
        return Result.FAIL, Text(
            "found and not declared: {components}", components=[v.component for v in hidden]
        )
    declared = [
        v.component for v in judged.components.values() if v.verdict is Verdict.DECLARED_REUSE
    ]
    if declared:
        return Result.UNDETERMINED, Text(
            "declared: {components}; whether that is all only an audit can tell",
            components=declared,
        )
    return Result.UNDETERMINED, Text(
        "nothing undeclared was found in weights; of code and data only an audit can tell"
    )


def _licence_bonds(judged: JudgedModel) -> Judged:
    """Notices that are open are named; whether a licence binds is a lawyer's question."""
    found = [f for f in judged.findings if f.method == "disclosure.licence"]
    said = found[0].headline if found else Text("no licence was read")
    return Result.UNDETERMINED, Text("{found}; what binds only an audit can tell", found=said)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Published conditions as a policy: one fails, the policy fails; all hold, it passes."""

    name: str
    conditions: tuple[Condition, ...]

    def judge(self, judged: JudgedModel) -> PolicyResult:
        """Judge every condition by itself, and the policy by the worst of them."""
        found = [(condition, *condition.judge(judged)) for condition in self.conditions]
        rows = tuple(
            (
                condition.source,
                Text(
                    "{condition}: {result}, {why}",
                    condition=condition.words,
                    result=result,
                    why=why,
                ),
            )
            for condition, result, why in found
        )
        results = [result for _, result, _ in found]
        worst = next(r for r in (Result.FAIL, Result.UNDETERMINED, Result.PASS) if r in results)
        judgement = Text(
            "of {n} conditions {failed} contradicted, {held} not contradicted, {open} open",
            n=len(found),
            failed=results.count(Result.FAIL),
            held=results.count(Result.PASS),
            open=results.count(Result.UNDETERMINED),
        )
        because = tuple(
            Text("{condition}: {why}", condition=condition.words, why=why)
            for condition, result, why in found
            if result is worst
        )
        return PolicyResult(result=worst, because=because, rows=rows, judgement=judgement)

    def asks(self, component: Component) -> bool:
        """Whether a condition can depend on a component: trained ones, and the record."""
        return component.is_trained or component is Component.TRAINING_RECORD

    def stands_beside(self, model: str) -> bool:  # noqa: ARG002
        """Stand in a run only where it was chosen."""
        return False


JANUARY = "news.zum.com 103667808; newspub.kr 6968a10a (2026-01-28)"
FEBRUARY = "zdnet.co.kr 20260220174008 (2026-02-20)"
PHASE_2 = "korea.kr 156774699, 156774781, 148970354 (2026-08-18/19)"
FIRST = "zdnet.co.kr 20260115150326; msit.go.kr (en) nttSeqNo 1212 (2026-01-15)"

ASPECTS = Conditions(
    "msit-2026-aspects",
    (
        Condition(
            Text("technical: weights initialised and then trained, the least that is asked"),
            JANUARY,
            _by_table("msit-2026"),
        ),
        Condition(Text("technical: own design; open source is allowed"), JANUARY, _only_audit),
        Condition(Text("technical: own data"), JANUARY, _only_audit),
        Condition(
            Text("technical: own training algorithm, the whole process trained"),
            JANUARY,
            _training_record,
        ),
        Condition(
            Text("policy: can be developed, upgraded and controlled at any time"),
            JANUARY,
            _only_audit,
        ),
        Condition(Text("policy: free of licence bonds"), JANUARY, _licence_bonds),
        Condition(
            Text("ethical: references of open source are disclosed"),
            JANUARY,
            _references_disclosed,
        ),
    ),
)
LOGS = Conditions(
    "msit-2026-logs",
    (
        Condition(
            Text("the team holds the logs of the initial data and training"),
            FEBRUARY,
            _training_record,
        ),
        Condition(Text("the team can solve problems by itself"), FEBRUARY, _only_audit),
        Condition(
            Text("detailed criteria to be agreed with experts, of which none were published"),
            FEBRUARY,
            _only_audit,
        ),
    ),
)
PHASE_TWO = Conditions(
    "msit-2026-phase-2",
    (
        Condition(
            Text("the condition of January 2026, which no later text withdrew"),
            FIRST,
            _by_either_reading,
        ),
        Condition(
            Text("originality, for which no score of its own was published"), PHASE_2, _only_audit
        ),
        Condition(
            Text("40 points of benchmarks, 35 of experts, 25 of users"), PHASE_2, _only_audit
        ),
    ),
)
PROGRAMME: Mapping[str, Conditions] = {p.name: p for p in (ASPECTS, LOGS, PHASE_TWO)}
