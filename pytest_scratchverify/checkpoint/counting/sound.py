"""Parameters of encoders of sound: the convolutions before them, and Moonshine's two stacks.

Sizes in comments: d is the residual width.
"""

from __future__ import annotations

from pytest_scratchverify.checkpoint.counting.feed_forward import FeedForward
from pytest_scratchverify.checkpoint.counting.keys import (
    MOST_LAYERS,
    Keys,
    UncountableDesignError,
)
from pytest_scratchverify.checkpoint.counting.pairs import ENCODER, Pair
from pytest_scratchverify.checkpoint.counting.parts import Parts


def stem(keys: Keys, pair: Pair) -> int:
    """Return the convolutions between a spectrum, or a wave, and the first layer."""
    if not pair.stem:
        return 0
    hidden = keys.need("hidden_size")
    if pair.stem == "whisper":  # kernels of 3, the second of d by d
        return 3 * hidden * (keys.need("num_mel_bins") + hidden) + 2 * hidden
    if pair.stem == "moonshine":  # kernels of 127, 7 and 3, a group norm
        return hidden * (127 + 14 * hidden + 2 + 6 * hidden + 1 + 2)
    sizes = [n for n in keys.listed("conv_kernel_sizes") or [] if type(n) is int and n >= 0]
    number, channels = keys.need("num_conv_layers"), keys.need("conv_channels")
    if len(sizes) != number or not sizes:
        raise UncountableDesignError("conv_kernel_sizes")
    count, source = 0, keys.need("input_feat_per_channel") * keys.need("input_channels")
    for place, size in enumerate(sizes):  # a gate halves what each puts out
        out = channels if place < number - 1 else 2 * hidden
        count, source = count + source * out * size + out, channels // 2
    return count


def stack_of_sides(keys: Keys, _pair: Pair, side: str) -> Parts:
    """Return one of Moonshine's stacks: the encoder's MLPs are plain, the decoder's gated."""
    hidden, wide = keys.need("hidden_size"), keys.need("intermediate_size")
    number = keys.need(f"{side}_num_hidden_layers")
    heads = keys.need(f"{side}_num_attention_heads")
    groups = keys.size(f"{side}_num_key_value_heads") or heads
    if not 0 < number <= MOST_LAYERS or not heads:
        raise UncountableDesignError(f"{side}_num_hidden_layers")
    size = hidden // heads
    attention = 2 * hidden * size * (heads + groups)
    if keys.flag("attention_bias"):
        attention += size * (heads + 2 * groups)
    plain = side == ENCODER
    mlp = (2 if plain else 3) * hidden * wide + (1 if plain else 2) * wide + hidden
    return Parts(
        embeddings=0,
        lm_head=0,
        tied=True,
        mixers=number * attention * (1 if plain else 2),
        mlp=FeedForward(number * mlp, number * mlp),
        norms=hidden * (number * (2 if plain else 3) + 1),
        beside=0,
    )
