"""Small real checkpoints whose ancestry is known: independent, derived, copied, composite.

Llama-shaped, two shards and an index, a byte-level BPE tokenizer trained on this repository's
own text, and a model card. Each is below 1 MB; `seed` decides the weights.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LAYERS = 2
HIDDEN = 32
INTERMEDIATE = 64
HEADS = 4
KV_HEADS = 2
VOCABULARY = 384
# Independent models learn their vocabularies from different texts, as in life.
TEXTS = ("hub_server.py", "small_checkpoints.py", "disguises.py")

Weights = dict[str, NDArray[np.float32]]


def independent(folder: Path, *, seed: int = 1, card: Mapping[str, Any] | None = None) -> Path:
    """A model of its own: own initialisation, own tokenizer, no base model on its card."""
    card = card or {"license": "mit", "language": ["en"]}
    return write(folder, text_weights(seed), card=card, text=TEXTS[seed % len(TEXTS)])


def finetuned(
    folder: Path,
    base: Path,
    *,
    noise: float = 0.01,
    seed: int = 9,
    base_model: str = "org/independent",
) -> Path:
    """`base` and a little noise on every tensor; its card says so."""
    generator = np.random.default_rng(seed)
    weights = {
        name: value + noise * generator.standard_normal(value.shape, np.float32) * value.std()
        for name, value in read(base).items()
    }
    card = {"base_model": base_model, "base_model_relation": "finetune", "license": "mit"}
    write(folder, weights, card=card)
    shutil.copy(base / "tokenizer.json", folder / "tokenizer.json")
    return folder


def verbatim_copy(folder: Path, base: Path) -> Path:
    """Every file of `base`, byte for byte, under another card."""
    shutil.copytree(base, folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Our own model\n")
    return folder


def composite(folder: Path, *, seed: int = 3) -> Path:
    """A text decoder with a vision tower and a projector between them."""
    generator = np.random.default_rng(seed + 100)
    weights = {f"language_model.{name}": value for name, value in text_weights(seed).items()}
    for layer in range(2):
        name = f"vision_tower.encoder.layers.{layer}.self_attn.q_proj.weight"
        weights[name] = _normal(generator, 24, 24)
    weights["projector.linear_1.weight"] = _normal(generator, HIDDEN, 24)
    vision = {"model_type": "siglip_vision_model", "hidden_size": 24, "num_hidden_layers": 2}
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "text_config": text_config(),
        "vision_config": vision,
    }
    return write(folder, weights, config=config, card={"license": "mit"})


def text_config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
    }


def text_weights(seed: int) -> Weights:
    generator = np.random.default_rng(seed)
    key_value = HIDDEN // HEADS * KV_HEADS
    weights = {"model.embed_tokens.weight": _normal(generator, VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        weights |= {
            f"{prefix}.input_layernorm.weight": 1 + _normal(generator, HIDDEN),
            f"{prefix}.self_attn.q_proj.weight": _normal(generator, HIDDEN, HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": _normal(generator, key_value, HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": _normal(generator, key_value, HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": _normal(generator, HIDDEN, HIDDEN),
            f"{prefix}.post_attention_layernorm.weight": 1 + _normal(generator, HIDDEN),
            f"{prefix}.mlp.gate_proj.weight": _normal(generator, INTERMEDIATE, HIDDEN),
            f"{prefix}.mlp.up_proj.weight": _normal(generator, INTERMEDIATE, HIDDEN),
            f"{prefix}.mlp.down_proj.weight": _normal(generator, HIDDEN, INTERMEDIATE),
        }
    weights["model.norm.weight"] = 1 + _normal(generator, HIDDEN)
    weights["lm_head.weight"] = _normal(generator, VOCABULARY, HIDDEN)
    return weights


def write(
    folder: Path,
    weights: Weights,
    *,
    config: Mapping[str, Any] | None = None,
    card: Mapping[str, Any],
    text: str = "small_checkpoints.py",
) -> Path:
    """Write a checkpoint of two shards with everything a real one has beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(weights)
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        shard = {name: np.ascontiguousarray(weights[name]) for name in part}
        save_file(shard, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(value.nbytes for value in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    _json(folder / "model.safetensors.index.json", index)
    _json(folder / "config.json", config or text_config())
    _json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    _json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    (folder / "tokenizer.json").write_text(tokenizer(text).to_str(pretty=True))
    front = "".join(f"{key}: {json.dumps(value)}\n" for key, value in card.items())
    (folder / "README.md").write_text(f"---\n{front}---\n# {folder.name}\n\nA small model.\n")
    return folder


def read(folder: Path) -> Weights:
    """Load all weights of a checkpoint that `write` wrote."""
    weights: Weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    return weights


def tokenizer(text: str = "small_checkpoints.py") -> Tokenizer:
    """Train a byte-level BPE on one of `TEXTS`; the same on every machine."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator((Path(__file__).parent / text).read_text().splitlines(), trainer)
    return made


def _normal(generator: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return 0.02 * generator.standard_normal(shape, np.float32)


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
