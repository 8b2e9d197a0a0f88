"""`scratchverify run`: the shipped suites in a pytest of their own, whatever lies around."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from pytest_scratchverify.cli.printing import Arguments, complain
from pytest_scratchverify.plugin.isolated_run import own_settings
from pytest_scratchverify.plugin.options import FOLDER_OPTIONS, OPTIONS, REPORTS, add_options

USAGE_ERROR = 4  # pytest's
STARTED_BY = "SCRATCHVERIFY_STARTED_AS"  # ./verify names itself, for the line that repeats a run
# What brings an option that pytest alone does not know: the module, and our extra.
EXTRAS: Mapping[str, tuple[str, str]] = {
    "--html": ("pytest_html", "html"),
    "--self-contained-html": ("pytest_html", "html"),
    "-n": ("xdist", "xdist"),
    "--numprocesses": ("xdist", "xdist"),
    "--dist": ("xdist", "xdist"),
    "--endpoint": ("openai", "behaviour"),
}
# The lab's own file in the folder where a run is started, and where its table stands in it.
OWN_FILES = {"scratchverify.toml": (), "pyproject.toml": ("tool",)}
LONGEST_FILE = 4 * 2**20
EPILOG = (
    "Every option of pytest works beside these (pytest --help): -k, -m, -x, -q, -v, -ra, "
    "--junitxml FILE, and with their extras --html FILE and -n WORKERS. Of the project around no "
    "setting, conftest.py or fixture is used. Exit codes: 0 every policy chosen says PASS, 1 one "
    "says FAIL, 10 undetermined, 2 to 6 pytest's."
)


def run_arguments() -> Arguments:
    """Return a parser of our own options, for help and completion; pytest parses them."""
    parser = Arguments(
        prog="scratchverify run", description=run.__doc__, epilog=EPILOG, allow_abbrev=False
    )
    add_options(parser.add_argument, "--")
    return parser


def run(arguments: list[str]) -> int:
    """Run the shipped suites on a model; without --model, on the whole matrix."""
    if any(word in ("-h", "--help") for word in arguments):
        run_arguments().print_help()
        return 0
    for option in map(_name, arguments):
        module, extra = EXTRAS.get(option, ("pytest", ""))
        if find_spec(module) is None:
            complain(
                f"{option} needs {module}, which is not installed: "
                f"pip install 'pytest-scratchverify[{extra}]'"
            )
            return USAGE_ERROR
    with tempfile.TemporaryDirectory(prefix="scratchverify-") as folder:
        scratch = Path(folder)
        given, printed = _to_standard_output(arguments, scratch)
        given += [f"--declarations={file}" for file in _own_file(given)]
        settings = own_settings(scratch, os.environ.get(STARTED_BY) or "scratchverify run")
        # -P: a module of the working directory, which may be a model's folder, is not imported.
        command = [sys.executable, "-P", "-m", "pytest", *settings, *map(_prefixed, given)]
        code = _wait_for(command, sys.stderr.fileno() if printed else None)
        for file in printed:
            if file.is_file():
                sys.stdout.write(file.read_text("utf-8"))
        return code


def _wait_for(command: Sequence[str], output: int | None) -> int:
    """Run a command to its end; Ctrl-C is its affair, for it has a verdict to write."""
    with subprocess.Popen(command, stdout=output) as process:  # noqa: S603 - this interpreter
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def _name(argument: str) -> str:
    if argument.startswith("-n") and argument[2:].isdigit():
        return "-n"
    return argument.partition("=")[0]


def _prefixed(argument: str) -> str:
    """Turn ``--model`` into ``--scratch-model``, which exists wherever the plugin is installed."""
    name, separator, rest = argument.partition("=")
    known = {f"--{option.name}" for option in OPTIONS}
    return f"--scratch-{name[2:]}{separator}{rest}" if name in known else argument


def _to_standard_output(arguments: list[str], scratch: Path) -> tuple[list[str], list[Path]]:
    """Let reports that go to ``-`` be written to a file, to be printed when pytest is silent."""
    outlets = {f"--{prefix}verdict-{name}" for name in REPORTS for prefix in ("", "scratch-")}
    given: list[str] = []
    printed: list[Path] = []
    for word in arguments:
        name, _, value = word.partition("=")
        outlet = name if value == "-" else given[-1] if word == "-" and given else ""
        if outlet not in outlets:
            given.append(word)
            continue
        given = given if value else given[:-1]
        printed.append(scratch / f"printed-{len(printed)}")
        given.append(f"{outlet}={printed[-1]}")
    return given, printed


def _own_file(arguments: list[str]) -> Iterator[str]:
    """Yield the lab's own file of declarations, where a run is about one model.

    It is data: nothing but declarations and references is read of it, and the run names it. A
    folder that is tested says nothing about itself this way.
    """
    named = [*_values(arguments, "model")]
    if len(named) != 1 or any(_name(word) in _spellings("declarations") for word in arguments):
        return
    here = Path.cwd().resolve()
    for option in FOLDER_OPTIONS:
        for value in _values(arguments, option.name):
            if Path(value).is_dir() and here.is_relative_to(Path(value).resolve()):
                return
    for file, place in OWN_FILES.items():
        if _has_table(Path(file), place):
            yield file
            return


def _has_table(file: Path, place: tuple[str, ...]) -> bool:
    try:
        with file.open("rb") as stream:
            table = tomllib.loads(stream.read(LONGEST_FILE).decode("utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError):  # another tool's file may be broken
        return not place
    for key in place:
        table = table.get(key, {})
        if not isinstance(table, dict):
            return False
    return "scratchverify" in table or not place


def _spellings(option: str) -> tuple[str, str]:
    return f"--{option}", f"--scratch-{option}"


def _values(arguments: list[str], option: str) -> Iterator[str]:
    """Yield what an option was given, joined to it or behind it."""
    flags = _spellings(option)
    for word, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, joined, value = word.partition("=")
        if name in flags:
            yield value if joined else following
