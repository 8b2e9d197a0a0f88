"""Measure what the thresholds of the behaviour method rest on: recorded answers of the zoo.

    python -m tools.calibrate.behaviour        # writes suites/calibration/behaviour.json

The models are ours, small and few (ten independent ones, of four recipes); what could not be
measured on them was chosen, and the file says which is which. Thresholds saw these pairs.
"""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np

from pytest_scratchverify.methods.behaviour import features, grading
from pytest_scratchverify.methods.behaviour.agreement import openings
from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.style import distances, embedded
from pytest_scratchverify.methods.behaviour.usable import probes_of
from pytest_scratchverify.stats.behaviour.probe_dependence import concentration
from pytest_scratchverify.stats.behaviour.round_robin import excess, share_equal
from tools import ROOT

ANSWERS = ROOT / "tests" / "behaviour" / "answers"
TARGET = ROOT / "suites" / "calibration" / "behaviour.json"
UNRELATED = ("s0", "s1", "s2", "s3", "w0", "w1", "t0", "t1", "moe0", "moe1")
RELATED = (("s0-lora", "s0"), ("s0-int4", "s0"), ("s0-finetune", "s0"), ("w0-finetune", "w0"),
       ("moe0-finetune", "moe0"), ("s0-cpt-short", "s0"), ("s0-cpt-long", "s0"),
       ("s0-twin", "s0"))  # fmt: skip
THRESHOLDS = {
    "alpha": [0.001, "chosen: as for every method"],
    "usable_share": [0.9, "chosen: the public project's gate of non-empty answers"],
    "fallback_share": [0.3, "chosen: above the commonest answer of every model of `commonest`"],
    "least_excess": [0.1, "chosen: above every independent pair of `pairs`, below every fine-tune"],
    "least_excess_distance": [
        {"response_distance": 0.2, "style": 0.1, "refusal_phrasing": 0.1},
        "response_distance: twice the nearest independent pair (t0 t1), which fine-tunes do not reach; the others by hand, for want of answers",
    ],
    "least_excess_next_token": [
        {"top": 0.19, "token": 0.21},
        "chosen: above every independent pair of one half of the families (benchmarks/one_token.py)",
    ],
    "next_token_same": [
        0.9,
        "chosen: a prompt at which models are alike to this share tells nothing",
    ],
    "next_token_fallback": [
        0.95,
        "chosen: above the commonest token of the families' models (t0: .78)",
    ],
    "power_share": [0.6, "chosen: a model that took over 60 % of its answers must be found"],
    "fewest_shared": [12, "chosen"],
    "top_two_share": [0.5, "chosen: two of a hundred probes with half of all influence"],
    "fewest_identity": [12, "chosen"],
    "identity_allowed": [0.05, "chosen: no population of answers of real vendors is at hand"],
    "cutoff_alpha": [0.01, "chosen; simulated coverage and power in tests/behaviour"],
    "cutoff_fall": [0.3, "chosen"],
}


def measured(names: list[str]) -> dict[str, object]:
    """Return excess of agreement and of similarity of models 0 and 1, with their p-values."""
    everyone = tuple(read_answers(ANSWERS / f"{name}.jsonl.gz", f"zoo/{name}") for name in names)
    probes = probes_of(shipped_probes(), Kind.CONTINUATION)
    codes, usable = features.openings([openings(a, probes) for a in everyone])
    agree = excess(share_equal(codes, usable), 0, 1)
    both = probes_of(shipped_probes(), Kind.CONTINUATION, Kind.STYLE)
    rows = embedded(everyone, both, features.letter_groups)
    per_probe = distances(rows)
    near = excess(-np.nanmean(per_probe, 0), 0, 1)
    depends = concentration(np.nan_to_num(per_probe[:, 0, 1]))
    return {
        "agreement": round(agree.observed, 4), "excess": round(agree.effect, 4),
        "p": float(f"{agree.pvalue:.3g}"), "distance": round(-near.observed, 4),
        "nearer": round(near.effect, 4), "p_distance": float(f"{near.pvalue:.3g}"),
        "top_two": round(depends.top, 4),
    }  # fmt: skip


def main() -> None:
    """Measure and write."""
    pairs = {}
    for one, two in combinations(UNRELATED, 2):
        pairs[f"{one} {two}"] = measured([one, two, *(s for s in UNRELATED if s not in (one, two))])
    kin = {}
    for child, parent in RELATED:
        if (ANSWERS / f"{child}.jsonl.gz").exists():
            kin[f"{child} {parent}"] = measured(
                [child, parent, *(s for s in UNRELATED if s != parent)]
            )
    commonest = {}
    for path in sorted(ANSWERS.glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        asked = probes_of(shipped_probes(), Kind.CONTINUATION, Kind.KNOWLEDGE, Kind.STYLE)
        commonest[name] = round(grading.fallback(read_answers(path, name), asked)[1], 4)
    data = {
        "schema": "scratchverify/behaviour-calibration/1",
        "built_from": {"command": "python -m tools.calibrate.behaviour",
                       "answers": "tests/behaviour/answers",
                       "server": "transformers serve 5.23.0, torch 2.13.0 (CPU, float32)"},
        "thresholds": {name: value for name, (value, _) in THRESHOLDS.items()},
        "chosen": {name: why for name, (_, why) in THRESHOLDS.items()},
        "population": {"pairs": pairs, "kin": kin, "commonest": commonest},
    }  # fmt: skip
    TARGET.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    worst = max(pairs.items(), key=lambda item: item[1]["excess"])
    print(f"{len(pairs)} independent pairs; largest excess {worst}")
    for name, row in kin.items():
        print(name, row)


if __name__ == "__main__":
    main()
