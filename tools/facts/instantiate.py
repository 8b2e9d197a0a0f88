"""Draw configurations of every model type that writes text, and count what the library builds.

    python -m tools.facts.instantiate FILE.jsonl.gz [--variants 4] [--types qwen3,axk2] [--each-key]

A tool of development: it needs `torch` and `transformers`, which run time does not. Models are
built on the meta device, so nothing is allocated. A row holds a configuration as the library
saves it, the parameters of the text decoder (what `get_decoder` and the output head hold, shared
ones once; of a config without other parts, the whole model) and the numbers beside them that no
gradient trains. Variants have sizes doubled or halved, switches turned and kinds of layers drawn
anew; with `--each-key` there is one for every key, changed alone. What the library refuses is
left out.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import random
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SEED = 20261126
WHOLE = (
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
)
MAPPINGS = (
    *WHOLE,
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
)
KINDS = ("layer_types", "layers_block_type", "mlp_layer_types", "indexer_types")
_INDEXED = {"indexer_n_heads": 16, "indexer_kv_heads": 1, "indexer_head_dim": 256,
            "indexer_budget": 2048, "indexer_compress_ratio": 4}  # fmt: skip
# What a class needs and its own defaults leave open, so that it cannot be built from them.
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "chameleon": {"vocabulary_map": {"<image>": 8711}},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "kv_n_heads": 4}},
    "deepseek_ocr2": {"mlp_layer_types": ["dense", *["sparse"] * 31], "num_experts_per_tok": 6},
    "diffusion_gemma": {"num_experts": 16, "top_k_experts": 4, "moe_intermediate_size": 704},
    "dots1": {"n_routed_experts": 16, "n_shared_experts": 2, "num_experts_per_tok": 6},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128, "num_experts": 8, "moe_topk": 2},
    "lfm2_moe": {"layer_types": [*["conv", "conv", "full_attention"] * 10, "conv", "conv"]},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
    "qwen4_exp": _INDEXED,
    "qwen4_exp_text": _INDEXED,
    "reformer": {"is_decoder": True},
}
OTHERS = re.compile(r"vision|image|audio|speech|visual|vqmodel|protein_encoder|multi_modal")
# Keys without a parameter, and those whose change makes another model than the library would save.
LEFT = re.compile(
    r"token|dropout|eps|rope|init|_id$|max_position|version|architectures|model_type|dtype|cache"
    r"|loss|coef|id2label|label2id|return_dict|output_|multiplier|scal|theta|encoder_decoder"
    r"|time_step|window|^_|chunk|problem_type|cap|group$|pad|qk_head_dim|limit|floor|norm_topk"
    r"|hidden_act$|activation|tensor|vocab_size_per|hybrid|per_layer|kv_shared|cross_attention"
)


def classes(library: Any) -> dict[str, list[str]]:
    """Return the model classes of each type, the ones with other towers first."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    found: dict[str, list[str]] = {}
    for mapping in MAPPINGS:
        for name, model in getattr(auto, mapping, {}).items():
            names = [model] if isinstance(model, str) else list(model)
            known = [n for n in names if hasattr(library, n)]
            found.setdefault(name, []).extend(n for n in known if n not in found.get(name, ()))
    return found


def whole_classes() -> frozenset[str]:
    """Return the classes of models whose encoder of text is part of what is counted."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    return frozenset(model for name in WHOLE for model in getattr(auto, name, {}).values())


def drawn(
    config: Mapping[str, Any], draw: random.Random, needed: Mapping[str, Any]
) -> dict[str, Any]:
    """Return overrides of a text config: three sizes or switches, and kinds of layers anew."""
    keys = [k for k, v in config.items() if type(v) in (int, bool) and not LEFT.search(k)]
    chosen: dict[str, Any] = {}
    for key in draw.sample(sorted(keys), min(3, len(keys))):
        value = config[key]
        if isinstance(value, bool):
            chosen[key] = not value
        elif value > 1:
            chosen[key] = value * 2 if draw.random() < 0.5 else value // 2
    layers = chosen["num_hidden_layers"] = draw.choice((4, 6, 8, 12))
    for key in KINDS:
        kinds = config.get(key)
        fixed = len(kinds) if isinstance(kinds, list) and key in needed else layers
        if isinstance(kinds, list) and kinds and (draw.random() < 0.7 or fixed != layers):
            chosen[key] = [draw.choice(sorted(set(kinds))) for _ in range(layers - 1)] + kinds[-1:]
    return chosen


def counted(library: Any, torch: Any, config: Any, names: Sequence[str]) -> tuple[int, int]:
    """Return parameters and untrained numbers of a configuration's text decoder."""
    error: Exception | None = None
    whole = whole_classes()
    for name, given in [(name, given) for given in (config, _text_of(config)) for name in names]:
        try:
            with torch.device("meta"):
                model = getattr(library, name)._from_config(given)  # noqa: SLF001
        except Exception as refused:  # noqa: BLE001 (the library refuses in many ways)
            error = refused
            continue
        two = name in whole and hasattr(config, "encoder")  # T5Gemma, whose encoder may see too
        if _text_of(config) is config or two:
            return _sizes([model], of_text=name not in whole or two)
        if reader := getattr(model.base_model, "language_model", None):
            return _sizes([reader, model.get_output_embeddings()])
        decoder = model.get_decoder()
        if any(OTHERS.search(name) for name, _ in decoder.named_parameters()):
            raise ValueError("the decoder holds other towers")
        return _sizes([decoder, model.get_output_embeddings()])
    raise ValueError(error)


def _sizes(modules: Sequence[Any], *, of_text: bool = False) -> tuple[int, int]:
    """Return how much modules hold, without the encoders of other things than text."""
    trained: dict[int, int] = {}
    beside: dict[int, int] = {}
    for module in modules:
        if module is None:
            continue
        trained |= {
            id(p): p.numel()
            for name, p in module.named_parameters()
            if not (of_text and OTHERS.search(name))
        }
        kept = module.state_dict()
        buffers = {n: b for n, b in module.named_buffers() if n in kept}
        beside |= {id(b): b.numel() for b in buffers.values()}
    return sum(trained.values()), sum(beside.values())


def each_changed(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield overrides of a text config that change one size or switch each."""
    for key, value in sorted(config.items()):
        if LEFT.search(key) and not key.startswith("tie"):
            continue
        if isinstance(value, bool):
            yield {key: not value}
        elif isinstance(value, int):
            sizes = (value * 2, value // 2) if value > 1 else (value + 1,)
            yield from ({key: size} for size in sizes)


def overrides(name: str, text: Any, variants: int, *, each: bool) -> Iterator[dict[str, Any]]:
    """Yield what to change in a type's default text config, nothing first."""
    needed = dict(NEEDED.get(name, {}))
    yield needed
    config = {**text.to_dict(), **needed}
    if each:
        yield from ({**needed, **chosen} for chosen in each_changed(config))
        return
    draw = random.Random(f"{SEED} {name}")  # noqa: S311
    yield from ({**needed, **drawn(config, draw, needed)} for _ in range(variants))


def rows(types: Sequence[str], variants: int, *, each: bool = False) -> Iterator[dict[str, Any]]:
    """Yield a row a configuration that the library builds."""
    library = importlib.import_module("transformers")
    torch = importlib.import_module("torch")
    library.logging.set_verbosity_error()
    configs = importlib.import_module("transformers.models.auto.configuration_auto")
    for name, models in sorted(classes(library).items()):
        if types and name not in types:
            continue
        try:
            text = _text_of(default := configs.CONFIG_MAPPING[name]())
            changes = [*overrides(name, text, variants, each=each)]
        except Exception as refused:  # noqa: BLE001
            print(f"{name}: {str(refused)[:90]!r}")
            continue
        for number, chosen in enumerate(changes):
            try:
                inner = chosen if text is default or not chosen else {"text_config": chosen}
                config = configs.CONFIG_MAPPING[name](**inner)
                parameters, untrained = counted(library, torch, config, models)
            except Exception as refused:  # noqa: BLE001
                print(f"{name} {number}: {str(refused)[:90]!r}")
                continue
            saved = json.loads(json.dumps(config.to_diff_dict(), default=str))
            yield {
                "type": name,
                "variant": number,
                "config": text_only(saved),
                "parameters": parameters,
                "untrained": untrained,
            }


def _text_of(config: Any) -> Any:
    """Return the part of a config that speaks of text: the whole, where no part is another's."""
    text = config.get_text_config(decoder=True)
    return text if any(text is part for part in vars(config).values()) else config


def text_only(config: dict[str, Any]) -> dict[str, Any]:
    """Leave out what other towers state, and what every configuration states of itself."""
    left = re.compile(r"(vision|audio|image|video|speech|token2wav|id2label|label2id)")
    kept = {k: v for k, v in config.items() if not left.match(k) and v is not None}
    return {k: text_only(v) if k.endswith("_config") and isinstance(v, dict) else v
            for k, v in kept.items()}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--types", default="")
    parser.add_argument("--each-key", action="store_true", help="every key changed alone")
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")
    version = importlib.import_module("transformers").__version__
    head = {"schema": "scratchverify/counted-types/1", "source": f"transformers {version}"}
    types = [name for name in chosen.types.split(",") if name]
    found = [head, *rows(types, chosen.variants, each=chosen.each_key)]
    text = "\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in found)
    chosen.path.write_bytes(gzip.compress(text.encode() + b"\n", 9, mtime=0))
    print(f"{len(found) - 1} configurations, {chosen.path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
