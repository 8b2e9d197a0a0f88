"""Completion in the shell, by argcomplete, which completes pytest too.

A key is pressed and somebody waits: of the commands only the one that is being typed is loaded.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import cast

# Where each command's parser is made.
PARSERS: Mapping[str, tuple[str, str]] = {
    "run": ("run_command", "run_arguments"),
    "fetch": ("fetch_command", "fetch_arguments"),
    "fingerprint": ("fingerprint", "fingerprint_arguments"),
    "render": ("saved_runs", "render_arguments"),
    "diff": ("saved_runs", "diff_arguments"),
    "explain": ("saved_runs", "explain_arguments"),
    "attest": ("attest_command", "attest_arguments"),
    "verify-attestation": ("attest_command", "verify_arguments"),
    "catalog": ("catalog", "catalog_arguments"),
}


def whole_parser(loaded: Collection[str] = tuple(PARSERS)) -> argparse.ArgumentParser:
    """Return one parser of all commands, with the options of those that are `loaded`."""
    parser = argparse.ArgumentParser(prog="scratchverify")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command")
    for name, (module, function) in PARSERS.items():
        if name in loaded:
            made = getattr(import_module(f"{__package__}.{module}"), function)()
            parents = [cast("argparse.ArgumentParser", made)]
            commands.add_parser(name, parents=parents, add_help=False)
        else:
            commands.add_parser(name)
    return parser


def complete() -> None:
    """Answer the shell and end, where it asks; without argcomplete there is nothing to answer."""
    try:
        import argcomplete  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(whole_parser(os.environ.get("COMP_LINE", "").split()[1:2]))
