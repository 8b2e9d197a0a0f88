"""Whether a config and a tokenizer can belong to the same model.

"Vocabulary size" names three things: ranks, ranks with specials, and embedding rows. A
config states the third. Padding rows are normal; ids beyond the tokenizer are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text

if TYPE_CHECKING:
    from pytest_scratchverify.core.json_values import Json
    from pytest_scratchverify.tokenizer.vocabulary import Sizes

METHOD = "tokenizer.size_consistency"
# Rows are padded for the hardware, at most to a multiple of this in any config we know.
PADDING_STEP = 1024
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Stated:
    """What a config says of its vocabulary: embedding rows, and the highest id it uses."""

    rows: int | None
    highest_id: int | None
    highest_name: str | None


def size_consistency(model: str, sizes: Sizes, config: Mapping[str, Json]) -> Finding:
    """The config's vocabulary size and token ids fit the tokenizer that came with it.

    A contradiction means that one of the two files belongs to another model, so that no
    statement about this tokenizer is a statement about this model.
    """
    stated = stated_by(config)
    if stated.rows is None:
        return _finding(model, Outcome.NOT_APPLICABLE, _NO_SIZE, sizes, stated)
    contradiction = contradiction_between(sizes.rows, stated)
    if contradiction is not None:
        return _finding(model, Outcome.INDETERMINATE, contradiction, sizes, stated)
    words = Text(
        "Sizes agree: {ranks} ranks, {with_specials} with specials, highest id {highest},"
        " {rows} embedding rows. Sizes say nothing about the weights.",
        ranks=sizes.ranks, with_specials=sizes.with_specials,
        highest=sizes.rows - 1, rows=stated.rows,
    )  # fmt: skip
    return _finding(model, Outcome.CONSISTENT, words, sizes, stated)


_NO_SIZE = Text("The config states no vocabulary size to compare with the tokenizer's.")


def contradiction_between(tokenizer_rows: int, stated: Stated) -> Text | None:
    """The first way in which a tokenizer's ids and a config exclude each other, if any."""
    rows, highest = stated.rows, stated.highest_id
    if rows is not None and tokenizer_rows > rows:
        return Text(
            "The tokenizer has ids up to {highest} but the config only {rows} embedding rows:"
            " they belong to different models.",
            highest=tokenizer_rows - 1, rows=rows,
        )  # fmt: skip
    if highest is not None and highest >= tokenizer_rows:
        return Text(
            "The config uses id {id} ({name}), but the tokenizer ends at {last}:"
            " it belongs to another model.",
            id=highest, name=stated.highest_name, last=tokenizer_rows - 1,
        )  # fmt: skip
    if rows is not None and rows - tokenizer_rows > _most_padding(tokenizer_rows):
        return Text(
            "The config has {rows} embedding rows for a tokenizer that needs {needed}: more than"
            " padding explains, so they may belong to different models.",
            rows=rows, needed=tokenizer_rows,
        )  # fmt: skip
    return None


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


def _finding(model: str, outcome: Outcome, words: Text, sizes: Sizes, stated: Stated) -> Finding:
    return Finding(
        method=METHOD,
        component=Component.TOKENIZER,
        model=model,
        outcome=outcome,
        headline=words,
        hypothesis=Text("The config and the tokenizer belong to the same model."),
        level=Level.E2,
        direction=Direction.NONE,
        kinds=("contradiction" if outcome is Outcome.INDETERMINATE else "sizes",),
        statistic=Statistic(name="rows_needed_by_tokenizer", value=sizes.rows),
        dependence_group="tokenizer.sizes",
        remedy=Text("Compare the repositories and commits that config and tokenizer came from.")
        if outcome is Outcome.INDETERMINATE
        else None,
        details={
            "ranks": sizes.ranks,
            "with_specials": sizes.with_specials,
            "padding_tokens": sizes.padding,
            "rows_tokenizer": sizes.rows,
            "rows_config": stated.rows,
            "highest_id_in_config": stated.highest_id,
            "highest_id_key": stated.highest_name,
        },
    )
