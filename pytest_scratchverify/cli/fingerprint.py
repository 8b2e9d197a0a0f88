"""Save what later comparisons need of models: one file, or a library of many.

scratchverify fingerprint org/name [--out FILE.fingerprint]
scratchverify fingerprint org/one org/two --library FOLDER
scratchverify fingerprint --matrix --library FOLDER      every model of the shipped matrix
scratchverify fingerprint --list FILE --library FOLDER   a model a line, org/name or org/name@commit
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from pytest_scratchverify.checkpoint.roles import use_tensor_names
from pytest_scratchverify.cli.printing import Arguments, complain, say
from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.matrix_file import MAX_MATRIX_BYTES, read_matrix
from pytest_scratchverify.core.untrusted import reading
from pytest_scratchverify.methods.weights.fingerprint import EXTENTS, save_fingerprint
from pytest_scratchverify.plugin.extensions import installed
from pytest_scratchverify.plugin.session import suites_path
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fingerprint import SUFFIX
from pytest_scratchverify.stores.library import (
    LibraryEntry,
    file_name,
    made_entry,
    read_index,
    write_index,
)
from pytest_scratchverify.stores.opening import open_store

JOBS = 4  # models at once: the hub's limit of requests is reached before that of the line
MOST_JOBS = 16
MAX_LISTED = 10_000
PASSING = frozenset({Reason.UNREACHABLE, Reason.RATE_LIMITED, Reason.CUT_OFF})


class Asked(NamedTuple):
    """A model to make a fingerprint of, and the revision that was asked for."""

    model: str
    revision: str | None = None


def fingerprint_arguments() -> Arguments:
    """Return the parser of ``scratchverify fingerprint``."""
    parser = Arguments(prog="scratchverify fingerprint", description=main.__doc__)
    parser.add_argument("model", nargs="*", help="org/name, org/name@revision, or a folder")
    parser.add_argument("--matrix", nargs="?", type=Path, const=Path(), metavar="FILE",
                        help="every model of a matrix; without FILE, the shipped one")  # fmt: skip
    parser.add_argument("--list", type=Path, metavar="FILE", help="a model a line; # comments")
    parser.add_argument("--out", type=Path, metavar="FILE", help="one model: the file to write")
    parser.add_argument("--library", type=Path, metavar="FOLDER", help="many models: the library")
    parser.add_argument("--depth", choices=tuple(EXTENTS),
                        help="how much is kept (default: quick; in a library: small)")  # fmt: skip
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of the models")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N",
                        help=f"models at once ({JOBS})")  # fmt: skip
    parser.add_argument("--refresh", action="store_true",
                        help="make those again whose branch has moved since")  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """Make one fingerprint, or go on with a library; 1 where some model could not be read."""
    parser = fingerprint_arguments()
    given = parser.parse_args(arguments)
    use_tensor_names(installed().tensor_names)
    try:
        asked = list(dict.fromkeys(_asked(given)))
        if given.library is None:
            if len(asked) != 1 or given.matrix or given.list:
                parser.error("one model, or --library FOLDER for many")
            return _make_one(given, asked[0], parser)
        if given.out is not None:
            parser.error("--out is for one model, --library for many")
        if not 1 <= given.jobs <= MOST_JOBS:
            parser.error(f"--jobs takes 1 to {MOST_JOBS}")
        if not asked:
            parser.error("name models, or --matrix, or --list FILE")
        with _alone(given.library):
            building = _Building(given.library, given.depth or "small", refresh=given.refresh)
            return building.go_on(asked, given.jobs)
    except ScratchError as mistake:
        complain(str(mistake))
        return 2


def _asked(given: Namespace) -> Iterator[Asked]:
    for name in given.model:
        yield _named(name, given.revision)
    if given.matrix is not None:
        shipped = suites_path() / "matrix.toml"
        matrix = read_matrix(given.matrix if given.matrix.name else shipped)
        yield from (Asked(spec.name, spec.revision) for spec in matrix)
        yield from (Asked(name) for name in matrix.default_against if name not in matrix.models)
    if given.list is not None:
        yield from _listed(given.list)


def _named(name: str, revision: str | None = None) -> Asked:
    model, at, commit = name.partition("@")
    return Asked(name, revision) if not at or Path(name).exists() else Asked(model, commit)


def _listed(path: Path) -> Iterator[Asked]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_MATRIX_BYTES + 1)
        lines = raw.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScratchError(f"{path}: cannot read the list: {error}") from error
    if len(raw) > MAX_MATRIX_BYTES or len(lines) > MAX_LISTED:
        raise ScratchError(f"{path}: a list has at most {MAX_LISTED} lines")
    names = (line.partition("#")[0].strip() for line in lines)
    yield from (_named(name) for name in names if name)


def _make_one(given: Namespace, asked: Asked, parser: Arguments) -> int:
    out = given.out or Path(f"{asked.model.rstrip('/').rpartition('/')[2]}{SUFFIX}")
    if out.suffix != SUFFIX:
        parser.error(f"--out must end in {SUFFIX}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            store = open_store(asked.model, asked.revision, run_dir=RunDirectory(Path(folder)))
            kept = save_fingerprint(store, out, given.depth or "quick")
        except Unavailable as failure:
            complain(f"{asked.model}: {failure.what} {failure.remedy}")
            return 1
    size = sum(len(body) for _, _, body in kept.parts)
    say(f"{out}: {size} bytes of weights in {len(kept.parts)} ranges")
    return 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else write into the library meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".building.lock", timeout=0):
            yield
    except Timeout as error:
        raise ScratchError(f"library {folder}: another process is building it") from error
    except OSError as error:
        raise ScratchError(f"library {folder}: {error.strerror or error}") from error


@dataclass
class _Building:
    """A library that is being built: what it has, and what becomes of each model."""

    folder: Path
    depth: str
    refresh: bool

    def __post_init__(self) -> None:
        self.entries: dict[str, LibraryEntry] = read_index(self.folder)

    def go_on(self, asked: Sequence[Asked], jobs: int) -> int:
        """Make what is missing or damaged; try once more what failed for a passing reason."""
        todo = [one for one in asked if self.refresh or not self._is_done(one)]
        say(f"{self.folder}: {len(asked) - len(todo)} of {len(asked)} are there already")
        failed = self._make(todo, jobs)
        passing = [one for one in failed if self.entries[_key(one)].reason in PASSING]
        if passing:
            say(f"trying {len(passing)} once more")
            failed = [one for one in failed if one not in passing] + self._make(passing, jobs)
        for one in failed:
            complain(f"failed: {_key(one)}: {self.entries[_key(one)].failure}")
        say(f"{self.folder}: {len(asked) - len(failed)} of {len(asked)} models")
        if failed:
            complain("run the same command again to try those that failed")
        return 1 if failed else 0

    def _is_done(self, one: Asked) -> bool:
        known = self.entries.get(_key(one))
        return (
            known is not None and known.is_made and known.depth == self.depth and known.is_sound()
        )

    def _make(self, todo: Sequence[Asked], jobs: int) -> list[Asked]:
        failed = []
        pool = ThreadPoolExecutor(jobs)
        try:
            started: dict[Future[LibraryEntry | None], Asked] = {
                pool.submit(self._entry_of, one): one for one in todo
            }
            for number, future in enumerate(as_completed(started), start=1):
                one, entry = started[future], future.result()
                place = f"[{number}/{len(todo)}] {_key(one)}"
                if entry is None:
                    say(f"{place}: unchanged")
                    continue
                self.entries[entry.model] = entry
                write_index(self.folder, self.entries.values())
                if entry.failure is not None:
                    failed.append(one)
                say(f"{place}: {entry.failure or f'{entry.size} bytes'}")
        finally:
            pool.shutdown(cancel_futures=True)
        return failed

    def _entry_of(self, one: Asked) -> LibraryEntry | None:
        """Make one fingerprint; None where it is there and its branch has not moved."""
        key, path = _key(one), self.folder / file_name(*one)
        known = self.entries.get(key)
        try:
            with tempfile.TemporaryDirectory() as scratch, reading(one.model):
                store = open_store(one.model, one.revision, run_dir=RunDirectory(Path(scratch)))
                if self._is_done(one) and known and store.revision == known.revision:
                    return None
                save_fingerprint(store, path, self.depth)
                return made_entry(key, path, store.revision, self.depth)
        except Unavailable as failure:
            lost = known or LibraryEntry(model=key, path=path)
            return replace(lost, reason=failure.reason, failure=f"{failure.what} {failure.remedy}")


def _key(one: Asked) -> str:
    return f"{one.model}@{one.revision}" if one.revision else one.model
