"""Files of the site that a tool makes: which are stale, and writing only what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

PathT = TypeVar("PathT", bound=PurePath)


def equal(_: PurePath, old: str, new: str) -> bool:
    """Whether a file is what it would be if written now: byte for byte."""
    return old == new


@dataclass(frozen=True, slots=True)
class GeneratedFiles:
    """Where a tool's files lie, the command that makes them, and what counts as unchanged.

    Paths of files are relative to `root`, or absolute.
    """

    root: Path
    command: str
    same: Callable[[PurePath, str, str], bool] = equal

    def stale(self, made: Mapping[PathT, str]) -> list[PathT]:
        """Return the files that are not what they would be if written now."""
        return [
            path
            for path, text in made.items()
            if not (file := self.root / path).exists()
            or not self.same(path, file.read_text("utf-8"), text)
        ]

    def write(self, made: Mapping[PathT, str]) -> None:
        """Write what has changed, and say so."""
        for path in self.stale(made):
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(made[path], "utf-8")
            print(f"written: {self.shown(path)}")

    def check(self, made: Mapping[PathT, str], gone: Iterable[PathT] = ()) -> int:
        """Say what is stale, or there and made by nothing; return an exit status."""
        wrong = [*self.stale(made), *gone]
        for path in wrong:
            print(f"stale: {self.shown(path)}; run: {self.command}")
        return 1 if wrong else 0

    def remove(self, gone: Iterable[PathT]) -> None:
        """Remove files that nothing makes any more."""
        for path in gone:
            (self.root / path).unlink()
            print(f"removed: {self.shown(path)}")

    def shown(self, path: PurePath) -> str:
        """Return a file's path as a reader of the repository knows it."""
        return (self.root / path).relative_to(self.root.parent).as_posix()
