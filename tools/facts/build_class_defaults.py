"""Build the catalogue's entries of checkpoints whose configuration is their class's default.

    python -m tools.facts.build_class_defaults --facts ../shared/facts

A class's defaults are not a checkpoint's configuration unless a second source agrees: the size in
the repository's own name, to the digits that it has, or a page that states size and layers. What
only the class says is left out.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from tools.facts.build_catalog import DATA

LIBRARY = "PyPI transformers==5.24.0"
# Model type: the checkpoint that its configuration class names, and what beside it agrees.
CHECKPOINTS: dict[str, tuple[str, str | None]] = {
    "deepseek_v4": (
        "deepseek-ai/DeepSeek-V4-Flash-Base",
        (
            "docs.nvidia.com/nemo/automodel DeepSeek-V4-Flash (43 layers, 256 + 1 experts); "
            "github antirez/ds4 MODEL_CARD.md (284B, 13B active)"
        ),
    ),
    "glm_moe_dsa": (
        "zai-org/GLM-5",
        (
            "docs.vultr.com/models/z.ai-glm-5 (744B, 40B active, 78 layers, 64 heads, 6144 wide, "
            "256 experts, 8 active; released 2026-02-12); docs.nvidia.com/nemo/megatron-bridge "
            "glm5 (3 dense layers)"
        ),
    ),
    "exaone": ("LGAI-EXAONE/EXAONE-3.0-7.8B-Instruct", None),
    "jais2": ("inceptionai/Jais-2-8B-Chat", None),
    "mellum": ("JetBrains/Mellum2-12B-A2.5B-Base", None),
    "minicpm3": ("openbmb/MiniCPM3-4B", None),
    "mistral4": ("mistralai/Mistral-Small-4-119B-2603", None),
    "mistral_large4": ("mistralai/Mistral-Large-4-1T-A52B", None),
    "qwen3_5_moe": ("Qwen/Qwen3.5-35B-A3B", None),
    "qwen3_next": ("Qwen/Qwen3-Next-80B-A3B-Instruct", None),
    "smollm3": ("HuggingFaceTB/SmolLM3-3B", None),
    "youtu": ("tencent/Youtu-LLM-2B", None),
}
_SIZE = re.compile(r"(?<![A-Za-z\d.])(\d+(?:\.\d+)?)([BT])(?![a-z])")


def named_size(repo: str) -> str | None:
    """Return the size that a repository's name states, such as ``80B``, or None."""
    found = _SIZE.search(repo.rpartition("/")[2].replace("-", " "))
    return found[0] if found else None


def agrees(parameters: int, named: str) -> bool:
    """Whether a count is the named size to the digits that the name has."""
    digits = len(named[:-1].partition(".")[2])
    unit = 1e12 if named.endswith("T") else 1e9
    return round(parameters / unit, digits) == float(named[:-1])


def entries(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return one entry for each checkpoint; an error where the second source does not agree."""
    found = {}
    for model_type, (repo, page) in CHECKPOINTS.items():
        known = facts[model_type]
        tied = "lm_head.weight" in known["tied"]
        total = known["parameters_in_memory"] - (_table(known["config"]) if tied else 0)
        second = page or _name_agrees(repo, total)
        config = {k: v for k, v in known["config"].items() if k not in {"dtype", "use_cache"}}
        found[repo] = {
            "status": "class-default",
            "sources": [f"{LIBRARY} {model_type} (instantiated; names this checkpoint)", second],
            "config": {"model_type": model_type, **config},
            "verification": f"class defaults give {total:,} parameters; the hub's config.json has "
            "not been read",
        }
    return found


def _name_agrees(repo: str, total: int) -> str:
    named = named_size(repo)
    if named is None or not agrees(total, named):
        raise SystemExit(f"{repo}: {total} parameters, and its name says {named}")
    return f"the name of {repo} ({named})"


def _table(config: dict[str, Any]) -> int:
    text = config.get("text_config") or config
    return int(text["vocab_size"]) * int(text["hidden_size"])


def main() -> None:
    """Write the shipped file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--facts", type=Path, required=True)
    given = parser.parse_args()
    facts = json.loads((given.facts / "class_defaults.json").read_text("utf-8"))
    made = entries(facts)
    lines = [
        f"{json.dumps(repo)}: {json.dumps(made[repo], ensure_ascii=False, sort_keys=True)}"
        for repo in sorted(made)
    ]
    (DATA / "class_defaults.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{len(made)} entries")


if __name__ == "__main__":
    main()
