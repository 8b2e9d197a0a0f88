"""The catalogue as a store of last resort: facts of a config, and nothing of a checkpoint."""

from __future__ import annotations

from pytest_scratchverify.catalog.entries import Entry, shipped_catalogue
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.store import Artifact
from pytest_scratchverify.stores.unavailable import UnavailableStore


class CatalogueStore(UnavailableStore):
    """Answers `config` from an entry; everything else is not in a catalogue."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.repo, not_in_catalogue(entry.repo))
        self.entry = entry

    def config(self) -> Artifact[dict[str, Json]]:
        """Return the entry's config facts, marked as the catalogue's."""
        record = ArtifactRecord(
            repo=self.entry.repo,
            file="config.json",
            source=Source.CATALOGUE,
            note=Text("catalogue entry, status {status}", status=self.entry.status),
        )
        return Artifact(dict(self.entry.config), record)


def not_in_catalogue(repo: str) -> Unavailable:
    """Return what is said of artifacts that only the hub has."""
    return Unavailable(
        Reason.OFFLINE,
        Text("The catalogue knows the config of {repo} and none of its files.", repo=repo),
        Text("Run it where the hub can be reached, or give a local folder."),
    )


def catalogue_store(repo: str) -> CatalogueStore | None:
    """Return the store for a catalogued repository with a config, or None."""
    entry = shipped_catalogue().get(repo)
    return CatalogueStore(entry) if entry is not None and entry.config else None
