"""Parameters of an encoder and a decoder of text, as BART's kin and T5's have them.

Sizes in comments: d is the residual width. Both stacks look tokens up in one table, which is the
output head too where that is tied.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_scratchverify.checkpoint.composite import TIE_IN_DISPUTE
from pytest_scratchverify.checkpoint.counting.feed_forward import NOTHING, FeedForward
from pytest_scratchverify.checkpoint.counting.keys import (
    MOST_LAYERS,
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.pairs import DECODER, ENCODER, Pair, has_encoder
from pytest_scratchverify.checkpoint.counting.parts import Parts
from pytest_scratchverify.checkpoint.counting.sound import stack_of_sides, stem

Stack = Callable[[Keys, Pair, str], Parts]


def count_pair(keys: Keys, pair: Pair) -> Parts:
    """Return the parts of an encoder with a decoder, or of the decoder alone."""
    if keys.flag("use_prompt"):  # MVP's
        raise UnknownLayerError("use_prompt")
    hidden = keys.need("hidden_size")
    vocabulary = keys.need("tgt_vocab_size" if pair.own_tables else "vocab_size")
    sides = (ENCODER, DECODER) if has_encoder(keys, pair) else (DECODER,)
    _refuse_doubtful_tables(keys, pair, both=len(sides) > 1)
    if len(sides) == 1:
        vocabulary = keys.size("decoder_vocab_size") or vocabulary  # Marian
    stack: Stack = _stack_like_t5 if pair.relative else _stack_like_bart
    stacks = [(stack_of_sides if pair.sided else stack)(keys, pair, side) for side in sides]
    tied = keys.value("tie_word_embeddings")
    known = isinstance(tied, bool)
    mlp = NOTHING
    for one in stacks:
        mlp = mlp + one.mlp
    logits = vocabulary if pair.logits_bias and len(sides) > 1 else 0
    rows = vocabulary + sum(keys.need(name) for name in pair.rows)
    rows += keys.need("src_vocab_size") if pair.own_tables else 0
    return Parts(
        embeddings=rows * hidden + sum(one.embeddings for one in stacks),
        lm_head=vocabulary * hidden,
        tied=tied is not False and not (pair.never_tied or pair.own_tables),
        mixers=sum(one.mixers for one in stacks),
        mlp=mlp + FeedForward(0, 0, logits),
        norms=sum(one.norms for one in stacks),
        beside=sum(one.beside for one in stacks) + (stem(keys, pair) if len(sides) > 1 else 0),
        assumed=() if known else ("tie_word_embeddings",),
    )


def _refuse_doubtful_tables(keys: Keys, pair: Pair, *, both: bool) -> None:
    """Raise for a config by which there are two tables or four, by the release that wrote it."""
    if not keys.flag("share_encoder_decoder_embeddings", default=True):  # Marian
        raise UnknownLayerError("share_encoder_decoder_embeddings")
    tied = keys.value("tie_word_embeddings")
    if pair.own_tables:
        doubtful = tied is True
    else:
        doubtful = both and (tied is False or keys.flag(TIE_IN_DISPUTE)) and not pair.own_head
    if doubtful:
        raise UncountableDesignError("tie_word_embeddings")


def _layers(keys: Keys, *names: str) -> int:
    number = keys.need(*names)
    if not 0 < number <= MOST_LAYERS:
        raise UncountableDesignError(names[0])
    return number


def _routing(keys: Keys, pair: Pair, side: str, number: int, first: int) -> int:
    """Return how many layers route between experts: every so many, `first` the first."""
    step = keys.size(f"{side}_sparse_step") if pair.sparse else None
    if not step:
        return 0
    return len([n for n in range(number) if step == 1 or n % step == first % step])


def _mlps(keys: Keys, dense: int, expert: int, number: tuple[int, int]) -> FeedForward:
    """Return the MLPs of one stack, of which `number` are dense and sparse layers."""
    plain, sparse = number
    found = FeedForward(plain * dense, plain * dense)
    if not sparse:
        return found
    hidden, experts = keys.need("hidden_size"), keys.need("n_routed_experts")
    router = hidden * experts + (experts if keys.flag("router_bias") else 0)
    return found + FeedForward(sparse * (experts * expert + router), None)


def _stack_like_bart(keys: Keys, pair: Pair, side: str) -> Parts:
    """Return an encoder or a decoder with biases and norms of two vectors everywhere."""
    hidden = keys.need("hidden_size")
    number = _layers(keys, f"{side}_layers", f"num_{side}_layers")
    wide = keys.need(f"{side}_ffn_dim")
    crossing = side == DECODER
    square = hidden * hidden
    bias = hidden if keys.flag("use_bias", default=pair.biased) else 0
    biases = (3 if pair.no_key_bias else 4) * bias
    mixer = 4 * square + biases
    if crossing:
        source = keys.size("cross_attention_hidden_size") or hidden
        mixer += 2 * square + 2 * source * hidden + biases
    if pair.global_attention and side == ENCODER:
        mixer += 3 * (square + hidden)
    rows = _positions(keys, pair, side)
    if pair.ahead and side == DECODER:  # ProphetNet looks several tokens ahead
        rows += keys.need("ngram")
        buckets = keys.need("num_buckets") * keys.need("num_decoder_attention_heads")
        mixer += buckets * (hidden + 1)
    mlp = 2 * hidden * wide + wide + hidden
    sparse = _routing(keys, pair, side, number, first=-1)
    norms = 2 + crossing + (pair.global_norm and side == ENCODER)
    beside = (keys.size("num_global_tokens") or 0) * hidden if pair.global_norm else 0
    around = keys.flag("layernorm_embedding", default=pair.embedding_norm)
    return Parts(
        embeddings=rows * hidden,
        lm_head=0,
        tied=True,
        mixers=number * mixer,
        mlp=_mlps(keys, mlp, mlp, (number - sparse, sparse)),
        norms=2 * hidden * (number * norms + around + pair.final_norm),
        beside=beside if side == ENCODER else 0,
    )


def _positions(keys: Keys, pair: Pair, side: str) -> int:
    """Return how many positions a stack learns."""
    if pair.positions is None or not keys.flag("use_learned_position_embeddings", default=True):
        return 0
    sound = {ENCODER: "max_source_positions", DECODER: "max_target_positions"}
    names = (f"max_{side}_position_embeddings", "max_position_embeddings", sound[side])
    return keys.need(*names) + pair.positions


def _stack_like_t5(keys: Keys, pair: Pair, side: str) -> Parts:
    """Return an encoder or a decoder without biases, whose positions are distances."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    names = ("num_hidden_layers",)
    number = _layers(keys, *(("num_decoder_layers", *names) if side == DECODER else names))
    inner, wide = heads * keys.need("d_kv"), keys.need("intermediate_size")
    inner = hidden if pair.square else inner
    attention = 4 * hidden * inner
    crossing = side == DECODER
    biased = number if pair.relative == "all" else 1
    beside = biased * keys.need("relative_attention_num_buckets") * heads
    if side == ENCODER and keys.text("encoder_attention_type") == "transient-global":
        beside += keys.need("relative_attention_num_buckets") * heads + number * hidden
    mlp = (3 if _is_gated(keys, pair) else 2) * hidden * wide
    sparse = _routing(keys, pair, side, number, first=1)
    return Parts(
        embeddings=0,
        lm_head=0,
        tied=True,
        mixers=number * attention * (2 if crossing else 1),
        mlp=_mlps(keys, mlp, mlp, (number - sparse, sparse)),
        norms=hidden * (number * (3 if crossing else 2) + 1),
        beside=beside,
    )


def _is_gated(keys: Keys, pair: Pair) -> bool:
    if pair.gated is not None:
        return pair.gated
    stated, word = keys.value("is_gated_act"), keys.text("feed_forward_proj")
    if isinstance(stated, bool):
        return stated
    if word is None and pair.silent is not None:
        return pair.silent
    if word is None:
        raise UncountableDesignError("feed_forward_proj")
    return word.startswith("gated-")
