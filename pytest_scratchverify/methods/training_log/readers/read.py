"""Format detection by content, and the reader of each format."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, reading
from pytest_scratchverify.methods.training_log.readers.columns import is_loss, is_step
from pytest_scratchverify.methods.training_log.readers.log import TrainingLog, malformed
from pytest_scratchverify.methods.training_log.readers.plain_text import read_text
from pytest_scratchverify.methods.training_log.readers.printed_lines import without_escapes
from pytest_scratchverify.methods.training_log.readers.table import (
    read_csv,
    read_jsonl,
    read_trainer_state,
)
from pytest_scratchverify.methods.training_log.readers.tensorboard import (
    absent,
    is_event_file,
    read_tensorboard,
)

HEAD = 1 << 16
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MAX_LOG_BYTES = 1 << 30  # ten million steps have 200 MB; of a repository's files 64 MiB are read


def read_training_log(
    path: Path, columns: Mapping[str, str] | None = None, *, name: str | None = None
) -> TrainingLog:
    """Read a training log of any known format.

    Parameters
    ----------
    path : Path
        CSV, JSON lines, trainer_state.json, a TensorBoard event file, a W&B export, or the
        printed lines of a common trainer.
    columns : mapping, optional
        Which column is ``step``, ``loss``, ``lr``, ``grad_norm``, ``tokens``: replaces guesses.
    name : str, optional
        What messages call the file; its own name by default.

    Raises `Unavailable`, in one sentence with its remedy, for whatever cannot be read.
    """
    shown = name or path.name
    if not path.is_file():
        raise absent(shown)
    with reading(shown):
        return _read(path, shown, columns)


def _read(path: Path, shown: str, columns: Mapping[str, str] | None) -> TrainingLog:
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_LOG_BYTES:
            raise malformed(shown, Text("it is larger than {n} bytes", n=MAX_LOG_BYTES))
        head = stream.read(HEAD)
        if is_event_file(head[:12]):
            stream.seek(0)
            return read_tensorboard(stream, shown, columns)
    encoding = "utf-16" if head[:2] in _UTF_16 else "utf-8"  # as PowerShell's ``>`` writes it
    if b"\0" in head and encoding == "utf-8":
        raise malformed(shown, Text("it is binary and no TensorBoard event file"))
    if not head.strip():
        raise malformed(shown, Text("it is empty"))
    with path.open(encoding=encoding, errors="replace", newline=None) as text:
        kind = sniff(without_escapes(head.decode(encoding, "replace")).lstrip("\ufeff"))
        if kind == "jsonl":
            return read_jsonl(text, shown, columns)
        if kind == "trainer_state":
            return read_trainer_state(text, shown, columns)
        if kind == "csv":
            return read_csv(text, shown, columns)
        return read_text(text, shown, columns)


def sniff(head: str) -> str:
    """Return ``csv``, ``jsonl``, ``trainer_state`` or ``text`` for the beginning of a file."""
    first, _, rest = head.lstrip().partition("\n")
    first, second = first.strip(), rest.split("\n", 1)[0]
    if first.startswith("{"):
        try:
            row = json.loads(first)
        except (ValueError, RecursionError):
            return "text" if first.startswith("{'") else "trainer_state"
        return "trainer_state" if isinstance(row, dict) and "log_history" in row else "jsonl"
    cells = [
        cell.strip().strip('"') for cell in first.replace(";", ",").replace("\t", ",").split(",")
    ]
    words = [cell for cell in cells if cell and not _is_number(cell)]
    table = len(cells) > 1 and len(words) == len([c for c in cells if c])
    mark = max(",;\t", key=first.count)
    values = second.replace('"', "").split(mark)
    alike = not second.strip() or len(values) == len(first.split(mark))
    alike = alike and (not second.strip() or any(map(_is_number, values)))
    sentence = not alike and not any(is_loss(cell) or is_step(cell) for cell in words)
    table = table and not sentence and ":" not in first and " | " not in first
    return "csv" if table else "text"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
