"""Turn what happens in a test into findings that travel with its reports.

Runs in the process that runs the tests: the only one, or every worker of xdist. Findings leave
as JSON strings in attributes of the report; xdist carries these and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Finding, Intent, Outcome, Relation, Source
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.collection import INTENT
from pytest_scratchverify.plugin.fixtures import FINDINGS
from pytest_scratchverify.plugin.printed_errors import make_visible, show_finding
from pytest_scratchverify.plugin.session import Session
from pytest_scratchverify.report.failure import failure_lines
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.verdict.policy import Policy, asks
from pytest_scratchverify.verdict.serialization import dumps

TRAFFIC_PREFIX = "traffic-"
REPORTED = "reported"  # a derived finding that no chosen policy asks about
REPORTED_WORD = "Reported, and no chosen policy asks about it"
SHOWN_AS_QUESTION = (Outcome.INDETERMINATE, Outcome.UNAVAILABLE)


class Worker:
    """The execution side of the plugin."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.policies = session.extensions.policies_called(session.settings.policies)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Compare no model with itself: everything would be equal, and nothing would be known."""
        callspec = getattr(item, "callspec", None)
        pair = callspec.params.get("pair") if callspec is not None else None
        if isinstance(pair, Pair) and pair.itself and INTENT in item.stash:
            raise pair.same_model()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach intent and findings, and give each outcome its pytest form."""
        intent = item.stash.get(INTENT, None)
        if intent is not None and call.excinfo and isinstance(call.excinfo.value, Unavailable):
            # It becomes a skip with one sentence: to quote the source for it took a tenth of a run.
            item.repr_failure = lambda excinfo, style=None: str(excinfo.value)  # type: ignore[method-assign] # noqa: ARG005
        report = yield
        if intent is None:
            return report
        if report.when == "setup":
            report.scratch_intent = dumps(intent)  # type: ignore[attr-defined]
        findings = self._findings(item, intent, report, call)
        language = self.session.settings.language
        rejected = [f for f in findings if f.derived] if report.failed else []
        if rejected:
            asked_for = bool(item.config.getoption("showlocals", default=False))
            show_finding(report, failure_lines(rejected[0], language), keep_locals=asked_for)
        make_visible(report)
        if findings:
            report.scratch_findings = [dumps(f) for f in findings]  # type: ignore[attr-defined]
            strongest = next((f for f in findings if f.derived), findings[0])
            report.scratch_reason = reason = reason_of(strongest, language)  # type: ignore[attr-defined]
            self._shape(report, strongest, item, self.policies, reason)
            if self.session.settings.junit:
                item.user_properties += scalars(strongest)  # leave with the teardown report
        return report

    def _findings(
        self,
        item: pytest.Item,
        intent: Intent,
        report: pytest.TestReport,
        call: pytest.CallInfo[None],
    ) -> list[Finding]:
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, Unavailable):
            return [unavailable(intent, error, withheld=withheld(self.session, intent, error))]
        recorded = item.stash.get(FINDINGS, [])
        if report.when == "call" and not report.failed and report.outcome != "skipped":
            return recorded or [
                broken(intent, Text("the test ended without a finding"), NO_FINDING)
            ]
        if report.when == "call" and report.failed:
            if any(f.derived for f in recorded) and isinstance(error, AssertionError):
                return recorded
            return [broken(intent, _error_text(error))]
        if report.failed and report.when == "setup":
            return [broken(intent, _error_text(error))]
        return []

    def pytest_sessionfinish(self) -> None:
        """Leave this process's network traffic for the controller to add up."""
        accounting = sys.modules.get("pytest_scratchverify.stores.http.accounting")
        if accounting is None:
            return
        traffic = accounting.traffic()
        path = self.session.run_path / f"{TRAFFIC_PREFIX}{os.getpid()}.json"
        path.write_text(json.dumps([traffic.requests, traffic.received]), "utf-8")

    @staticmethod
    def _shape(
        report: pytest.TestReport,
        finding: Finding,
        item: pytest.Item,
        policies: Sequence[Policy],
        reason: str,
    ) -> None:
        """Set pytest's outcome: there is no fifth one, so `?` is a skip with a finding.

        So is a finding on a component that no chosen policy asks about: it is reported, and
        fails nothing (docs/adr/0010-exit-code-follows-the-policy.md).
        """
        report.scratch_outcome = finding.outcome.value  # type: ignore[attr-defined]
        path, line, _ = item.location
        skips = (*SHOWN_AS_QUESTION, Outcome.NOT_APPLICABLE)
        if finding.outcome in skips:
            report.outcome = "skipped"
            report.longrepr = (path, line or 0, f"Skipped: {reason}")
        elif finding.outcome is Outcome.HARNESS_ERROR and report.longrepr is None:
            report.longrepr = reason  # no exception, so pytest has nothing to print
        elif finding.derived and not any(asks(p, finding.component) for p in policies):
            report.scratch_outcome = REPORTED  # type: ignore[attr-defined]
            report.outcome = "skipped"
            report.longrepr = (path, line or 0, f"{REPORTED_WORD}: {reason}")


def scalars(finding: Finding) -> list[tuple[str, object]]:
    """Return what JUnit's properties can hold of a finding: scalars, never structures."""
    measured: list[tuple[str, object]] = [
        ("scratch_outcome", finding.outcome.value),
        ("scratch_statistic", finding.statistic.value if finding.statistic else None),
        ("scratch_pvalue", finding.pvalue),
        ("scratch_effect", finding.effect.value if finding.effect else None),
    ]
    return [(name, value) for name, value in measured if value is not None]


def reason_of(finding: Finding, language: str) -> str:
    """Return what was found and what to do, as one line in the reader's language."""
    parts = [finding.headline, finding.remedy] if finding.remedy else [finding.headline]
    said, *remedy = (visible(translate(part, language)) for part in parts)
    ended = said if said.endswith((".", "!", "?")) or not remedy else f"{said}."
    return " ".join([ended, *remedy])


def _error_text(error: BaseException | None) -> Text:
    if error is None:
        return Text("the test failed without an exception")
    return Text("{kind}: {error}", kind=type(error).__name__, error=str(error)[:500])


def withheld(session: Session, intent: Intent, failure: Unavailable) -> bool:
    """Whether the tested model's own repository was listed and publishes no weights.

    The failure may be a reference's: then other references can still be compared with. The store
    remembers its list, so that this reads nothing.
    """
    spec = next((model for model in session.models if model.name == intent.model), None)
    if failure.reason is not Reason.NOT_PUBLISHED or not intent.component.is_trained:
        return False
    if spec is None or spec.folder:  # a folder's list costs a digest of every file
        return False
    from pytest_scratchverify.plugin.model_stores import open_model  # noqa: PLC0415 - the hub client
    from pytest_scratchverify.stores.weight_files import holds_no_weights  # noqa: PLC0415

    try:
        files = open_model(session, spec).files()
    except Unavailable:
        return False
    listed = files.record.source is Source.HUB
    return listed and holds_no_weights(entry.path for entry in files.value)


def unavailable(intent: Intent, failure: Unavailable, *, withheld: bool = False) -> Finding:
    """Return the finding for a hypothesis whose artifacts could not be read."""
    return _untested(
        intent,
        Outcome.UNAVAILABLE,
        headline=failure.what,
        hypothesis=Text("not tested: {reason}", reason=failure.reason),
        relation=Relation.NOT_PUBLISHED if withheld else None,
        remedy=failure.remedy,
        details={"reason": failure.reason.value},
    )


NO_FINDING = Text("a test keeps its finding by the fixture `record`: record(finding)")
A_BUG = Text("report this as a bug of pytest-scratchverify, with the traceback")


def broken(intent: Intent, what: Text, remedy: Text = A_BUG) -> Finding:
    """Return the finding for a hypothesis whose test broke: its author's fault, never evidence."""
    return _untested(
        intent,
        Outcome.HARNESS_ERROR,
        headline=what,
        hypothesis=Text("not tested: the harness failed"),
        remedy=remedy,
    )


def _untested(intent: Intent, outcome: Outcome, **said: Any) -> Finding:
    return Finding(
        method=intent.method,
        component=intent.component,
        model=intent.model,
        reference=intent.reference,
        outcome=outcome,
        **said,
    )
