"""A guest in pytest-html's report: question and verdict on top, outcomes counted as elsewhere.

pytest-html knows passed, failed and skipped only, and its script filters by these. A row keeps its
result for that script, and the word of ours is put into its cell at the end; what measured nothing
is collapsed. Everything is escaped.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pytest_scratchverify.core.visible import visible

if TYPE_CHECKING:
    from pytest_scratchverify.core.evidence import Finding
    from pytest_scratchverify.core.text import Text
    from pytest_scratchverify.plugin.controller import Controller

QUIET = ["passed", "skipped", "xfailed"]  # rows that open with a click, where no ini value says so
_CATEGORY = re.compile(r' data-category="([^"]*)">[^<]*<')


def in_one_file(config: pytest.Config) -> None:
    """Let `--html` write one file: a report is forwarded, a folder of styles left behind."""
    if config.getoption("htmlpath", default=None):
        config.option.self_contained_html = True


class HtmlGuest:
    """Hooks of pytest-html; none of them runs where it is not installed."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.report: Any = None

    def _say(self, text: Text) -> str:
        from pytest_scratchverify.report.language import translate  # noqa: PLC0415

        return translate(text, self.controller.session.settings.language)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Ask the question of the models that the report is about."""
        from pytest_scratchverify.core.text import Text  # noqa: PLC0415

        self.report = report
        if getattr(report, "data", {}).get("renderCollapsed") == ["passed"]:  # pytest-html's own
            report.data["renderCollapsed"] = QUIET
        models = [visible(spec.name) for spec in self.controller.session.models]
        if models:
            question = (
                Text("Was this model trained from scratch?")
                if len(models) == 1
                else Text("Were these models trained from scratch?")
            )
            report.title = f"{self._say(question)} {', '.join(models)}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(
        self, prefix: list[str], summary: list[str], postfix: list[str]
    ) -> None:
        """Put the verdict above pytest-html's own numbers, and make these the terminal's."""
        del summary, postfix
        run = self.controller.run
        if run is None:
            return
        from pytest_scratchverify.report.html import verdict_fragment  # noqa: PLC0415
        from pytest_scratchverify.report.pytest_html import counts  # noqa: PLC0415

        language = self.controller.session.settings.language
        numbers = self._recount()
        every = sum(numbers.values(), Counter[str]())
        terminal = self.controller.session.config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            every["deselected"] = len(terminal.stats.get("deselected", ()))
        prefix.append(verdict_fragment(run, language, counts(every, language)))

    def _recount(self) -> dict[str, Counter[str]]:
        """Put words of ours into the rows; count them under the result that pytest-html has."""
        from pytest_scratchverify.report.pytest_html import count_text, outcome_text  # noqa: PLC0415

        numbers: dict[str, Counter[str]] = {}
        tests = self.report.data["tests"] if self.report is not None else {}
        for test in (test for rows in tests.values() for test in rows):
            row = test["resultsTableRow"]
            found = _CATEGORY.search(row[0])
            if found is None:
                continue
            category = html.unescape(found[1])
            numbers.setdefault(test["result"].lower(), Counter())[category] += 1
            word = html.escape(self._say(outcome_text(category)))
            row[0] = f"{row[0][: found.start()]}>{word}<{row[0][found.end() :]}"
        for result in self.report.outcomes if self.report is not None else ():
            counted = numbers.get(result, Counter())
            others = [self._say(count_text(c, n)) for c, n in counted.items() if c != result]
            label = ", ".join([self._say(outcome_text(result)), *others])
            self.report.outcomes[result] = {"value": counted[result], "label": label}
        return numbers

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add the columns of evidence."""
        cells.insert(2, '<th class="sortable" data-column-type="component">Component</th>')
        cells.insert(3, '<th class="sortable" data-column-type="finding">Finding</th>')

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        """Fill them, one cell each on every path, or the table shifts."""
        finding = self._finding(report)
        status = self.controller.pytest_report_teststatus(report)
        category = html.escape(status[0] if status else report.outcome)
        cells[0] = cells[0].replace(">", f' data-category="{category}">', 1)
        component = said = ""
        if finding is not None:
            from pytest_scratchverify.report.wording import COMPONENT_NAMES  # noqa: PLC0415

            component = html.escape(self._say(COMPONENT_NAMES[finding.component]))
            said = html.escape(self._sentence(finding))
        cells.insert(2, f'<td class="col-component">{component}</td>')
        cells.insert(3, f'<td class="col-finding">{said}</td>')

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: Any, data: list[str]) -> None:
        """Say why nothing was measured in the report's language, and not in pytest's tuple."""
        finding = self._finding(report)
        if finding is not None and report.outcome == "skipped":
            data[:] = [html.escape(self._sentence(finding))]

    @staticmethod
    def _finding(report: Any) -> Finding | None:
        """Return the finding that the row is about."""
        from pytest_scratchverify.verdict.serialization import finding_from_json  # noqa: PLC0415

        texts = getattr(report, "scratch_findings", None) or []
        findings = [finding_from_json(text) for text in texts]
        return next((f for f in findings if f.derived), findings[0] if findings else None)

    def _sentence(self, finding: Finding) -> str:
        said = self._say(finding.headline)
        if finding.remedy is None:
            return said
        return f"{said}{'' if said.endswith('.') else '.'} {self._say(finding.remedy)}"
