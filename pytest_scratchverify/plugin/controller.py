"""Gather intents and findings, fold them against the plan, write the reports, set the exit code.

Runs in the controller only. Exit codes say what the chosen policies say: 0 all PASS; 1 one of them
FAIL; 10 one of them UNDETERMINED, or the run partial; 2 to 6 are pytest's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from pytest_scratchverify.core.component import TRAINED, Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding, Intent, Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.methods.registry import calibrated_areas
from pytest_scratchverify.plugin import options
from pytest_scratchverify.plugin.collection import PLAN_PREFIX, Parametrizer
from pytest_scratchverify.plugin.declarations import declared_lines
from pytest_scratchverify.plugin.execution import REPORTED, TRAFFIC_PREFIX
from pytest_scratchverify.plugin.given_inputs import own_inputs, unused_inputs
from pytest_scratchverify.plugin.junit import add_junit_properties
from pytest_scratchverify.plugin.reproduce import reproduce_command
from pytest_scratchverify.plugin.selection import own_references, planned_components
from pytest_scratchverify.plugin.session import Session, suites_path
from pytest_scratchverify.verdict.fold import unique_findings
from pytest_scratchverify.verdict.run import (
    CALIBRATION,
    Collected,
    Run,
    Subject,
    fold_models,
    missing_intents,
)
from pytest_scratchverify.verdict.serialization import finding_from_json, intent_from_json

EXIT_UNDETERMINED = 10
NOTHING_ASKED = Text(
    "No test here asks about a model. The suites are run by `scratchverify run --model NAME`, or in"
    " this pytest by `pytest --pyargs pytest_scratchverify._suites --scratch-model NAME`."
)
# Whatever ends otherwise, by a slip of the command line or a broken test, says so by itself.
ENDED = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
    EXIT_UNDETERMINED,
)
_REPORTED_LETTER = ("reported", "r", ("REPORTED", {"yellow": True}))
SHORT_LETTERS = {
    Outcome.INDETERMINATE: ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    Outcome.UNAVAILABLE: ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    Outcome.DECLARED: ("declared", "d", ("DECLARED", {"cyan": True})),
    Outcome.HARNESS_ERROR: ("error", "E", ("ERROR", {"red": True})),
}


class Controller:
    """The reporting side of the plugin."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.intents: dict[str, Intent] = {}
        self.findings: list[Finding] = []
        self.selected: set[str] = set()
        self.failed: set[str] = set()
        self.rejected: set[str] = set()  # those that failed because their hypothesis was rejected
        self.lost_workers: list[str] = []
        self.distributed = False
        self.run: Run | None = None
        self.unwritten: str | None = None  # reports that were asked for

    def pytest_report_header(self) -> list[str]:
        """Say what is tested, by which matrix, and where bytes may come from."""
        settings, matrix = self.session.settings, self.session.matrix
        library = self.session.library
        models = ", ".join(visible(spec.name) for spec in self.session.models)
        where = "offline: folders, cache, catalogue" if settings.offline else "hub if reachable"
        budget = settings.byte_budget or "unlimited"
        return [
            f"scratchverify: {models or 'no model'}",
            (
                f"matrix: {visible(matrix.path)} ({matrix.digest[:12]}); depth {settings.depth}, "
                f"budget {budget}, {where}"
            ),
            *([f"library: {len(library)} fingerprints"] if library else []),
            *[visible(f"declared: {line}") for line in declared_lines(self.session.models, matrix)],
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take intent and findings from a report; fail and crash count by node id."""
        intent = getattr(report, "scratch_intent", None)
        if intent is not None:
            self.intents.setdefault(report.nodeid, intent_from_json(intent))
        for text in getattr(report, "scratch_findings", ()):
            self.findings.append(finding_from_json(text))
        if not getattr(self.session.config.option, "htmlpath", None):  # whose page shows them
            vars(report).pop("scratch_findings", None)  # pytest keeps every report to the end
        if report.failed:
            self.failed.add(report.nodeid)
            if getattr(report, "scratch_outcome", None) == Outcome.DERIVED:
                self.rejected.add(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
        """Show `?` for what is open, `d` for what is declared, `E` for our own failures."""
        outcome = getattr(report, "scratch_outcome", None)
        if outcome is None:
            return None
        if outcome == REPORTED:
            return _REPORTED_LETTER
        return SHORT_LETTERS.get(Outcome(outcome))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, None, None]:
        """Fold and write before any guest reports; set the exit code after all of them."""
        self.read_plan()
        if self.intents and not session.config.option.collectonly:
            self.run = self._fold(session, exitstatus)
            session.config.hook.pytest_scratchverify_run(run=self.run)
            self._write(self.run)
            if self.session.settings.junit:
                add_junit_properties(session.config, self.run)
        yield
        if self.run is not None:  # last, since plugins exist that mix theirs into the code
            session.exitstatus = self._exit_status(exitstatus, self.run)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Remove the run's shared directory."""
        self.session.close()

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Print the verdict; where nothing was asked of a named model, how it is asked."""
        from pytest_scratchverify.report.language import translate  # noqa: PLC0415

        if self.run is None:
            ended = exitstatus in ENDED
            if self.session.settings.models and not self.intents and ended:
                terminalreporter.write_line(
                    translate(NOTHING_ASKED, self.session.settings.language)
                )
            return
        from pytest_scratchverify.report.terminal import summary_lines  # noqa: PLC0415
        from pytest_scratchverify.report.wording import size  # noqa: PLC0415

        terminalreporter.section("verdict", sep="=")
        width = max(60, getattr(terminalreporter._tw, "fullwidth", 80))  # noqa: SLF001 - no public width
        for line, markup in summary_lines(self.run, self.session.settings.language, width):
            terminalreporter.write_line(line, **markup)
        if self.unwritten:
            terminalreporter.write_line(f"ERROR: {visible(self.unwritten)}", red=True, bold=True)
        self._annotate(terminalreporter)
        requests, received = self._traffic()
        if requests:
            text = Text("Network: {n} requests, {size} received", n=requests, size=size(received))
            terminalreporter.write_line(translate(text, self.session.settings.language))

    def _annotate(self, terminalreporter: pytest.TerminalReporter) -> None:
        from pytest_scratchverify.report.actions import in_actions, workflow_commands  # noqa: PLC0415

        if self.run is not None and in_actions(os.environ):
            for line in workflow_commands(self.run, self.session.settings.language):
                terminalreporter.write_line(line)

    def _traffic(self) -> tuple[int, int]:
        """Add up what all processes sent for and received; no part of the run's JSON."""
        counts = [
            json.loads(path.read_text("utf-8"))
            for path in self.session.run_path.glob(f"{TRAFFIC_PREFIX}*.json")
        ]
        return sum(requests for requests, _ in counts), sum(received for _, received in counts)

    def read_plan(self) -> None:
        """Read the plan: this process's own collection, or what the workers left."""
        parametrizer = self.session.config.pluginmanager.get_plugin("scratchverify-parametrize")
        assert isinstance(parametrizer, Parametrizer)  # noqa: S101 - registered beside this object
        for intent in parametrizer.intents:
            self.intents.setdefault(intent.nodeid, intent)
        self.selected |= parametrizer.selected
        for path in sorted(self.session.run_path.glob(f"{PLAN_PREFIX}*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                row = json.loads(line)
                intent = intent_from_json(json.dumps(row["intent"]))
                self.intents.setdefault(intent.nodeid, intent)
                if row["selected"]:
                    self.selected.add(intent.nodeid)

    def _fold(self, session: pytest.Session, exitstatus: int) -> Run:
        settings = self.session.settings
        intents = _hypotheses(self.intents)
        findings = tuple(unique_findings(self.findings))
        missing = missing_intents(intents, findings)
        narrowed = tuple(self._narrowed_because(session, exitstatus, intents))
        # What broke on one model's files, be it a worker process that died of them, leaves that
        # model open, and no other one: `fold_models` sees which hypotheses did not report.
        lost = tuple(self._lost_because(missing))
        broken = (*_broken(findings), *self._unused(findings))
        extensions = self.session.extensions
        collected = Collected(
            intents=intents,
            findings=findings,
            partial_because=narrowed,
            calibrated=calibrated_areas(extensions.methods),
            earlier=self.session.earlier,
        )
        models = fold_models(
            self._subjects(findings),
            collected,
            extensions.policies_called(settings.policies),
            extensions.policies.values(),
        )
        alone = self.session.models[0] if len(models) == 1 else None
        commit = models[0].revision if alone is not None and not alone.folder else None
        methods = (intent.method for intent in intents)
        return Run(
            models=models,
            findings=findings,
            partial=bool(narrowed or lost or broken),
            partial_because=(*narrowed, *lost, *broken),
            planned=len(intents),
            arrived=len(intents) - len(missing),
            missing=tuple(intent.nodeid for intent in missing),
            reproduce=reproduce_command(self.session, methods, commit),
            matrix=_shown_path(Path(self.session.matrix.path), self.session.config.rootpath),
            matrix_digest=self.session.matrix.digest,
            version=_version("pytest-scratchverify"),
            # Not Python's version, nor the machine: neither changes a byte of what is found.
            environment={
                **{name: _version(name) for name in ("pytest", "huggingface_hub", "numpy")},
                CALIBRATION: self.session.calibration_digest(),
            },
            options={
                "depth": settings.depth,
                "policy": [*settings.policies],
                "against": [*settings.against],
                "declare": [*settings.declared],
                "predecessor_verdict": [*settings.earlier],
                "against_library": [*settings.libraries],
                "component": [*sorted(component.value for component in settings.components)],
                "byte_budget": settings.byte_budget,
                "offline": settings.offline,
            },
        )

    def _narrowed_because(
        self, session: pytest.Session, exitstatus: int, intents: tuple[Intent, ...]
    ) -> Iterable[Text]:
        """Say why less was run than was planned, which concerns every model."""
        selected = sum(intent.nodeid in self.selected for intent in intents)
        if selected < len(intents):
            yield Text("{n} of {total} hypotheses were selected", n=selected, total=len(intents))
        if narrowed := _narrowed_by(session.config, self.session):
            yield Text("only part of the suites was run ({how})", how=narrowed)
        if session.shouldfail or session.shouldstop or exitstatus == pytest.ExitCode.INTERRUPTED:
            yield Text("the run was stopped before its end")

    def _lost_because(self, missing: list[Intent]) -> Iterable[Text]:
        """Say what was run and did not report, which concerns the models it was about."""
        if self.lost_workers:
            yield Text("{n} worker processes were lost", n=len(self.lost_workers))
        lost = sum(intent.nodeid in self.selected for intent in missing)
        if lost:
            yield Text("{n} planned hypotheses never reported", n=lost)

    def _unused(self, findings: tuple[Finding, ...]) -> Iterable[Text]:
        logs = options.value(self.session.config, "training-log")
        given = own_inputs(logs, self.session.answers, self.session.models)
        return unused_inputs(given, findings)

    def _subjects(self, findings: tuple[Finding, ...]) -> list[Subject]:
        subjects = []
        for spec in self.session.models:
            found = _components_of(spec, findings)
            components = planned_components(spec, found)
            subjects.append(
                Subject(
                    spec=spec,
                    components=components,
                    asked=self.session.settings.components,
                    known=bool(found) or _all_looked_for(spec, findings),
                    own=own_references(
                        spec, (pair.reference for pair in self.session.pairs if pair.model == spec)
                    ),
                )
            )
        return subjects

    def _write(self, run: Run) -> None:
        from pytest_scratchverify.report.actions import (  # noqa: PLC0415
            append_summary,
            summary_path,
        )
        from pytest_scratchverify.report.writing import write_reports  # noqa: PLC0415

        paths = {n: options.as_path(self.session.config, f"verdict-{n}") for n in options.REPORTS}
        try:
            write_reports(run, paths, self.session.settings.language)
        except ScratchError as error:  # the verdict is still printed
            self.unwritten = str(error)
        summary = summary_path(os.environ)
        if summary is not None:
            append_summary(run, summary, self.session.settings.language)

    def _exit_status(self, exitstatus: int, run: Run) -> int:
        """Let the code say what the policies say; whatever else went wrong keeps pytest's code."""
        ours = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if exitstatus not in ours or not self.failed <= self.intents.keys():
            return exitstatus  # interrupted, a usage error, or a test that is none of ours failed
        if self.unwritten:
            return pytest.ExitCode.INTERNAL_ERROR
        if run.refuted:
            return pytest.ExitCode.TESTS_FAILED
        broke = exitstatus == pytest.ExitCode.TESTS_FAILED and self.failed != self.rejected
        warns = run.undetermined and self.session.settings.undetermined != "warn"
        return EXIT_UNDETERMINED if broke or warns else pytest.ExitCode.OK


def _hypotheses(intents: Mapping[str, Intent]) -> tuple[Intent, ...]:
    """Return the plan, sorted: a test that is repeated (pytest-repeat) asks one hypothesis."""
    once: dict[tuple[str | None, ...], Intent] = {}
    for nodeid in sorted(intents):
        one = intents[nodeid]
        test = nodeid.partition("[")[0]
        once.setdefault((test, one.method, one.component, one.model, one.reference), one)
    return tuple(once.values())


def _broken(findings: Iterable[Finding]) -> Iterable[Text]:
    count = sum(finding.outcome is Outcome.HARNESS_ERROR for finding in findings)
    if count:
        yield Text("{n} tests broke in the harness", n=count)


def _components_of(spec: ModelSpec, findings: Iterable[Finding]) -> set[Component]:
    """Return the components that the model's own config showed, as findings carry them."""
    return {
        component
        for finding in findings
        if finding.model == spec.name
        for component in finding.components
    }


def _all_looked_for(spec: ModelSpec, findings: Iterable[Finding]) -> bool:
    """Whether tensors showed of every trained component that it is there, or is not."""
    silent = (Outcome.UNAVAILABLE, Outcome.MISSING, Outcome.HARNESS_ERROR)
    seen = {f.component for f in findings if f.model == spec.name and f.outcome not in silent}
    return seen >= TRAINED


def _narrowed_by(config: pytest.Config, session: Session) -> Text | str | None:
    """Say how the command line left out tests before they could be planned, if it did.

    What `-k` and `-m` drop is in the plan; what is never collected is not.
    """
    for option in ("lf", "stepwise", "deselect", "ignore", "ignore_glob"):
        if config.getoption(option, default=None):
            return f"--{option.replace('_', '-')}"
    if any("::" in argument for argument in config.args):
        return Text("single tests")
    named = {Path(argument).resolve() for argument in config.args}
    for suites in {Path(session.matrix.path).resolve().parent, suites_path().resolve()}:
        tests = suites.glob("test_*.py")
        left_out = [path for path in tests if not ({path, *path.parents} & named)]
        if left_out and any(suites in path.parents for path in named):
            return Text("named files")
    return None


def _shown_path(path: Path, root: Path) -> str:
    """Return a matrix as runs name it: the shipped one alike from a wheel and from a checkout."""
    if path.resolve() == (suites_path() / "matrix.toml").resolve():
        return "suites/matrix.toml"
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "checkout"
