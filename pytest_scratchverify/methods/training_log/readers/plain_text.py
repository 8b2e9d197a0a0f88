"""Logs as trainers print them: nanoGPT, llm.c, modded-nanogpt, Megatron, Hugging Face.

::

    s:12 trl:9.2211                                           (nanoGPT speed runs)
    iter 10: loss 4.2, time 100ms                             (nanoGPT)
    step   12/19560 | loss 9.22 (+0.1z)| norm 1.52 | lr 1e-05 (llm.c)
     iteration 12/ 500 | learning rate: 1.0E-05 | lm loss: 9.2E+00 | grad norm: 1.5 |
    {'loss': 9.22, 'grad_norm': 1.5, 'learning_rate': 1e-05, 'epoch': 0.1}

Lines that show no training loss are passed over.
"""

from __future__ import annotations

import re
from typing import TextIO

from pytest_scratchverify.methods.training_log.readers.log import Rows, TrainingLog
from pytest_scratchverify.methods.training_log.readers.table import lines, number

_NUMBER = r"['\"]?\s{0,4}[:=]?\s{0,12}([-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_STEP = re.compile(r"\b(?:global[_ ]step|step|iter|iteration|s)" + _NUMBER.replace(r"\.?\d*", ""))
_LOSS = re.compile(
    r"(?<![\w-])(?:train(?:ing)?[_ /]loss|lm[_ ]loss|trl|(?<!val )(?<!eval )(?<!test )loss)"
    + _NUMBER
)
_OTHERS = {
    "lr": re.compile(r"\b(?:learning[_ ]rate|lr)" + _NUMBER),
    "grad_norm": re.compile(r"\b(?:grad(?:ient)?[_ ]norm|gnorm|norm)" + _NUMBER),
    "tokens": re.compile(r"\b(?:total[_ ]tokens|consumed[_ ]tokens|tokens[_ ]seen|tokens)"
                         + _NUMBER),
}  # fmt: skip


def read_text(stream: TextIO, file: str) -> TrainingLog:
    """Read every line that shows a training loss; `Unavailable` if none does."""
    rows = Rows(file, "text")
    for line in lines(stream, file):
        loss = _LOSS.search(line)
        if loss is None:
            continue
        row = {"loss": _value(loss[1])}
        step = _STEP.search(line)
        if step is not None:
            row["step"] = _value(step[1])
        for quantity, pattern in _OTHERS.items():
            if match := pattern.search(line):
                row[quantity] = _value(match[1])
        rows.add(row)
    return rows.finish(dict.fromkeys(sorted(rows.seen), "text"))


def _value(text: str) -> float:
    found = number(text.replace(",", ""))
    return float("nan") if found is None else found
