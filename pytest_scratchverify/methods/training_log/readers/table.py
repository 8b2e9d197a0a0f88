"""Logs that are tables: CSV (also W&B's export), JSON lines, Hugging Face's trainer_state.json.

All are read as streams. A trainer_state.json is one JSON object with a list ``log_history``
whose entries are taken one by one, so that a long history never stands in memory twice.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.readers.columns import (
    MAX_NAMES,
    Chosen,
    choose_columns,
)
from pytest_scratchverify.methods.training_log.readers.log import Rows, TrainingLog, malformed
from pytest_scratchverify.methods.training_log.readers.numbers import number

MAX_LINE = 1 << 20
CHUNK = 1 << 18
SAMPLE_ROWS = 2000  # rows looked at before columns are chosen, at most
SAMPLE_BYTES = 4 << 20  # of them
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_HISTORY = re.compile(r'"log_history"\s*:\s*\[')
_DECODER = json.JSONDecoder()

Given = Mapping[str, str] | None
Row = Mapping[str, Any]
Sized = tuple[Row, int]  # a row and the characters that it took


def lines(stream: TextIO, file: str) -> Iterator[str]:
    """Yield lines of bounded length. Raises `Unavailable` for a longer one."""
    while line := stream.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith("\n"):
            raise malformed(file, Text("a line is longer than a mebibyte"))
        yield line


def read_csv(stream: TextIO, file: str, given: Given) -> TrainingLog:
    """Read comma, semicolon or tab separated values whose first line names the columns."""
    source = lines(stream, file)
    header = next(source, "")
    delimiter = max(",;\t", key=header.count)
    try:
        names = next(csv.reader([header], delimiter=delimiter), [])
        names = [name.strip() for name in names]
        chosen = choose_columns(names, given, file)
        places = [(q, names.index(c)) for q, c in chosen.names.items()]
        rows = Rows(file, "csv")
        for cells in csv.reader(source, delimiter=delimiter):
            rows.add(
                {
                    q: v
                    for q, at in places
                    if at < len(cells) and (v := number(cells[at])) is not None
                }
            )
    except csv.Error as error:
        raise malformed(file, Text("{error}", error=str(error))) from None
    return rows.finish(chosen.names, evaluation=chosen.evaluation)


def read_jsonl(stream: TextIO, file: str, given: Given) -> TrainingLog:
    """Read one JSON object per line, as W&B histories and many trainers write them."""
    return _read_objects(_json_lines(stream, file), file, "jsonl", given)


def _json_lines(stream: TextIO, file: str) -> Iterator[Sized]:
    for at, line in enumerate(lines(stream, file), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise malformed(file, Text("line {n} is not JSON", n=at)) from None
            if not isinstance(row, dict):
                raise malformed(file, Text("line {n} is not a JSON object", n=at))
            yield row, len(line)


def read_trainer_state(stream: TextIO, file: str, given: Given) -> TrainingLog:
    """Read the ``log_history`` of Hugging Face's trainer_state.json."""
    return _read_objects(_history(stream, file), file, "trainer_state", given)


def _history(stream: TextIO, file: str) -> Iterator[Sized]:
    """Yield the entries of the list one by one, from a buffer of one chunk."""
    buffer, found = "", None
    while found is None:
        chunk = stream.read(CHUNK)
        if not chunk:
            raise malformed(file, Text("it has no log_history"))
        buffer = buffer[-64:] + chunk
        found = _HISTORY.search(buffer)
    at = found.end()
    while True:
        match = _BETWEEN.match(buffer, at)
        at = match.end() if match else at
        if buffer.startswith("]", at):
            return
        try:
            entry, end = _DECODER.raw_decode(buffer, at)
        except (ValueError, RecursionError):
            chunk = stream.read(CHUNK)
            if not chunk or len(buffer) - at > MAX_LINE:
                raise malformed(file, Text("its log_history is cut off or not JSON")) from None
            buffer, at = buffer[at:] + chunk, 0  # once a chunk, not once an entry
            continue
        if not isinstance(entry, dict):
            raise malformed(file, Text("its log_history holds what is not an object"))
        yield entry, end - at
        at = end


def _read_objects(objects: Iterator[Sized], file: str, kind: str, given: Given) -> TrainingLog:
    """Look at some rows, choose columns by their keys, then read all."""
    head: list[Row] = []
    names: dict[str, None] = {}
    sampled = 0
    for row, size in objects:
        head.append(row)
        names.update(dict.fromkeys(map(str, row)))
        sampled += size
        if len(head) >= SAMPLE_ROWS or sampled >= SAMPLE_BYTES or len(names) > MAX_NAMES:
            break
    chosen = choose_columns(list(names), given, file)
    rows = Rows(file, kind)
    for row in head:
        _add(rows, row, chosen)
    for row, _ in objects:
        _add(rows, row, chosen)
    return rows.finish(chosen.names, evaluation=chosen.evaluation)


def _add(rows: Rows, row: Row, chosen: Chosen) -> None:
    if chosen.names["loss"] in row:  # rows of evaluations have none
        values = {q: number(row.get(column)) for q, column in chosen.names.items()}
        rows.add({q: value for q, value in values.items() if value is not None})
