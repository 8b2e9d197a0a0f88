"""Write catalog/data/claims.json: what was published about a design and can be checked.

    python -m tools.facts.build_claims --facts ../shared/facts

Numeric claims come from facts/published_claims.json; the claims of uniqueness, which that
file holds as sentences, are put into a checkable form here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tools import ROOT

TARGET = ROOT / "pytest_scratchverify" / "catalog" / "data" / "claims.json"
PROJECT = "github serithemage/korea-ai-foundation-model-verification"

VALUE_FIELDS = {
    "layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "heads": "num_attention_heads",
    "moe_intermediate_size": "moe_intermediate_size",
    "vocab_size": "vocab_size",
    "scoring_func": "scoring_func",
}
NUMBERS: dict[tuple[str, str], Any] = {("A.X-K1", "moe_intermediate_size"): 2560}
ACTIVE = {"Solar-Open-100B": 12e9, "A.X-K1": 22e9, "VAETKI": 14e9, "K-EXAONE-236B-A23B": 23e9}

VAETKI = "NC-AI-consortium-VAETKI/VAETKI"
SENTENCES = [
    ("upstage/Solar-Open-100B", "experts-129-unique", "unique", "n_experts", 129, "docs/03"),
    ("upstage/Solar-Open-100B", "heads-64-most", "largest", "num_attention_heads", 64, "docs/03"),
    ("skt/A.X-K1", "experts-193-most", "largest", "n_experts", 193, "README, docs/03"),
    ("skt/A.X-K1", "no-model-matches", "no_match", "core_fields", 0, "docs/03"),
    ("skt/A.X-K1", "attention-is-mha", "value", "attention_kind", "MHA", "docs/03"),
    ("skt/A.X-K1", "head-dim-112", "value", "qk_head_dim", 112, "docs/03"),
    (
        "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B",
        "attention-multiplier-unique",
        "nonstandard",
        "attention_multiplier",
        0.08838834764831845,
        "docs/03",
    ),
    (VAETKI, "first-3-dense-unique", "unique", "first_k_dense_replace", 3, "docs/03"),
    (VAETKI, "attention-is-gqa", "value", "attention_kind", "GQA", "README"),
]


def value_claims(name: str, model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numeric claims of one model that a config can confirm or contradict."""
    claims = []
    for claim in model["claims"]:
        field = VALUE_FIELDS.get(claim["field"])
        value = NUMBERS.get((name, claim["field"]), claim["seed"])
        if field is None or not isinstance(value, (int, str)):
            continue
        if isinstance(value, str) and field != "scoring_func":
            continue
        claims.append(
            _claim(
                model["repo"],
                f"{field}-{value}",
                "value",
                field,
                value,
                claim["seed_src"],
                claim["status"],
            )
        )
    if name in ACTIVE:
        claim = next(c for c in model["claims"] if c["field"] in ("params_active", "params"))
        short = f"active-{ACTIVE[name] / 1e9:g}b"
        claims.append(
            _claim(
                model["repo"],
                short,
                "value",
                "active_parameters",
                ACTIVE[name],
                claim["seed_src"],
                claim["status"],
            )
        )
    return claims


def _claim(  # noqa: PLR0913, PLR0917 - one parameter a column
    model: str,
    short: str,
    kind: str,
    field: str,
    value: Any,
    source: str,
    status: str = "contradicted",
) -> dict[str, Any]:
    return {
        "model": model,
        "id": short,
        "kind": kind,
        "field": field,
        "value": value,
        "source": f"{PROJECT} {source}",
        "status": status,
    }


def main() -> None:
    """Write the file, one claim a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True)
    facts = json.loads((parser.parse_args().facts / "published_claims.json").read_text("utf-8"))
    claims = [_claim(*sentence) for sentence in SENTENCES]
    for name, model in facts["models"].items():
        claims += value_claims(name, model)
    claims.sort(key=lambda claim: (claim["model"], claim["id"]))
    lines = [json.dumps(claim, ensure_ascii=False) for claim in claims]
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    print(f"{TARGET.name}: {len(claims)} claims")


if __name__ == "__main__":
    main()
