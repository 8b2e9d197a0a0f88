"""Parameters beside the layers: look-up tables, the output head, what several layers share."""

from __future__ import annotations

from pytest_scratchverify.checkpoint.composite import TIE_IN_DISPUTE
from pytest_scratchverify.checkpoint.counting.decoder import count_layers
from pytest_scratchverify.checkpoint.counting.feed_forward import assumes_gate
from pytest_scratchverify.checkpoint.counting.keys import MOST_LAYERS, Keys, UnknownLayerError
from pytest_scratchverify.checkpoint.counting.parts import Parts
from pytest_scratchverify.checkpoint.counting.recurrences import shared_block
from pytest_scratchverify.checkpoint.counting.traits import Traits


def decoder_parts(keys: Keys, traits: Traits) -> Parts:
    """Return the parts of one decoder of text."""
    hidden = keys.need("hidden_size")
    embeddings = embedding_table(keys, traits)
    assumed = [] if traits.known or not assumes_gate(keys) else ["gated_mlp"]
    layers = count_layers(keys, traits)
    tied, table, bias = head(keys, traits, assumed)
    final = traits.final_norm and keys.value("do_layer_norm_before") is not False  # OPT-350m
    return Parts(
        embeddings=embeddings,
        lm_head=table if tied else table + bias,
        tied=tied,
        mixers=layers.mixers,
        mlp=layers.mlp,
        norms=layers.norms + final * hidden * (2 if traits.norm_bias else 1),
        beside=beside_layers(keys, traits) + (bias if tied else 0),
        largest=layers.largest,
        assumed=tuple(assumed),
    )


def embedding_table(keys: Keys, traits: Traits) -> int:
    """Return the look-up tables: of tokens, of learned positions, of tokens for every layer."""
    hidden = keys.need("hidden_size")
    count = keys.need("vocab_size") * _table_width(keys)
    if traits.positions is not None:
        count += (keys.need("max_position_embeddings") + traits.positions) * hidden
    count += _rows(keys, traits) * hidden
    width = keys.size("hidden_size_per_layer_input")
    if width:
        count += keys.need("vocab_size_per_layer_input") * width * keys.need("num_hidden_layers")
    return count


def _table_width(keys: Keys) -> int:
    """Return the width of the table of tokens: OPT's may be narrower than its residual stream."""
    return keys.size("word_embed_proj_dim") or keys.need("hidden_size")


def _rows(keys: Keys, traits: Traits) -> int:
    """Return how many rows the small tables have: of segments, tasks, languages, prompts."""
    count = traits.segments + sum(keys.size(name) or 0 for name in traits.rows)
    if keys.flag("use_task_id"):  # ERNIE
        count += keys.need("task_type_vocab_size")
    languages = keys.size("n_langs") or 0  # XLM
    if languages > 1 and keys.flag("use_lang_emb", default=True):
        count += languages
    if traits.prompts:
        count += keys.need("prompt_types") * keys.need("prompt_length")
        count += keys.need("segment_types")
    return count


def head(keys: Keys, traits: Traits, assumed: list[str]) -> tuple[bool, int, int]:
    """Say whether the output head is the embedding table, how large it is, and its bias."""
    tied = False if traits.never_tied else keys.value("tie_word_embeddings")
    if not isinstance(tied, bool):
        tied = traits.tied
    if tied is None or keys.flag(TIE_IN_DISPUTE):
        assumed.append("tie_word_embeddings")
    vocabulary = keys.need("vocab_size")
    bias = vocabulary if keys.flag("lm_head_bias", default=traits.head_bias) else 0
    return bool(tied), vocabulary * _table_width(keys), bias


def beside_layers(keys: Keys, traits: Traits) -> int:
    """Return what stands neither in a layer nor in a table."""
    hidden = keys.need("hidden_size")
    count = traits.more_norms * hidden * (2 if traits.norm_bias else 1)
    count += traits.dense * hidden * (hidden + 1)
    if (narrow := _table_width(keys)) != hidden:  # projections in and out
        count += 2 * narrow * hidden
    if traits.prompts:
        pairs = keys.need("segment_types") ** 2 + keys.need("position_bias_num_buckets")
        count += pairs * keys.need("num_attention_heads")
    if traits.self_conditioned:
        count += hidden + 3 * hidden * keys.need("intermediate_size")
    if width := keys.size("hidden_size_per_layer_input"):  # Gemma 3n: for all layers at once
        count += width * keys.need("num_hidden_layers") * hidden + width
    if inputs := keys.size("altup_num_inputs"):
        count += 2 * (inputs - 1) * hidden * hidden
    if blocks := keys.size("num_mem_blocks"):
        _refuse_blocks_of_their_own(keys)
        count += min(blocks, MOST_LAYERS) * shared_block(keys)
    elif "joined_mamba" in traits.mixers.values():
        _refuse_blocks_of_their_own(keys)
        count += shared_block(keys)
    if (streams := keys.size("hc_mult")) and traits.stream_head:
        count += streams * (streams * hidden + 1) + 1
    if (streams := keys.size("hc_count")) and traits.stream_head:  # Qwen4
        count += streams * hidden * (1 + 2 * keys.need("hc_lowrank"))
    return count


def _refuse_blocks_of_their_own(keys: Keys) -> None:
    """Raise `UnknownLayerError` where `transformers` shares no block: with an untied head."""
    if keys.value("tie_word_embeddings") is False:
        raise UnknownLayerError("tie_word_embeddings")


def prediction_layers(keys: Keys) -> int:
    """Return how many layers predict tokens further ahead; files may hold them, totals or not."""
    names = (
        "num_nextn_predict_layers",
        "num_mtp_layers",
        "mtp_num_hidden_layers",
        "num_mtp_modules",
    )
    return min(keys.size(*names) or 0, MOST_LAYERS)
