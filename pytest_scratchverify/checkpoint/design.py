"""Read a model's design from its config.json: one canonical set of fields per tower.

Exporters name the same thing differently (`num_experts`, `n_routed_experts`,
`num_local_experts`); this module knows the names and nothing else. It never loads code: a
config with `auto_map` is read like any other. It does not judge; `methods.architecture` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pytest_scratchverify.checkpoint.composite import beside_text, part, text_part
from pytest_scratchverify.core.json_values import Json

Value = bool | int | float | str
LARGEST_SIZE = 2**40  # no width, depth or number of anything in a model comes near
UNSTATED = "unstated_fields"  # the catalogue's own key, in configs that were published in part
ABSENT: Final = "absent"  # the concept does not apply, which is not the same as unknown


class Tower(StrEnum):
    """A part of a composite model with a design of its own."""

    TEXT = "text"
    VISION = "vision"
    AUDIO = "audio"
    PROJECTOR = "projector"


class FieldKind(StrEnum):
    """How two values of a field are compared."""

    SIZE = "size"  # by ratio
    CHOICE = "choice"  # equal or not


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field, its kind, and the names that config files give it."""

    name: str
    kind: FieldKind
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the canonical name and its aliases."""
        return (self.name, *self.aliases)


_SIZES = (
    Field("hidden_size", FieldKind.SIZE, ("n_embd", "d_model", "embed_dim")),
    Field("num_hidden_layers", FieldKind.SIZE, ("n_layer", "n_layers", "num_layers", "depth")),
    Field("num_attention_heads", FieldKind.SIZE, ("n_head", "n_heads", "num_heads")),
    Field(
        "num_key_value_heads",
        FieldKind.SIZE,
        ("num_kv_heads", "n_head_kv", "multi_query_group_num"),
    ),
    Field("head_dim", FieldKind.SIZE, ("head_size", "kv_channels")),
    Field("q_lora_rank", FieldKind.SIZE),
    Field("kv_lora_rank", FieldKind.SIZE),
    Field("qk_nope_head_dim", FieldKind.SIZE),
    Field("qk_rope_head_dim", FieldKind.SIZE),
    Field("v_head_dim", FieldKind.SIZE),
    Field("intermediate_size", FieldKind.SIZE, ("n_inner", "ffn_dim", "ffn_hidden_size", "d_ff")),
    Field("moe_intermediate_size", FieldKind.SIZE, ("expert_intermediate_size",)),
    Field(
        "n_routed_experts", FieldKind.SIZE, ("num_experts", "num_local_experts", "moe_num_experts")
    ),
    Field(
        "n_shared_experts",
        FieldKind.SIZE,
        ("num_shared_experts", "n_shared_expert", "moe_num_shared_experts"),
    ),
    Field("num_experts_per_tok", FieldKind.SIZE, ("num_experts_per_token", "moe_topk", "moe_k")),
    Field("n_group", FieldKind.SIZE),
    Field("topk_group", FieldKind.SIZE),
    Field(
        "first_k_dense_replace",
        FieldKind.SIZE,
        ("first_last_k_dense_replace", "moe_layer_start_index"),
    ),
    Field("num_nextn_predict_layers", FieldKind.SIZE),
    Field("vocab_size", FieldKind.SIZE, ("padded_vocab_size",)),
    Field("max_position_embeddings", FieldKind.SIZE, ("n_positions", "max_seq_len", "seq_length")),
    Field("sliding_window", FieldKind.SIZE),
    Field("norms_per_layer", FieldKind.SIZE),
    Field("patch_size", FieldKind.SIZE),
    Field("out_hidden_size", FieldKind.SIZE),
    Field("spatial_merge_size", FieldKind.SIZE),
    Field("num_mel_bins", FieldKind.SIZE),
    Field("in_features", FieldKind.SIZE),
    Field("out_features", FieldKind.SIZE),
)
_CHOICES = (
    Field("model_type", FieldKind.CHOICE),
    Field("attention_kind", FieldKind.CHOICE),
    Field("hidden_act", FieldKind.CHOICE, ("activation_function", "hidden_activation", "act_fn")),
    Field("gated_mlp", FieldKind.CHOICE),
    Field("norm", FieldKind.CHOICE),
    Field("norm_eps", FieldKind.CHOICE),
    Field("use_qk_norm", FieldKind.CHOICE, ("qk_norm", "qk_layernorm")),
    Field("rope_theta", FieldKind.CHOICE, ("rotary_emb_base",)),
    Field("rope_scaling", FieldKind.CHOICE),
    Field("partial_rotary_factor", FieldKind.CHOICE, ("rotary_pct",)),
    Field("tie_word_embeddings", FieldKind.CHOICE),
    Field("attention_bias", FieldKind.CHOICE, ("qkv_bias",)),
    Field("mlp_bias", FieldKind.CHOICE),
    Field("parallel_attn", FieldKind.CHOICE, ("use_parallel_residual", "parallel_residual")),
    Field("scoring_func", FieldKind.CHOICE, ("score_function", "moe_router_activation_func")),
    Field("routed_scaling_factor", FieldKind.CHOICE),
    Field("norm_topk_prob", FieldKind.CHOICE),
    Field("attention_multiplier", FieldKind.CHOICE),
    Field("layer_pattern", FieldKind.CHOICE),
    Field("projector_type", FieldKind.CHOICE, ("mm_projector_type",)),
    Field("projector_hidden_act", FieldKind.CHOICE),
)
FIELDS: Final[Mapping[str, Field]] = {field.name: field for field in (*_SIZES, *_CHOICES)}

# Fields that exist only together: a dense model has no experts to be silent about.
_MLA_FIELDS = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_MOE_FIELDS = (
    "moe_intermediate_size",
    "n_routed_experts",
    "n_shared_experts",
    "num_experts_per_tok",
    "n_group",
    "topk_group",
    "first_k_dense_replace",
    "scoring_func",
    "routed_scaling_factor",
    "norm_topk_prob",
)

# What a family's published modelling code fixes and its config.json need not say.
_IMPLIED: Final[Mapping[str, Mapping[str, Value]]] = {
    "axk1": {"norms_per_layer": 3, "norm": "RMSNorm"},
    "deepseek_v3": {"scoring_func": "sigmoid", "norms_per_layer": 2},
    "glm4_moe": {"scoring_func": "sigmoid", "norms_per_layer": 2, "hidden_act": "silu"},
    "solar_open": {"scoring_func": "sigmoid", "norms_per_layer": 2},
    "kimi_k2": {"scoring_func": "sigmoid", "norms_per_layer": 2},
    "qwen2": {"attention_bias": True, "norms_per_layer": 2},
    "qwen2_5_vl_text": {"attention_bias": True, "norms_per_layer": 2},
    "qwen3": {"use_qk_norm": True, "norms_per_layer": 2},
    "qwen3_moe": {"use_qk_norm": True, "norms_per_layer": 2},
    "gemma": {"tie_word_embeddings": True, "gated_mlp": True},
    "gemma2": {"tie_word_embeddings": True, "gated_mlp": True},
    "gpt2": {"tie_word_embeddings": True, "norm": "LayerNorm", "attention_bias": True},
    "gpt_neox": {"norm": "LayerNorm", "attention_bias": True, "mlp_bias": True},
}
_VISION_KEYS = ("vision_config", "vision_tower_config", "visual", "vit_config")
_PROJECTOR_KEYS = ("projector_config", "mm_projector", "connector_config")
_AUDIO_KEYS = ("audio_config", "audio_encoder_config", "speech_config")


@dataclass(frozen=True, slots=True)
class Design:
    """The canonical fields of one tower, and the config that they were read from.

    A field that is missing is unknown, never zero.
    """

    tower: Tower
    fields: Mapping[str, Value]
    config: Mapping[str, Json] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def size(self, name: str) -> int | None:
        """Return a size field as an int, or None where it is unknown or does not apply."""
        value = self.fields.get(name)
        return int(value) if isinstance(value, (int, float)) and value is not True else None

    def text(self, name: str) -> str | None:
        """Return a choice field as text, or None where it is unknown or does not apply."""
        value = self.fields.get(name)
        return None if value is None or value == ABSENT else str(value)

    @property
    def special_modules(self) -> list[str]:
        """Return what a tower has beyond attention, MLP and two norms a layer."""
        found = []
        if layers := self.size("num_nextn_predict_layers"):
            found.append(f"{layers} multi-token prediction layer(s)")
        if shared := self.size("n_shared_experts"):
            found.append(f"{shared} shared expert(s)")
        if (norms := self.size("norms_per_layer")) and norms > 2:
            found.append(f"{norms} norms per layer")
        if self.fields.get("use_qk_norm") is True:
            found.append("norms on queries and keys")
        if self.text("layer_pattern"):
            found.append(f"layer pattern {self.text('layer_pattern')}")
        return found

    @property
    def is_moe(self) -> bool:
        """Whether the tower routes between experts."""
        return (self.size("n_routed_experts") or 0) > 1


def read_designs(config: Mapping[str, Json]) -> dict[Tower, Design]:
    """Return the design of every tower that a config.json describes.

    Parameters
    ----------
    config
        The parsed config.json; unknown keys are ignored, values of a wrong type too.

    Returns
    -------
    Designs by tower. A config that names none of the known fields gives an empty mapping.

    """
    towers: dict[Tower, Design] = {}
    own = text_part(config)
    text_config = beside_text(config, own)
    for tower, raw, stated in (
        (Tower.TEXT, text_config, own),
        (Tower.VISION, part(config, _VISION_KEYS), {}),
        (Tower.AUDIO, part(config, _AUDIO_KEYS), {}),
    ):
        fields = _read_fields(raw, tower) if raw else {}
        if "hidden_size" in fields or "num_hidden_layers" in fields:
            towers[tower] = Design(tower, fields, stated)
    projector = _read_projector(config, towers)
    if projector:
        towers[Tower.PROJECTOR] = Design(Tower.PROJECTOR, projector)
    return towers


def _read_projector(config: Mapping[str, Json], towers: Mapping[Tower, Design]) -> dict[str, Value]:
    """Describe what leads from an encoder to the decoder: its kind, and the widths it joins."""
    encoder = towers.get(Tower.VISION) or towers.get(Tower.AUDIO)
    if encoder is None:
        return {}
    raw = {**config, **part(config, _PROJECTOR_KEYS)}
    fields: dict[str, Value] = {}
    for name in ("projector_type", "projector_hidden_act"):
        for alias in FIELDS[name].names:
            value = _usable(raw.get(alias), FieldKind.CHOICE)
            if value is not None:
                fields.setdefault(name, value)
    text = towers.get(Tower.TEXT)
    widths = {
        "in_features": encoder.size("hidden_size"),
        "out_features": encoder.size("out_hidden_size")
        or (text.size("hidden_size") if text else None),
        "spatial_merge_size": encoder.size("spatial_merge_size"),
    }
    return fields | {name: width for name, width in widths.items() if width is not None}


def _read_fields(raw: Mapping[str, Json], tower: Tower) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for field in FIELDS.values():
        for name in field.names:
            value = _usable(raw.get(name), field.kind)
            if value is not None:
                fields[field.name] = value
                break
    fields |= _read_rope(raw)
    fields |= _read_norm(raw)
    _normalise_model_type(fields, tower)
    for name, implied in _IMPLIED.get(str(fields.get("model_type")), {}).items():
        fields.setdefault(name, implied)
    _derive(fields, raw)
    if tower is Tower.TEXT:
        _mark_absent(fields)
    unstated = raw.get(UNSTATED)
    names = map(str, unstated) if isinstance(unstated, list) else ()
    for name in names:  # they stay open: nothing is guessed
        if name not in raw:
            fields.pop(name, None)
    return fields


def _usable(value: Json, kind: FieldKind) -> Value | None:
    if kind is FieldKind.SIZE:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return value if number and 0 <= value < LARGEST_SIZE else None  # type: ignore[return-value,operator]
    return value if isinstance(value, (bool, int, float, str)) else None


def _normalise_model_type(fields: dict[str, Value], tower: Tower) -> None:
    """Fold spellings of one family: hub and library differ in case and in suffix."""
    name = str(fields.get("model_type", "")).split(" ")[0].lower()
    if tower is Tower.VISION:
        name = name.removesuffix("_vision")
    if name:
        fields["model_type"] = name


def _read_rope(raw: Mapping[str, Json]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key in ("rope_parameters", "rope_scaling"):
        table = raw.get(key)
        if not isinstance(table, dict):
            continue
        theta = table.get("rope_theta")
        if isinstance(theta, (int, float)):
            found["rope_theta"] = theta
        kind = table.get("rope_type", table.get("type"))
        factor = table.get("factor")
        if kind not in (None, "default") or isinstance(factor, (int, float)):
            shown = f" x{factor:g}" if isinstance(factor, (int, float)) else ""
            found["rope_scaling"] = f"{kind or 'scaled'}{shown}"
    if isinstance(raw.get("rope_scaling_factor"), (int, float)):
        found.setdefault("rope_scaling", f"scaled x{raw['rope_scaling_factor']:g}")
    return found


def _read_norm(raw: Mapping[str, Json]) -> dict[str, Value]:
    for key, norm in (
        ("rms_norm_eps", "RMSNorm"),
        ("layer_norm_eps", "LayerNorm"),
        ("layer_norm_epsilon", "LayerNorm"),
        ("layernorm_epsilon", "LayerNorm"),
    ):
        eps = raw.get(key)
        if isinstance(eps, (int, float)):
            return {"norm": str(raw.get("norm", norm)), "norm_eps": float(eps)}
    return {}


def _derive(fields: dict[str, Value], raw: Mapping[str, Json]) -> None:
    """Fill what other fields determine: attention kind, head size, layer pattern."""
    heads, hidden = fields.get("num_attention_heads"), fields.get("hidden_size")
    mla = isinstance(fields.get("kv_lora_rank"), int) and fields["kv_lora_rank"]
    if mla:
        fields.pop("head_dim", None)  # configs of MLA models put unlike things there
        fields["num_key_value_heads"] = heads if heads is not None else ABSENT
    elif isinstance(heads, int) and isinstance(hidden, int) and heads:
        fields.setdefault("head_dim", hidden // heads)
        fields.setdefault("num_key_value_heads", heads)
    kind = _attention_kind(fields, raw)
    if kind:
        fields["attention_kind"] = kind
    pattern = _layer_pattern(raw)
    if pattern:
        fields["layer_pattern"] = pattern
    if fields.get("hidden_act") in ("silu", "swiglu", "swish"):
        fields.setdefault("gated_mlp", True)


def _attention_kind(fields: Mapping[str, Value], raw: Mapping[str, Json]) -> str | None:
    """Name the attention: low-rank projections make it MLA, whatever the head counts say."""
    if fields.get("kv_lora_rank"):
        linear = "linear_attention" in str(raw.get("layer_types", ""))
        return "MLA + linear" if linear else "MLA"
    heads, kv_heads = fields.get("num_attention_heads"), fields.get("num_key_value_heads")
    if not isinstance(heads, int) or not isinstance(kv_heads, int):
        return None
    if kv_heads == heads:
        return "MHA"
    return "MQA" if kv_heads == 1 else "GQA"


def _layer_pattern(raw: Mapping[str, Json]) -> str | None:
    pattern = raw.get("sliding_window_pattern")
    if isinstance(pattern, (str, int)) and not isinstance(pattern, bool):
        return str(pattern)
    types = raw.get("layer_types")
    counts: dict[str, int] = {}
    if isinstance(types, dict) and isinstance(types.get("counts"), dict):
        stated = types["counts"].items()  # type: ignore[union-attr]
        counts = {str(key): n for key, n in stated if type(n) is int}
    elif isinstance(types, list):
        for item in types:
            counts[str(item)] = counts.get(str(item), 0) + 1
    return ", ".join(f"{counts[key]} {key}" for key in sorted(counts)) or None


def _mark_absent(fields: dict[str, Value]) -> None:
    """Say which concepts a complete text config rules out, so that they can differ."""
    if "num_attention_heads" in fields and not fields.get("kv_lora_rank"):
        for name in _MLA_FIELDS:
            fields[name] = ABSENT
    if "intermediate_size" in fields and not fields.get("n_routed_experts"):
        for name in _MOE_FIELDS:
            fields[name] = ABSENT
    if fields.get("n_routed_experts") and fields.get("moe_intermediate_size") is None:
        fields["moe_intermediate_size"] = fields.get("intermediate_size", ABSENT)
