"""A resolved model name: repository, commit and list of files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_scratchverify.core.json_values import Json, to_builtin
from pytest_scratchverify.stores.store import FileEntry, ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The hub's answer to a name and a revision, as asked once per run.

    Attributes
    ----------
    asked, repo : str
        The name that was asked for, and the one it has now.
    commit : str
        The full commit; everything else is read from it.
    gated : bool
        Whether the files need an accepted licence. The list of files never does.
    files : tuple of FileEntry
        Sorted by path.
    card : ModelCard
        The card's metadata as the hub publishes it, also of gated models; without text.
    complete : bool
        Whether `files` are all files of the commit; false if guessed from a cache.
    """

    asked: str
    repo: str
    commit: str
    gated: bool = False
    files: tuple[FileEntry, ...] = ()
    card: ModelCard = field(default_factory=ModelCard)
    complete: bool = True

    @property
    def renamed(self) -> bool:
        """Whether the hub sent us on to another name."""
        return self.asked.casefold() != self.repo.casefold()

    def to_json(self) -> Json:
        """Turn into JSON builtins, for the run's directory and the cache."""
        return to_builtin(asdict(self))

    @classmethod
    def from_json(cls, value: Any) -> Resolution:
        """Undo `to_json`; raises KeyError or TypeError for anything else."""
        card: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item
            for key, item in value["card"].items()
        }
        return cls(
            asked=value["asked"],
            repo=value["repo"],
            commit=value["commit"],
            gated=value["gated"],
            files=tuple(FileEntry(**entry) for entry in value["files"]),
            card=ModelCard(**card),
            complete=value["complete"],
        )


def range_key(resolution: Resolution, name: str) -> str:
    """Cache key of the ranges of a file: its commit, its path, its digest."""
    digests = (entry.sha256 for entry in resolution.files if entry.path == name)
    return f"{resolution.commit} {name} {next(digests, None) or ''}"
