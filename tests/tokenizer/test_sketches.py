"""Shipped sketches stand in for files, with a known error."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.tokenizer.compare import SAMPLE, compare
from pytest_scratchverify.tokenizer.sketch import (
    KEEP,
    SHIPPED,
    add_sketch,
    load_sketches,
    rate_for,
    sketch_for,
)
from tests.tokenizer import toy
from tests.tokenizer.real_tokenizers import real
from tools.facts.artifact_registry import TOKENIZERS, tokenizer_path


def test_every_registered_tokenizer_is_sketched():
    names = {name for sketch in load_sketches() for name in (sketch.name, *sketch.aliases)}
    assert names == set(TOKENIZERS)


def test_sketches_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 8 * 2**20


@pytest.mark.parametrize("sketch", load_sketches(), ids=lambda sketch: sketch.name)
def test_a_sketch_is_a_sample_of_its_file(sketch):
    whole, kept = real(sketch.name).keys, sketch.keys
    expected = whole.thin(sketch.rate)
    assert np.array_equal(kept.keys, expected.keys)
    assert np.array_equal(kept.ranks, expected.ranks)
    assert np.array_equal(kept.ids, expected.ids)
    assert kept.size == whole.size
    assert sketch.rate == rate_for(whole.size)
    assert len(kept.keys) > 0.95 * min(KEEP, whole.size)
    assert sketch.digest == real(sketch.name).digest
    assert sketch.sizes == real(sketch.name).sizes


def test_order_statistics_have_no_sketch_error_where_enough_is_shared():
    """The sample of smallest keys is the same tokens, whichever side is a sketch."""
    sketches = {sketch.name: sketch for sketch in load_sketches()}
    equal = 0
    for a, b in combinations(["llama3", "qwen3", "cl100k", "deepseek-v3", "gemma3", "llama4"], 2):
        files = compare(real(a), real(b))
        for pair in (
            compare(real(a), sketches[b]),
            compare(sketches[a], real(b)),
            compare(sketches[a], sketches[b]),
        ):
            if pair.order.n == SAMPLE:
                assert pair.order == files.order
                equal += 1
    assert equal > 30


def test_containment_error_is_within_its_bound():
    """An estimate from a fraction r of the keys errs by less than 4 standard errors."""
    sketches = {sketch.name: sketch for sketch in load_sketches()}
    for a, b in combinations(["llama3", "mistral", "gpt2", "deepseek-v3", "gemma3", "bert"], 2):
        exact, estimate = compare(real(a), real(b)), compare(sketches[a], sketches[b])
        error = 4 * np.sqrt(exact.shared * (1 - estimate.rate) / estimate.rate) + 1
        assert abs(exact.shared - estimate.shared) <= error


def test_a_sketch_names_no_learnt_token():
    text = (SHIPPED / "index.json").read_text("utf-8")
    listed = json.loads(text)
    assert all(set(entry) >= {"name", "digest", "sizes"} for entry in listed["sketches"])
    assert all("learned_tokens" not in entry for entry in listed["sketches"])
    assert "quixotic" not in text


def test_repositories_find_their_sketch():
    assert sketch_for("Qwen/Qwen2.5-7B").digest == real("qwen3").digest
    assert sketch_for("deepseek-ai/DeepSeek-V3").name == "deepseek-v3"
    assert sketch_for("nobody/nothing") is None


def test_a_sketch_is_added_and_joined(tmp_path):
    tokens = [b"th", b"the", b"in"]
    file = toy.write_tiktoken(tmp_path / "x.tiktoken", tokens)
    first = add_sketch(file, "one", folder=tmp_path / "s", repos=["org/one"], source="here")
    assert (first.learned, first.rate) == (3, 1.0)
    again = add_sketch(file, "two", folder=tmp_path / "s", repos=["org/two"])
    assert (again.name, list(again.aliases)) == ("one", ["two"])
    assert list(again.repos) == ["org/one", "org/two"]
    add_sketch(tokenizer_path("gpt2"), "gpt2", folder=tmp_path / "s")
    loaded = load_sketches(tmp_path / "s")
    assert [sketch.name for sketch in loaded] == ["gpt2", "one"]
    assert sorted(loaded[1].keys.ranks.tolist()) == [0, 1, 2]
    assert sketch_for("org/two", tmp_path / "s").name == "one"


def test_bad_names_and_folders_are_refused(tmp_path):
    with pytest.raises(ScratchError, match="cannot name a sketch"):
        add_sketch(tmp_path, "../evil", folder=tmp_path)
    with pytest.raises(ScratchError, match="cannot be read"):
        load_sketches(tmp_path)
