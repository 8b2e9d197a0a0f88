"""GitHub Actions: the verdict as a step summary, what is contradicted or open as annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.headline import RESULT_WORDS, judged_first
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import Result

ANNOTATIONS = 10  # GitHub shows no more of a kind per step
SUMMARY_BYTES = 1_000_000  # GitHub takes a mebibyte per step


def summary_path(environment: Mapping[str, str]) -> Path | None:
    """Return where Actions wants the summary of this step, if this is one."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    return Path(path) if path and in_actions(environment) else None


def in_actions(environment: Mapping[str, str]) -> bool:
    """Whether this process is a step of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def append_summary(run: Run, path: Path, language: str) -> None:
    """Add the verdict to the step's summary; one that is too long is cut at a line."""
    text = render_markdown(run, language).encode()
    if len(text) > SUMMARY_BYTES:
        text = text[:SUMMARY_BYTES].rpartition(b"\n")[0] + b"\n\n...\n"
    with path.open("ab") as file:
        file.write(text)


def workflow_commands(run: Run, language: str) -> Iterator[str]:
    """Yield workflow commands, which say what the exit code says.

    An error per rejected hypothesis that a chosen policy fails the model for, a notice per other
    one, a warning per open model.
    """
    rejected = [finding for finding in run.findings if finding.derived]
    for kind, fails in (("error", True), ("notice", False)):
        for finding in [f for f in rejected if run.fails(f) is fails][:ANNOTATIONS]:
            title = f"{finding.model}: {finding.method}"
            yield _command(kind, title, finding.headline, language)
    for model in run.models[:ANNOTATIONS]:
        name = judged_first(run, model)
        result = model.policies[name].result if name else Result.UNDETERMINED
        if result is Result.UNDETERMINED:
            yield _command("warning", f"{model.model}: {name}", RESULT_WORDS[result], language)


def _command(kind: str, title: str, text: Text, language: str) -> str:
    said = _data(translate(text, language))
    return f"::{kind} title={_property(title)}::{said}"


def _data(text: str) -> str:
    """Escape a command's text, so that no name of a file can start a command of its own."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
