"""TensorBoard event files, by forty lines of protobuf wire format and no TensorFlow.

A file is a sequence of records: length (8 bytes), its masked CRC-32C, the record, its CRC.
A record is an Event: step (field 2) and a Summary (field 5) of values (field 1), each with a
tag (1) and either simple_value (2, float) or a scalar tensor (8). Checksums of the lengths
are checked always, those of records up to `CHECKED` bytes in all (pure Python is slow); a
file that is cut off is read up to there, and the log says so.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.readers.columns import choose_columns
from pytest_scratchverify.methods.training_log.readers.log import (
    LARGEST,
    Column,
    Rows,
    Steps,
    TrainingLog,
    malformed,
)

MAX_RECORD = 64 << 20
MAX_TAGS = 10_000
MAX_VALUES = 3_000_000  # records and values of a file, each of which costs microseconds
LAST_STEP = 2**53  # what a float holds exactly; counters of steps end far before
CHECKED = 4 << 20
_MASK = 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901
        table.append(byte)
    return tuple(table)


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of `data`, rotated and shifted as TFRecord files do."""
    table, crc = _table(), _MASK
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= _MASK
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _MASK


def is_event_file(head: bytes) -> bool:
    """Whether a file begins like a TFRecord: a length with its own checksum."""
    return len(head) >= 12 and struct.unpack("<I", head[8:12])[0] == masked_crc(head[:8])


def read_tensorboard(stream: BinaryIO, file: str, given: Mapping[str, str] | None) -> TrainingLog:
    """Read the scalars of an event file: one pass for the tags, one for the chosen ones."""
    notes: list[Text] = []
    tags: dict[str, None] = {}
    for _, values in _events(stream, file, notes):
        tags |= dict.fromkeys(tag for tag, _ in values)
        if len(tags) > MAX_TAGS:
            raise malformed(file, Text("it has more than {n} tags", n=MAX_TAGS))
    chosen = choose_columns([*tags], given, file)
    wanted = {column: q for q, column in chosen.names.items() if q != "step"}
    series = {q: (array("q"), array("d")) for q in wanted.values()}
    stream.seek(0)
    for step, values in _events(stream, file, []):
        for tag, value in values:
            if (quantity := wanted.get(tag)) is not None:
                series[quantity][0].append(step)
                series[quantity][1].append(value)
    return _joined(series, file, chosen.names, notes, evaluation=chosen.evaluation)


def _joined(
    series: dict[str, tuple[array[int], array[float]]],
    file: str,
    names: Mapping[str, str],
    notes: list[Text],
    *,
    evaluation: bool,
) -> TrainingLog:
    """Put the other scalars beside the loss of the same step."""
    rows = Rows(file, "tensorboard")
    rows.notes = notes
    steps = np.frombuffer(series["loss"][0], np.int64)
    loss = np.frombuffer(series["loss"][1])
    columns: dict[str, NDArray[Any]] = {"step": steps, "loss": loss}
    for quantity, (at, values) in series.items():
        if quantity != "loss":
            columns[quantity] = _at(steps, np.frombuffer(at, np.int64), np.array(values))
    for quantity, column in columns.items():
        rows.seen.add(quantity)
        code = rows.values[quantity].typecode
        sound = column if quantity == "step" else np.where(np.abs(column) < LARGEST, column, np.nan)
        rows.values[quantity].frombytes(sound.astype(code).tobytes())
    return rows.finish(names, evaluation=evaluation)


def _at(steps: Steps, known: Steps, values: Column) -> Column:
    order = np.argsort(known, kind="stable")
    known, values = known[order], values[order]
    place = np.clip(np.searchsorted(known, steps), 0, len(known) - 1)
    return np.where(known[place] == steps, values[place], np.nan)


Scalars = list[tuple[str, float]]


def _events(stream: BinaryIO, file: str, notes: list[Text]) -> Iterator[tuple[int, Scalars]]:
    checked = count = 0
    while head := stream.read(12):
        count += 1
        if count > MAX_VALUES:
            raise malformed(file, Text("it has more than {n} values", n=MAX_VALUES))
        if not is_event_file(head):
            if len(head) == 12:
                raise malformed(file, Text("the checksum of a record's length is wrong"))
            notes.append(Text("the file is cut off; it was read up to there"))
            return
        length = struct.unpack("<Q", head[:8])[0]
        if length > MAX_RECORD:
            raise malformed(file, Text("a record is larger than {n} bytes", n=MAX_RECORD))
        body = stream.read(length + 4)
        if len(body) < length + 4:
            notes.append(Text("the file is cut off; it was read up to there"))
            return
        if checked < CHECKED:
            checked += length
            if struct.unpack("<I", body[-4:])[0] != masked_crc(body[:-4]):
                raise malformed(file, Text("the checksum of a record is wrong"))
        try:
            step, values = _event(body[:-4], MAX_VALUES - count)
        except (ValueError, IndexError, struct.error, UnicodeDecodeError):
            raise malformed(file, Text("a record is not a TensorBoard event")) from None
        count += len(values)
        yield step, values


def _event(data: bytes, limit: int) -> tuple[int, Scalars]:
    step, scalars = 0, []
    left = limit
    for field, value in _fields(data):
        if field == 2 and isinstance(value, int):
            step = value - (1 << 64) if value >> 63 else value
            if abs(step) > LAST_STEP:
                raise ValueError(step)
        elif field == 5 and isinstance(value, bytes):
            for f, v in _fields(value):
                left -= 1
                if left < 0:
                    raise ValueError(limit)
                if f == 1 and isinstance(v, bytes) and (s := _scalar(v)):
                    scalars.append(s)
    return step, scalars


def _scalar(data: bytes) -> tuple[str, float] | None:
    tag, number = "", None
    for field, value in _fields(data):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode()
        elif field == 2 and isinstance(value, bytes) and len(value) == 4:
            number = float(struct.unpack("<f", value)[0])
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return None if number is None else (tag, number)


def _tensor(data: bytes) -> float | None:
    """Return a scalar tensor of dtype float or double: content bytes, or the value lists."""
    kind, number = 1, None
    for field, value in _fields(data):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field in (4, 5, 6) and isinstance(value, bytes):
            wide = field == 6 or (field == 4 and kind == 2)
            if len(value) == (8 if wide else 4):
                number = float(struct.unpack("<d" if wide else "<f", value)[0])
    return number if kind in (1, 2) else None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield field numbers and values of a protobuf message: ints, or bytes of other kinds."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(wire)
        if at + size > len(data):
            raise ValueError(size)
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError(at)


def absent(file: str) -> Unavailable:
    """Return the error of a log that does not exist."""
    return Unavailable(
        Reason.ABSENT,
        Text("There is no training log {file}.", file=file),
        Text("Give --training-log PATH, or ORG/NAME=PATH for one of several models."),
    )
