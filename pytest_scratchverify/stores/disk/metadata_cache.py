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

from pytest_scratchverify.stores.disk.checked import read_checked, write_checked
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
        path = self._header_path(commit, file)
        return None if path is None else read_checked(path)

    def store_header(self, commit: str, file: str, head: bytes) -> None:
        """Cache the first bytes of a shard."""
        path = self._header_path(commit, file)
        if path is not None:
            write_checked(path, head)

    def forget_header(self, commit: str, file: str) -> None:
        """Delete the cached header of a shard."""
        path = self._header_path(commit, file)
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def resolution(self, revision: str | None) -> Resolution | None:
        """Return what the hub last said about a revision, if cached and still readable."""
        path = self._resolution_path(revision)
        content = None if path is None else read_checked(path)
        try:
            return None if content is None else Resolution.from_json(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # another version of this program wrote it

    def store_resolution(self, revision: str | None, resolution: Resolution) -> None:
        """Cache an answer under the revision that was asked for, and under its commit."""
        content = json.dumps(resolution.to_json()).encode()
        for name in (revision, resolution.commit):
            path = self._resolution_path(name)
            if path is not None:
                write_checked(path, content)

    def ranges(self) -> RangeCache:
        """Return the cache of byte ranges of all files."""
        return RangeCache(self._folder("ranges"))

    def _resolution_path(self, revision: str | None) -> Path | None:
        folder = self._folder("resolutions")
        return folder and folder / f"{_digest(revision or DEFAULT_REVISION)}.checked"

    def _header_path(self, commit: str, file: str) -> Path | None:
        folder = self._folder("headers")
        return folder and folder / commit / f"{_digest(file)}.checked"

    def _folder(self, kind: str) -> Path | None:
        """Return a folder of the cache; None where none can be made."""
        try:
            return huggingface_hub.cached_assets_path(
                library_name="scratchverify",
                namespace=f"models--{self.repo.replace('/', '--')}",
                subfolder=kind,
                assets_dir=self.access.assets_dir,
            )
        except (OSError, ValueError):  # ValueError: a file stands where a folder should be
            return None


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
