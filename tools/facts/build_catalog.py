"""Build the shipped catalogue from its sources; run by a maintainer, never by a user.

    python -m tools.facts.build_catalog --facts ../shared/facts

Facts (field values with their sources) go in, in the catalogue's own format; no text or code
of the sources is carried over. litgpt's configurations come from its wheel on PyPI, unpacked
and read without installing it (it would bring torch).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

from tools import ROOT

DATA = ROOT / "pytest_scratchverify" / "catalog" / "data"
LITGPT = "litgpt==0.5.13"

# litgpt's field -> config.json's field, where the value carries over as it is
LITGPT_FIELDS = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_query_groups": "num_key_value_heads",
    "head_size": "head_dim",
    "intermediate_size": "intermediate_size",
    "moe_intermediate_size": "moe_intermediate_size",
    "padded_vocab_size": "vocab_size",
    "block_size": "max_position_embeddings",
    "rope_base": "rope_theta",
    "rotary_percentage": "partial_rotary_factor",
    "n_shared_expert": "n_shared_experts",
    "n_expert_groups": "n_group",
    "n_topk_groups": "topk_group",
    "first_k_dense_replace": "first_k_dense_replace",
    "sliding_window_size": "sliding_window",
    "norm_qk": "use_qk_norm",
    "parallel_residual": "parallel_attn",
    "bias": "mlp_bias",
}
ACTIVATIONS = {
    "LLaMAMLP": "silu",
    "LLaMAMoE": "silu",
    "GptNeoxMLP": "gelu",
    "GemmaMLP": "gelu_tanh",
}


def litgpt_module(folder: Path) -> ModuleType:
    """Unpack litgpt's wheel and import only its table of configurations."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        LITGPT,
        "-d",
        str(folder),
    ]
    subprocess.run(command, check=True)
    wheel = next(folder.glob("litgpt-*.whl"))
    zipfile.ZipFile(wheel).extract("litgpt/config.py", folder)
    spec = importlib.util.spec_from_file_location("litgpt_config", folder / "litgpt" / "config.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["litgpt_config"] = module
    spec.loader.exec_module(module)
    return module


def from_litgpt(raw: dict[str, Any], module: ModuleType) -> dict[str, Any]:
    """Translate one litgpt configuration into config.json's names."""
    full = vars(module.Config(**raw))
    config = {new: full[old] for old, new in LITGPT_FIELDS.items() if full.get(old) is not None}
    config["norm"] = full["norm_class_name"]
    config["rms_norm_eps" if config["norm"] == "RMSNorm" else "layer_norm_eps"] = full["norm_eps"]
    config["hidden_act"] = ACTIVATIONS[full["mlp_class_name"]]
    config["gated_mlp"] = full["mlp_class_name"] != "GptNeoxMLP"
    if full["mlp_class_name"] == "GemmaMLP":
        config["tie_word_embeddings"] = True
    config["attention_bias"] = bool(full["attn_bias"] or full["bias"])
    config["norms_per_layer"] = _norms_per_layer(full)
    if full["rope_adjustments"]:
        config["rope_scaling"] = full["rope_adjustments"]
    if full["n_expert"]:
        config["n_routed_experts"] = full["n_expert"]
        config["num_experts_per_tok"] = full["n_expert_per_token"]
        config["moe_intermediate_size"] = full["moe_intermediate_size"] or full["intermediate_size"]
    if full["sliding_window_indices"]:
        config["sliding_layers"] = sum(full["sliding_window_indices"])
    return config


def _norms_per_layer(full: dict[str, Any]) -> int:
    pre = int(full["norm_1"]) + int(full["norm_2"] and not full["shared_attention_norm"])
    return pre + int(full["post_attention_norm"]) + int(full["post_mlp_norm"])


def litgpt_entries(module: ModuleType) -> dict[str, dict[str, Any]]:
    """Return one entry per repository that litgpt names."""
    entries: dict[str, dict[str, Any]] = {}
    for raw in module.configs:
        repo = f"{raw['hf_config']['org']}/{raw['hf_config']['name']}"
        entries[repo] = {
            "status": "package",
            "sources": [f"PyPI {LITGPT} name_to_config[{raw['name']!r}]"],
            "config": from_litgpt(raw, module),
        }
    return entries


# ---- the facts of ../shared/facts/models.json -------------------------------------------------

DROPPED = {"torch_dtype", "dtype", "transformers_version", "use_cache", "use_grouped_mm", "_note"}
# What a published summary says in words; the number is what the field holds.
CORRECTED: dict[str, dict[str, Any]] = {
    "NC-AI-consortium-VAETKI/VAETKI": {
        "model_type": "vaetki",
        "rope_theta": 1_000_000,
        "max_position_embeddings": 32768,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "routed_scaling_factor": 2.5,
        "norm": "RMSNorm",
        "norms_per_layer": 4,
        "sliding_window": 512,
    },
    "skt/A.X-K1": {"model_type": "axk1", "norms_per_layer": 3},
    "LGAI-EXAONE/K-EXAONE-236B-A23B": {"architectures": ["ExaoneMoeForCausalLM"]},
    # The class that the checkpoint names (DeepseekV3ForCausalLM) has silu as its only activation.
    "moonshotai/Kimi-K2-Instruct": {"hidden_act": "silu", "num_experts_per_tok": 8},
    "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B": {"model_type": "hyperclovax_vision_v2"},
    # Shapes as docs/03 of the public project lists them; ranks and expert width from the paper.
    "deepseek-ai/DeepSeek-V2": {
        "model_type": "deepseek_v2",
        "q_lora_rank": 1536,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "moe_intermediate_size": 1536,
        "first_k_dense_replace": 1,
        "hidden_act": "silu",
        "norm": "RMSNorm",
        "hidden_size": 5120,
        "num_hidden_layers": 60,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "n_routed_experts": 160,
        "n_shared_experts": 2,
        "num_experts_per_tok": 6,
        "vocab_size": 102400,
        "rope_theta": 10000,
        "intermediate_size": 12288,
    },
}
EXTRA_SOURCES = {
    "NC-AI-consortium-VAETKI/VAETKI": "facts/published_claims.json (sliding window, FFN widths: unverified)",
    "moonshotai/Kimi-K2-Instruct": "transformers deepseek_v3 (hidden_act of DeepseekV3ForCausalLM)",
    "deepseek-ai/DeepSeek-V2": "github serithemage/korea-ai-foundation-model-verification docs/03 (secondary); arXiv 2405.04434 section 3.1 (MLA ranks, expert width)",
    "Qwen/Qwen2.5-VL-32B-Instruct": "github acproject/duorou docs/qwen2.5vl_graph.md (released ViT: 1280 wide)",
}


def published_config(repo: str, facts: dict[str, Any], module: ModuleType) -> dict[str, Any]:
    """Return the config of one published entry in config.json's names."""
    raw = dict(facts["config"])
    if "hf_config" in raw:
        listed = module.name_to_config.get(raw["hf_config"]["name"], raw)
        raw = from_litgpt(listed, module)
    config = {key: value for key, value in raw.items() if key not in DROPPED}
    config |= CORRECTED.get(repo, {})
    if repo == "Qwen/Qwen2.5-VL-32B-Instruct":
        config["model_type"] = "qwen2_5_vl"
        config["text_config"] = from_litgpt(module.name_to_config["Qwen2.5-32B"], module)
        config["vision_config"] |= {"hidden_size": 1280, "out_hidden_size": 5120}
    return _clean(config)


def _clean(config: dict[str, Any]) -> dict[str, Any]:
    """Drop notes, and values that are sentences rather than numbers."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if key.startswith("_") or key in {"context", "local_global_ratio", "norm_note"}:
            continue
        if isinstance(value, dict):
            kept[key] = _clean(value)
        elif key == "qk_head_dim" and isinstance(value, str):
            continue
        else:
            kept[key] = value
    return kept


def status(facts: dict[str, Any]) -> str:
    """Say in one word how far the entry can be trusted."""
    words = facts.get("_verification", "").lower()
    if "hf_config" in facts["config"]:
        return "package"
    if "unverified / not found" in words:
        return "unverified"
    if "full config.json text read" in words:
        return "hub-page"
    if "loaded" in words and "agree" not in words and "read" not in words:
        return "class-default"
    return "published"


def published_entries(facts_file: Path, module: ModuleType) -> dict[str, dict[str, Any]]:
    """Return one entry per model of models.json, status and sources kept."""
    entries = {}
    for repo, facts in json.loads(facts_file.read_text("utf-8")).items():
        sources = [
            text
            for values in facts["_sources"].values()
            if isinstance(values, list)
            for text in values
        ]
        if repo in EXTRA_SOURCES:
            sources.append(EXTRA_SOURCES[repo])
        entry: dict[str, Any] = {
            "status": status(facts),
            "sources": sources,
            "verification": facts["_verification"],
            "config": published_config(repo, facts, module),
        }
        for key in ("training", "special_tokens", "tokenizer", "generation_config"):
            if key in facts:
                entry[key] = facts[key]
        entries[repo] = entry
    return entries


def compute_facts(facts_file: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Add the declared parameter counts of compute.json to the entries that have none."""
    for repo, facts in json.loads(facts_file.read_text("utf-8"))["models"].items():
        declared = {key: facts[key] for key in ("N_total", "N_active", "N") if key in facts}
        if repo in entries and declared:
            entries[repo]["declared_parameters"] = {
                "total": declared.get("N_total", declared.get("N")),
                "active": declared.get("N_active"),
                "status": facts.get("status", ""),
            }


def write(name: str, entries: dict[str, Any]) -> None:
    """Write a data file in a stable order, one entry a line so that diffs read well."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(entries[key], ensure_ascii=False, sort_keys=True)}"
        for key in sorted(entries)
    ]
    (DATA / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{name}: {len(entries)} entries")


def main() -> None:
    """Write both data files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True)
    facts = parser.parse_args().facts
    with tempfile.TemporaryDirectory() as folder:
        module = litgpt_module(Path(folder))
        listed = litgpt_entries(module)
        published = published_entries(facts / "models.json", module)
    compute_facts(facts / "compute.json", published)
    write("litgpt.json", listed)
    write("published.json", published)


if __name__ == "__main__":
    main()
