"""What the tutorial computes from facts that the project ships: no run of the suites is needed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.catalog.entries import DATA, shipped_catalogue
from pytest_scratchverify.catalog.layernorm import GLM, published_series
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.figure_data import AnswerTree
from pytest_scratchverify.stats.behaviour.neighbour_joining import neighbour_joining
from pytest_scratchverify.stats.behaviour.probe_dependence import Dependence, probe_dependence
from tools import ROOT
from tools.site.tutorial.runs import Values, decimal, percent

PUBLISHED_TREE = ROOT / "tests" / "behaviour" / "llm_dna_published_cosine.csv"
CALIBRATION = ROOT / "suites" / "calibration" / "tokenizer.json"
VOCABULARIES = DATA.parent / "tokenizers" / "published.json"
FIRST_NUMBERS = 128  # of the published fingerprint: 99 an answer, flattened, cut here

Numbers = NDArray[np.float64]


def _text_designs() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for repo, entry in shipped_catalogue().items():
        if "text" in entry.designs:
            yield repo, entry.designs["text"].fields


def catalogue() -> Values:
    """How common the design choices are that were called unique."""
    designs = dict(_text_designs())
    layers = Counter(d.get("num_hidden_layers") for d in designs.values())
    experts = [repo for repo, d in designs.items()
               if (d.get("n_routed_experts"), d.get("n_shared_experts")) == (128, 1)]  # fmt: skip
    rows = {r: int(d["vocab_size"]) for r, d in designs.items()
            if isinstance(d.get("vocab_size"), int)}  # fmt: skip
    makers: dict[int, set[str]] = {}
    for repo, size in rows.items():
        makers.setdefault(size, set()).add(repo.partition("/")[0])
    return {
        "catalogue.entries": str(len(shipped_catalogue())),
        "catalogue.layers_48": str(layers[48]),
        "catalogue.experts_128_1": str(len(experts)),
        "catalogue.experts_128_1_makers": str(len({r.partition("/")[0] for r in experts})),
        "catalogue.vocab_sizes": str(len(rows)),
        "catalogue.vocab_shared": str(sum(len(makers[size]) > 1 for size in rows.values())),
        "catalogue.vocab_round": percent(fmean(size % 64 == 0 for size in rows.values())),
    }


def gains() -> Values:
    """The raw cosine of norm gains: of published strangers, and of random numbers."""
    layers = {
        layer: value
        for series in published_series()
        if {*series.pair} == {GLM, "Phi-3.5-MoE"} and series.tensor == "input_layernorm"
        if series.metric == "cosine" and not series.suspect
        for layer, value in series.by_layer().items()
    }
    rng = np.random.default_rng(0)
    one, two = rng.normal(1.0, 0.1, (2, 4096))
    return {
        "gains.glm_phi_raw": decimal(fmean(layers.values())),
        "gains.glm_phi_layers": str(len(layers)),
        "gains.random_raw": decimal(_cosine(one, two)),
        "gains.random_centred": decimal(_cosine(one - one.mean(), two - two.mean())),
    }


def _cosine(one: Numbers, two: Numbers) -> float:
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def tokenizer_calibration() -> Values:
    """How alike vocabularies are that were learnt apart, and those that were not."""
    data = json.loads(CALIBRATION.read_text("utf-8"))
    rows = [dict(zip(data["columns"], row, strict=True)) for row in data["pairs"]]

    def seen(truth: str, column: str, pick: Callable[[Iterator[float]], float]) -> float:
        return pick(row[column] for row in rows if row["truth"] == truth)

    def pair(*names: str) -> dict[str, Any]:
        return next(row for row in rows if {row["a"], row["b"]} == {*names})

    extension, strangers = pair("cl100k", "llama3"), pair("mistral", "gemma3")
    return {
        "pairs.vocabularies": str(data["built_from"]["vocabularies"]),
        "pairs.independent": str(sum(row["truth"] == "independent" for row in rows)),
        "pairs.containment_lowest": percent(seen("independent", "containment", min)),
        "pairs.containment_highest": percent(seen("independent", "containment", max), 1),
        "pairs.kin_containment_lowest": percent(seen("related", "containment", min), 1),
        "pairs.tau_highest": decimal(seen("independent", "kendall", max), 2),
        "pairs.kin_tau_lowest": decimal(seen("related", "kendall", min), 2),
        "pairs.order_lowest": percent(seen("independent", "concordance", min)),
        "pairs.order_highest": percent(seen("independent", "concordance", max)),
        "pairs.kin_order_lowest": percent(seen("related", "concordance", min)),
        "pairs.llama_containment": percent(extension["containment"]),
        "pairs.llama_order": percent(extension["concordance"]),
        "pairs.strangers_containment": percent(strangers["containment"], 1),
        "pairs.strangers_order": percent(strangers["concordance"], 1),
    }


def published_vocabularies() -> Values:
    """Arithmetic of the published counts of shared tokens."""
    models = json.loads(VOCABULARIES.read_text("utf-8"))["models"]
    solar = models["upstage/Solar-Open-100B"][0]
    hcx = {
        str(row.get("reference")): row
        for row in models["naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"]
    }
    llama, qwen = hcx["meta-llama/Meta-Llama-3-8B"], hcx["Qwen/Qwen2.5-7B"]
    return {
        "solar.shared": f"{solar['shared']:,}",
        "solar.of_glm": percent(solar["shared"] / solar["reference_size"], 1),
        "solar.of_solar": percent(solar["shared"] / solar["target_size"], 1),
        "hcx.llama_shared": f"{llama['shared']:,}",
        "hcx.qwen_shared": f"{qwen['shared']:,}",
        "hcx.llama_of_target": percent(llama["shared"] / llama["target_size"], 1),
        "hcx.llama_of_reference": percent(llama["shared"] / llama["reference_size"], 1),
        "hcx.measured_size": f"{llama['target_size']:,}",
    }


def _published_distances() -> tuple[list[str], Numbers]:
    rows = list(csv.reader(PUBLISHED_TREE.read_text("utf-8").splitlines()))
    return rows[0][1:], np.array([[float(v) for v in row[1:]] for row in rows[1:]])


def _first_numbers(one: Numbers, two: Numbers) -> float:
    """What LLM-DNA 0.2.3 compared: the first numbers of all answers in a row."""
    return 1 - _cosine(one.ravel()[:FIRST_NUMBERS], two.ravel()[:FIRST_NUMBERS])


def _all_answers(one: Numbers, two: Numbers) -> float:
    return fmean(1 - _cosine(a, b) for a, b in zip(one, two, strict=True))


def fingerprints() -> Values:
    """On how many answers a published fingerprint hangs, and what its distances say."""
    names, matrix = _published_distances()

    def apart(one: str, two: str) -> str:
        at = [next(i for i, name in enumerate(names) if part in name) for part in (one, two)]
        return decimal(matrix[at[0], at[1]])

    one, two = np.random.default_rng(6).normal(size=(2, 100, 99))
    cut, whole = (
        _known(probe_dependence(measure, one, two)) for measure in (_first_numbers, _all_answers)
    )
    return {
        "dna.models": str(len(names)),
        "dna.solar_glm": apart("Solar", "glm-4"),
        "dna.solar_llama": apart("Solar", "Llama-3.3"),
        "dna.glm_llama": apart("glm-4", "Llama-3.1"),
        "dna.exaone_glm": apart("EXAONE", "glm-4"),
        "dna.llamas": apart("Llama-3.1", "Llama-3.3"),
        "dna.qwen_nearest": apart("Qwen2.5-72B", "Qwen2.5-7B"),
        "dna.qwen_farthest": apart("Qwen2.5-32B", "Qwen2.5-72B"),
        "dna.answers": str(len(one)),
        "dna.cut_top_two": percent(cut.top),
        "dna.cut_silent": percent(cut.silent),
        "dna.whole_top_two": percent(whole.top, 1),
    }


def _known(dependence: Dependence | None) -> Dependence:
    if dependence is None:
        raise LookupError("no probe moves this distance")
    return dependence


def published_tree() -> Finding:
    """The tree of the published distances, as a finding that a figure can be drawn of."""
    names, matrix = _published_distances()
    model = "upstage/Solar-Open-100B"
    return Finding(
        method="behaviour.tree",
        component=Component.BEHAVIOUR,
        model=model,
        reference=None,
        outcome=Outcome.INDETERMINATE,
        headline=Text("a tree of published distances"),
        hypothesis=Text("none: a drawing"),
        figures=(AnswerTree(neighbour_joining(names, matrix).newick, model).to_json(),),
    )


# Name of the measurement -> the command that a reader runs, and what it gives.
SHIPPED: Mapping[str, tuple[str, Callable[[], Values]]] = {
    "catalogue": ("make tutorial", catalogue),
    "gains": ("make tutorial", gains),
    "fingerprints": ("make tutorial", fingerprints),
    "published-vocabularies": ("make tutorial", published_vocabularies),
    "tokenizer-calibration": ("python -m tools.calibrate.tokenizer", tokenizer_calibration),
}
