"""Parameters of a decoder of text: its look-up tables, its output head, and all the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pytest_scratchverify.checkpoint.composite import TIE_IN_DISPUTE, text_part
from pytest_scratchverify.checkpoint.counting.beside import (
    beside_layers,
    head_width,
    table_width,
)
from pytest_scratchverify.checkpoint.counting.decoder import count_layers
from pytest_scratchverify.checkpoint.counting.feed_forward import assumes_gate
from pytest_scratchverify.checkpoint.counting.keys import MOST_LAYERS, Keys, UnknownLayerError
from pytest_scratchverify.checkpoint.counting.parts import Parts
from pytest_scratchverify.checkpoint.counting.traits import Traits

ENCODERS: Final = {  # of text, by the decoders that they stand beside
    "t5_gemma_module": ("t5_gemma_module",),
    "t5gemma2_decoder": ("t5gemma2_text",),
    "bert": ("bert",),
}


def decoder_parts(keys: Keys, traits: Traits) -> Parts:
    """Return the parts of one decoder of text."""
    hidden, vectors = keys.need("hidden_size"), 2 if traits.norm_bias else 1
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
        norms=layers.norms + final * hidden * vectors,
        beside=beside_layers(keys, traits) + (bias if tied else 0),
        largest=layers.largest,
        assumed=tuple(assumed),
    )


def with_encoder(keys: Keys, traits: Traits, decoder: Parts) -> Parts:
    """Return a decoder with the encoder of text that its config holds beside it.

    T5Gemma's encoder is its decoder without attention to another; BERT's kin keep a pooler.
    Raises `UnknownLayerError` for an encoder of another kind.
    """
    text = text_part(keys.table("encoder"))
    own = Keys({}, text)
    kind = own.text("model_type")
    if kind not in ENCODERS.get(keys.family, ()) or own.need("hidden_size") != keys.need(
        "hidden_size"
    ):
        raise UnknownLayerError("encoder")
    made = replace(traits, more_norms=1, head_bias=False) if traits.dense else traits
    encoder = decoder_parts(own, made)
    # T5Gemma 2 has one table for both, and a row of its own for the end of an image.
    shared = keys.family == "t5gemma2_decoder"
    return replace(
        decoder,
        embeddings=decoder.embeddings
        + (keys.need("hidden_size") if shared else encoder.embeddings),
        mixers=decoder.mixers + encoder.mixers,
        mlp=decoder.mlp + encoder.mlp,
        norms=decoder.norms + encoder.norms,
        beside=decoder.beside + encoder.beside,
    )


def embedding_table(keys: Keys, traits: Traits) -> int:
    """Return the look-up tables: of tokens, of learned positions, of tokens for every layer."""
    hidden = keys.need("hidden_size")
    count = keys.need("vocab_size") * table_width(keys)
    wide = table_width(keys) if traits.narrow else hidden
    if traits.positions is not None:
        count += (keys.need("max_position_embeddings") + traits.positions) * wide
    if traits.head_positions:
        heads = max(keys.need("num_attention_heads"), 1)
        count += keys.need("max_position_embeddings") * (hidden // heads)
    count += _rows(keys, traits) * wide
    width = keys.size("hidden_size_per_layer_input")
    if width:
        count += keys.need("vocab_size_per_layer_input") * width * keys.need("num_hidden_layers")
    return count


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
    vocabulary = keys.size("unpadded_vocab_size") or keys.need("vocab_size")
    bias = vocabulary if keys.flag("lm_head_bias", "decoder_bias", default=traits.head_bias) else 0
    return bool(tied), vocabulary * head_width(keys), bias


def prediction_layers(keys: Keys) -> int:
    """Return how many layers predict tokens further ahead; files may hold them, totals or not."""
    names = (
        "num_nextn_predict_layers",
        "num_mtp_layers",
        "mtp_num_hidden_layers",
        "num_mtp_modules",
    )
    return min(keys.size(*names) or 0, MOST_LAYERS)
