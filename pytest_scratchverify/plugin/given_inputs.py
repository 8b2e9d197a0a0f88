"""What was given to a run beside its models: logs, answers, servers. A slip is said at once.

What only the run can find out, since a repository's files or a server's manners decide, is said of
the whole run: it did not do what it was asked to.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import pytest

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.user_path import user_path
from pytest_scratchverify.methods.behaviour.asking.locate import Given
from pytest_scratchverify.plugin import options
from pytest_scratchverify.stores.http.access import shown_address

NO_ADDRESS = "write an address such as http://host:8000/v1"
PATIENCE = 5.0  # seconds for a server to take a connection
AREAS = (("training-log", "training_log"), ("answers", "behaviour"), ("endpoint", "behaviour"))


def check_reports(config: pytest.Config) -> None:
    """Refuse a format whose library is not installed, before an hour is spent on the run.

    Raises `ScratchError`, one line that says what to install.
    """
    for name, (module, extra) in options.REPORT_EXTRAS.items():
        if options.value(config, f"verdict-{name}") and find_spec(module) is None:
            raise ScratchError(
                f"--verdict-{name} needs {module}, which is not installed: "
                f"pip install 'pytest-scratchverify[{extra}]'"
            )


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
        if user_path(path).exists() or not about:
            continue  # a folder is none either, and what it holds is the run's affair
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
        if one.url is not None:
            scheme, host, port = _address(one.url)
            if not recorded and not offline:
                _connect(one.url, scheme, host, port)


def _address(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a server. Raises `ScratchError`."""
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError:  # it may hold a password, and what of it is one cannot be told
        raise ScratchError(f"--endpoint: {NO_ADDRESS}") from None
    if address.scheme not in ("http", "https") or not host:
        raise ScratchError(f"--endpoint {shown_address(url)}: {NO_ADDRESS}")
    return address.scheme, host, port or (443 if address.scheme == "https" else 80)


def _connect(url: str, scheme: str, host: str, port: int) -> None:
    """Open a connection and close it; through a proxy nothing can be said this way."""
    shown = shown_address(url)
    if scheme in getproxies() and not proxy_bypass(host):
        return
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ScratchError(f"--endpoint {shown}: no server answers there ({why})") from None


def own_inputs(
    logs: Iterable[str], answers: Mapping[str, Given], models: Sequence[ModelSpec]
) -> dict[str, set[str]]:
    """Return the tested models that each option gave something for, by option."""
    names = {model.name for model in models}
    owners = {entry.partition("#")[0].rpartition("=")[0] for entry in logs}
    given = {name: one for name, one in answers.items() if name in names}
    return {
        "training-log": names if "" in owners else owners & names,
        "answers": {name for name, one in given.items() if one.url is None},
        "endpoint": {name for name, one in given.items() if one.url is not None},
    }


def unused_inputs(given: Mapping[str, set[str]], findings: Sequence[Finding]) -> Iterator[Text]:
    """Say which options left every question about a model itself unanswered that they were for.

    `given` are the models by option.
    """
    for option, area in AREAS:
        own = [f for f in findings if f.method.startswith(f"{area}.") and f.reference is None]
        for model in sorted(given.get(option, ())):
            asked = [f for f in own if f.model == model]
            asked = [f for f in asked if f.outcome is not Outcome.NOT_APPLICABLE]
            if not asked or any(f.outcome is not Outcome.UNAVAILABLE for f in asked):
                continue
            why = Counter(f.headline for f in asked).most_common(1)[0][0]
            yield Text(
                "what --{option} gave could not be used for {model}: {why}",
                option=option,
                model=model,
                why=why,
            )
