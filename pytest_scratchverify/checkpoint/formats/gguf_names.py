"""GGUF tensor names, and llama.cpp's rotary row order, mapped to those of the original.

llama.cpp's converter renames every tensor and, for some architectures, changes the order of
rows. Names are undone by the table below. Of orders only one is undone, that of queries and
keys in the Llama family; where an architecture is in neither list, queries and keys are left
out and reported, so that they are not compared with the wrong rows.

Sources: gguf/constants.py (TENSOR_NAMES), llama.cpp's conversion/ (`permute`, `undo_permute`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_scratchverify.checkpoint.header import TensorInfo

# Architectures whose converter calls LlamaModel.permute on q and k.
PERMUTED = frozenset(
    {"llama", "granite", "granitemoe", "granitehybrid", "minicpm", "olmo", "smollm3", "arctic",
     "deci", "arcee", "bailingmoe", "deepseek", "internlm2", "llada", "mistral3", "nanbeige"}
)  # fmt: skip
# Architectures that keep the order of rows.
UNPERMUTED = frozenset(
    {"qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "gemma", "gemma2", "gemma3", "phi2",
     "phi3", "phimoe", "stablelm", "starcoder2", "olmo2", "olmoe", "exaone", "exaone4",
     "deepseek2", "glm4moe", "gpt-oss", "bert", "cohere2", "apertus", "command-r", "dots1",
     "ernie4_5", "ernie4_5-moe", "exaone-moe", "falcon-h1", "gemma-embedding", "gemma3n", "gemma4",
     "glm4", "hunyuan-dense", "hunyuan-moe", "lfm2", "lfm2moe", "llada-moe", "llama4",
     "minimax-m2", "nemotron", "qwen35", "qwen35moe", "qwen3next", "qwen3vl", "qwen3vlmoe",
     "seed_oss"}
)  # fmt: skip
SECTIONS = "rope.dimension_sections"  # of images: with it GLM-4's converter changes the order too
# Architectures whose ffn_up holds gate and up, one after the other.
FUSED_UP = frozenset({"phi3", "chatglm", "glm4"})

_LAYER = re.compile(r"blk\.(\d{1,6})\.(.+?)\.(weight|bias)")
OUTSIDE: Mapping[str, str] = {
    "token_embd": "model.embed_tokens",
    "output": "lm_head",
    "output_norm": "model.norm",
    "position_embd": "model.embed_positions",
}
IN_LAYER: Mapping[str, str] = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_b": "self_attn.kv_b_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj",
    "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj",
}
STACKED: Mapping[str, str] = {
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
}
ROTARY = ("attn_q", "attn_k")
ORDERED = (*ROTARY, "attn_qkv")  # rows of which an unknown converter may have changed the order


@dataclass(frozen=True, slots=True)
class Renamed:
    """Tensors under the original's names, and the heads of those whose rows were reordered."""

    tensors: tuple[TensorInfo, ...]
    rotary: Mapping[str, int]
    excluded: tuple[str, ...]


def restore_names(tensors: Iterable[TensorInfo], keys: Mapping[str, Any]) -> Renamed:
    """Rename the tensors of one model; what has no line in the tables keeps its name."""
    tensors = tuple(tensors)
    architecture = str(keys.get("general.architecture"))
    names = {info.name for info in tensors}
    found: list[TensorInfo] = []
    rotary: dict[str, int] = {}
    excluded: list[str] = []
    for info in tensors:
        part = _LAYER.fullmatch(info.name)
        if part and part[2] in ORDERED and not _keeps_order(architecture, keys):
            known = architecture in PERMUTED and part[2] in ROTARY
            heads = _heads(part[2], int(part[1]), info, keys) if known else None
            if heads is None:
                excluded.append(info.name)
                continue
            rotary[_name(info, part, names, architecture)] = heads
        found.append(replace(info, name=_name(info, part, names, architecture)))
    return Renamed(tuple(found), rotary, tuple(excluded))


def _keeps_order(architecture: str, keys: Mapping[str, Any]) -> bool:
    sectioned = architecture == "glm4" and f"glm4.{SECTIONS}" in keys
    return architecture in UNPERMUTED and not sectioned


def _heads(kind: str, layer: int, info: TensorInfo, keys: Mapping[str, Any]) -> int | None:
    """Return the number of heads, or None if it does not divide the rows in pairs."""
    prefix = f"{keys.get('general.architecture')}.attention.head_count"
    value = keys.get(prefix)
    if kind == "attn_k":
        value = keys.get(f"{prefix}_kv", value)
    if isinstance(value, list):  # one number for every layer
        value = value[layer] if layer < len(value) else None
    if type(value) is not int or value < 1 or not info.shape or info.shape[0] % (2 * value):
        return None
    return value


def _name(info: TensorInfo, part: re.Match[str] | None, names: set[str], architecture: str) -> str:
    stem, _, last = info.name.rpartition(".")
    if part is None:
        return f"{OUTSIDE[stem]}.{last}" if stem in OUTSIDE else info.name
    layer, kind, ending = part.groups()
    prefix = f"model.layers.{layer}."
    if kind in STACKED:
        return prefix + STACKED[kind] + ("" if ending == "weight" else "_bias")
    if kind in ("ffn_up", "ffn_down") and f"blk.{layer}.ffn_gate.weight" not in names:
        if architecture in FUSED_UP:
            known = {"ffn_up": "mlp.gate_up_proj", "ffn_down": "mlp.down_proj"}[kind]
        else:  # a block without gate: GPT-2, BERT, Phi-2
            known = {"ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}[kind]
        return f"{prefix}{known}.{ending}"
    if kind == "ffn_norm" and f"blk.{layer}.post_attention_norm.weight" in names:
        return f"{prefix}pre_feedforward_layernorm.{ending}"  # four norms: Gemma 2 and 3
    return f"{prefix}{IN_LAYER[kind]}.{ending}" if kind in IN_LAYER else info.name
