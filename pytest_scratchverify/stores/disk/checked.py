"""Files of our caches with their own digest: a damaged one is no answer, never another one.

A cache is shared with other programs, other runs and a disk. What it returns decides verdicts, so
every entry begins with the sha256 of what follows; an entry that does not match is deleted and
read again from where it came, and nobody is blamed for it.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from pytest_scratchverify.stores.disk.atomic import write_atomically

DIGEST_BYTES = hashlib.sha256().digest_size


def write_checked(path: Path, content: bytes) -> bool:
    """Write an entry, whole or not at all; False where the disk is full or read-only."""
    with suppress(OSError):
        write_atomically(path, hashlib.sha256(content).digest() + content)
        return True
    return False


def read_checked(path: Path) -> bytes | None:
    """Return an entry's content; None, and no entry any more, if it is absent or damaged."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    if hashlib.sha256(content).digest() == digest:
        return content
    with suppress(OSError):
        path.unlink()
    return None
