"""A guest in pytest-html's report: verdict on top, two columns; everything escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pytest

from pytest_scratchverify.core.visible import visible

if TYPE_CHECKING:
    from pytest_scratchverify.plugin.controller import Controller


def in_one_file(config: pytest.Config) -> None:
    """Let `--html` write one file: a report is forwarded, a folder of styles left behind."""
    if config.getoption("htmlpath", default=None):
        config.option.self_contained_html = True


class HtmlGuest:
    """Hooks of pytest-html; none of them runs where it is not installed."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Name the report after what it is about."""
        if self.controller.session.models:
            names = ", ".join(visible(spec.name) for spec in self.controller.session.models)
            report.title = f"scratchverify: {names}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(
        self, prefix: list[str], summary: list[str], postfix: list[str]
    ) -> None:
        """Put the verdict above pytest-html's own numbers."""
        del summary, postfix
        run = self.controller.run
        if run is None:
            return
        from pytest_scratchverify.report.html import verdict_fragment  # noqa: PLC0415

        prefix.append(verdict_fragment(run, self.controller.session.settings.language))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add the columns of evidence."""
        cells.insert(2, '<th class="sortable" data-column-type="component">Component</th>')
        cells.insert(3, '<th class="sortable" data-column-type="finding">Finding</th>')

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        """Fill them, one cell each on every path, or the table shifts."""
        from pytest_scratchverify.verdict.serialization import finding_from_json  # noqa: PLC0415

        texts = getattr(report, "scratch_findings", None) or []
        findings = [finding_from_json(text) for text in texts]
        component = html.escape(findings[0].component.value) if findings else ""
        headline = html.escape(self._headline(findings[0])) if findings else ""
        cells.insert(2, f'<td class="col-component">{component}</td>')
        cells.insert(3, f'<td class="col-finding">{headline}</td>')

    def _headline(self, finding: Any) -> str:
        from pytest_scratchverify.report.language import translate  # noqa: PLC0415

        return translate(finding.headline, self.controller.session.settings.language)
