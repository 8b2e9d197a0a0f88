"""Which answers belong to which model: what was given with --answers and --endpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.user_path import user_path
from pytest_scratchverify.stores.http.access import shown_address

_URL = re.compile(r"https?://", re.IGNORECASE)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One model's answers: recorded in a file, or to be asked of a server, or both.

    With both, the file is where the answers are kept and what is resumed.
    """

    model: str
    path: Path | None = None
    url: str | None = None
    served_as: str | None = None


def given_answers(
    entries: Sequence[str], tested: Sequence[str], endpoint: str | None, served_as: str | None
) -> dict[str, Given]:
    """Sort --answers and --endpoint to models.

    Parameters
    ----------
    entries
        ``PATH`` or ``URL`` for the only tested model, or ``NAME=PATH``, ``NAME=URL``,
        ``NAME=URL#SERVED_AS``.
    tested
        Names of the tested models.

    Raises
    ------
    ScratchError
        For an entry without a name where several models are tested.
    """
    found: dict[str, Given] = {}
    for entry in entries:
        name, place = _split(entry)
        if name is None and len(tested) != 1:
            raise ScratchError(
                f"--answers {entry}: {len(tested)} models are tested; write NAME={place}"
            )
        model = tested[0] if name is None else name
        if _URL.match(place):
            url, _, served = place.partition("#")
            found[model] = Given(model=model, url=url, served_as=served or model)
        else:
            found[model] = Given(model=model, path=user_path(place))
    if endpoint is not None:
        for model in tested:
            kept = found.get(model)
            name = served_as or model
            if len(tested) > 1 and served_as is not None:
                raise ScratchError("--endpoint-model names one model; several are tested")
            found[model] = Given(
                model=model, path=kept.path if kept else None, url=endpoint, served_as=name
            )
    return found


def _split(entry: str) -> tuple[str | None, str]:
    if _URL.match(entry):
        return None, entry
    name, separator, place = entry.partition("=")
    return (name, place) if separator else (None, entry)


def shown_entry(entry: str) -> str:
    """Return what was given with --answers, without secrets of its address."""
    name, place = _split(entry)
    url, separator, served = place.partition("#")
    shown = f"{shown_address(url)}{separator}{served}" if _URL.match(place) else place
    return shown if name is None else f"{name}={shown}"


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's, which an offline run may ask."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def no_answers(model: str) -> Unavailable:
    """Return what to raise where nothing was given for a model."""
    return Unavailable(
        Reason.ABSENT,
        Text("No answers of {model} were given.", model=model),
        Text("Give --endpoint URL, or recorded ones with --answers NAME=FILE."),
    )
