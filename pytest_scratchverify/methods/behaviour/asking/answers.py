"""Recorded answers: one JSON line per request, with the request beside its answer.

    {"api": "chat", "request": {...}, "model": "org/name", "answer": "...",
     "finish_reason": "stop", "usage": {"prompt_tokens": 9, "completion_tokens": 4},
     "seconds": .41, "time": "2026-11-24T10:00:00Z", "dropped": [], "error": null}

Where log probabilities of the first token were asked and came, `top` has them by token.

A file may hold a request twice, after a failure and a resumed run: an answer outdoes an error,
a later answer an earlier one. Files may be gzipped. They come from outside and are bounded.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, printable, reading
from pytest_scratchverify.methods.behaviour.asking.probes import Probe, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.request import APIS, key_of, request_for

LONGEST_LINE = 256 * 1024
LARGEST_FILE = 128 * 2**20
MOST_LINES = 1_000_000
LONGEST_ANSWER = 20_000  # characters kept of one answer
MODEL_NAME = 300
MOST_TOP, LONGEST_TOKEN = 64, 200  # rivals of a first token, and characters of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request. `text` is None after an error.

    `top` holds log probabilities of the first token and its rivals, where the server gave any.
    """

    api: str
    body: Mapping[str, Any]
    model: str
    text: str | None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    dropped: tuple[str, ...] = ()
    error: str | None = None
    seconds: float | None = None
    time: str | None = None
    top: Mapping[str, float] | None = None

    @property
    def key(self) -> str:
        """The key of the request, computed from what was asked."""
        return key_of(self.api, self.body)

    @property
    def is_empty(self) -> bool:
        """Whether an answer came that says nothing."""
        return self.text is not None and not self.text.strip()

    @property
    def is_cut(self) -> bool:
        """Whether the answer ends because of its length, not because it was complete."""
        return self.finish_reason == "length"

    def to_line(self) -> str:
        """Return the JSON line of the answer."""
        row = {
            "api": self.api,
            "request": dict(self.body),
            "model": self.model,
            "answer": self.text,
            "finish_reason": self.finish_reason,
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
            },
            "seconds": self.seconds,
            "time": self.time,
            "dropped": list(self.dropped),
            "error": self.error,
            **({} if self.top is None else {"top": dict(self.top)}),
        }
        return json.dumps(row, ensure_ascii=False)


def from_line(line: str) -> Answer:
    """Read one line. Raises ValueError for anything that is not an answer."""
    row = json.loads(line)
    if not isinstance(row, dict) or row.get("api") not in APIS:
        raise ValueError("no answer")
    body, text, usage = row.get("request"), row.get("answer"), row.get("usage")
    if not isinstance(body, dict) or not isinstance(text, str | None):
        raise ValueError("no request, or an answer that is no text")  # noqa: TRY004
    counts = usage if isinstance(usage, dict) else {}
    dropped = row.get("dropped")
    return Answer(
        api=str(row["api"]),
        body=body,
        model=printable(str(row.get("model"))[:MODEL_NAME]),
        text=None if text is None else printable(text[:LONGEST_ANSWER]),
        finish_reason=_short(row.get("finish_reason")),
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
        dropped=tuple(printable(str(d)[:40]) for d in dropped[:99])
        if isinstance(dropped, list)
        else (),
        error=_short(row.get("error")),
        seconds=None,
        time=_short(row.get("time")),
        top=log_probabilities(row.get("top")),
    )


def log_probabilities(given: object) -> dict[str, float] | None:
    """Return bounded log probabilities by token, or None where `given` holds none.

    What is not finite, positive beyond rounding or no number is left out; of two tokens that look
    alike the more probable one stays.
    """
    if not isinstance(given, Mapping):
        return None
    found: dict[str, float] = {}
    for token, value in list(given.items())[:MOST_TOP]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value) or value > 1e-3:
            continue
        text = printable(str(token)[:LONGEST_TOKEN])
        found[text] = max(found.get(text, -math.inf), min(0.0, float(value)))
    return found or None


def _short(value: object) -> str | None:
    return None if value is None else printable(str(value)[:MODEL_NAME])


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 10**9 else None


@dataclass(frozen=True)
class Answers:
    """Every answer of one model to the shipped probes, by probe id.

    `foreign` counts lines that answer no shipped probe, `broken` lines that could not be read;
    `notes` say why nothing may be concluded from answers that look whole.
    """

    model: str
    by_probe: Mapping[str, Answer]
    source: str
    foreign: int = 0
    broken: int = 0
    notes: tuple[Text, ...] = field(default=())

    @cached_property
    def digest(self) -> str:
        """A digest of what was asked and answered, without times: equal runs have equal ones."""
        rows = [
            [p, a.key, a.text, a.finish_reason, *([] if a.top is None else [sorted(a.top.items())])]
            for p, a in sorted(self.by_probe.items())
        ]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @cached_property
    def bytes(self) -> int:
        """The size of all answer texts in UTF-8."""
        return sum(len((a.text or "").encode()) for a in self.by_probe.values())


def collect(
    model: str, answers: Iterable[Answer], source: str, probes: Iterable[Probe] | None = None
) -> Answers:
    """Sort answers to their probes; the interface with more answers is kept, never a mixture."""
    wanted = {
        request_for(probe, api).key: (probe.id, api)
        for probe in (shipped_probes() if probes is None else probes)
        for api in APIS
    }
    found: dict[str, dict[str, Answer]] = {api: {} for api in APIS}
    foreign = 0
    for answer in answers:
        place = wanted.get(answer.key)
        if place is None:
            foreign += 1
            continue
        probe, api = place
        rival = found[api].get(probe)
        if rival is None or rival.text is None or answer.text is not None:
            found[api][probe] = answer
    best = max(APIS, key=lambda api: sum(a.text is not None for a in found[api].values()))
    return Answers(model, found[best], source, foreign)


def read_answers(path: Path, model: str) -> Answers:
    """Read a recorded file.

    Raises
    ------
    Unavailable
        If the file is absent, too large, of several models, or has no line that can be read.
    """
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        raise Unavailable(
            Reason.ABSENT,
            Text("{path} with answers of {model} does not exist.", path=str(path), model=model),
            Text("Check the path after --answers."),
        ) from None
    if size > LARGEST_FILE:
        raise _malformed(path, Text("larger than {n} bytes", n=LARGEST_FILE))
    recorded = _Recorded(path)
    with reading(path.name, model):
        try:
            with closing(iter(recorded)) as each:
                found = collect(model, each, path.name)
        except (OSError, EOFError, zlib.error) as error:
            raise _malformed(path, Text("{error}", error=printable(str(error))[:200])) from error
    if not recorded.names:
        raise _malformed(path, Text("no line of it is a recorded answer"))
    return Answers(found.model, found.by_probe, found.source, found.foreign, recorded.broken)


@dataclass(slots=True)
class _Recorded:
    """The answers of a file one by one: those to other probes are not kept in memory."""

    path: Path
    broken: int = 0
    names: set[str] = field(default_factory=set)

    def __iter__(self) -> Generator[Answer, None, None]:
        with closing(_lines(self.path)) as lines:
            for line in lines:
                try:
                    answer = from_line(line)
                    _ = answer.key  # of a request with a lone surrogate there is none
                except (ValueError, TypeError, RecursionError):
                    self.broken += 1
                    continue
                self.names.add(answer.model)
                if len(self.names) > 1:
                    named = Text("answers of several models: {names}", names=sorted(self.names))
                    raise _malformed(self.path, named)
                yield answer


def _lines(path: Path) -> Generator[str, None, None]:
    with open_regular(path) as raw_stream, _unpacked(path, raw_stream) as stream:
        read = count = 0
        while raw := stream.readline(LONGEST_LINE):
            read += len(raw)
            count += 1
            if count > MOST_LINES:
                raise OSError(f"more than {MOST_LINES} lines")
            if read > LARGEST_FILE:
                raise OSError(f"more than {LARGEST_FILE} bytes when unpacked")
            if text := raw.decode("utf-8", "replace").strip():
                yield text


def _unpacked(path: Path, stream: BufferedReader) -> BufferedIOBase:
    return gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream


def _malformed(path: Path, why: Text) -> Unavailable:
    return Unavailable(
        Reason.MALFORMED,
        Text("{path} holds no usable answers: {why}.", path=str(path), why=why),
        Text("Record answers with --endpoint, one file for each model."),
    )
