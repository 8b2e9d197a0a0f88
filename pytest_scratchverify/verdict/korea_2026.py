"""The public Korean project's own rules, kept so that both judgements can stand side by side.

They are reproduced, not endorsed. Their defects, which `strict` does not share: a vocabulary
or a design that differs from four references counts as strong support; weights that cannot be
compared count as indirect support, so one observation counts twice; a method that was not run
never blocks; without evidence the judgement is "trustworthy".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.policy import JudgedModel
from pytest_scratchverify.verdict.verdict import PolicyResult, Result

CORE = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
)
EXTENSION_BAND = 0.90  # "90-98 %: continued pre-training or vocabulary extension"

Design = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A published comparison of two vocabularies."""

    reference: str
    share: float
    merge_order_share: float
    first_20_equal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedInputs:
    """What the project published about one model, before any judgement."""

    design: Design
    references: Mapping[str, Design]
    overlaps: Sequence[Overlap] = ()
    reused_components: Mapping[str, str] = field(default_factory=dict)
    behaviour: str | None = None
    llm_dna: str | None = None


STRONG = Text("strong support")
INDIRECT = Text("indirect support")
NOT_RUN = Text("not run")


@dataclass(frozen=True)
class PublishedRules:
    """The project's rules as a policy, shown wherever the project published something.

    Parameters
    ----------
    read : callable
        Returns catalog/data/korea_2026.json, parsed; called once, by the first model.
    """

    read: Callable[[], Mapping[str, Json]]
    name: str = "korea-2026"

    def judge(self, judged: JudgedModel) -> PolicyResult:
        """Judge by what was published on the model; what this run measured plays no part."""
        inputs = inputs_of(judged.model, self._data)
        if inputs is not None:
            return judge(inputs)
        return PolicyResult(
            result=Result.UNDETERMINED,
            because=(Text("the public project published nothing on this model"),),
        )

    def stands_beside(self, model: str) -> bool:
        """Whether the project published a judgement on the model."""
        return inputs_of(model, self._data) is not None

    @cached_property
    def _data(self) -> Mapping[str, Json]:
        return self.read()


def judge(inputs: PublishedInputs) -> PolicyResult:
    """Return the method grades and the final judgement that the project's rules give."""
    tokenizer, architecture = _tokenizer(inputs), _architecture(inputs)
    both_strong = tokenizer == STRONG and architecture == STRONG
    rows = (
        ("tokenizer", tokenizer),
        ("architecture", architecture),
        ("weights", _weights(inputs, both_strong=both_strong)),
        ("behaviour", _behaviour(inputs)),
        ("llm_dna", _llm_dna(inputs)),
    )
    result, judgement = _final(inputs, both_strong=both_strong)
    return PolicyResult(
        result=result,
        judgement=judgement,
        rows=rows,
        because=(
            Text(
                "judged by vocabulary size and config against four references; no weight was read"
            ),
        ),
    )


def _tokenizer(inputs: PublishedInputs) -> Text:
    """Grade "different size: strong support"; a published overlap replaces the size rule."""
    if inputs.overlaps:
        cleared = [o.reference for o in inputs.overlaps if not o.first_20_equal]
        suspect = [
            o.reference for o in inputs.overlaps if o.first_20_equal and o.share >= EXTENSION_BAND
        ]
        return Text("not {cleared}; {suspect} suspected", cleared=cleared, suspect=suspect)
    size = inputs.design.get("vocab_size")
    equal = [name for name, other in inputs.references.items() if other.get("vocab_size") == size]
    return Text("suspected: same size as {equal}", equal=equal) if equal else STRONG


def _architecture(inputs: PublishedInputs) -> Text:
    """Grade by the 5-of-5 rule of docs/03 over the four references."""
    most = max(
        sum(inputs.design.get(name) == other.get(name) for name in CORE if name in inputs.design)
        for other in inputs.references.values()
    )
    if inputs.reused_components:
        vision = inputs.reused_components.get("vision", "-")
        return Text("decoder unique; vision {origin}", origin=vision)
    if most == len(CORE):
        return Text("same architecture: fine-tuning suspected")
    return STRONG if most <= 2 else Text("reference possible")


def _weights(inputs: PublishedInputs, *, both_strong: bool) -> Text:
    """Grade "cannot be compared, hence indirect support": the project's central error."""
    if inputs.reused_components:
        return Text("vision comparable; decoder needs more")
    return INDIRECT if both_strong else NOT_RUN


def _behaviour(inputs: PublishedInputs) -> Text:
    grades = {
        "logs-shown": Text("conditional support: logs were shown"),
        "cutoff-only": Text("cutoff only"),
    }
    return grades.get(inputs.behaviour or "", NOT_RUN)


def _llm_dna(inputs: PublishedInputs) -> Text:
    grades = {"measured": Text("weak quantitative support"), "stand-in": Text("stand-in only")}
    return grades.get(inputs.llm_dna or "", Text("-"))


def _final(inputs: PublishedInputs, *, both_strong: bool) -> tuple[Result, Text]:
    if inputs.reused_components:
        return Result.FAIL, Text(
            "{parts} reuse; decoder and tokenizer open", parts="/".join(inputs.reused_components)
        )
    if not both_strong:
        return Result.UNDETERMINED, Text("needs expert verification")
    if inputs.behaviour == "logs-shown":
        return Result.PASS, Text("trustworthy (possible)")
    if inputs.llm_dna == "stand-in":
        return Result.PASS, Text("trustworthy, with a note")
    return Result.PASS, Text("trustworthy")


def inputs_of(model: str, data: Mapping[str, Json]) -> PublishedInputs | None:
    """Read one model's published inputs from catalog/data/korea_2026.json, if it has any."""
    from cattrs import structure  # noqa: PLC0415 - needed by few runs

    raw = cast("dict[str, dict[str, Json]]", data["models"]).get(model)
    if raw is None:
        return None
    return structure({**raw, "references": data["references"]}, PublishedInputs)
