"""Parameters beside the layers: look-up tables, the output head, what several layers share."""

from __future__ import annotations

from pytest_scratchverify.checkpoint.composite import TIE_IN_DISPUTE
from pytest_scratchverify.checkpoint.counting.keys import MOST_LAYERS, Keys, UnknownLayerError
from pytest_scratchverify.checkpoint.counting.recurrences import shared_block
from pytest_scratchverify.checkpoint.counting.traits import Traits


def embedding_table(keys: Keys, traits: Traits) -> int:
    """Return the look-up tables: of tokens, of learned positions, of tokens for every layer."""
    hidden = keys.need("hidden_size")
    if keys.size("word_embed_proj_dim") not in (None, hidden):
        raise UnknownLayerError("word_embed_proj_dim")
    count = keys.need("vocab_size") * hidden
    if traits.positions is not None:
        count += (keys.need("max_position_embeddings") + traits.positions) * hidden
    width = keys.size("hidden_size_per_layer_input")
    if width:
        count += keys.need("vocab_size_per_layer_input") * width * keys.need("num_hidden_layers")
    return count


def head(keys: Keys, traits: Traits, assumed: list[str]) -> tuple[bool, int]:
    """Say whether the output head is the embedding table, and how large it is."""
    tied = False if traits.never_tied else keys.value("tie_word_embeddings")
    if not isinstance(tied, bool):
        tied = traits.tied
    if tied is None or keys.flag(TIE_IN_DISPUTE):
        assumed.append("tie_word_embeddings")
    vocabulary = keys.need("vocab_size")
    bias = vocabulary if keys.flag("lm_head_bias", default=traits.head_bias) else 0
    return bool(tied), vocabulary * keys.need("hidden_size") + bias


def beside_layers(keys: Keys, traits: Traits) -> int:
    """Return what stands neither in a layer nor in a table."""
    hidden = keys.need("hidden_size")
    count = traits.more_norms * hidden * (2 if traits.norm_bias else 1)
    if width := keys.size("hidden_size_per_layer_input"):  # Gemma 3n: for all layers at once
        count += width * keys.need("num_hidden_layers") * hidden + width
    if inputs := keys.size("altup_num_inputs"):
        count += 2 * (inputs - 1) * hidden * hidden
    if blocks := keys.size("num_mem_blocks"):
        if keys.value("tie_word_embeddings") is False:  # then `transformers` shares no block
            raise UnknownLayerError("num_mem_blocks")
        count += min(blocks, MOST_LAYERS) * shared_block(keys)
    if (streams := keys.size("hc_mult")) and traits.stream_head:
        count += streams * (streams * hidden + 1) + 1
    return count


def prediction_layers(keys: Keys) -> int:
    """Return how many layers predict tokens further ahead; files may hold them, totals or not."""
    names = (
        "num_nextn_predict_layers",
        "num_mtp_layers",
        "mtp_num_hidden_layers",
        "num_mtp_modules",
    )
    return min(keys.size(*names) or 0, MOST_LAYERS)
