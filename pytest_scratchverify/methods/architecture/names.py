"""Names that a config states: class, code, place of saving. Listed, and no evidence of descent.

Five of ten public accusations of 2026 rested on such strings alone. A class name says which code
runs the weights; Llama's runs those of dozens of developers who trained their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from itertools import chain, islice
from typing import Final

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Finding, Level, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.config import Config, about_design
from pytest_scratchverify.stores.store import ArtifactStore

MOST_NAMES = 12
LONGEST_NAME = 120
LONGEST_CODE = 1 << 20  # bytes of a file of code; larger ones are not read
HEAD_LINES = 60  # of it, in which a copyright line is looked for
_COPYRIGHT: Final = re.compile(r"copyright.*", re.IGNORECASE)
_MODULE: Final = re.compile(r"\w{1,100}\Z")


class Named(Enum):
    """Whether a config names a class, code or a place."""

    NOTHING = auto()
    SOMETHING = auto()


HEADLINES: Mapping[Named, str] = {
    Named.NOTHING: "the config names no class, no code and no place that it was saved at",
    Named.SOMETHING: "{names}: no evidence of descent. A class says which code runs the weights, a"
    " path where they once lay, a copyright line whose code it is; weights of one's own run under"
    " each of them, and anybody's can be saved under others",
}


def config_names(model: ModelSpec, config: Config, store: ArtifactStore) -> Finding:
    """List the names that a config states and the copyright lines of the code that it names.

    Parameters
    ----------
    store
        Where files of code lie that `auto_map` names; they are read as text and never run.

    Returns
    -------
    A finding that never accuses, clears or blocks: what it lists is evidence of nothing.
    """
    statement = Text("names in a config are no evidence of descent")
    tested = about_design("names", model.name, config, statement)
    found = chain(_names(config.value), _copyrights(config.value, store))
    names = [*islice(found, MOST_NAMES)]
    named = Named.SOMETHING if names else Named.NOTHING
    values = {"names": names} if names else {}
    return tested.finding(
        Outcome.NOT_APPLICABLE,
        Text(HEADLINES[named], **values),
        level=Level.E0,
        details={"names": [*names]},
    )


def _names(config: Mapping[str, Json]) -> Iterator[str]:
    for key in ("architectures", "_name_or_path", "tokenizer_class"):
        value = config.get(key)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and name:
                yield f"{key} {name[:LONGEST_NAME]}"
    for code in _code(config):
        yield f"auto_map {code[:LONGEST_NAME]}"


def _code(config: Mapping[str, Json]) -> list[str]:
    """Return the classes of code that a config asks a loader to run, once each."""
    table = config.get("auto_map")
    values = table.values() if isinstance(table, dict) else []
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [*dict.fromkeys(item for item in flat if isinstance(item, str))][:MOST_NAMES]


def _copyrights(config: Mapping[str, Json], store: ArtifactStore) -> Iterator[str]:
    modules = dict.fromkeys(code.split("--")[-1].split(".")[0] for code in _code(config))
    for module in modules:
        if not _MODULE.match(module):
            continue
        try:
            path = store.file(f"{module}.py").value
            if path.stat().st_size > LONGEST_CODE:
                continue
            lines = path.read_text("utf-8", "replace").splitlines()[:HEAD_LINES]
        except (Unavailable, OSError):
            continue
        if found := next(filter(None, map(_COPYRIGHT.search, lines)), None):
            yield f"{module}.py {found.group(0).strip()[:LONGEST_NAME]}"
