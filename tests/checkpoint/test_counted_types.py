"""Counts of whole model types: exact or refused by name, and never wrong without a word.

`counted/class_defaults.jsonl.gz` holds the default configurations of 85 types with their true
totals, `counted/drawn.jsonl.gz` configurations of all types of transformers 5.24 that write text,
with sizes, switches and kinds of layers drawn anew (`tools.facts.instantiate` built them).
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from pytest_scratchverify.checkpoint.design import Tower, read_designs
from pytest_scratchverify.checkpoint.parameter_count import UncountableDesignError, count_parameters
from tools.facts.counted import EXACT, count_rows, main, read_rows, relative_error

FOLDER = Path(__file__).parent / "counted"
DEFAULTS = [*read_rows(FOLDER / "class_defaults.jsonl.gz")]
DRAWN = [*read_rows(FOLDER / "drawn.jsonl.gz")]
# Writers and readers of sound and pictures with configurations of their own, bytes, and hashes.
REFUSED = {
    "blt", "canary", "cohere_asr", "dia", "kyutai_speech_to_text", "moshi", "musicgen",
    "musicgen_melody", "reformer", "seamless_m4t", "seamless_m4t_v2", "speech-encoder-decoder",
    "speecht5", "udop", "vision-encoder-decoder",
}  # fmt: skip
# The composite's defaults and not the class's: an own width of heads of a part that is a Mistral.
OF_THE_COMPOSITE = {("mistral3", "head_dim")}
# A tower of vision without a vocabulary, and a model with a second decoder beside the text's.
NOT_COUNTABLE = {"pixtral", "qwen2_5_omni"}


def test_default_configurations_are_counted_exactly():
    found = count_rows(iter(DEFAULTS))
    assert {name for name, seen in found.items() if seen.errors} == set()
    assert {name for name, seen in found.items() if seen.refusals} == NOT_COUNTABLE
    assert sum(seen.exact for seen in found.values()) >= 0.95 * len(found)


def test_no_drawn_configuration_is_counted_wrong():
    found = count_rows(iter(DRAWN))
    assert {name: seen.errors for name, seen in found.items() if seen.errors} == {}
    assert sum(seen.exact for seen in found.values()) >= 0.93 * len(DRAWN)


def test_every_type_is_counted_by_its_defaults_or_named_here():
    first = {row.model_type: row for row in reversed(DRAWN)}
    found = count_rows(iter(first.values()))
    assert {name for name, seen in found.items() if not seen.exact} == REFUSED
    assert len(REFUSED) < 0.05 * len(first)


def test_a_key_left_out_is_never_read_as_another_number():
    """What a class would fill in is exact all the same, or the config is refused for it."""
    wrong = []
    for row in DEFAULTS:
        if row.model_type in NOT_COUNTABLE:
            continue
        text = row.config.get("text_config", row.config)
        for key in text.keys() - {"model_type", "tie_word_embeddings", "text_config"}:
            kept = {name: value for name, value in text.items() if name != key}
            made = {**row.config, "text_config": kept} if text is not row.config else kept
            try:
                error = relative_error(dataclasses.replace(row, config=made))
            except UncountableDesignError:
                continue
            wrong += [(row.model_type, key)] if abs(error) > EXACT else []
    assert [pair for pair in wrong if pair not in OF_THE_COMPOSITE] == []


def test_types_that_nobody_knows_are_counted_right_or_refused():
    """Every default configuration as though its type were new: no code is known, keys only.

    17 of the types were drawn before a rule was written and looked at last.
    """
    held = set(random.Random(20261126).sample(sorted({row.model_type for row in DEFAULTS}), 17))
    found = count_rows(iter(DEFAULTS), unseen=True)
    assert {name for name, seen in found.items() if seen.errors} == set()
    assert sum(seen.exact for seen in found.values()) >= 56
    assert sum(seen.exact for name, seen in found.items() if name in held) >= 10


def test_counts_of_unknown_types_are_never_certain():
    for row in DEFAULTS:
        if "text_config" in row.config or "thinker_config" in row.config:
            continue
        design = read_designs({**row.config, "model_type": "unseen"}).get(Tower.TEXT)
        try:
            assert design is None or not count_parameters(design).certain
        except UncountableDesignError:
            continue


def test_the_measure_can_fail():
    row = next(row for row in DEFAULTS if row.model_type == "qwen3")
    off = dataclasses.replace(row, parameters=int(row.parameters * 1.002))
    assert abs(relative_error(row)) < EXACT < abs(relative_error(off))


def test_the_command_prints_the_sums(capsys):
    main([str(FOLDER / "class_defaults.jsonl.gz"), "--wrong"])
    assert "0 wrong, of 85 model types" in capsys.readouterr().out


def layered(row):
    """The text config and its number of layers, where that is even and stated by itself."""
    text = row.config.get("text_config", row.config)
    number = text.get("num_hidden_layers")
    return (text, number) if isinstance(number, int) and number % 2 == 0 else None


@pytest.mark.parametrize(
    "row", [row for row in DEFAULTS if layered(row)][::9], ids=lambda row: row.model_type
)
def test_half_the_layers_are_nearly_half_the_layers_parameters(row):
    """A sum over layers, not a table of totals."""
    text, number = layered(row)
    lists = {k: v[::2] for k, v in text.items() if isinstance(v, list) and len(v) == number}
    halved = {**text, **lists, "num_hidden_layers": number // 2}
    whole, half = (count_parameters(read_designs(c)[Tower.TEXT]) for c in (text, halved))
    assert 0.4 < half.decoder / whole.decoder < 0.6
