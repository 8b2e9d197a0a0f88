"""Tensor names of towers: what sees, what hears and speaks, and what joins them to the text.

A tower is known by a word of its prefix, whatever stands between that and the layers. What joins
two towers is asked first, since it often stands inside of one.
"""

from __future__ import annotations

import re

from pytest_scratchverify.checkpoint.mixer_lines import INNER, MIXER
from pytest_scratchverify.checkpoint.tensor_role import TensorRole
from pytest_scratchverify.core.component import Component

PROJECTOR = Component.PROJECTOR
VISION, AUDIO = Component.VISION_ENCODER, Component.AUDIO_ENCODER

_SEES = (
    r"(?:\w*(?:vision|visual|image|img_|siglip|clip_|radio_model|vqmodel|vqgan)\w*|vit|clip"
    r"|sam_model|dino\w*|patch_embed(?!ding_projection)\w*)"
)
# What speaks (a talker, a vocoder) counts as sound too, and never as text.
_HEARS = (
    r"(?:\w*(?:audio|speech|sound|whisper|acoustic|semantic_tokenizer|codec_model|bigvgan|vocoder"
    r"|token2wav|code2wav|asr_|diariz|perception|ctc_)\w*|talker|code_predictor)"
)
_JOINS = (
    r"(?:\w*(?:projector|connector|resampler|merger|aligner|qformer|abstractor)\w*|mlp1|mlp_AR"
    r"|\w*(?:vision|visual|image|audio|modal|language)\w*_(?:adapter|projection)"
    r"|embed_vision|embed_audio|patch_merge_mlp)"
)
_WORDS = r"(?:[A-Za-z_]\w*\.)*?"
STACKS: tuple[tuple[Component, str], ...] = (
    (PROJECTOR, rf"(?:.*\.)?{_JOINS}\.{_WORDS}"),
    (VISION, rf"(?:.*\.)?{_SEES}\.{_WORDS}"),
    (AUDIO, rf"(?:.*\.)?{_HEARS}\.{_WORDS}"),
)
# Lists whose number stands without a word before it.
NUMBERED: tuple[tuple[Component, str], ...] = (
    (PROJECTOR, r"(?:[A-Za-z_]\w*\.)*\w*(?:merger|projector|adapter)_list\."),
    (AUDIO, rf"(?:.*\.)?{_HEARS}\.(?:.*\.)?resblocks\."),
)
# A linear layer or a convolution is trained, whatever it is called beside that: what a formula
# fills (filters, windows, tables of positions) is not called so.
_TRAINED = (
    r"(?:\w*?(?:linear|fc|proj|dense|conv)\w*|out|\w*_head)(?:\.\d+)*"
    r"(?:\.parametrizations\.weight)?"
)
LINEAR = re.compile(rf"(?:.*\.)?(?:{_SEES}|{_HEARS}|{_JOINS})\.(?:.*\.)?{_TRAINED}")
INSIDE = re.compile(rf"(?:.*\.)?{_TRAINED}")  # the same behind a layer's number
# Queries, keys and values of a pooling by attention outside of the layers.
POOLING = re.compile(rf"(?:.*\.)?(?:{_SEES}|{_HEARS}|{_JOINS})\.(?:.*\.)?\w*pool\w*\.w[qkvo]")
# Codes of a quantiser: rows that have numbers.
CODES = re.compile(r"(?:.*\.)?(?:\w*quantizer?|\w*codebooks?)\.(?:.*\.)?embed\w*")
# What joins two towers is made of linear layers, norms and learnt queries, whatever they are
# called; positions, grids and masks may follow a formula.
JOINED = re.compile(
    rf"(?:.*\.)?{_JOINS}(?!\.(?:.*\.)?\w*(?:pos|embed|freq|grid|mask|table|sin|cos|buffer|idx"
    r"|norm|ln|bias|scale|alpha|gate))(?:\.\w+)*"
)
TOWER_WORD = re.compile(rf"{_SEES}|{_HEARS}|{_JOINS}")

_P = rf"(?:.*\.)?{_JOINS}\."
_V = rf"(?:.*\.)?{_SEES}\."
_A = rf"(?:.*\.)?{_HEARS}\."
_ANY = r"(?:.*\.)?"
OUTSIDE: tuple[tuple[Component, str, str], ...] = (
    (PROJECTOR, "proj_norm", _P + r"(?:\w+\.)?(?:ln_q|\w*norm\w*)"),
    (PROJECTOR, "proj_norm", _ANY + r"mlp1\.0|" + _ANY + r"(?:pre_mm_projector_norm)"),
    (PROJECTOR, "merge_in", _ANY + r"patch_merge_mlp\.linear_1"),
    (PROJECTOR, "merge_out", _ANY + r"patch_merge_mlp\.linear_2"),
    (PROJECTOR, "inner:downsample_1", _ANY + r"vit_downsampler1"),
    (PROJECTOR, "inner:downsample_2", _ANY + r"vit_downsampler2"),
    (PROJECTOR, "proj_in", _ANY + r"mlp1\.1"),
    (PROJECTOR, "proj_out", _ANY + r"mlp1\.3"),
    (PROJECTOR, "fc1", _ANY + r"\w*adapter\.mlp\.fc1"),
    (PROJECTOR, "fc2", _ANY + r"\w*adapter\.mlp\.fc2"),
    (
        PROJECTOR,
        "proj_in",
        _P + r"(?:mlp\.0|mlp\.fc1|proj\.0|0|linear_1|linear|linear1|net\.0|linear_fc1|fc1|w_in"
        r"|mm_input_projection_weight|embedding_projection)",
    ),
    (
        PROJECTOR,
        "proj_out",
        _P + r"(?:mlp\.2|mlp\.fc2|proj\.2|2|linear_2|linear2|net\.2|linear_fc2|fc2|w_out)",
    ),
    (PROJECTOR, "gate", _P + r"(?:mlp\.)?(?:gate_proj|w1)"),
    (PROJECTOR, "up", _P + r"(?:mlp\.)?(?:up_proj|w3)"),
    (PROJECTOR, "down", _P + r"(?:mlp\.)?(?:down_proj|w2)"),
    (PROJECTOR, "proj", _P + r"(?:proj|merging_layer)"),
    (
        PROJECTOR,
        "proj_single",
        _ANY + r"(?:\w*vision_projector|\w*(?:visual|vision|language)_projection|mm_projector"
        r"|vit_large_projector)",
    ),
    (PROJECTOR, "proj_downsample", _V + r"downsample"),
    # A Q-Former that reads text has a table of tokens of its own.
    (PROJECTOR, "table:words", _P + r"embeddings\.word_embeddings"),
    (PROJECTOR, "position", _P + r"embeddings\.position_embeddings"),
    (PROJECTOR, "queries", _ANY + _JOINS + r"\.(?:.*\.)?\w*quer(?:y|ies)\w*"),
    (PROJECTOR, "table:images", _ANY + r"visual_embeddings_table"),
    (VISION, "inner:image_codes", _ANY + r"\w*(?:vision|image)\w*_head"),
    (VISION, "patch_embed", _ANY + r"vision_embed_tokens"),
    (VISION, "position_row", _V + r"(?:.*\.)?row_embedder"),
    (VISION, "position_column", _V + r"(?:.*\.)?column_embedder"),
    (
        VISION,
        "patch_embed",
        _V + r"(?:.*\.)?(?:patch_embed\.proj(?:ection)?|patch_embedding(?:\.linear)?|patch_conv"
        r"|patch_embeddings\.projection|patch_generator\.embedder|patch_embedder\.input_proj)",
    ),
    (
        VISION,
        "patch_embed",
        _V + r"(?<!neck\.)(?<!proj\.)conv1",
    ),
    (VISION, "patch_embed", r"(?:model\.)?patch_conv"),
    (VISION, "norm_pre", r"(?:model\.)?ln_pre"),
    (VISION, "patch_embed_video", _V + r"(?:.*\.)?patch_generator\.video_embedder"),
    (
        VISION,
        "position",
        _V + r"(?:.*\.)?(?:position_embeddings?(?:_table)?|pos_emb(?:ed)?|positional_embedding\w*)",
    ),
    (
        VISION,
        "class_token",
        _V + r"(?:.*\.)?(?:class_embedding|cls_token(?:\.token)?|register_tokens)",
    ),
    (
        VISION,
        "norm_pre",
        _V + r"(?:.*\.)?(?:pre_layrnorm|pre_layernorm|layernorm_pre|ln_pre|post_conv_layernorm)",
    ),
    (
        VISION,
        "norm_final",
        _V + r"(?:.*\.)?(?:post_layernorm|ln_post|layernorm_post|(?:final_)?norm|post_trunk_norm)",
    ),
    # pooling by attention: SigLIP's head
    (VISION, "pool_probe", _V + r"(?:.*\.)?head\.probe"),
    (VISION, "reads:pool.qkv", _V + r"(?:.*\.)?head\.attention\.in_proj_weight"),
    (VISION, "pool_bias", _V + r"(?:.*\.)?head\.attention\.in_proj_bias"),
    (VISION, "writes:pool.o", _V + r"(?:.*\.)?head\.attention\.out_proj"),
    (VISION, "pool_norm", _V + r"(?:.*\.)?head\.layernorm"),
    (VISION, "fc1", _V + r"(?:.*\.)?head\.mlp\.fc1"),
    (VISION, "fc2", _V + r"(?:.*\.)?head\.mlp\.fc2"),
    (AUDIO, "position", _A + r"(?:.*\.)?pos(?:ition)?_embed\w*"),
    (AUDIO, "talker_embed", _A + r"(?:model\.)?(?:embed_tokens|codec_embedding)"),
    (AUDIO, "talker_head", _A + r"(?:codec_head|lm_head)"),
    (PROJECTOR, "proj_talker", _A + r"thinker_to_talker_proj"),
    (AUDIO, "bos_eos", _A + r"audio_bos_eos_token"),
    (AUDIO, "conv1", r"(?:model\.)?encoder\.conv1"),  # Whisper, which has no word for it
    (AUDIO, "conv2", r"(?:model\.)?encoder\.conv2"),
    (AUDIO, "conv1", _A + r"(?:.*\.)?conv1"),
    (AUDIO, "conv2", _A + r"(?:.*\.)?conv2"),
    (AUDIO, "norm_talker", r"(?:.*\.)?talker\.model\.norm"),
    (AUDIO, "norm_final", _A + r"(?:.*\.)?(?:layer_norm|ln_post|final_norm)"),
    (AUDIO, "reads:encoder", _A + r"encoder"),
    (PROJECTOR, "proj_audio", _A + r"proj"),
)


def is_of_tower(stem: str) -> bool:
    """Whether a word of a name's prefix is a tower's, or of what joins towers."""
    return any(re.match(prefix, f"{stem}.") for _, prefix in STACKS)


def tower_of(stem: str) -> Component | None:
    """Return the tower of a trained matrix of unknown name, by its prefix; None if it is none."""
    if JOINED.fullmatch(stem):
        return PROJECTOR
    if LINEAR.fullmatch(stem) or POOLING.fullmatch(stem) or CODES.fullmatch(stem):
        return component_of(stem)
    return None


def role_in_tower(component: Component, layer: int, rest: str, part: str) -> TensorRole | None:
    """Return the role of what has a trained matrix's name in a tower's layer; None for others.

    Layers in layers have widths of their own, so nothing is said of a side there.
    """
    if not (INSIDE.fullmatch(rest) or CODES.fullmatch(rest)):
        return None
    kind = (INNER if rest[:1].isdecimal() else MIXER) + rest.replace("/", "_").replace("|", "_")
    return TensorRole(component, kind, layer, part=part)


def component_of(stem: str) -> Component | None:
    """Return the tower whose word a name's prefix has, None if it has none."""
    return next((tower for tower, prefix in STACKS if re.match(prefix, f"{stem}.")), None)


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name that are towers', or of what joins towers."""
    return tuple(word for word in name.split(".")[:-1] if TOWER_WORD.fullmatch(word))
