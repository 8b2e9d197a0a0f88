"""What the models of the zoo look like, and what a config.json says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONTEXT = 64
IMAGE, PATCH = 24, 6


@dataclass(frozen=True)
class Shape:
    """What a config.json says of a small model."""

    hidden: int = 64
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    inner: int = 176
    experts: int = 0
    vision: bool = False
    tokenizer: str = "a"
    head_dim: int = 0  # hidden / heads unless a width was changed
    qk_norm: bool | None = None  # where there are experts unless told otherwise


SMALL = Shape()
WIDE = Shape(hidden=128, layers=6, heads=8, kv_heads=4, inner=352)
MIDDLE = Shape(hidden=512, layers=6, heads=8, kv_heads=4, inner=2048)
MOE = Shape(inner=96, experts=4)
DOUBLED = Shape(inner=96, experts=8, layers=6)
COMPOSITE = Shape(layers=3, vision=True)


def config_of(shape: Shape, vocabulary: int) -> dict[str, Any]:
    text = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    if shape.experts:
        text |= {
            "architectures": ["Qwen3MoeForCausalLM"],
            "model_type": "qwen3_moe",
            "num_experts": shape.experts,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": shape.inner,
            "norm_topk_prob": True,
        }
    if not shape.vision:
        return text
    vision = {
        "model_type": "qwen2_5_vl",
        "hidden_size": 48,
        "depth": 3,
        "num_heads": 4,
        "patch_size": PATCH,
    }
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "text_config": text,
        "vision_config": {**vision, "intermediate_size": 128, "out_hidden_size": shape.hidden},
    }
