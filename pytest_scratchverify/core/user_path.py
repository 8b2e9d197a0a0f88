"""What a user names as a path."""

from __future__ import annotations

from pathlib import Path


def user_path(text: str | Path) -> Path:
    """Return a path with ``~`` for a home; the home of nobody is a folder of that name.

    `Path.expanduser` raises `RuntimeError` there, which is no sentence for a user.
    """
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
