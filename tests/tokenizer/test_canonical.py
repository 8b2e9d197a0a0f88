"""Properties: the canonical form depends on what was learnt, never on how it was written."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.tokenizer.compare import compare
from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer
from tests.tokenizer import toy

WORDS = st.lists(st.text("abcdé 가나", min_size=2, max_size=9), min_size=3, max_size=25)


def _learnt(words: list[str]) -> list[bytes]:
    merges = toy.learn([word.encode() for word in words], 40)
    return list(dict.fromkeys(a + b for a, b in merges))


def _json(tokens: list[bytes], merges=None, **how) -> Tokenizer:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        merges = toy.all_splits(tokens) if merges is None else merges
        return read_tokenizer(toy.write_tokenizer_json(path, tokens, merges, **how))


def _ranks(tokens: list[bytes]) -> Tokenizer:
    with TemporaryDirectory() as folder:
        return read_tokenizer(toy.write_tiktoken(Path(folder) / "x.tiktoken", tokens))


@settings(max_examples=40)
@given(WORDS)
def test_invariant_to_the_exporter(words):
    tokens = _learnt(words)
    one_each = [(t[:-1], t[-1:]) for t in tokens]
    forms = [_json(tokens), _json(tokens, one_each), _json(tokens, as_lists=True), _ranks(tokens)]
    assert {form.digest for form in forms} == {_ranks(tokens).digest}
    assert all(list(form.learned) == tokens for form in forms)


@settings(max_examples=30)
@given(WORDS, st.integers(0, 500), st.lists(st.text("<|xyz>", min_size=4), unique=True, max_size=5))
def test_invariant_to_added_tokens_and_id_offsets(words, shift, names):
    tokens = _learnt(words)
    names = [name for name in names if name.encode() not in tokens]
    first = 256 + len(tokens) + shift
    added = {name: first + place for place, name in enumerate(names)}
    plain, other = _json(tokens), _json(tokens, added=added, shift=shift)
    assert plain.digest == other.digest
    assert set(other.added) == set(names)
    pair = compare(plain, other)
    if pair.offset is not None:
        assert (pair.offset.offset, pair.offset.share) == (shift, 1.0)


@settings(max_examples=30)
@given(WORDS, st.randoms(use_true_random=False))
def test_invariant_to_ids_dealt_out_anew(words, rng: random.Random):
    tokens = _learnt(words)
    ids = list(range(256 + len(tokens)))
    rng.shuffle(ids)
    merges = [(t[:-1], t[-1:]) for t in tokens]
    shuffled = _json(tokens, merges, ids=ids)
    known = set(shuffled.learned)
    assert list(shuffled.learned) == [token for token in tokens if token in known]


@settings(max_examples=30)
@given(WORDS, WORDS)
def test_comparing_is_symmetric_where_it_says_so(one, two):
    a, b = _ranks(_learnt(one)), _ranks(_learnt(two))
    there, back = compare(a, b), compare(b, a)
    assert there.shared == back.shared
    assert there.jaccard == back.jaccard
    assert there.containment_a == back.containment_b
    assert there.order.neighbours == back.order.neighbours
    assert there.order.kendall is None or np.isclose(there.order.kendall, back.order.kendall)
    assert there.order.ordered_share == back.order.ordered_share


@settings(max_examples=20)
@given(WORDS)
def test_a_vocabulary_is_its_own_twin(words):
    a = _ranks(_learnt(words))
    pair = compare(a, a)
    assert pair.identical
    assert pair.containment_a == pair.containment_b == (1.0 if len(a.learned) else 0.0)
