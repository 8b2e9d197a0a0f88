"""Maintain and search the catalogue from the command line.

scratchverify catalog add org/name [--revision REV]
scratchverify catalog add-tokenizer org/name --name short
scratchverify catalog update [org/name ...]   all of catalogue and matrix, and what changed
scratchverify catalog nearest org/name
scratchverify catalog list
"""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_scratchverify.catalog.entries import DATA, shipped_catalogue
from pytest_scratchverify.catalog.nearest import nearest
from pytest_scratchverify.cli.printing import Arguments, complain, refusal, say
from pytest_scratchverify.core.errors import ScratchError, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.plugin.session import suites_path
from pytest_scratchverify.stores.disk.atomic import write_atomically
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store

HUB_FILE = DATA / "hub.json"
SHIPPED_SKETCHES = DATA.parent / "tokenizers"
JOBS = 4
REPO = "repository on the hub, org/name"
REVISION = "branch, tag or commit (default: the main branch)"


def add(repo: str, revision: str | None, target: Path) -> str:
    """Read a repository's config.json on the hub and write it as an entry of `target`.

    Returns the commit that it was read at. Raises `Unavailable` where the hub does not give the
    file: an entry that claims to be the hub's is never made of a cache or of other entries.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(repo, revision, run_dir=RunDirectory(Path(folder)))
        config = store.config()
        if config.record.source is not Source.HUB:
            raise refusal(f"{repo}: not read from the hub but from {config.record.source.value}")
        entries = read_entries(target)
        commit = store.revision or "unknown"
        entries[store.repo] = entry(config.value, store.repo, commit)
    write(target, entries)
    return commit


def add_tokenizer(repo: str, revision: str | None, name: str, folder: Path | None) -> str:
    """Sketch a repository's tokenizer, read on the hub, into the catalogue's vocabularies.

    Returns a line that says what was added. Raises `Unavailable` and `ScratchError`.
    """
    from pytest_scratchverify.tokenizer.open import fullest_file  # noqa: PLC0415 - numpy
    from pytest_scratchverify.tokenizer.sketch import add_sketch  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(repo, revision, run_dir=RunDirectory(Path(scratch)))
        file = fullest_file(store.tokenizer_files())
        if file is None or file.record.source is not Source.HUB:
            raise refusal(f"{repo}: no tokenizer file was read from the hub")
        source = f"hub {store.repo} {file.value.name} @{store.revision}"
        sketch = add_sketch(file.value, name, folder=folder, repos=(store.repo,), source=source)
    return f"{repo}: {sketch.sizes.ranks} ranks, sketched as {sketch.name}"


def read_entries(target: Path) -> dict[str, Any]:
    """Read a file of catalogue entries; none where there is none.

    Ends the command with a line where it cannot be read, or is no table of entries.
    """
    if not target.exists():
        return {}
    try:
        found = json.loads(target.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise refusal(f"{target}: {error}") from error
    if not isinstance(found, dict):
        raise refusal(f"{target}: no table of catalogue entries")
    return found


def entry(config: dict[str, Json], repo: str, commit: str) -> dict[str, Json]:
    """Return the catalogue entry of a config that was read from the hub."""
    dropped = {"auto_map", "transformers_version", "torch_dtype", "dtype", "use_cache"}
    kept: dict[str, Json] = {key: value for key, value in config.items() if key not in dropped}
    return {"status": "hub", "sources": [f"hub {repo} config.json @{commit}"], "config": kept}


def write(target: Path, entries: dict[str, Json]) -> None:
    """Write entries one a line, in a stable order, so that a diff shows one addition."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(entries[key], ensure_ascii=False, sort_keys=True)}"
        for key in sorted(entries)
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_atomically(target, text.encode("utf-8"), shared=True)


def show_nearest(repo: str, count: int) -> list[str]:
    """Return lines that name the designs nearest to a catalogued model's, tower by tower."""
    catalogue = shipped_catalogue()
    if repo not in catalogue:
        raise refusal(f"{repo}: not in the catalogue; add it, or run the suites on it")
    lines = []
    for tower, design in catalogue[repo].designs.items():
        for row in nearest(design, catalogue, exclude=[repo], k=count):
            different = ", ".join(row.result.differing) or "nothing"
            lines.append(
                f"{tower.value:<7} {row.distance:.3f}  {row.entry.repo}  core "
                f"{row.core_equal}/{row.core_compared}  different: {different}"
            )
    return lines


def catalog_arguments() -> Arguments:
    """Return the parser of ``scratchverify catalog``."""
    parser = Arguments(prog="scratchverify catalog", description="Maintain the catalogue.")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="add a model's config from the hub")
    adding.add_argument("repo", help=REPO)
    adding.add_argument("--revision", metavar="REV", help=REVISION)
    adding.add_argument("--file", type=Path, default=HUB_FILE, help="default: the shipped file")
    vocabulary = commands.add_parser("add-tokenizer", help="sketch a tokenizer from the hub")
    vocabulary.add_argument("repo", help=REPO)
    vocabulary.add_argument("--revision", metavar="REV", help=REVISION)
    vocabulary.add_argument("--name", required=True, help="short name of the sketch")
    vocabulary.add_argument("--folder", type=Path, help="default: the shipped vocabularies")
    updating = commands.add_parser("update", help="refresh and extend all of it from the hub")
    updating.add_argument(
        "repo", nargs="*", help="default: the catalogue's and the matrix's models"
    )
    updating.add_argument("--matrix", type=Path, help="default: the shipped matrix")
    updating.add_argument("--file", type=Path, default=HUB_FILE, help="default: the shipped file")
    updating.add_argument("--tokenizers", nargs="?", type=Path, const=SHIPPED_SKETCHES,
                          help="sketch tokenizers too, by default the shipped ones")  # fmt: skip
    updating.add_argument("--report", type=Path, help="write what changed, as Markdown")
    updating.add_argument("--jobs", type=int, default=JOBS, choices=range(1, 17), metavar="N",
                          help=f"models at once ({JOBS})")  # fmt: skip
    near = commands.add_parser("nearest", help="name the nearest designs of a catalogued model")
    near.add_argument("repo", help="a model of the catalogue")
    near.add_argument("-k", type=int, default=5, metavar="N", help="how many designs (5)")
    commands.add_parser("list", help="list all entries with their status")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 where the hub does not give what was asked for."""
    given = catalog_arguments().parse_args(arguments)
    if given.command == "add":
        return _said(lambda: f"{add(given.repo, given.revision, given.file)} in {given.file}")
    if given.command == "add-tokenizer":
        return _said(lambda: add_tokenizer(given.repo, given.revision, given.name, given.folder))
    if given.command == "update":
        return _update(given)
    lines = (
        show_nearest(given.repo, given.k)
        if given.command == "nearest"
        else [f"{entry.status:<13} {repo}" for repo, entry in sorted(shipped_catalogue().items())]
    )
    for line in lines:
        say(line)
    return 0


def _update(given: Namespace) -> int:
    from pytest_scratchverify.cli.catalog_update import (  # noqa: PLC0415 - brings the hub's client
        CatalogueUpdate,
        Change,
        repositories,
    )

    try:
        repos = repositories(given.matrix or suites_path() / "matrix.toml", given.repo)
    except ScratchError as mistake:
        complain(str(mistake))
        return 2
    update = CatalogueUpdate(given.file, given.tokenizers)
    for number, one in enumerate(update.run(repos, given.jobs), start=1):
        say(f"[{number}/{len(repos)}] {one.line}")
    if given.report is not None:
        try:
            write_atomically(given.report, update.report().encode("utf-8"), shared=True)
        except OSError as error:
            raise refusal(f"{given.report}: {error}") from error
    counts = Counter(one.change for one in update.done)
    say(", ".join(f"{counts[change]} {change}" for change in Change if counts[change]))
    return 1 if counts[Change.FAILED] else 0


def _said(command: Callable[[], str]) -> int:
    """Print what a command returns, or the one line that says why it could not."""
    try:
        say(command())
    except (Unavailable, ScratchError) as failure:
        complain(str(failure))
        return 1
    return 0
