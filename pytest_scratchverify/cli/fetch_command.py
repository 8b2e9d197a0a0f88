"""`scratchverify fetch`: what the metadata tests read, into the cache, for offline runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pytest_scratchverify.cli.printing import Arguments, complain, say
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store

READ = ("config", "generation_config", "card", "tokenizer_files", "files", "tensor_index")


def fetch_arguments() -> Arguments:
    """Return the parser of ``scratchverify fetch``."""
    parser = Arguments(prog="scratchverify fetch", description=fetch.__doc__)
    parser.add_argument("repo", nargs="+", help="repository on the hub, org/name")
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of all of them")
    return parser


def fetch(arguments: list[str]) -> int:
    """Fetch what the metadata tests read; later runs need no network for it."""
    given = fetch_arguments().parse_args(arguments)
    return max(_fetch_model(repo, given.revision) for repo in given.repo)


def _fetch_model(repo: str, revision: str | None) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            store = open_store(repo, revision, run_dir=RunDirectory(Path(folder)))
        except Unavailable as failure:
            complain(f"{repo}: {failure.what} {failure.remedy}")
            return 1
        for name in READ:
            try:
                getattr(store, name)()
                say(f"{repo} {name}: ok")
            except Unavailable as failure:
                failed = 1
                complain(f"{repo} {name}: {failure.what} {failure.remedy}")
    return failed
