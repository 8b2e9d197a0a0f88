"""Real pairs of known truth, as issue 3 lists them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_scratchverify.methods.tokenizer.rank_order import decide
from pytest_scratchverify.methods.tokenizer.relation import Relation, Way
from pytest_scratchverify.tokenizer.compare import compare
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer
from tests.tokenizer.real_tokenizers import real

KNOWN = [
    ("llama3", "llama3-tiktoken", Relation.SAME),
    ("llama3-gguf", "llama3-tiktoken", Relation.SAME),
    ("llama3", "cl100k", Relation.EXTENDS),
    ("qwen3", "cl100k", Relation.DERIVED),  # Qwen left 1.1 % of cl100k out
    ("qwen3.6", "cl100k", Relation.DERIVED),
    ("olmo2", "cl100k", Relation.SAME),  # the vocabulary is cl100k's; OLMo-2 adds specials only
    ("qwen2.5", "qwen3", Relation.SAME),
    ("phi-3", "llama2", Relation.SAME),
    ("deepseek-v4", "deepseek-v3", Relation.SAME),
    ("deepseek-llm", "deepseek-coder", Relation.DERIVED),
    ("gemma-4", "gemma3", Relation.SAME),
    ("llama3", "qwen3", Relation.SHARED_ANCESTRY),
    ("refact", "starcoder", Relation.SHARED_ANCESTRY),
    ("deepseek-v3", "llama3", Relation.INDEPENDENT),
    ("deepseek-v3", "cl100k", Relation.INDEPENDENT),
    ("deepseek-v3", "qwen3", Relation.INDEPENDENT),
    ("deepseek-v3", "deepseek-llm", Relation.INDEPENDENT),
    ("mistral", "gemma3", Relation.INDEPENDENT),
    ("mistral", "llama2", Relation.INDEPENDENT),
    ("whisper", "gpt2", Relation.INDEPENDENT),
    ("llama4", "o200k", Relation.INDEPENDENT),
    ("bert", "xlm-roberta", Relation.INDEPENDENT),
    ("aquila", "neox-pii", Relation.INCONCLUSIVE),  # tau .89, undocumented: see the docs
]


@pytest.mark.parametrize(("suspect", "reference", "relation"), KNOWN, ids=str)
def test_known_pair(suspect, reference, relation, calibration):
    pair, verdict = decide(real(suspect), real(reference), calibration)
    assert verdict.relation is relation, pair
    back = decide(real(reference), real(suspect), calibration)[1]
    assert back.relation is relation
    assert back.pvalue == verdict.pvalue


def test_mistral_overlaps_gemma3_almost_wholly_and_is_independent(calibration):
    pair, verdict = decide(real("mistral"), real("gemma3"), calibration)
    assert pair.containment_a > 0.97
    assert pair.containment_b < 0.13
    assert verdict.inherited < 0.05
    assert verdict.detectable < 0.15


def test_llama3_and_qwen_share_cl100k_and_nothing_beyond(calibration):
    _, verdict = decide(real("llama3"), real("qwen3"), calibration)
    assert verdict.via == "cl100k"
    assert verdict.pvalue < 1e-100


def test_who_holds_whom(calibration):
    assert decide(real("llama3"), real("cl100k"), calibration)[1].way is Way.A_HOLDS_B
    assert decide(real("cl100k"), real("llama3"), calibration)[1].way is Way.B_HOLDS_A
    assert decide(real("p50k"), real("gpt2"), calibration)[1].way is Way.BOTH


def test_whole_orders_give_the_published_numbers():
    """facts/tokenizer_pairs.csv: Kendall .9923 and LIS 90.7 % of 109,310 shared merges."""
    pair = compare(real("llama3"), real("qwen3"), sample=None)
    assert pair.order.n == pair.shared == 109_310
    assert pair.order.kendall == pytest.approx(0.9923, abs=1e-4)
    assert pair.order.ordered_share == pytest.approx(0.907, abs=1e-3)


def _made_from(base: Tokenizer, keep: float, own: int, seed: int, *, jitter: int = 0) -> Tokenizer:
    """A vocabulary that somebody made from `base`: tokens dropped, added, locally reordered."""
    rng = np.random.default_rng(seed)
    kept = [t for t in base.learned if rng.random() < keep]
    if jitter:
        places = np.arange(len(kept)) + rng.uniform(0, jitter, len(kept))
        kept = [kept[i] for i in np.argsort(places)]
    added = [b"\xed\x95\x9c" + str(i).encode() for i in range(own)]
    learned = kept + added
    ids = np.arange(len(learned), dtype=np.int32) + 1000
    return replace(base, name="made", learned=learned, learned_ids=ids, unranked=())


@pytest.mark.parametrize(
    ("keep", "own", "relation"),
    [
        (1.0, 10_000, Relation.EXTENDS),
        (0.97, 10_000, Relation.DERIVED),
        (0.97, 100_000, Relation.DERIVED),
        (0.6, 0, Relation.EXTENDS),  # a subset: the base extends it
        (0.6, 40_000, Relation.SHARED_ANCESTRY),
        (0.2, 100_000, Relation.SHARED_ANCESTRY),
    ],
)
def test_disguised_descendants_are_never_independent(keep, own, relation, calibration):
    base = real("deepseek-v3")
    _, verdict = decide(_made_from(base, keep, own, 3), base, calibration)
    assert verdict.relation is relation


@pytest.mark.parametrize("jitter", [10, 100, 1000])
def test_local_reordering_is_seen_or_left_open(jitter, calibration):
    """Shuffling neighbours hides a copy from neighbours; tau still keeps it from being clean."""
    base = real("deepseek-v3")
    _, verdict = decide(_made_from(base, 1.0, 5000, 4, jitter=jitter), base, calibration)
    assert verdict.relation is not Relation.INDEPENDENT


def test_too_few_shared_tokens_decide_nothing(calibration):
    base = real("deepseek-v3")
    few = replace(base, name="few", learned=base.learned[:100], learned_ids=base.learned_ids[:100])
    other = real("llama3")
    assert decide(few, other, calibration)[1].relation is Relation.INCONCLUSIVE
