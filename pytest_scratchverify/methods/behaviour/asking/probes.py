"""Probes: prompts in versioned data files, one line a probe.

To add a probe, add a line to `probes/<kind>.jsonl` with an id that was never used. Changing a
prompt makes earlier answers to it invisible, because answers are matched by what was asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

SCHEMA = "scratchverify/probes/1"
FOLDER = Path(__file__).parent / "probes"


class Kind(StrEnum):
    """What a probe is for."""

    KNOWLEDGE = "knowledge"  # dated events with graders that need no model
    IDENTITY = "identity"  # who made you, in several languages and framings
    REFUSAL = "refusal"  # requests that assistants decline, harmless to publish
    STYLE = "style"  # open questions, for style and not for content
    CONTINUATION = "continuation"  # openings of text and code, for output agreement
    NEXT_TOKEN = "next-token"  # a hundred prompts of which one token is asked, in their place


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question: its stable id, its prompt as sent, and how long an answer may be.

    `month` and `accept` (a regular expression) belong to knowledge only.
    """

    id: str
    kind: Kind
    lang: str
    prompt: str
    max_tokens: int
    version: str
    month: str | None = None
    accept: str | None = None


def read_probes(path: Path) -> tuple[Probe, ...]:
    """Read a probe file: a header line, then one probe a line.

    Raises
    ------
    ValueError
        With file and line, for a foreign schema, a repeated id, or a line without its fields.
    """
    lines = path.read_text("utf-8").splitlines()
    head = json.loads(lines[0])
    if head.get("schema") != SCHEMA:
        raise ValueError(f"{path.name}: schema {head.get('schema')!r}, wanted {SCHEMA}")
    probes: dict[str, Probe] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            probe = _probe(json.loads(line), head)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name}, line {number}: {error!r}") from None
        if probe.id in probes:
            raise ValueError(f"{path.name}, line {number}: id {probe.id} was used before")
        probes[probe.id] = probe
    return tuple(probes.values())


def _probe(row: Mapping[str, str], head: Mapping[str, object]) -> Probe:
    frames = head.get("frame")
    frame = frames.get(row["lang"], "{prompt}") if isinstance(frames, dict) else "{prompt}"
    return Probe(
        id=row["id"],
        kind=Kind(str(head["kind"])),
        lang=row["lang"],
        prompt=frame.replace("{prompt}", row["prompt"]),
        max_tokens=int(str(head["max_tokens"])),
        version=str(head["version"]),
        month=row.get("month"),
        accept=row.get("accept"),
    )


# What a server may be asked: by default everything but the hundred single tokens.
SETS: Mapping[str, tuple[Kind, ...]] = {
    "all": tuple(kind for kind in Kind if kind is not Kind.NEXT_TOKEN),
    "next-token": (Kind.NEXT_TOKEN,),
}


def probe_set(name: str) -> tuple[Probe, ...]:
    """Return the probes of one of the `SETS`."""
    return tuple(probe for probe in shipped_probes() if probe.kind in SETS[name])


@cache
def shipped_probes() -> tuple[Probe, ...]:
    """Return every shipped probe, kind by kind, in the order of the files."""
    return tuple(probe for kind in Kind for probe in read_probes(FOLDER / f"{kind.value}.jsonl"))
