"""Atomic writes: nobody ever reads half a file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Put `content` at `path`, whole or not at all, also beside other writers.

    Locks are advisory and do nothing on some network file systems; a rename holds everywhere.
    What is `shared` gets the permissions of any new file, and is not its writer's alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.parent / f".{path.name[:40]}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(name, flags, 0o666 if shared else 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        name.replace(path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
