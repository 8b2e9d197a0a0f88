"""Start-up hook: joins our options to their values before pytest looks for its ini file.

While pytest decides whose ini file rules the run, it knows no option of a plugin: in
``--scratch-model FOLDER suites/`` it takes FOLDER for a path of tests, and the ``pytest.ini`` of
an untrusted folder loads whatever it names before any plugin is asked. ``--scratch-model=FOLDER``
means the same and is never taken for a path. No plugin can come early enough, so the
``scratchverify_startup.pth`` beside this module calls it in processes that are pytest. It rewrites
`sys.argv` and ``PYTEST_ADDOPTS``, and leaves every other program and every other option alone.

The names are `plugin.options.OPTIONS`, repeated: importing the package here would be too early
for pytest, which rewrites the asserts of its plugins. PYTEST_DONT_REWRITE
"""

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

WITH_VALUE = (
    "against", "against-library", "answers", "byte-budget", "cluster", "component", "declarations",
    "declare", "depth", "endpoint", "endpoint-api", "endpoint-model", "endpoint-price",
    "endpoint-probes", "junit", "matrix", "model", "policy", "predecessor-verdict", "report-lang",
    "revision", "training-log", "undetermined",
    "verdict-cyclonedx", "verdict-eval-results", "verdict-graphml", "verdict-html",
    "verdict-inspect", "verdict-json", "verdict-md", "verdict-newick", "verdict-sarif",
    "verdict-spdx",
)  # fmt: skip
PREFIXED = frozenset(f"--scratch-{name}" for name in WITH_VALUE)
SHORT = frozenset(f"--{name}" for name in WITH_VALUE)
SHORT_OPTIONS = "pytest_scratchverify.plugin.short_options"
PROGRAMS = frozenset({"pytest", "py.test", "pytest.exe", "py.test.exe"})
INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml",
             "tox.ini", "setup.cfg")  # fmt: skip
LONGEST_FILE = 2**20


def joined(words: Sequence[str], names: frozenset[str]) -> list[str]:
    """Return a command line in which every option of `names` is one word with its value.

    What begins with a dash is no value, and behind ``--`` there are no options.
    """
    found: list[str] = []
    waits = False
    for place, word in enumerate(words):
        if word == "--":
            return [*found, *words[place:]]
        if waits and not word.startswith("-"):
            found[-1] += f"={word}"
            waits = False
        else:
            found.append(word)
            waits = word in names
    return found


def expanded(words: Sequence[str]) -> list[str]:
    """Return a command line with ``@FILE`` replaced by its lines, where one of them is ours."""
    found: list[str] = []
    for word in words:
        inside = _lines(word[1:]) if word.startswith("@") else []
        ours = any(line.partition("=")[0] in PREFIXED | SHORT for line in inside)
        found += inside if ours else [word]
    return found


def _lines(file: str) -> list[str]:
    try:
        with Path(file).open(encoding="utf-8") as text:
            return text.read(LONGEST_FILE).splitlines()
    except (OSError, ValueError):
        return []


def names_of(words: Sequence[str]) -> frozenset[str]:
    """Return the options that are ours on this command line.

    The short ones are ours where a project says so: on the command line, or in an ini file above
    the working directory, above a path of tests, or named by ``-c``. A foreign project's
    ``--model`` may be anything.
    """
    if not any(word in SHORT for word in words):
        return PREFIXED
    if any(SHORT_OPTIONS in word for word in words):
        return PREFIXED | SHORT
    declares = any(_declares(file) for file in _ini_files(words))
    return PREFIXED | SHORT if declares else PREFIXED


def _ini_files(words: Sequence[str]) -> Iterator[Path]:
    before, places = "", [Path()]
    for word in joined(words, PREFIXED | SHORT):
        if before in ("-c", "--config-file"):
            yield Path(word)
        elif not word.startswith("-"):
            places.append(Path(word.partition("::")[0]))
        before = word
    for place in places:
        try:
            folder = place.resolve()
        except OSError:
            continue
        for above in (folder, *folder.parents):
            yield from (above / name for name in INI_FILES)


def _declares(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as text:
            return SHORT_OPTIONS.encode() in text.read(LONGEST_FILE)
    except (OSError, ValueError):
        return False


def main() -> None:
    """Join what is ours in this process's command line, if the process is pytest."""
    if not any(Path(word).name in PROGRAMS for word in sys.orig_argv):
        return
    try:
        added = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    except ValueError:  # pytest says so itself
        added = []
    given = expanded(sys.argv[1:])
    ours = names_of([*added, *given])
    sys.argv[1:] = joined(given, ours)
    if (better := joined(added, ours)) != added:
        os.environ["PYTEST_ADDOPTS"] = shlex.join(better)
