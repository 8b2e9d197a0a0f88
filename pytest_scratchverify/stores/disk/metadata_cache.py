"""On-disk cache of repository metadata: resolved revisions, shard headers, read ranges.

The cache of huggingface_hub holds whole files only. Without this, a second run without a
network would know a model's configuration and nothing of its tensors.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub

from pytest_scratchverify.stores.disk.atomic import write_atomically
from pytest_scratchverify.stores.disk.range_cache import RangeCache
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.resolution import Resolution

DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class MetadataCache:
    """The cached metadata of one repository. A cache that cannot be written is just empty."""

    repo: str
    access: HubAccess

    def header(self, commit: str, file: str) -> bytes | None:
        """Return the first bytes of a shard, up to the end of its header, if cached."""
        try:
            return self._header_path(commit, file).read_bytes()
        except OSError:
            return None

    def store_header(self, commit: str, file: str, head: bytes) -> None:
        """Cache the first bytes of a shard."""
        with suppress(OSError):
            write_atomically(self._header_path(commit, file), head)

    def resolution(self, revision: str | None) -> Resolution | None:
        """Return what the hub last said about a revision, if cached and still readable."""
        try:
            return Resolution.from_json(json.loads(self._resolution_path(revision).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def store_resolution(self, revision: str | None, resolution: Resolution) -> None:
        """Cache an answer under the revision that was asked for, and under its commit."""
        content = json.dumps(resolution.to_json()).encode()
        with suppress(OSError):
            write_atomically(self._resolution_path(revision), content)
            write_atomically(self._resolution_path(resolution.commit), content)

    def ranges(self) -> RangeCache:
        """Return the cache of byte ranges of all files."""
        return RangeCache(self._folder("ranges"))

    def _resolution_path(self, revision: str | None) -> Path:
        return self._folder("resolutions") / f"{_digest(revision or DEFAULT_REVISION)}.json"

    def _header_path(self, commit: str, file: str) -> Path:
        return self._folder("headers") / commit / f"{_digest(file)}.header"

    def _folder(self, kind: str) -> Path:
        return huggingface_hub.cached_assets_path(
            library_name="scratchverify",
            namespace=f"models--{self.repo.replace('/', '--')}",
            subfolder=kind,
            assets_dir=self.access.assets_dir,
        )


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
