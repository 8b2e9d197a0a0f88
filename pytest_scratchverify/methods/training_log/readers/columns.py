"""Quantities of a log's columns, guessed by name; an explicit choice always wins.

Names come as ``train/lm_loss``, ``run-7 - train/loss`` (W&B), ``lm loss`` (Megatron) or
``eval/pile-validation/CrossEntropyLoss`` (OLMo). A training loss is preferred; a held-out
loss is taken only where there is no other, and the log says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.metric_names import OTHER_METRIC, plain_name
from pytest_scratchverify.methods.training_log.readers.log import (
    GIVE_COLUMNS,
    QUANTITIES,
    malformed,
    no_loss,
)

MAX_NAMES = 10_000
_EXACT = {
    "step": ("step", "_step", "global_step", "iteration", "iter", "steps", "update", "it", "s",
             "current_steps", "current_step", "global_steps", "num_updates", "iter_num",
             "train_step", "training_step", "optimizer_step", "trainer_step"),
    # the text's own loss stands before a sum with others in it
    "loss": ("lm_loss", "ce_loss", "crossentropyloss", "cross_entropy_loss", "cross_entropy",
             "crossentropy", "nll_loss", "loss", "train_loss", "training_loss", "trl", "loss_train",
             "global_avg_loss", "reduced_train_loss", "avg_loss", "loss_avg", "mean_loss",
             "train_loss_step"),
    "lr": ("lr", "learning_rate", "learning_rate_group0", "lr_group0"),
    "grad_norm": ("grad_norm", "gradient_norm", "global_grad_norm", "gnorm", "total_grad_norm",
                  "norm"),
    "tokens": ("tokens", "total_tokens", "num_input_tokens_seen", "tokens_seen",
               "consumed_tokens", "num_tokens", "trained_tokens", "n_tokens_seen",
               "consumed_train_tokens"),
    "batch": ("batch_size_in_tokens", "tokens_per_step", "batch_tokens"),
    "rank": ("rank", "global_rank", "process_rank"),
}  # fmt: skip
_HELD_OUT = re.compile(
    r"(^|[/_. -])(eval|evaluation|val|valid|validation|test|dev|held_?out)([/_. -]|$)"
)
_OTHER_LOSS = re.compile(
    "aux|z_?loss|balanc|router|mtp|penalty|regulari|contrast|reward|value_loss"
)
_EXTREMES = re.compile(r"__(min|max)$", re.IGNORECASE)


def is_step(name: str) -> bool:
    """Whether a name is that of a step, an iteration or an update."""
    return _rank("step", name) is not None


def is_loss(name: str) -> bool:
    """Whether a name is that of a loss, of whatever text."""
    return _rank("loss", name) is not None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which column holds which quantity, and whether the loss is of held-out text."""

    names: Mapping[str, str]
    evaluation: bool


def choose_columns(names: Sequence[str], given: Mapping[str, str] | None, file: str) -> Chosen:
    """Map quantities to column names. Raises `Unavailable` where a loss cannot be told."""
    given = given or {}
    if len(names) > MAX_NAMES:
        raise malformed(file, Text("it has more than {n} columns", n=MAX_NAMES))
    unknown = [q for q in given if q not in QUANTITIES]
    missing = [name for name in given.values() if name not in names]
    if unknown or missing:
        raise Unavailable(
            Reason.ABSENT,
            Text(
                "{file} has no column {name}; it has {columns}.",
                file=file,
                name=(missing or unknown)[0],
                columns=[*names[:12]],
            ),
            GIVE_COLUMNS,
        )
    found = dict(given)
    for quantity in QUANTITIES:
        if quantity not in found:
            best = _best(quantity, [n for n in names if not _EXTREMES.search(n)], file)
            if best is not None:
                found[quantity] = best
    if "loss" not in found:
        raise no_loss(file)
    return Chosen(found, bool(_HELD_OUT.search(plain_name(found["loss"]))))


def _best(quantity: str, names: Sequence[str], file: str) -> str | None:
    ranked = sorted(
        (rank, at, name)
        for at, name in enumerate(names)
        if (rank := _rank(quantity, name)) is not None
    )
    if not ranked:
        return None
    if quantity == "loss" and ranked[0][0] < HELD_OUT_RANK:
        runs = {_run(name) for rank, _, name in ranked if rank == ranked[0][0]}
        if len(runs) > 1:
            raise Unavailable(
                Reason.MALFORMED,
                Text(
                    "{file} holds the losses of several runs: {runs}.",
                    file=file,
                    runs=sorted(runs)[:6],
                ),
                GIVE_COLUMNS,
            )
    return ranked[0][2]


HELD_OUT_RANK = 100


@lru_cache(maxsize=4096)
def _rank(quantity: str, name: str) -> int | None:
    """Return how well a name fits a quantity: 0 best, None not at all."""
    plain = plain_name(name)
    last = plain.rsplit("/", 1)[-1]
    held_out = HELD_OUT_RANK if _HELD_OUT.search(plain) else 0
    if last in _EXACT[quantity]:
        rank = 2 * _EXACT[quantity].index(last) + (0 if "/" not in plain or "train" in plain else 1)
        return rank + held_out if quantity == "loss" else rank
    if quantity != "loss" or _OTHER_LOSS.search(plain):
        return None
    if OTHER_METRIC.search(plain):
        return 60 + held_out
    if last.endswith("loss") or (last in ("total", "train_total") and "loss" in plain):
        return 50 + held_out
    return None


def _run(name: str) -> str:
    return name.rsplit(" - ", 1)[0] if " - " in name else ""
