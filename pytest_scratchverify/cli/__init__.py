"""The console script `scratchverify`: thin wrappers, everything happens elsewhere.

scratchverify run --model org/name ...      the suites, with every option of pytest
scratchverify fetch org/name ...            read metadata into the cache, for offline runs
scratchverify fingerprint org/name --out F   keep what comparisons read of a model in one file
scratchverify fingerprint --matrix --library FOLDER   the same of many models, for --against-library
scratchverify render run.json --html FILE   make reports of an earlier run; --md --sarif --badge
scratchverify diff old.json new.json        what changed; exit code 0: nothing, 1: something
scratchverify explain TEST [run.json]       what a test asks, by which null, what it found
scratchverify catalog add org/name          maintain the catalogue; also nearest, list
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_scratchverify.cli.printing import Arguments, complain, say
from pytest_scratchverify.plugin.options import OPTIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = {
        "run": _run,
        "fetch": _fetch,
        "fingerprint": _fingerprint,
        "render": _reading,
        "diff": _reading,
        "explain": _reading,
        "catalog": _catalog,
    }
    if not given or given[0] not in commands:
        sys.stderr.write(f"{__doc__}\n")
        return 0 if given in (["-h"], ["--help"]) else 2
    if commands[given[0]] is _reading:
        return _reading(given)
    return commands[given[0]](given[1:])


def _run(arguments: list[str]) -> int:
    """Run the shipped suites in a pytest of their own; the options' short names work too."""
    from pytest_scratchverify.plugin.isolated_run import own_settings  # noqa: PLC0415 - brings pytest

    with tempfile.TemporaryDirectory(prefix="scratchverify-") as scratch:
        settings = own_settings(Path(scratch))
        # -P: a module of the working directory, which may be a model's folder, is not imported.
        command = [sys.executable, "-P", "-m", "pytest", *settings, *map(_prefixed, arguments)]
        return subprocess.call(command)  # noqa: S603 - this interpreter, the user's own arguments


def _prefixed(argument: str) -> str:
    """Turn ``--model`` into ``--scratch-model``, which exists wherever the plugin is installed."""
    name, separator, rest = argument.partition("=")
    known = {f"--{option.name}" for option in OPTIONS}
    return f"--scratch-{name[2:]}{separator}{rest}" if name in known else argument


def _fetch(arguments: list[str]) -> int:
    """Fetch what the metadata tests read; later runs need no network for it."""
    parser = Arguments(prog="scratchverify fetch")
    parser.add_argument("repo", nargs="+")
    parser.add_argument("--revision")
    given = parser.parse_args(arguments)
    return max(_fetch_model(repo, given.revision) for repo in given.repo)


def _fetch_model(repo: str, revision: str | None) -> int:
    from pytest_scratchverify.core.errors import Unavailable  # noqa: PLC0415
    from pytest_scratchverify.stores.disk.run_directory import RunDirectory  # noqa: PLC0415
    from pytest_scratchverify.stores.opening import open_store  # noqa: PLC0415

    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            store = open_store(repo, revision, run_dir=RunDirectory(Path(folder)))
        except Unavailable as failure:
            complain(f"{repo}: {failure.what} {failure.remedy}")
            return 1
        for name in (
            "config",
            "generation_config",
            "card",
            "tokenizer_files",
            "files",
            "tensor_index",
        ):
            try:
                getattr(store, name)()
                say(f"{repo} {name}: ok")
            except Unavailable as failure:
                failed = 1
                complain(f"{repo} {name}: {failure.what} {failure.remedy}")
    return failed


def _fingerprint(arguments: list[str]) -> int:
    from pytest_scratchverify.cli.fingerprint import main as fingerprint_main  # noqa: PLC0415

    return fingerprint_main(arguments)


def _reading(given: list[str]) -> int:
    from pytest_scratchverify.cli import saved_runs  # noqa: PLC0415

    return saved_runs.COMMANDS[given[0]](given[1:])


def _catalog(arguments: list[str]) -> int:
    from pytest_scratchverify.cli.catalog import main as catalog_main  # noqa: PLC0415

    return catalog_main(arguments)
