"""What was given to a run beside its models: logs, answers, servers. A slip is said at once.

What only the run can find out, since a repository's files or a server's manners decide, is said of
the whole run: it did not do what it was asked to.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.asking.locate import Given
from pytest_scratchverify.stores.http.access import shown_address

PATIENCE = 5.0  # seconds for a server to take a connection
AREAS = (("training-log", "training_log"), ("answers", "behaviour"), ("endpoint", "behaviour"))


def check_logs(given: Sequence[str], models: Sequence[ModelSpec], others: Iterable[str]) -> None:
    """Refuse a training log that is not there, or is nobody's of the run.

    A name may be that of a file in a model's repository, which is not asked here. Raises
    `ScratchError`.
    """
    names = {model.name for model in models} | set(others)
    for entry in given:
        place = entry.partition("#")[0]
        owner, _, path = place.rpartition("=")
        if owner and owner not in names:
            known = ", ".join(sorted(names))
            raise ScratchError(f"--training-log {entry}: {owner} is not in this run; {known} are")
        if not owner and len(models) != 1:
            raise ScratchError(
                f"--training-log {entry}: {len(models)} models are tested; write MODEL={path}"
            )
        about = [model for model in models if owner in ("", model.name)]
        if Path(path).expanduser().is_file() or not about:
            continue
        inside = all(model.folder and not (Path(model.name) / path).is_file() for model in about)
        if inside or path.startswith((".", "/", "~")):
            raise ScratchError(f"--training-log {entry}: there is no such file")


def check_answers(given: Iterable[Given], *, offline: bool) -> None:
    """Refuse answers that are not there, and a server that takes no connection.

    Raises `ScratchError`.
    """
    for one in given:
        recorded = one.path is not None and one.path.is_file()
        if one.url is None and one.path is not None and not one.path.exists():
            raise ScratchError(f"--answers {one.path}: there is no such file")
        if one.url is not None and not recorded and not offline:
            _connect(one.url)


def _connect(url: str) -> None:
    """Open a connection and close it; through a proxy nothing can be said this way."""
    address = urlsplit(url)
    shown = shown_address(url)
    try:
        host, port = address.hostname, address.port
    except ValueError:
        host, port = None, None
    if address.scheme not in ("http", "https") or not host:
        raise ScratchError(f"--endpoint {shown}: write an address such as http://host:8000/v1")
    if address.scheme in getproxies() and not proxy_bypass(host):
        return
    port = port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ScratchError(f"--endpoint {shown}: no server answers there ({why})") from None


def unused_inputs(given: Iterable[str], findings: Sequence[Finding]) -> Iterator[Text]:
    """Say which of the options `given` left every question about a model itself unanswered."""
    said: set[str] = set()
    for option, area in AREAS:
        if option not in given:
            continue
        own = [f for f in findings if f.method.startswith(f"{area}.") and f.reference is None]
        for model in dict.fromkeys(finding.model for finding in own):
            asked = [f for f in own if f.model == model]
            asked = [f for f in asked if f.outcome is not Outcome.NOT_APPLICABLE]
            if not asked or any(f.outcome is not Outcome.UNAVAILABLE for f in asked):
                continue
            why = asked[0].headline
            if str(why) not in said:
                said.add(str(why))
                yield Text(
                    "what --{option} gave could not be used for {model}: {why}",
                    option=option,
                    model=model,
                    why=why,
                )
