# PYTHON_ARGCOMPLETE_OK
"""Completion in the shell, by argcomplete, which completes pytest too (docs/adr/0012)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from pytest_scratchverify.cli.catalog import catalog_arguments
from pytest_scratchverify.cli.fetch_command import fetch_arguments
from pytest_scratchverify.cli.fingerprint import fingerprint_arguments
from pytest_scratchverify.cli.run_command import run_arguments
from pytest_scratchverify.cli.saved_runs import diff_arguments, explain_arguments, render_arguments

PARSERS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "run": run_arguments,
    "fetch": fetch_arguments,
    "fingerprint": fingerprint_arguments,
    "render": render_arguments,
    "diff": diff_arguments,
    "explain": explain_arguments,
    "catalog": catalog_arguments,
}


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser of all commands: what completion walks through."""
    parser = argparse.ArgumentParser(prog="scratchverify")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command")
    for name, made in PARSERS.items():
        commands.add_parser(name, parents=[made()], add_help=False)
    return parser


def complete() -> None:
    """Answer the shell and end, where it asks; without argcomplete there is nothing to answer."""
    try:
        import argcomplete  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(whole_parser())
