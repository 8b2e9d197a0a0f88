"""A run as the file of a model's ``.eval_results`` folder on the Hugging Face hub.

Format: https://huggingface.co/docs/hub/eval-results. An entry is a benchmark, a task and a value: a
chosen policy is a task, and 1 or 0 says that it passed or failed the model. What a policy left
undecided has no number, so it has no entry: the comment at the top says it. The notes bring what
the number cannot say: the verdicts that it rests on, the commit, and whom it holds against.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped] # what huggingface_hub demands

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible, visible_document, visible_values
from pytest_scratchverify.report.headline import in_order
from pytest_scratchverify.report.language import joined, translate
from pytest_scratchverify.report.wording import RESULT_MEANING, verdict_sentence
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ModelVerdict, PolicyResult, Result

# The hub shows results of data sets that it knows as benchmarks. Nobody registered this one:
# who publishes results writes the name of their own in its place (docs/reports.md).
DATASET = "pytest-scratchverify/policies"
VALUES = {Result.PASS: 1, Result.FAIL: 0}


def render_eval_results(run: Run, language: str) -> str:
    """Return the YAML of one model's results; the same run gives the same bytes.

    Raises `ScratchError` for a run of several models: the file lies in the repository of one.
    """
    if len(run.models) > 1:
        raise ScratchError(
            f"a file of .eval_results speaks of one model, and this run has {len(run.models)}: "
            "test one of them alone"
        )
    lines = [f"# {visible(line)}" for model in run.models for line in _said(run, model, language)]
    entries = [entry for model in run.models for entry in _entries(run, model, language)]
    text = yaml.safe_dump(visible_values(entries), sort_keys=False, allow_unicode=True, width=100)
    return visible_document("\n".join([*lines, text]))


def _said(run: Run, model: ModelVerdict, language: str) -> Iterator[str]:
    """Yield what a reader of the file has to know of the model, a line each."""
    yield f"pytest-scratchverify {run.version}: {model.model} {model.revision or ''}".rstrip()
    for name, judged in model.policies.items():
        yield f"{name}: {judged.result.value}: {translate(RESULT_MEANING[judged.result], language)}"
    for text in run.partial_because:
        yield translate(Text("partial run: {why}", why=text), language)


def _entries(run: Run, model: ModelVerdict, language: str) -> Iterator[dict[str, Any]]:
    for name in run.judged_by:
        judged = model.policies.get(name)
        if judged is not None and judged.result in VALUES:
            yield {
                "dataset": {"id": DATASET, "task_id": name},
                "value": VALUES[judged.result],
                "notes": joined(_notes(model, judged), language),
            }


def _notes(model: ModelVerdict, judged: PolicyResult) -> Iterator[Text]:
    """Yield the reasons of a policy and, of each trained part, its verdict with the power."""
    if model.revision:
        yield Text("commit {revision}", revision=model.revision)
    yield from judged.because
    for component, verdict in in_order(model):
        if component.is_trained:
            yield verdict_sentence(model, verdict)
            for why in verdict.because:
                yield Text("{component}: {why}", component=component.value, why=why)
