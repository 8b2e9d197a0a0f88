"""Logs as trainers print them, whatever the trainer: names beside numbers, line by line.

::

    s:12 trl:9.2211                                           (nanoGPT speed runs)
    iter 10: loss 4.2, time 100ms                             (nanoGPT)
    step   12/19560 | loss 9.22 (+0.1z)| norm 1.52 | lr 1e-05 (llm.c)
     iteration 12/ 500 | learning rate: 1.0E-05 | lm loss: 9.2E+00 | grad norm: 1.5 |
    {'loss': '9.22', 'grad_norm': '1.5', 'learning_rate': '1e-05', 'epoch': '0.1'}
    Iter 10: Train loss 2.345, Learning Rate 1.000e-05, Trained Tokens 40960     (MLX)
    Epoch 1 | iter 12 step 3 | loss train: 9.221, val: n/a |                     (litgpt)
    [rank0]: ... step: 12  loss:  9.2211  grad_norm:  1.5                       (torchtitan)
    iteration: 12 / 500 | consumed_tokens: 1.57G | lm_loss: 9.22 | lr: 1e-05    (nanotron)
    [step=12/500,epoch=0]                                                        (OLMo)
        train/CrossEntropyLoss=9.221

Which name is the loss is chosen as in a table, and may be given in the same way. A line that is
indented and has no step belongs to the line with a step above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TextIO

from pytest_scratchverify.methods.training_log.readers.columns import (
    MAX_NAMES,
    choose_columns,
    is_loss,
    is_step,
)
from pytest_scratchverify.methods.training_log.readers.log import Rows, TrainingLog, no_loss
from pytest_scratchverify.methods.training_log.readers.printed_lines import (
    LONGEST,
    RANK,
    printed_values,
    without_escapes,
)
from pytest_scratchverify.methods.training_log.readers.table import lines

SAMPLE_RECORDS = 2000
_WORTH_READING = re.compile(r"loss|trl|entropy|step|iter|batch=|bpb|bits|kl", re.IGNORECASE)

Values = Mapping[str, float]


def read_text(stream: TextIO, file: str, given: Mapping[str, str] | None = None) -> TrainingLog:
    """Read every record that shows a training loss; `Unavailable` if none does."""
    wanted = tuple((given or {}).values())
    found = records(lines(stream, file), wanted)
    head = list(islice(found, SAMPLE_RECORDS))
    names = _names(head, file, given)
    chosen = choose_columns(names, given, file)
    rows = Rows(file, "text")
    quantities = {q: name for q, name in chosen.names.items() if q != "rank"}
    for part in (head, found):
        for record in part:
            if quantities["loss"] in record:
                row = {q: record[name] for q, name in quantities.items() if name in record}
                if RANK in record:
                    row["rank"] = record[RANK]
                rows.add(row)
    return rows.finish(quantities, evaluation=chosen.evaluation)


def _names(head: list[Values], file: str, given: Mapping[str, str] | None) -> list[str]:
    """Return the names to choose among: of the records that show the loss which is chosen."""
    every = dict.fromkeys(name for record in head for name in record if name != RANK)
    if len(every) > MAX_NAMES or not every:
        raise no_loss(file)
    only = {"loss": given["loss"]} if given and "loss" in given else None
    loss = choose_columns([*every], only, file).names["loss"]
    beside = dict.fromkeys(n for record in head if loss in record for n in record if n != RANK)
    return [*(beside or every)]


def records(source: Iterable[str], wanted: tuple[str, ...] = ()) -> Iterator[Values]:
    """Yield the values of each line that names a step or a loss, with those of its block."""
    block: dict[str, float] | None = None
    for raw in source:
        line = without_escapes(raw[:LONGEST])
        indented = line[:1] in " \t"
        inside = block is not None and indented
        if not inside and not (_WORTH_READING.search(line) or any(w in line for w in wanted)):
            if block is not None and line.strip():
                yield block
                block = None
            continue
        values = printed_values(line)
        if inside and block is not None and not any(map(is_step, values)):
            for name, value in values.items():
                block.setdefault(name, value)
            continue
        if block is not None:
            yield block
        block = None
        if any(map(is_step, values)) and not any(map(is_loss, values)):
            block = dict(values)  # its loss may stand below
        elif values:
            yield values
    if block is not None:
        yield block
