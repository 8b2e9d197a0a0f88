"""The checkpoint that a GGUF file was converted from, as far as rounding left it, for disguises.

Read by the `gguf` package, the reference, and never by the code that is tested: names, the order
of rotary rows and blocks are undone here a second time. Of Llama-like files only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tools.zoo.disguises import Model
from tools.zoo.packing import GGUF_NAMES

Array = NDArray[Any]
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight",
           "output_norm.weight": "model.norm.weight"}  # fmt: skip
CONTROL, USER_DEFINED = 3, 4  # types of tokens that are no vocabulary


def read_original(path: Path) -> Model:
    """Return tensors as float32 under the names of the hub, tied tables apart, and a config."""
    from gguf import GGUFReader, dequantize  # noqa: PLC0415 - a package of the tests only

    reader = GGUFReader(path)
    config = _config(reader)
    tensors = {}
    for tensor in reader.tensors:
        value = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        found = re.fullmatch(r"blk\.(\d+)\.(.+)\.weight", tensor.name)
        if found and found[2] in ("attn_q", "attn_k"):
            which = "num_attention_heads" if found[2] == "attn_q" else "num_key_value_heads"
            value = _restored(value, config[which])
        tensors[_name(tensor.name, found)] = value
    tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"])
    return Model(tensors, config)


def _restored(value: Array, heads: int) -> Array:
    """Undo ``LlamaModel.permute`` of convert_hf_to_gguf.py."""
    pairs = value.reshape(heads, len(value) // heads // 2, 2, value.shape[1])
    return pairs.swapaxes(1, 2).reshape(value.shape)


def _name(name: str, found: re.Match[str] | None) -> str:
    if found is None:
        return OUTSIDE[name]
    original = {short: long for long, short in GGUF_NAMES.items()}[found[2]]
    return f"model.layers.{found[1]}.{original}.weight"


def _config(reader: Any) -> dict[str, Any]:
    def key(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": key("embedding_length"),
        "intermediate_size": key("feed_forward_length"),
        "num_hidden_layers": key("block_count"),
        "num_attention_heads": key("attention.head_count"),
        "num_key_value_heads": key("attention.head_count_kv"),
        "vocab_size": key("vocab_size"),
        "max_position_embeddings": key("context_length"),
        "rms_norm_eps": round(key("attention.layer_norm_rms_epsilon"), 9),
        "rope_theta": key("rope.freq_base"),
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }


def write_tokenizer(path: Path, target: Path) -> None:
    """Write the byte-level vocabulary of a GGUF file as tokenizer.json."""
    from gguf import GGUFReader  # noqa: PLC0415

    fields = GGUFReader(path).fields
    tokens, kinds, merges = (
        fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges")
    )
    ordinary = {token: i for i, token in enumerate(tokens)}
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocab=ordinary, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [t for t, kind in zip(tokens, kinds, strict=True) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    tokenizer.save(str(target / "tokenizer.json"))


def write_folder(model: Model, target: Path, vocabulary: Path, card: Mapping[str, Any]) -> Path:
    """Write a model as a repository of the hub: F16, with the vocabulary of a GGUF file."""
    target.mkdir(parents=True)
    state = {n: np.ascontiguousarray(v.astype(np.float16)) for n, v in model.tensors.items()}
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(model.config, indent=1))
    lines = "\n".join(f"{name}: {value}" for name, value in card.items())
    (target / "README.md").write_text(f"---\n{lines}\n---\n# A disguise, for tests\n")
    write_tokenizer(vocabulary, target)
    return target


def with_noise(model: Model, share: float, rng: np.random.Generator) -> Model:
    """Add noise of a share of each tensor's own spread: what drift looks like, and no training."""
    out = model.copy()
    for name, value in model.tensors.items():
        noise = rng.standard_normal(value.shape, np.float32)
        out.tensors[name] = value + share * float(value.std()) * noise
    return out
