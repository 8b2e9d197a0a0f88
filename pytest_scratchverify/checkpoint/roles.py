"""Tensor roles by name: component, layer, kind, expert; one table, one line per pattern.

An architecture is supported by the lines that its tensor names match; to add one, add a line, or
from another package `TensorNames`, by the hook `pytest_scratchverify_tensor_names`.
A name that no line matches is reported as unmapped and not guessed here, because a tensor that
is compared with the wrong partner looks independent; `tensors.structure` and `tensors.pairing`
place it by its shape and by its numbers. Further layouts are in `role_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from pytest_scratchverify.checkpoint import role_lines, tower_lines
from pytest_scratchverify.checkpoint.mixer_lines import MIXER, ROUTER, mixer_kind
from pytest_scratchverify.checkpoint.stack_order import doubled, settled_together, side_of
from pytest_scratchverify.checkpoint.tensor_role import RoleMap, TensorRole
from pytest_scratchverify.checkpoint.tower_lines import is_of_tower
from pytest_scratchverify.core.component import TEXT_ONLY, Component
from pytest_scratchverify.core.errors import ScratchError

__all__ = [
    "RoleMap",
    "TensorNames",
    "TensorRole",
    "read_roles",
    "role_in_layer",
    "role_of",
    "role_outside",
    "unwrapped",
    "use_tensor_names",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorNames:
    """Tensor names of an architecture that the shipped table does not know; all are patterns.

    They are asked after the shipped lines, and so cannot change what a shipped line means. The
    kinds are those of the tables below, and with a kind comes its layout: ``gate_up`` is cut into
    gate and up, ``qkv`` into the three where the config says how many heads there are; the marks
    of `role_lines` say how rows lie: ``^T`` that they are inputs.

    Attributes
    ----------
    stacks : sequence of (component, pattern)
        Where layers are: everything in front of a layer's number.
    in_layer : sequence of (kind, pattern)
        What follows the layer's number and a dot, without ``.weight``. The groups ``expert``,
        ``shared``, ``stack`` and ``routes`` mean what they mean in `IN_LAYER`.
    outside : sequence of (component, kind, pattern)
        Whole names outside of the layers, without ``.weight``.

    Raises
    ------
    ScratchError
        If a pattern is no regular expression.
    """

    stacks: tuple[tuple[Component, str], ...] = ()
    in_layer: tuple[tuple[str, str], ...] = ()
    outside: tuple[tuple[Component, str, str], ...] = ()

    def __post_init__(self) -> None:
        for *_, pattern in (*self.stacks, *self.in_layer, *self.outside):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ScratchError(f"tensor names: {pattern!r} is no pattern: {error}") from None


TEXT, EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS

_OUTER = (
    "model|language_model|transformer|text_model|llm|gpt_neox|bert|roberta|encoder|thinker"
    "|decoder|backbone|rwkv|mtp|mtp_block|nextn"
)
# Where the stacks of layers are. The first line that matches decides; what joins two towers comes
# before the towers, and towers before text.
STACKS: tuple[tuple[Component, str], ...] = (
    *tower_lines.STACKS,
    (TEXT, rf"(?:(?:{_OUTER})\.)*"),
    (TEXT, r"(?:[A-Za-z_]\w*\.)+?"),  # a stack of no tower is the text's, whatever its prefix
)
LAYER = (
    r"(?:(?:vision_model|encoder|transformer|model)\.)*"
    r"(?:layers?|blocks?|h|resblocks|transformer_blocks|mtp_layers|encoders|attentions|ffns"
    r"|\w*attn_layers)\."
)

ATTENTION = r"(?:self_attn|attn|attention|self_attention)\."
DENSE = r"(?:mlp|feed_forward|ffn|block_sparse_moe|moe)\."
EXPERT = (
    r"(?:mlp|feed_forward|ffn|block_sparse_moe|moe)\.(?:experts|local_experts)"
    r"\.(?P<expert>\d{1,6})\."
)
STACKED = r"(?:mlp|feed_forward|ffn|block_sparse_moe|moe)\.(?P<stack>experts)\."
SHARED = r"(?:mlp|feed_forward|block_sparse_moe|moe)\.(?P<shared>shared_experts?)\.(?:mlp\.)?"

# Inside a layer: kind and the name that follows the layer's number.
IN_LAYER: tuple[tuple[str, str], ...] = (
    # attention: Llama, Qwen, Mixtral, GLM, Solar, EXAONE, Gemma, OLMo, Phi, gpt-oss
    ("q", ATTENTION + r"(?:q_proj|wq|query|q_lin)"),
    ("k", ATTENTION + r"(?:k_proj|wk|key|k_lin)"),
    ("v", ATTENTION + r"(?:v_proj|wv|value|v_lin)"),
    ("o", ATTENTION + r"(?:o_proj|wo|out_proj|dense|proj|out_lin)"),
    ("sinks", ATTENTION + r"sinks"),
    # BERT and its descendants
    ("q", r"attention\.self\.query"),
    ("k", r"attention\.self\.key"),
    ("v", r"attention\.self\.value"),
    ("o", r"attention\.output\.dense"),
    ("norm_post", r"attention\.output\.LayerNorm"),
    ("fc1", r"intermediate\.dense"),
    ("fc2", r"output\.dense"),
    ("norm_out", r"output\.LayerNorm"),
    # fused query, key and value: Phi-3, GPT-NeoX, vision towers, GPT-2 (inputs first)
    ("qkv", ATTENTION + r"(?:qkv_proj|query_key_value|qkv|in_proj)"),
    ("qkv^T", r"attn\.c_attn"),
    ("o^T", r"attn\.c_proj"),
    # multi-head latent attention: DeepSeek-V2/V3, Kimi-K2, A.X-K1, VAETKI
    ("q_a", ATTENTION + r"q_a_proj"),
    ("q_b", ATTENTION + r"q_b_proj"),
    ("kv_a", ATTENTION + r"kv_a_proj_with_mqa"),
    ("kv_b", ATTENTION + r"kv_b_proj"),
    ("norm_q_a", ATTENTION + r"q_a_layernorm"),
    ("norm_kv_a", ATTENTION + r"kv_a_layernorm"),
    ("norm_q", ATTENTION + r"(?:q_norm|q_layernorm|query_layernorm)"),
    ("norm_k", ATTENTION + r"(?:k_norm|k_layernorm|key_layernorm)"),
    # norms of the residual stream
    ("norm_in", r"(?:input_layernorm|ln_1|norm1|layer_norm1|attention_norm|self_attn_layer_norm)"),
    ("norm_post", r"(?:post_attention_layernorm|ln_2|norm2|layer_norm2|ffn_norm)"),
    ("norm_pre_ffn", r"pre_feedforward_layernorm"),
    ("norm_post_ffn", r"post_feedforward_layernorm"),
    ("norm_post_mlp", r"post_mlp_layernorm"),
    ("norm_final", r"final_layer_norm"),
    # experts: one by one (Qwen, DeepSeek, GLM, Solar, K-EXAONE; Mixtral and PhiMoE as w1 w3 w2)
    ("gate", EXPERT + r"(?:gate_proj|w1)"),
    ("up", EXPERT + r"(?:up_proj|w3)"),
    ("down", EXPERT + r"(?:down_proj|w2)"),
    ("gate", SHARED + r"gate_proj"),
    ("up", SHARED + r"up_proj"),
    ("down", SHARED + r"down_proj"),
    ("shared_gate", r"mlp\.(?P<shared>shared_expert)_gate"),
    # experts in one tensor: gpt-oss, Llama 4, transformers from version 5
    ("gate_up", STACKED + r"gate_up_proj"),
    ("gate", STACKED + r"gate_proj"),
    ("up", STACKED + r"up_proj"),
    ("down", STACKED + r"down_proj"),
    ("gate_up_bias", STACKED + r"gate_up_proj_bias"),
    ("down_bias", STACKED + r"down_proj_bias"),
    # routers
    ("router", r"(?:mlp|feed_forward|block_sparse_moe|moe)\.(?P<routes>gate|router)"),
    ("router", r"mlp\.gate\.(?P<routes>wg)"),
    ("router_bias", r"(?:mlp|block_sparse_moe)\.(?P<routes>gate)\.e_score_correction_bias"),
    ("router_bias", r"mlp\.(?P<routes>e_score_correction_bias|expert_bias)"),
    # dense feed-forward blocks
    ("gate_up", DENSE + r"gate_up_proj"),
    ("gate", DENSE + r"(?:gate_proj|w1)"),
    ("up", DENSE + r"(?:up_proj|w3)"),
    ("down", DENSE + r"(?:down_proj|w2)"),
    ("fc1", r"(?:mlp\.)?(?:fc1|dense_h_to_4h|lin1)"),
    ("fc2", r"(?:mlp\.)?(?:fc2|dense_4h_to_h|lin2)"),
    ("fc1^T", r"mlp\.c_fc"),
    ("fc2^T", r"mlp\.c_proj"),
    # multi-token prediction (DeepSeek-V3, GLM-4.5): the extra layer's own tensors
    ("mtp_norm_embed", r"enorm"),
    ("mtp_norm_hidden", r"hnorm"),
    ("mtp_proj", r"eh_proj"),
    ("mtp_embed", r"embed_tokens"),
    ("mtp_head", r"shared_head\.head"),
    ("norm_mtp", r"shared_head\.norm"),
)

# Outside of the layers: component, kind and the whole name. Towers' are in `tower_lines`.
_M = rf"(?:[A-Za-z_]\w*\.)?(?:(?:{_OUTER})\.)*"
OUTSIDE: tuple[tuple[Component, str, str], ...] = (
    (
        Component.EMBEDDINGS,
        "embed",
        _M + r"(?:embed_tokens|wte|embed_in|word_embeddings|embeddings\.word_embeddings|embedding)",
    ),
    (
        Component.EMBEDDINGS,
        "position",
        _M + r"(?:wpe|embeddings\.position_embeddings|embed_positions)",
    ),
    (Component.EMBEDDINGS, "token_type", _M + r"embeddings\.token_type_embeddings"),
    (Component.EMBEDDINGS, "norm_embed", _M + r"embeddings\.LayerNorm"),
    (Component.LM_HEAD, "head", _M + r"(?:lm_head|embed_out|output)"),
    (TEXT, "norm_final", _M + r"(?:norm|ln_f|final_layer_norm|final_layernorm)"),
    (TEXT, "pooler", _M + r"pooler\.dense"),
)

Stacks = list[tuple[Component, re.Pattern[str]]]
InLayer = list[tuple[str, re.Pattern[str]]]
Outside = list[tuple[Component, str, re.Pattern[str]]]


_NUMBERED = r"(?P<layer>\d{1,6})\.(?P<rest>.+)"  # of longer numbers no int is made
LONGEST = 512  # characters of a name that patterns are tried on
KEPT = 2**17  # names whose roles are kept: several steps ask, of both models; A.X-K1 has 35,476
LONGEST_NUMBER = 9  # digits; a pattern of a third party may match any number of them
SECOND = "second"  # of two feed-forward blocks of one layer
MARKS = ("^T", "~", "#", "^2")  # behind a kind; see `role_lines`
# Names of third parties, of the run that goes on in this process. Like the tables above they say
# what names mean, whatever checkpoint is read.
_added: list[TensorNames] = []


def use_tensor_names(names: Iterable[TensorNames]) -> None:
    """Ask these names after the shipped ones from now on, in place of any that were added."""
    _added[:] = names
    _tables.cache_clear()
    role_of.cache_clear()
    _in_stack.cache_clear()


@cache
def _tables() -> tuple[Stacks, InLayer, Outside]:
    shipped = [(component, prefix + LAYER) for component, prefix in STACKS]
    shipped = [*tower_lines.NUMBERED, *shipped, (TEXT, rf"{_M}mtp\.")]
    stacks = [*shipped, *(line for names in _added for line in names.stacks)]
    lines = [*role_lines.FIRST, *IN_LAYER, *role_lines.IN_LAYER]
    inside = [*lines, *(line for names in _added for line in names.in_layer)]
    further = [(component, kind, _M + name) for component, kind, name in role_lines.OUTSIDE]
    outside = [
        *tower_lines.OUTSIDE,
        *OUTSIDE,
        *further,
        *(line for names in _added for line in names.outside),
    ]
    return (
        [(component, re.compile(prefix + _NUMBERED)) for component, prefix in stacks],
        [(kind, re.compile(pattern)) for kind, pattern in inside],
        [(component, kind, re.compile(pattern)) for component, kind, pattern in outside],
    )


def unwrapped(name: str) -> str:
    """Return a name without the segments that trainers put in: ``module.``, ``_orig_mod.``."""
    return ".".join(part for part in name.split(".") if part not in role_lines.WRAPPERS) or name


@lru_cache(KEPT)
def role_of(name: str) -> TensorRole | None:
    """Return the role of the tensor called `name`, or None where no line of the table fits.

    None fits a name of more than 512 characters, on which patterns would spend minutes.
    """
    if len(name) > LONGEST:
        return None
    stem, part = _split(unwrapped(name))
    stacks, _, outside = _tables()
    for component, pattern in stacks:
        found = pattern.fullmatch(stem)
        if found:
            rest, block = doubled(found["rest"])
            role = _in_layer(component, int(found["layer"]), rest, part)
            if role is None and component is TEXT:  # perhaps one of a stack in another prefix
                continue
            if role is None:
                return tower_lines.role_in_tower(component, int(found["layer"]), rest, part)
            return replace(role, side=block or side_of(stem[: found.start("layer")]))
    for component, kind, whole in outside:
        if whole.fullmatch(stem) and not (component in TEXT_ONLY and is_of_tower(stem)):
            return TensorRole(component, kind, part=part, side=side_of(stem))
    tower = tower_lines.tower_of(stem)
    return TensorRole(tower, MIXER + stem.replace("/", "_"), part=part) if tower else None


def role_in_layer(rest: str, layer: int) -> TensorRole | None:
    """Return the role that a name has behind a layer's number, in whatever stack of the text's."""
    stem, part = _split(rest)
    return _in_layer(TEXT, layer, stem, part)


def role_outside(name: str) -> TensorRole | None:
    """Return the role of the longest end of a name that is one outside of the layers."""
    stem, part = _split(unwrapped(name))
    words = stem.split(".")
    for first in range(len(words)):
        for component, kind, whole in _tables()[2]:
            if whole.fullmatch(".".join(words[first:])):
                return TensorRole(component, kind, part=part)
    return None


def read_roles(names: Iterable[str]) -> RoleMap:
    """Give every tensor its role; what has none is listed, sorted, and so are constants."""
    known = set(names)
    roles: dict[str, TensorRole] = {}
    unmapped: list[str] = []
    ignored: list[str] = []
    for name in sorted(known):
        if role_lines.COMPUTED.fullmatch(name):
            ignored.append(name)
            continue
        scaled = name.endswith(".scale") and name.removesuffix("scale") + "weight" in known
        role = role_of(f"{name.removesuffix('scale')}weight_scale" if scaled else name)
        if role is None:
            unmapped.append(name)
        else:
            roles[name] = role
    settled = settled_together(roles, unmapped, role_of)
    return RoleMap(settled, tuple(n for n in unmapped if n not in settled), tuple(ignored))


def _split(name: str) -> tuple[str, str]:
    stem, _, last = name.rpartition(".")
    if stem and last in role_lines.PARTS:
        return stem, role_lines.PARTS[last]
    for ending, part in (("_blocks", "packed"), ("_scales", "scale")):
        if name.endswith(ending):
            return name.removesuffix(ending), part
    return name, "weight"


def _in_layer(component: Component, layer: int, rest: str, part: str) -> TensorRole | None:
    role = _in_stack(component, rest, part)
    return None if role is None else replace(role, layer=layer)


@lru_cache(KEPT)
def _in_stack(component: Component, rest: str, part: str) -> TensorRole | None:
    """Return the role that every layer of a stack has a tensor in; its own number is to come."""
    for kind, pattern in _tables()[1]:
        found = pattern.fullmatch(rest)
        if found:
            groups = found.groupdict()
            expert = _expert(groups)
            routed = expert not in (None, SECOND) or groups.get("routes") is not None
            mark = next((mark for mark in MARKS if kind.endswith(mark)), "")
            return TensorRole(
                EXPERTS if routed and component is TEXT else component,
                kind.removesuffix(mark),
                expert=expert,
                part=part,
                transposed=mark == "^T",
                layout="" if mark == "^T" else mark,
            )
    mixer = mixer_kind(rest)
    if mixer is None:
        return None
    routes = component is TEXT and ROUTER.match(rest)
    return TensorRole(EXPERTS if routes else component, mixer, part=part)


def _expert(groups: Mapping[str, str | None]) -> int | str | None:
    if groups.get("expert") is not None:
        return int(str(groups["expert"])[:LONGEST_NUMBER])
    if groups.get("shared") is not None:
        return "shared"
    if groups.get("second") is not None:
        return SECOND
    return "stack" if groups.get("stack") is not None else None
