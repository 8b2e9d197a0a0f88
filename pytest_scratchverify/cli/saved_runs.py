"""The commands that read stored runs: render, diff, explain. None of them measures anything."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from shutil import get_terminal_size

from pytest_scratchverify.cli.printing import Arguments, complain, printed_as_a_whole, say
from pytest_scratchverify.core.errors import ScratchError, Unavailable
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.untrusted import reading
from pytest_scratchverify.methods.registry import Method, method_of
from pytest_scratchverify.plugin.options import LANGUAGES, REPORTS
from pytest_scratchverify.verdict.run import Run

UNREADABLE = 2
FORMATS = tuple(name for name in REPORTS if name != "json")
RUN = "a run that --verdict-json wrote"
LANGUAGE = "language of what is written (default: en)"


class UnreadableError(Exception):
    """A file that is no run."""


def render_arguments() -> Arguments:
    """Return the parser of ``scratchverify render``."""
    parser = Arguments(prog="scratchverify render", description=render.__doc__)
    parser.add_argument("run", type=Path, help=RUN)
    for name in FORMATS:
        what = REPORTS[name]
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{what}; - prints it")
    parser.add_argument(
        "--badge", type=Path, metavar="FILE", help="FILE.svg, or FILE.json for shields.io"
    )
    parser.add_argument("--report-lang", choices=LANGUAGES, default="en", help=LANGUAGE)
    return parser


def render(arguments: list[str]) -> int:
    """Render reports from a run.json; without an outlet, print the verdict."""
    from pytest_scratchverify.report.terminal import summary_lines  # noqa: PLC0415
    from pytest_scratchverify.report.writing import write_reports  # noqa: PLC0415

    parser = render_arguments()
    given = parser.parse_args(arguments)
    badge: Path | None = given.badge
    if badge is not None and badge.suffix not in (".svg", ".json"):
        parser.error("--badge must end in .svg or .json")
    try:
        run = read_run(given.run)
    except UnreadableError as failure:
        return _refused(failure)
    paths: dict[str, Path | None] = {
        name: getattr(given, name.replace("-", "_")) for name in FORMATS
    }
    if badge is not None:
        paths[f"badge{badge.suffix}"] = badge
    if any(paths.values()):
        try:
            return _said(given.run, lambda: write_reports(run, paths, given.report_lang))
        except ScratchError as error:
            return _refused(UnreadableError(error))

    def show() -> None:
        for line, _ in summary_lines(run, given.report_lang, get_terminal_size().columns):
            say(line)

    return _said(given.run, show)


def diff_arguments() -> Arguments:
    """Return the parser of ``scratchverify diff``."""
    parser = Arguments(prog="scratchverify diff", description=diff.__doc__)
    parser.add_argument("old", type=Path, help=RUN)
    parser.add_argument("new", type=Path, help=RUN)
    parser.add_argument("--report-lang", choices=LANGUAGES, default="en", help=LANGUAGE)
    return parser


def diff(arguments: list[str]) -> int:
    """Say what changed between two runs: exit code 0 if nothing, 1 if something, 2 unreadable."""
    from pytest_scratchverify.core.text import Text  # noqa: PLC0415
    from pytest_scratchverify.report.difference import differences, settings  # noqa: PLC0415
    from pytest_scratchverify.report.language import translate  # noqa: PLC0415

    given = diff_arguments().parse_args(arguments)
    try:
        old, new = read_run(given.old), read_run(given.new)
    except UnreadableError as failure:
        return _refused(failure)
    found: list[Text] = []

    def report() -> None:
        found.extend(differences(old, new))
        lines = [*found] or [Text("the same verdicts, findings and numbers")]
        aside = list(settings(old, new))
        if aside:
            lines += [Text(""), Text("The runs themselves differ in:"), *aside]
        for line in lines:
            say(translate(line, given.report_lang) if line.template else "")

    return _said(given.new, report) or (1 if found else 0)


def explain_arguments() -> Arguments:
    """Return the parser of ``scratchverify explain``."""
    parser = Arguments(prog="scratchverify explain", description=explain.__doc__)
    parser.add_argument("test", help="weights.origin, a node id of pytest, or a finding's id")
    parser.add_argument("run", type=Path, nargs="?", help=f"{RUN}: what the test found there")
    parser.add_argument("--report-lang", choices=LANGUAGES, default="en", help=LANGUAGE)
    return parser


def explain(arguments: list[str]) -> int:
    """Explain a test by its method, node id or finding id; with a run, what it found there."""
    from pytest_scratchverify.report.explanation import explained  # noqa: PLC0415
    from pytest_scratchverify.report.language import translate  # noqa: PLC0415

    given = explain_arguments().parse_args(arguments)
    try:
        run = read_run(given.run) if given.run else None
    except UnreadableError as failure:
        return _refused(failure)
    try:
        methods = _methods()
        known = suite_tests(methods)
    except ScratchError as error:
        return _refused(UnreadableError(error))
    findings = run.findings if run is not None else ()
    method = _method_of(given.test, known, findings)
    if method is None:
        names = sorted({name for name, _ in known.values()} | {f.method for f in findings})
        near = ", ".join(get_close_matches(given.test, names, 3, 0.3)) or ", ".join(names)
        complain(f"{given.test}: no such test; known are {near}")
        return UNREADABLE
    says = next((doc for name, doc in known.values() if name == method), None)
    area = method_of(method, methods)
    about = area.explanation if area is not None else None

    def report() -> None:
        for line in explained(method, about, says, _asked(given.test, method, findings)):
            say(translate(line, given.report_lang) if line.template else "")

    return _said(given.run or Path(given.test), report)


def _methods() -> tuple[Method, ...]:
    from pytest_scratchverify.plugin.extensions import installed  # noqa: PLC0415 - loads plugins

    return installed().methods


def suite_tests(methods: Iterable[Method]) -> dict[str, tuple[str, str | None]]:
    """Return method and docstring of every test of the suites, by its function's name.

    Raises `ScratchError` where a method names suites that are not installed.
    """
    from pytest_scratchverify.plugin.session import suites_path  # noqa: PLC0415 - brings pytest

    folders = [suites_path(), *map(_folder_of, filter(None, (m.suites for m in methods)))]
    found: dict[str, tuple[str, str | None]] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("test_*.py"))):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                method = next(filter(None, map(_marked, node.decorator_list)), None)
                if method:
                    found[node.name] = (method, ast.get_docstring(node))
    return found


def _folder_of(package: str) -> Path:
    try:
        spec = find_spec(package)
    except ImportError:
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise ScratchError(f"{package}: a method names this package of tests; it is not there")
    return Path(places[0])


def _marked(decorator: ast.expr) -> str | None:
    """Return the method that ``@pytest.mark.scratch("area.statistic", ...)`` names."""
    if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(".scratch")):
        return None
    first = decorator.args[0] if decorator.args else None
    return str(first.value) if isinstance(first, ast.Constant) else None


def _method_of(
    asked: str, known: Mapping[str, tuple[str, str | None]], findings: tuple[Finding, ...]
) -> str | None:
    for finding in findings:
        if asked in (finding.id, finding.method):
            return finding.method
    name = asked.rpartition("::")[2].partition("[")[0]
    if name in known:
        return known[name][0]
    method = asked.partition(":")[0]
    return method if method in {name for name, _ in known.values()} else None


def _asked(test: str, method: str, findings: tuple[Finding, ...]) -> list[Finding]:
    """Return the findings that were asked for: one by its id, or those of a node id's values."""
    exact = [finding for finding in findings if finding.id == test]
    if exact:
        return exact
    found = [finding for finding in findings if finding.method == method]
    values = test.partition("[")[2].removesuffix("]")
    return [f for f in found if _is_for(f, values)] if values else found


def _is_for(finding: Finding, values: str) -> bool:
    """Whether a node id's values, joined by colons, name the finding's parts."""
    parts = [finding.model, finding.reference, finding.component.value]
    full = ":".join(part for part in parts if part)
    pair = ":".join(part for part in parts[:2] if part)
    return values in (full, pair, finding.model) or values.startswith(f"{full}:")


def read_run(path: Path) -> Run:
    """Read a run that ``--verdict-json`` wrote. Raises `UnreadableError`, one line."""
    from pytest_scratchverify.plugin.earlier_runs import stored_run  # noqa: PLC0415

    try:
        return stored_run(path)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableError(f"{path}: {error}") from None
    except ExceptionGroup as errors:  # cattrs': what is wrong, where
        raise UnreadableError(f"{path}: not a run of this version: {errors}") from None


def _said(path: Path, say: Callable[[], None]) -> int:
    """Say what a stored run holds; what its content breaks is said of the file, on one line."""
    try:
        with printed_as_a_whole(), reading(str(path)):
            say()
    except Unavailable as failure:
        return _refused(UnreadableError(failure))
    return 0


def _refused(failure: UnreadableError) -> int:
    complain(str(failure))
    return UNREADABLE


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "render": render,
    "diff": diff,
    "explain": explain,
}
