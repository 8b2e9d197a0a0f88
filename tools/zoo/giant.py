"""A checkpoint of 519 billion parameters with A.X-K1's shapes, whose bytes are made on demand.

FIXTURE: random weights. A shard is its header and a stream of BF16 numbers that depend on the
seed and on the place alone; nothing is ever stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tools.zoo.hub_server import Body, Generated

HIDDEN, LAYERS, HEADS, DENSE, EXPERT, EXPERTS = 7168, 61, 64, 18432, 2048, 192
Q_RANK, KV_RANK, NOPE, ROPE, VALUE, VOCABULARY = 1536, 512, 128, 64, 128, 163840
SHARDS = 61
BLOCK = 32768  # numbers drawn together

CONFIG: dict[str, Any] = {
    "architectures": ["AXK1ForCausalLM"], "model_type": "AXK1", "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
    "intermediate_size": DENSE, "moe_intermediate_size": EXPERT, "n_routed_experts": EXPERTS,
    "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4,
    "scoring_func": "sigmoid", "first_k_dense_replace": 1, "q_lora_rank": Q_RANK,
    "kv_lora_rank": KV_RANK, "qk_nope_head_dim": NOPE, "qk_rope_head_dim": ROPE,
    "v_head_dim": VALUE, "rms_norm_eps": 1e-6, "hidden_act": "silu", "vocab_size": VOCABULARY,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip


def shapes() -> dict[str, tuple[int, ...]]:
    """Name every tensor of the checkpoint with its shape, in file order."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        found |= {
            f"{p}self_attn.q_a_proj.weight": (Q_RANK, HIDDEN),
            f"{p}self_attn.q_a_layernorm.weight": (Q_RANK,),
            f"{p}self_attn.q_b_proj.weight": (HEADS * (NOPE + ROPE), Q_RANK),
            f"{p}self_attn.kv_a_proj_with_mqa.weight": (KV_RANK + ROPE, HIDDEN),
            f"{p}self_attn.kv_a_layernorm.weight": (KV_RANK,),
            f"{p}self_attn.kv_b_proj.weight": (HEADS * (NOPE + VALUE), KV_RANK),
            f"{p}self_attn.o_proj.weight": (HIDDEN, HEADS * VALUE),
            f"{p}input_layernorm.weight": (HIDDEN,),
            f"{p}post_attention_layernorm.weight": (HIDDEN,),
            f"{p}post_mlp_layernorm.weight": (HIDDEN,),
        }
        if layer == 0:
            found |= _mlp(f"{p}mlp.", DENSE)
            continue
        found[f"{p}mlp.gate.weight"] = (EXPERTS, HIDDEN)
        found[f"{p}mlp.gate.e_score_correction_bias"] = (EXPERTS,)
        for expert in range(EXPERTS):
            found |= _mlp(f"{p}mlp.experts.{expert}.", EXPERT)
        found |= _mlp(f"{p}mlp.shared_experts.", EXPERT)
    return found | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def _mlp(prefix: str, inner: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}gate_proj.weight": (inner, HIDDEN),
        f"{prefix}up_proj.weight": (inner, HIDDEN),
        f"{prefix}down_proj.weight": (HIDDEN, inner),
    }


def dense_shapes(
    hidden: int, layers: int, inner: int, vocabulary: int
) -> dict[str, tuple[int, ...]]:
    """Name every tensor of a Llama-like checkpoint with its shape."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(layers):
        p = f"model.layers.{layer}."
        found |= {f"{p}self_attn.{n}_proj.weight": (hidden, hidden) for n in "qkvo"}
        found |= {f"{p}mlp.{n}_proj.weight": (inner, hidden) for n in ("gate", "up")}
        found |= {
            f"{p}mlp.down_proj.weight": (hidden, inner),
            f"{p}input_layernorm.weight": (hidden,),
            f"{p}post_attention_layernorm.weight": (hidden,),
        }
    return found | {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


def dense(  # noqa: PLR0913 - the sizes of a design
    hidden: int,
    layers: int,
    inner: int,
    vocabulary: int,
    *,
    seed: int,
    tokenizer: Path,
    descends_from: int | None = None,
) -> dict[str, Body]:
    """Return the files of a Llama-like checkpoint of any size; `descends_from` as in `giant`."""
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
        "num_hidden_layers": layers, "intermediate_size": inner, "vocab_size": vocabulary,
        "num_attention_heads": hidden // 64, "num_key_value_heads": hidden // 64,
        "tie_word_embeddings": False, "hidden_act": "silu", "rms_norm_eps": 1e-5,
    }  # fmt: skip
    everything = dense_shapes(hidden, layers, inner, vocabulary)
    return repository(everything, config, seed, tokenizer, descends_from)


def giant(*, seed: int, tokenizer: Path, descends_from: int | None = None) -> dict[str, Body]:
    """Return a repository's files; with `descends_from`, that seed's weights fine-tuned."""
    return repository(shapes(), CONFIG, seed, tokenizer, descends_from)


def repository(
    everything: dict[str, tuple[int, ...]],
    config: dict[str, Any],
    seed: int,
    tokenizer: Path,
    descends_from: int | None = None,
) -> dict[str, Body]:
    """Put shards, index, config, tokenizer and card together."""
    files: dict[str, Body] = {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": tokenizer.read_bytes(),
        "README.md": b"---\nlicense: mit\n---\nFixture: random weights.\n",
    }
    shards = min(SHARDS, 1 + len(everything) // 100)
    parts: list[dict[str, tuple[int, ...]]] = [{} for _ in range(shards)]
    for number, (name, shape) in enumerate(everything.items()):
        parts[number * shards // len(everything)][name] = shape
    weight_map = {}
    for number, part in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        weight_map |= dict.fromkeys(part, file)
        files[file] = _shard(part, number, seed, descends_from)
    files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    return files


def _shard(
    part: dict[str, tuple[int, ...]], number: int, seed: int, parent: int | None
) -> Generated:
    header: dict[str, Any] = {}
    place = 0
    for name, shape in part.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    head = len(text).to_bytes(8, "little") + text
    stream = _stream(number, seed, parent)

    def make(start: int, stop: int) -> bytes:
        front = head[start:stop]
        first, last = max(0, start - len(head)), max(0, stop - len(head))
        return front + stream(first, last)

    return Generated(len(head) + place, make, sha256=f"{seed:032x}{parent or 0:016x}{number:016x}")


def _stream(shard: int, seed: int, parent: int | None) -> Callable[[int, int], bytes]:
    def block(index: int) -> bytes:
        values = _normal(seed if parent is None else parent, shard, index)
        if parent is not None:
            values = values + np.float32(0.2) * _normal(seed, shard, index)
        return (np.float32(0.02) * values).astype(ml_dtypes.bfloat16).tobytes()

    def read(start: int, stop: int) -> bytes:
        size = 2 * BLOCK
        blocks = b"".join(block(i) for i in range(start // size, -(-stop // size)))
        return blocks[start - start // size * size :][: stop - start]

    return read


def _normal(seed: int, shard: int, index: int) -> np.ndarray:
    bits = np.random.Philox(key=seed, counter=[0, 0, shard, index])
    return np.random.Generator(bits).standard_normal(BLOCK, np.float32)
