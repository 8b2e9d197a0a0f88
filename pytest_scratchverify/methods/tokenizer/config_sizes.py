"""Consistency of vocabulary sizes: whether config and tokenizer belong to one model.

"Vocabulary size" names three things: ranks, ranks with specials, and embedding rows. A
config states the third. Padding rows are normal; ids beyond the tokenizer are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis

if TYPE_CHECKING:
    from pytest_scratchverify.core.json_values import Json
    from pytest_scratchverify.tokenizer.vocabulary import Sizes

# Rows are padded for the hardware, at most to a multiple of this in any config we know.
PADDING_STEP = 1024
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Stated:
    """What a config says of its vocabulary: embedding rows, and the highest id it uses."""

    rows: int | None
    highest_id: int | None
    highest_name: str | None


class SizeRelation(StrEnum):
    """What a config's vocabulary size and ids are to a tokenizer's."""

    NOT_STATED = "not stated"
    TOO_FEW_ROWS = "ids beyond the embedding rows"
    FOREIGN_ID = "an id beyond the tokenizer"
    TOO_MANY_ROWS = "more rows than padding explains"
    AGREE = "agree"

    @property
    def contradicts(self) -> bool:
        """Whether config and tokenizer exclude each other."""
        return self not in (SizeRelation.NOT_STATED, SizeRelation.AGREE)


HEADLINES: Mapping[SizeRelation, str] = {
    SizeRelation.NOT_STATED: "The config states no vocabulary size to compare with the"
    " tokenizer's.",
    SizeRelation.TOO_FEW_ROWS: "The tokenizer has ids up to {highest} but the config only {rows}"
    " embedding rows: they belong to different models.",
    SizeRelation.FOREIGN_ID: "The config uses id {id} ({name}), but the tokenizer ends at {last}:"
    " it belongs to another model.",
    SizeRelation.TOO_MANY_ROWS: "The config has {rows} embedding rows for a tokenizer that needs"
    " {needed}: more than padding explains, so they may belong to different models.",
    SizeRelation.AGREE: "Sizes agree: {ranks} ranks, {with_specials} with specials, highest id"
    " {highest}, {rows} embedding rows. Sizes say nothing about the weights.",
}


def size_consistency(model: str, sizes: Sizes, config: Mapping[str, Json]) -> Finding:
    """Check a config's vocabulary size and token ids against the tokenizer that came with it.

    A contradiction means that one of the two files belongs to another model, so that no
    statement about this tokenizer is a statement about this model.
    """
    stated = stated_by(config)
    if stated.rows is None:
        found, outcome = SizeRelation.NOT_STATED, Outcome.NOT_APPLICABLE
    else:
        found = size_relation(sizes.rows, stated)
        outcome = Outcome.INDETERMINATE if found.contradicts else Outcome.CONSISTENT
    counts = {"ranks": sizes.ranks, "with_specials": sizes.with_specials}
    return Hypothesis(
        method="tokenizer.size_consistency",
        component=Component.TOKENIZER,
        model=model,
        statement=Text("The config and the tokenizer belong to the same model."),
        dependence_group="tokenizer.sizes",
    ).finding(
        outcome,
        _headline(found, sizes.rows, stated, counts),
        level=Level.E2,
        kinds=("contradiction" if found.contradicts else "sizes",),
        statistic=Statistic(name="rows_needed_by_tokenizer", value=sizes.rows),
        remedy=Text("Compare the repositories and commits that config and tokenizer came from.")
        if found.contradicts
        else None,
        details={
            **counts,
            "padding_tokens": sizes.padding,
            "rows_tokenizer": sizes.rows,
            "rows_config": stated.rows,
            "highest_id_in_config": stated.highest_id,
            "highest_id_key": stated.highest_name,
        },
    )


def size_relation(tokenizer_rows: int, stated: Stated) -> SizeRelation:
    """Return the first way in which a tokenizer's ids and a config exclude each other, or AGREE."""
    rows, highest = stated.rows, stated.highest_id
    if rows is not None and tokenizer_rows > rows:
        return SizeRelation.TOO_FEW_ROWS
    if highest is not None and highest >= tokenizer_rows:
        return SizeRelation.FOREIGN_ID
    if rows is not None and rows - tokenizer_rows > _most_padding(tokenizer_rows):
        return SizeRelation.TOO_MANY_ROWS
    return SizeRelation.AGREE


def contradiction_between(tokenizer_rows: int, stated: Stated) -> Text | None:
    """Return the sentence on a contradiction of a tokenizer's ids and a config, if there is one."""
    found = size_relation(tokenizer_rows, stated)
    return _headline(found, tokenizer_rows, stated, {}) if found.contradicts else None


def _headline(
    found: SizeRelation, tokenizer_rows: int, stated: Stated, counts: Mapping[str, int]
) -> Text:
    return Text.filled(
        HEADLINES[found],
        {
            **counts,
            "highest": tokenizer_rows - 1,
            "last": tokenizer_rows - 1,
            "needed": tokenizer_rows,
            "rows": stated.rows,
            "id": stated.highest_id,
            "name": stated.highest_name,
        },
    )


def _most_padding(rows: int) -> int:
    # A reserve of two per cent occurs (Phi-3, Mistral-Nemo), the rest is rounding.
    return max(PADDING_STEP, rows // 50) + PADDING_STEP


def stated_by(config: Mapping[str, Json]) -> Stated:
    """Embedding rows and the highest token id of a config, text models inside included."""
    text = config.get("text_config") or config.get("llm_config") or {}
    inner = text if isinstance(text, dict) else {}
    rows = next((v for v in (inner.get("vocab_size"), config.get("vocab_size")) if _is_id(v)), None)
    ids = max(token_ids(config), default=None)
    return Stated(
        rows=rows if isinstance(rows, int) else None,
        highest_id=ids[0] if ids else None,
        highest_name=ids[1] if ids else None,
    )


def token_ids(config: object, depth: int = 0) -> Iterator[tuple[int, str]]:
    """Every token id of a config with the key that holds it: ``eos_token_id``, lists too."""
    if depth > MAX_DEPTH or not isinstance(config, dict):
        return
    for key, value in config.items():
        named = isinstance(key, str) and key.endswith(("_token_id", "_token_index"))
        for one in value if isinstance(value, list) else [value]:
            if named and _is_id(one):
                yield one, key
            else:
                yield from token_ids(one, depth + 1)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
