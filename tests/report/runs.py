"""Runs made of findings, one of them hostile, and the tags of a page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.policy import shipped_policies
from pytest_scratchverify.verdict.run import Collected, Run, Subject, fold_models
from tests.verdict.findings import finding, intent_of

HOSTILE = '<script>alert("x")</script>|[a](javascript:b)\n"\'&'


def run_of(*findings, name="org/suspect", partial=()):
    intents = tuple(intent_of(f) for f in findings)
    subject = Subject(
        spec=ModelSpec(name=name), components=(Component.TEXT_DECODER, Component.EMBEDDINGS)
    )
    collected = Collected(intents=intents, findings=findings, partial_because=partial)
    return Run(
        models=fold_models([subject], collected, [shipped_policies()["strict"]]),
        findings=findings,
        partial=bool(partial),
        partial_because=partial,
        planned=len(intents),
        arrived=len(intents),
        reproduce="pytest suites/ --model org/suspect",
        version="0",
        options={"policy": ["strict"]},
    )


def hostile_run():
    bad = finding(
        Outcome.INDETERMINATE,
        model=HOSTILE,
        reference=HOSTILE,
        headline=Text("read {x}", x=HOSTILE),
    )
    return run_of(bad, name=HOSTILE)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags_of(page):
    parser = Tags()
    parser.feed(page)
    return parser.tags


def with_verdict(verdict, component=Component.TEXT_DECODER, reference="org/reference", **changes):
    """A run in which one component has a verdict, whatever its findings are."""
    made = run_of(finding(Outcome.DERIVED))
    [model] = made.models
    one = replace(
        model.components[Component.TEXT_DECODER],
        component=component,
        verdict=verdict,
        reference=reference,
        inherits=None,
    )
    return replace(made, models=(replace(model, components={component: one}, **changes),))
