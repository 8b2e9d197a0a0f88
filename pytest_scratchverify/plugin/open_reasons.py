"""Why a test is open, declared, reported or not applicable, in the terminal: -v and -r.

pytest shows reasons of skips only, and of those what fits behind a node id.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pytest_scratchverify.core.visible import visible

# Letters of -r under which each of our words is explained; capital A is all there is.
LETTERS = {
    "INCONCLUSIVE": "saA",
    "DECLARED": "dsaA",
    "REPORTED": "rsaA",
    "ERROR": "EaA",
}  # what is not applicable is a skip, and pytest's own lines hold its reason


class OpenReasons:
    """Hooks that print the reasons which reports carry."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.said: dict[str, str] = {}  # what was said of each node id, behind its line
        self.seen: Counter[tuple[str, str, str]] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a report's reason with the word that the terminal shows."""
        reason = getattr(report, "scratch_reason", None)
        if not reason or report.failed:
            return
        status: Any = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        word = status[2][0] if isinstance(status[2], tuple) else str(status[2])
        if word == "PASSED":
            return
        whole = report.skipped and self.config.option.verbose > 1  # pytest says it itself
        if not whole:
            self.said[report.nodeid] = reason
        if word in LETTERS:
            self.seen[word, report.nodeid.partition("::")[0], reason] += 1

    @pytest.hookimpl(trylast=True)  # after the line of the test, and its percentage
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Say the reason under a test's line, where there is a line a test."""
        reason = self.said.pop(nodeid, None)
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reason is None or reporter is None or self.config.option.verbose < 1:
            return
        reporter.ensure_newline()
        reporter.write_line(f"    {visible(reason)}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List the reasons that the letters of -r ask for, equal ones once."""
        asked = set(str(getattr(self.config.option, "reportchars", "")))
        rows = [
            f"{word} [{count}] {file.rpartition('/')[2]}: {visible(reason)}"
            for (word, file, reason), count in self.seen.items()
            if asked & set(LETTERS[word])
        ]
        if rows:
            terminalreporter.section("reasons", sep="=")
        for row in rows:
            terminalreporter.write_line(row)
