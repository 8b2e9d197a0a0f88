"""Tensor names of mixers: what stands beside attention as it was, told by the module it stands in.

State-space layers (Mamba, Nemotron-H, Granite-4-H), linear attention (gated delta nets, KDA,
lightning), RWKV's time mixing, short convolutions, indexers of sparse attention, compressors,
gated norms and hyper-connections have names that change with every family; the module that holds
them does not. Whatever stands in one, in a layer of a known stack, is a mixer's, and shapes say
which side of it is the residual stream (`sided`). Where both sides have its width, the name
decides: what is called an output writes.

Rows of mixers are heads, channels that a convolution moves along, gates of heads: they have a
place, and some of them go together with rows of another tensor (the kernel of a convolution with
what it convolves, decay rates with heads, the second half of a pair with the first one's latent).
None of that is permuted here, so nothing of it is promised either.

Sources: the modeling files of transformers of the families named above; flash-linear-attention.
"""

from __future__ import annotations

import re

MIXER = "mixer:"  # a mixer's kind by its name, before shapes are known
# A module of a layer that mixes tokens, or that scales what a layer reads.
MODULE = re.compile(
    r"\w*(?:attn|attention|attends?|mamba|mixer|mixing|mix|ssm|rnn|gru|lstm|recurrent|recurrence"
    r"|temporal|delta|kda|gdn|gla|rwkv|retention|conv|indexer|compressor|lightning|hyena|lru"
    r"|norm|layernorm|laurel|altup|adapter|controller|residual_scale)\w*"
    r"|att|s[456]d?|mhc|hc_\w+|hyper_connections?\w*|(?:attn|mlp|ffn)_hc"
)
WRITERS = re.compile(
    r"\w*out(?:put)?(?:_proj\w*|_linear)?|o|o_proj|w_?o|w_?o_b|o_b_proj|linear_out"
    r"|pointwise_conv2|dense|projection_layer"
)
# What reads never writes, though a number of heads times their size be the width by chance.
READERS = re.compile(r"(?:w|w_|linear_|to_|project_)?[qkv](?:_proj|_lin|_net)?|query|key|value"
                     r"|qkv(?:_proj)?|\w*codebooks?.*")  # fmt: skip
LATENT = re.compile(r"(?:w?(?:q|k|v|kv)|f|g|a|w)_(?:b|up)(?:_proj)?|w?o_a(?:_proj)?|x_proj|dt_proj"
                    r"|dt_up|q_up_proj|kv_up_proj|(?:forget|gain)_weight|embed\w*"
                    r"|linear_pos|relative_k_proj|\w*pos_proj")  # fmt: skip
# What a formula fills at the start: decay rates, skips, positions.
CONSTANT = re.compile(r"A_logs?|D|dt_bias|ape|time_\w+|decay\w*|slopes?")
# A router of several matrices. What is called a gate may be a gated block's instead.
ROUTER = re.compile(
    r"(?:mlp|moe|ffn|feed_forward|block_sparse_moe)\."
    r"(?:router\..+|gate\.(?:\w*router\w*(?:\..+)?|down_proj|weight_\d))"
)
BETWEEN = "linear"  # from a block that several layers share to the layer: Zamba
ADAPTER = re.compile(r"\w*adapter\w*")  # a list of pairs, whose matrices have numbers for names
CONVOLUTION = re.compile(r"\w*conv\w*")
COLOURS = 3  # inputs of a kernel that looks alike in all models: one channel, or a picture's
TAPS = 8  # of a channel's own kernel, at the most
READS, WRITES, INNER, KERNEL, STATE = "reads:", "writes:", "inner:", "kernel:", "state:"


def mixer_kind(rest: str) -> str | None:
    """Return the kind of what stands in a mixer, by its name behind a layer's number, or None."""
    words = [word for word in rest.split(".") if not word.isdigit()]
    held = words[:-1] if len(words) > 1 and not ADAPTER.fullmatch(words[-1]) else words
    router = ROUTER.match(rest) is not None
    if not (router or rest == BETWEEN or any(MODULE.fullmatch(word) for word in held)):
        return None
    return MIXER + rest.replace("/", "_").replace("|", "_")


def sided(kind: str, shape: tuple[int, ...], width: int | None) -> str:
    """Return a mixer's kind with the side of the residual stream, of width `width`.

    Parameters
    ----------
    shape
        As stored; kernels of convolutions have three dimensions or more.
    """
    name = kind.removeprefix(MIXER)
    last = re.sub(r"(?:\.\d+)+$", "", name).rpartition(".")[2]
    while len(shape) > 2 and shape[-1] == 1:  # a convolution of one tap is a matrix
        shape = shape[:-1]
    depthwise = len(shape) > 2 and shape[1] <= COLOURS
    taps = len(shape) == 2 and shape[1] <= TAPS and CONVOLUTION.fullmatch(last)
    if len(shape) > 1 and CONSTANT.fullmatch(last):
        return STATE + name
    if depthwise or taps:
        return KERNEL + name
    latent = LATENT.fullmatch(last) is not None or name == BETWEEN
    if len(shape) != 2 or latent or width is None or width not in shape:
        return INNER + name
    if shape[0] == shape[1]:
        return (WRITES if WRITERS.fullmatch(last) else READS) + name
    if shape[1] != width and READERS.fullmatch(last):
        return INNER + name
    return (READS if shape[1] == width else WRITES) + name
