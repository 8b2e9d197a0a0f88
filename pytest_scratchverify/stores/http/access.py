"""Endpoint, token, caches and timeout of the hub; every default is huggingface_hub's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

OnFetch: TypeAlias = Callable[[str, str, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAccess:
    """Overrides for tests and for programs; None means what huggingface_hub would do.

    HF_ENDPOINT, HF_TOKEN, HF_HOME and their like are honoured because huggingface_hub reads
    them; reading them a second time would only add a way to disagree.

    Attributes
    ----------
    endpoint, token
        Where the hub is, and who asks.
    cache_dir, assets_dir
        The cache of whole files, and the place of what was derived from ranges.
    timeout : float, optional
        Seconds without an answer after which a request is given up.
    on_fetch : callable, optional
        Called with repository, file and bytes to come (None if unknown) before the network
        is used, so that somebody can say what takes so long.
    """

    endpoint: str | None = None
    token: str | bool | None = None
    cache_dir: Path | None = None
    assets_dir: Path | None = None
    timeout: float | None = None
    on_fetch: OnFetch | None = None


def shown_address(address: str) -> str:
    """Return an address without user, password, query and fragment, which may be secrets."""
    parts = urlsplit(address)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # no number
        port = ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path.rstrip("/"), "", ""))
