"""What the code of a model type fixes and its config does not say.

A trait is a feature of a layer, never a number of parameters. A type without a line here is
counted only if every key that its config states is known (`vocabulary`), by the rules that most
types follow, and its count is never called certain: its code may hold what no key tells.
Source: the modelling code of `transformers` 5.24; `tools/facts/counted.py` holds the lines against
the parameters of instantiated models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Traits:
    """Features of a model type; the defaults are Llama's."""

    gated: bool | None = True  # False: two matrices an MLP; None: by the activation
    norms: int = 2  # vectors of the residual width a layer
    sparse_norms: int = 0  # more of them in a layer of experts
    more_norms: int = 0  # such vectors elsewhere, the final norm aside
    final_norm: bool = True
    norm_bias: bool = False  # LayerNorm with a bias
    qk_norm: str = ""  # "head": of a head's size; "width", "biased": of the projection's; "rope"
    biased: str = "qkvo"  # projections to which `attention_bias` gives a bias
    always_biased: str = ""  # projections that have one whatever the config says
    mlp_biased: bool | None = None  # None: by `mlp_bias`
    gate: str = ""  # of attention's output: "full" a value, "head" a scalar a head, "paired"
    square_output: bool = False  # of attention, whatever the heads' size
    head_scalars: int = 0  # learned numbers a head
    sliding_groups: int = 1  # times as many key-value heads in sliding layers
    sinks: str = ""  # "all" layers, or "sliding" ones, learn a logit a head
    shared: int = 0  # shared experts where the config states no number
    one_shared: bool = False  # whatever the config says
    shared_gate: bool = False
    router_bias: bool = False
    router_scale: bool = False
    expert_bias: bool = False
    correction: bool = False  # a bias of the router that no gradient trains
    linear: str = ""  # what `linear_attention` is in this type
    full_gates: bool = False  # gates of a delta rule as single matrices
    mixers: Mapping[str, str] = field(default_factory=dict)  # kinds that are this type's own
    kind: str = "full_attention"  # of every layer where the config lists none
    mixer_only: bool = False  # a layer that mixes has no MLP
    streams: str = ""  # hyper-connections: "mixing" or "plain"
    stream_head: bool = False
    positions: int | None = None  # learned ones, and how many more than the context
    head_bias: bool = False
    tied: bool | None = None  # where the config does not say
    never_tied: bool = False  # whatever the config says
    wide: bool = False  # an MLP that no key sizes is four times as wide, or as a key says
    split: int = 1  # of the stated width of an MLP, how many projections share it
    dense: int = 0  # square matrices with a bias beside the layers
    rows: tuple[str, ...] = ()  # keys of tables as wide as the residual stream
    segments: int = 0  # rows of such a table that no key states
    prompts: bool = False  # tables of prompts and segments, positions by pairs of segments
    inner_norms: str = ""  # "a": of attention's output before its projection, "m": of an MLP's
    cross: bool = False  # every layer attends to an encoder too
    cross_groups: bool = False  # a decoder attends to an encoder by grouped queries, norms around
    low_rank: int = 0  # of an adaptive norm a layer
    stacks: int = 0  # of layers, each as deep as a key says
    dense_mlps: int = 0  # beside the experts of a layer
    dense_beside: bool = False  # experts stand beside a dense MLP
    key_is_value: bool = False  # in layers that see the whole text
    self_conditioned: bool = False  # a gated MLP and a norm take the last prediction in
    narrow: bool = False  # tables, and what stands before the head, are as wide as a key says
    head_positions: bool = False  # a table of positions as wide as a head
    by_parallel: bool = False  # a norm less where attention and MLP stand side by side
    switch: str = ""  # a key without which no layer routes
    expert_output: bool = False  # a bias after the experts
    deep_router: bool = False  # an MLP of three layers with a norm, and one way past the experts
    adapters: bool = False  # of languages, in every layer
    aligned: bool = False  # layers between that attend to something else
    pictures: bool = False  # tables of the sound and the shape of a sign
    towers: bool = False  # experts of text and of images, of two widths
    known: bool = True
    counted: bool = True  # False: it has parameters that no key tells and no rule here counts


UNKNOWN: Final = Traits(gated=None, known=False)
UNCOUNTED: Final = Traits(counted=False)
LLAMA: Final = Traits()
_QWEN2 = Traits(biased="", always_biased="qkv")
_QWEN3 = Traits(qk_norm="head")
_QWEN_NEXT = Traits(qk_norm="head", gate="full", shared_gate=True, linear="gated_delta")
_DEEPSEEK = Traits(biased="qko", correction=True)
_GEMMA = Traits(norms=4, tied=True)
_GEMMA3 = Traits(norms=4, qk_norm="head", tied=True)
_COHERE = Traits(norms=1, tied=True)
_INKLING = {"hybrid": "relative", "hybrid_sliding": "relative"}
_INKLING2 = Traits(
    correction=True,
    mixers={"hybrid": "relative_gated", "hybrid_sliding": "relative_gated"},
)
_V4 = {
    "heavily_compressed_attention": "compressed",
    "compressed_sparse_attention": "compressed",
    "sliding_attention": "compressed",
}

GROUPS: Final[tuple[tuple[str, Traits], ...]] = (
    ("blt", UNCOUNTED),
    (
        "longcat_flash",
        replace(_DEEPSEEK, norms=4, kind="doubled", mixers={"doubled": "doubled"}, dense_mlps=2),
    ),
    ("t5_gemma_module", replace(_GEMMA, cross_groups=True)),
    ("t5gemma2_decoder", _GEMMA3),
    (
        (
            "unlimited_ocr llama mistral mistral3 ministral ministral3 mixtral granite"
            " granitemoe granitemoeshared granitemoehybrid internlm3 smollm3 phi3 exaone"
            " ernie4_5 cwm aria deepseek_ocr2"
            " iquestcoder yi aquila baichuan minicpm xverse deepseek"
        ),
        LLAMA,
    ),
    ("ernie4_5_moe solar_open", Traits(correction=True)),
    ("solar_open2", Traits(correction=True, gate="full", linear="kimi_delta")),
    ("qwen2 qwen2_vl qwen2_5_vl qwen2_5_omni qwen2_audio", _QWEN2),
    ("qwen2_moe", replace(_QWEN2, shared_gate=True)),
    ("qwen3 qwen3_moe qwen3_vl qwen3_vl_moe qwen3_omni_moe mellum exaone4", _QWEN3),
    ("dots1 exaone_moe hy_v3 sarvam_moe minimax_m3_vl", replace(_QWEN3, correction=True)),
    ("apertus apertus1p5", Traits(gated=False, qk_norm="head")),
    ("qwen3_next qwen3_5_moe", _QWEN_NEXT),
    ("qwen3_5", replace(_QWEN_NEXT, shared_gate=False)),
    ("lara_mini", Traits(qk_norm="head", linear="gated_delta")),
    ("olmo_hybrid", Traits(qk_norm="width", linear="gated_delta")),
    ("deepseek_v2 minicpm3 youtu mistral4", replace(_DEEPSEEK, correction=False)),
    ("deepseek_v3 deepseek_v32 glm_moe_dsa glm4_moe_lite kimi_k2 sarvam_mla", _DEEPSEEK),
    ("axk1", replace(_DEEPSEEK, sparse_norms=1)),
    ("axk2", replace(_DEEPSEEK, gate="paired")),
    (
        "hy_v4 hy_v4_vl",
        replace(_DEEPSEEK, gate="full", sinks="all", streams="plain", stream_head=True),
    ),
    ("dots3_note", replace(_DEEPSEEK, gate="head", qk_norm="rope")),
    ("glm5_next", replace(_DEEPSEEK, linear="kimi_delta", streams="mixing")),
    ("kimi_linear", replace(_DEEPSEEK, linear="kimi_delta", never_tied=True)),
    (
        "bailing_hybrid",
        replace(_DEEPSEEK, gate="head", linear="kimi_delta", full_gates=True, never_tied=True),
    ),
    (
        "deepseek_v4",
        Traits(correction=True, mixers=_V4, streams="mixing", stream_head=True, one_shared=True),
    ),
    ("mistral_large4", Traits(mixers={"indexed_attention": "scaled_indexed"})),
    (
        "inkling inkling_mm_model",
        Traits(mixers=_INKLING, more_norms=1, router_scale=True, correction=True),
    ),
    ("gemma vaultgemma", Traits(tied=True)),
    ("gemma2", _GEMMA),
    ("gemma3 gemma3n gemma4 gemma4_unified", _GEMMA3),
    ("glm", Traits(biased="qkv")),
    ("glm4", Traits(norms=4, biased="qkv")),
    ("glm4v", Traits(norms=4, biased="", always_biased="qkv")),
    ("glm_ocr", Traits(norms=4, biased="")),
    ("glm4_moe", Traits(biased="qkv", correction=True)),
    ("glm4v_moe", Traits(biased="qkv", correction=True)),
    ("gpt_oss", Traits(sinks="all", router_bias=True, expert_bias=True)),
    ("granite_swa granitemoe_swa", Traits(sinks="all")),
    ("flint", Traits(qk_norm="head", sinks="all")),
    ("mimo_v2_flash", Traits(sinks="sliding", sliding_groups=2, correction=True)),
    ("laguna", Traits(qk_norm="head", gate="head", correction=True)),
    ("step3p5", Traits(qk_norm="head", gate="head", correction=True)),
    ("afmoe", Traits(norms=4, qk_norm="head", gate="full", correction=True)),
    ("beam", Traits(norms=4, qk_norm="head", gate="full", head_scalars=1, correction=True)),
    ("muse_glimmer", Traits(norms=4, gate="full")),
    ("muse_spark", Traits(norms=5, gate="full", correction=True)),
    ("kolibri1", Traits(norms=4, qk_norm="head", correction=True)),
    ("minimax_m2", Traits(qk_norm="width", correction=True)),
    ("minimax", Traits(linear="lightning")),
    ("llama4", Traits(shared=1, qk_norm="unweighted")),
    ("olmo", Traits(norms=0, final_norm=False)),
    ("olmo2 olmo3 olmoe flex_olmo", Traits(qk_norm="width")),
    ("phimoe", Traits(norm_bias=True)),
    ("stablelm", Traits(norm_bias=True, biased="")),
    ("seed_oss", Traits(biased="qkv")),
    ("hyperclovax hyperclovax_vision_v2", LLAMA),
    ("hunyuan_v1_dense", _QWEN3),
    ("hunyuan_v1_moe", replace(_QWEN3, shared=1)),
    ("voxtral_realtime", Traits(low_rank=32)),
    ("hrm", Traits(norms=0, final_norm=False, more_norms=1, gate="full", stacks=2)),
    ("cosmos3_edge", Traits(gated=False)),
    ("evolla", Traits(aligned=True)),
    ("chameleon", Traits(qk_norm="biased")),
    ("dbrx", LLAMA),
    ("diffusion_gemma", replace(_GEMMA3, dense_beside=True, self_conditioned=True,
                                key_is_value=True)),
    ("ernie4_5_vl_moe", Traits(correction=True, towers=True, tied=True)),
    ("qwen4_exp", Traits(norms=0, final_norm=False, qk_norm="head", gate="full", shared_gate=True,
                         linear="gated_delta", mixers={"indexed_attention": "joint_index"},
                         streams="low_rank", stream_head=True)),
    ("recurrent_gemma", Traits(biased="qkv", always_biased="o", mlp_biased=True, split=2,
                               linear="gated_linear", tied=True)),
    ("zamba", Traits(norms=1, linear="grouped_mamba", mixers={"hybrid": "joined_mamba"},
                     mixer_only=True, tied=True)),
    ("helium", Traits(square_output=True)),
    ("arcee", Traits(gated=False)),
    ("nanochat", Traits(gated=False, norms=0, final_norm=False)),
    ("nemotron", Traits(gated=False, norm_bias=True)),
    ("jais2", Traits(gated=False, norm_bias=True)),
    ("starcoder2", Traits(gated=False, norm_bias=True, tied=True)),
    ("cohere cohere2 cohere2_moe", _COHERE),
    ("lfm2", Traits(qk_norm="head", linear="conv", tied=True)),
    ("lfm2_moe", Traits(qk_norm="head", linear="conv", tied=True, correction=True)),
    ("molmo2", Traits(biased="qkv", qk_norm="head", rows=("additional_vocab_size",))),
    ("bitnet", Traits(inner_norms="am")),
    ("doge", Traits(norms=4, qk_norm="head", switch="is_moe", mixers={"full_attention": "masked"})),
    ("jetmoe", Traits(kind="routed", mixers={"routed": "routed"}, expert_output=True, tied=True)),
    ("zaya", Traits(norms=10, more_norms=2, mixers={"hybrid": "convolved"}, deep_router=True,
                    tied=True)),
    ("inkling2 inkling2_loop", replace(_INKLING2, norms=4, more_norms=1)),
    ("mllama_text_model", Traits(segments=8)),
    ("modernbert-decoder", Traits(more_norms=1, dense=1, head_bias=True, tied=True)),
    ("lfm3", Traits(norms=4, qk_norm="head", gate="head", linear="conv", tied=True)),
    ("bamba", Traits(linear="mamba2", kind="linear_attention")),
    ("falcon_h1", Traits(mixers={"full_attention": "beside", "hybrid": "beside"})),
    ("jamba", Traits(linear="mamba", qk_norm="step")),
    ("nemotron_h", Traits(gated=False, norms=1, linear="mamba2", mixer_only=True, correction=True,
                          never_tied=True)),
    ("mamba2", Traits(norms=1, kind="mamba2", mixer_only=True)),
    ("mamba falcon_mamba", Traits(norms=1, kind="linear_attention", linear="mamba",
                                  mixer_only=True, tied=True)),
    ("zamba2", Traits(norms=1, linear="mamba2", mixers={"hybrid": "joined_mamba2"},
                      mixer_only=True, tied=True)),
    ("xlstm", Traits(kind="xlstm", mixers={"xlstm": "xlstm"}, mixer_only=True)),
    ("dory", Traits(norms=1, final_norm=False, gate="full", mixer_only=True, head_bias=True)),
    ("rwkv", Traits(norm_bias=True, more_norms=1, kind="rwkv", mixers={"rwkv": "rwkv"},
                    mixer_only=True)),
)  # fmt: skip
