"""The console script `scratchverify`: thin wrappers, everything happens elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version

from pytest_scratchverify.cli.printing import ReaderGone, complain

USAGE = """\
usage: scratchverify COMMAND ...        (scratchverify COMMAND --help says more)

Was this open-weight model trained from scratch? Tests of the claim, and what they leave behind.

  scratchverify run --model org/name ...      test a model; every option of pytest works too
  scratchverify fetch org/name ...            read metadata into the cache, for offline runs
  scratchverify fingerprint org/name --out F   keep what comparisons read of a model in one file
  scratchverify fingerprint --matrix --library FOLDER   the same of many, for --against-library
  scratchverify render run.json               print an earlier run; --html --md --sarif --badge
  scratchverify diff old.json new.json        what changed; exit code 0: nothing, 1: something
  scratchverify explain TEST [run.json]       what a test asks, by which null, what it found
  scratchverify attest run.json --key KEY.pem   sign what a run says; verify-attestation checks it
  scratchverify catalog add org/name          maintain the catalogue; also nearest, list

options: --help, --version
completion: pip install 'pytest-scratchverify[completion]', then for bash and zsh
  eval "$(register-python-argcomplete scratchverify)"
"""
CLOSED_PIPE = 141  # what a shell reports of a command whose reader went away


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "_ARGCOMPLETE" in os.environ:
        from pytest_scratchverify.cli.completion import complete  # noqa: PLC0415 - all parsers

        complete()
    try:
        code = _command(given)
        sys.stdout.flush()
    except (BrokenPipeError, ReaderGone):
        # Python flushes once more when it ends, into the pipe that is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    return code


def _command(given: list[str]) -> int:
    if not given:
        sys.stderr.write(USAGE)
        return 2
    name, *rest = given
    if name in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return 0
    if name in ("-V", "--version", "version"):
        sys.stdout.write(f"scratchverify {_version()}\n")
        return 0
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(COMMANDS)}"
        complain(f"scratchverify: unknown command: {name}; {hint}")
        return 2
    return COMMANDS[name](rest)


def _version() -> str:
    try:
        return version("pytest-scratchverify")
    except PackageNotFoundError:
        return "checkout"


def _run(arguments: list[str]) -> int:
    from pytest_scratchverify.cli.run_command import run  # noqa: PLC0415 - brings pytest

    return run(arguments)


def _fetch(arguments: list[str]) -> int:
    from pytest_scratchverify.cli.fetch_command import fetch  # noqa: PLC0415 - the hub's client

    return fetch(arguments)


def _fingerprint(arguments: list[str]) -> int:
    from pytest_scratchverify.cli.fingerprint import main as fingerprint_main  # noqa: PLC0415

    return fingerprint_main(arguments)


def _saved(command: str) -> Callable[[list[str]], int]:
    def read(arguments: list[str]) -> int:
        from pytest_scratchverify.cli.saved_runs import COMMANDS as READING  # noqa: PLC0415

        return READING[command](arguments)

    return read


def _attestation(command: str) -> Callable[[list[str]], int]:
    def attestation(arguments: list[str]) -> int:
        from pytest_scratchverify.cli.attest_command import COMMANDS as OF_IT  # noqa: PLC0415

        return OF_IT[command](arguments)

    return attestation


def _catalog(arguments: list[str]) -> int:
    from pytest_scratchverify.cli.catalog import main as catalog_main  # noqa: PLC0415

    return catalog_main(arguments)


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "run": _run,
    "fetch": _fetch,
    "fingerprint": _fingerprint,
    "render": _saved("render"),
    "diff": _saved("diff"),
    "explain": _saved("explain"),
    "attest": _attestation("attest"),
    "verify-attestation": _attestation("verify-attestation"),
    "catalog": _catalog,
}
