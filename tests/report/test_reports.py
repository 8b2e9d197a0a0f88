"""Reports: escaped, self-contained, in two languages, without words that claim too much."""

from __future__ import annotations

import ast
import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Control, Intent, Outcome, Relation, Statistic
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible_json
from pytest_scratchverify.methods.weights.finding import EFFECTS
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.report import html
from pytest_scratchverify.report.headline import overview, overview_columns, overview_rank
from pytest_scratchverify.report.html import render_html, verdict_fragment
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.terminal import summary_lines
from pytest_scratchverify.report.terms import RELATIONS, STATISTIC_WORDS
from pytest_scratchverify.report.wording import (
    COMPONENT_NAMES,
    MEANING,
    OUTCOME_WORDS,
    RESULT_MEANING,
    size,
    would_decide,
)
from pytest_scratchverify.report.writing import render_json
from pytest_scratchverify.verdict.policy import shipped_policies
from pytest_scratchverify.verdict.run import Collected, Subject, fold_models
from pytest_scratchverify.verdict.serialization import run_from_json, run_to_json
from tests.report.runs import hostile_run, run_of, tags_of
from tests.verdict.findings import finding, intent_of
from tools import messages
from tools.running import ROOT


@pytest.mark.parametrize("render", [render_html, verdict_fragment])
def test_nothing_of_an_untrusted_file_becomes_markup(render):
    page = render(hostile_run(), "en")
    assert "<script" not in page
    assert "alert(&#34;x&#34;)" in page
    assert not any(tag == "script" for tag, _ in tags_of(page))


def test_markdown_cells_stay_cells():
    text = render_markdown(hostile_run(), "en")
    assert "<script>" not in text
    for line in text.splitlines():
        if line.startswith("| `"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_the_page_is_self_contained():
    page = render_html(run_of(finding(Outcome.CONSISTENT)), "en")
    for tag, attributes in tags_of(page):
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href"):
            assert not str(attributes.get(name, "#")).startswith(("http", "//"))
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert len(page) < 2_000_000


@pytest.mark.parametrize("language", ["en", "ko"])
def test_verdict_and_reason_stand_first(language):
    page = render_html(run_of(finding(Outcome.DERIVED)), language)
    other = "ko" if language == "en" else "en"
    assert f'<html lang="{language}">' in page
    assert page.index(f'id="{language}" lang="{language}"') < page.index(f'id="{other}" lang="')
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    assert 0 < body.index("strict: FAIL") < body.index("DERIVED") < body.index("<table")


def test_a_page_holds_both_languages_with_ids_and_links_of_their_own():
    page = render_html(run_of(finding(Outcome.DERIVED)), "en")
    ids = [attributes["id"] for _, attributes in tags_of(page) if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {name.partition("-")[0] for name in ids} == {"en", "ko"}
    switches = [a for tag, a in tags_of(page) if tag == "a" and "hreflang" in a]
    assert [(a["href"], a["lang"]) for a in switches] == [("#ko", "ko"), ("#en", "en")]
    halves = re.split(r'<div class="half', page)[1:]
    assert "주장이 반박된다" not in halves[0]
    assert "The claim is contradicted" not in halves[1]


def test_a_page_whose_words_alone_are_too_large_is_in_one_language(monkeypatch):
    monkeypatch.setattr(html, "PAGE_BYTES", 5_000)
    page = render_html(run_of(finding(Outcome.DERIVED)), "ko")
    assert 'id="ko"' in page
    assert 'id="en"' not in page
    assert "--report-lang" in page


def test_only_a_page_of_several_models_holds_a_script_and_names_its_digest():
    run = run_of(finding(Outcome.DERIVED))
    page = render_html(replace(run, models=run.models * 2), "en")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "script-src" not in render_html(run, "en")


def test_a_column_of_verdicts_is_sorted_by_gravity():
    models = [run_of(finding(o)).models[0] for o in (Outcome.DERIVED, Outcome.CONSISTENT)]
    ranks = [int(overview_rank(overview(m, "related")).split()[0]) for m in models]
    assert ranks == sorted(set(ranks))


def test_the_overview_begins_with_one_sentence_and_holds_every_component():
    runs = [
        run_of(finding(outcome, model=f"org/{i}"), name=f"org/{i}")
        for i, outcome in enumerate([Outcome.DERIVED, Outcome.UNAVAILABLE, Outcome.UNAVAILABLE])
    ]
    run = replace(runs[0], models=tuple(model for one in runs for model in one.models))
    page = render_html(run, "en")
    assert "<h1>3 models: 1 contradicted, 2 undecided</h1>" in page
    assert "<h1>모델 3개: 반박됨 1개, 판단할 수 없음 2개</h1>" in page
    for model in run.models:
        told = [
            c
            for part, _ in overview_columns(run)
            for g in overview(model, part)
            for c in g.components
        ]
        assert len(told) == len(model.components)


def test_tests_stand_the_most_serious_first_with_all_that_decides_in_sight():
    consistent, derived = finding(Outcome.CONSISTENT, method="a.first"), finding(Outcome.DERIVED)
    page = render_html(run_of(consistent, derived), "en")
    table = page[page.index('<table class="tests every"') :]
    table = table[: table.index("</table>")]
    assert table.index("weights.match") < table.index("a.first")
    shown = re.sub(r"<details.*?</details>", "", table, flags=re.DOTALL)
    for column in ("Outcome", "Effect and interval", "p", "Controls", "Finding"):
        assert shown.count(f'data-label="{column}"') == 2
    assert "0.98" in shown
    assert "kin a / a-child" in shown


def test_a_remedy_never_stands_without_what_it_belongs_to():
    open_ = finding(
        Outcome.INDETERMINATE,
        headline=Text("129 experts: others too"),
        remedy=Text("it is refuted"),
    )
    run = run_of(open_)
    for text in (render_html(run, "en"), render_markdown(run, "en")):
        before = [part.rstrip(" *").split("\n")[-1] for part in text.split("it is refuted")[:-1]]
        assert before
        assert all("others too" in said for said in before), before


@pytest.mark.parametrize(("p", "said"), [(1e-300, "p &lt; 1e-300"), (3e-12, "p 3e-12")])
def test_a_p_value_at_the_floor_is_an_upper_bound(p, said):
    page = render_html(
        run_of(finding(Outcome.DERIVED, pvalue=p, headline=Text("p {p}", p=p))), "en"
    )
    assert said in page
    assert ("adjusted p &lt; " in page) == (p == 1e-300)


def test_a_page_names_the_day_and_a_run_does_not(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795000000")
    run = run_of(finding(Outcome.DERIVED))
    assert "2026-11-18" in render_html(run, "en")
    assert "2026-11-18" not in render_json(run, "en")


def test_what_no_policy_asks_about_is_said_and_no_evidence_against_the_claim():
    found = finding(Outcome.DERIVED, component=Component.TOKENIZER)
    run = run_of(found)
    run = replace(
        run,
        models=fold_models(
            [Subject(spec=ModelSpec(name="org/suspect"), components=(Component.TOKENIZER,))],
            Collected(intents=(intent_of(found),), findings=(found,)),
            [shipped_policies()["strict"]],
        ),
    )
    page = render_html(run, "en")
    assert "this policy does not ask about it" in page
    against = page[page.index("Against the claim") : page.index("For the claim")]
    assert "Nothing that was measured." in against


def test_the_fragment_is_dark_where_the_reader_wants_it_and_so_is_the_page_around_it():
    fragment = verdict_fragment(run_of(finding(Outcome.DERIVED)), "en", "1 failed")
    assert fragment.count("prefers-color-scheme: dark") == 2
    assert "body { background: #14171d" in fragment
    assert '<p class="counts">1 failed</p>' in fragment


def test_a_partial_run_says_so_first():
    run = run_of(finding(Outcome.CONSISTENT), partial=(Text("the run was stopped before its end"),))
    for text in (
        render_html(run, "en"),
        render_markdown(run, "en"),
        "\n".join(line for line, _ in summary_lines(run, "en", 80)),
    ):
        assert "stopped before its end" in text
        assert "NO_EVIDENCE_OF_REUSE" not in text


def test_a_run_can_be_rendered_later_from_its_json():
    run = run_of(finding(Outcome.DERIVED), finding(Outcome.UNAVAILABLE, method="weights.x"))
    again = run_from_json(render_json(run, "en"))
    assert render_json(again, "en") == render_json(run, "en")
    assert render_html(again, "ko") == render_html(run, "ko")


def test_sizes_are_written_as_readers_write_them():
    assert [size(n) for n in (0, 999, 19_800_000, 1_040_000_000_000)] == [
        "0 B", "999 B", "19.8 MB", "1.04 TB",
    ]  # fmt: skip


# ---- languages ---------------------------------------------------------------------------------


def test_every_message_has_a_korean_translation():
    assert messages.untranslated("ko") == []


def test_the_words_of_an_enum_are_messages():
    assert {step.value for step in Step} <= messages.messages().keys()


def statistics_named_in_the_methods():
    """Every name that a method gives a statistic: in calls, and in the table of effects."""
    found = set(EFFECTS.values())
    for path in (ROOT / "pytest_scratchverify" / "methods").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "")
            if called in {"Statistic", "statistic", "number"}:
                given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "name")]
                found |= {arg.value for arg in given if isinstance(arg, ast.Constant)}
    return {name for name in found if isinstance(name, str)}


def test_statistics_and_relations_have_words():
    named = statistics_named_in_the_methods()
    assert len(named) > 40
    assert named <= set(STATISTIC_WORDS)
    assert set(RELATIONS) == {relation.value for relation in Relation}


def test_no_identifier_is_left_in_a_korean_page():
    found = finding(
        Outcome.INDETERMINATE,
        relation=Relation.SAME_CORE,
        headline=Text("the model has no {component} of its own", component="router_experts"),
        statistic=Statistic(name="neurons_that_keep_their_number", value=4.0),
        controls=(
            Control(
                kind="self_permuted", pair=("org/suspect", "renumbered"), passed=True, value=0.1
            ),
            Control(kind="positive", pair=("a", "a-child"), passed=True, disguised=True),
        ),
    )
    page = render_html(run_of(found), "ko").split('<div class="half')[1]
    for word in ("router_experts", "same_core", "neurons", "not enough", "renumbered", "disguised"):
        assert word not in page
    for word in (
        translate(COMPONENT_NAMES[Component.ROUTER_EXPERTS], "ko"),
        "같은 핵심 필드",
        "번호가 그대로인 뉴런",
    ):
        assert word in page


def test_korean_sentences_are_of_one_register():
    """Plain, as findings are; what to do is said as an instruction, and nobody is addressed."""
    for message in messages.read_catalog("ko"):
        if message.id:
            assert not re.search("[습입]니다|십시오|세요", message.string), message.string
            assert "파인튜닝" not in message.string


def test_translations_keep_every_parameter():
    for message in messages.read_catalog("ko"):
        if message.id:
            names = set(re.findall(r"{(\w+)}", message.id))
            assert set(re.findall(r"{(\w+)}", message.string)) <= names, message.id


def test_the_compiled_catalogue_is_the_source():
    path = messages.po_path("ko")
    assert messages.compiled(messages.updated("ko")) == path.with_suffix(".mo").read_bytes()


def test_templates_are_literals():
    """A message that is put together at run time cannot be translated."""
    for path in sorted((ROOT / "pytest_scratchverify").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Text" and node.args:
                first = node.args[0]
                # looked up in a table whose name ends in HEADLINES, which is collected
                looked_up = re.match(r"(\w+_)?HEADLINES\[", ast.unparse(first)) is not None
                allowed = isinstance(first, ast.Constant) or looked_up or path.name in {
                    "terminal.py", "markdown.py", "html.py", "serialization.py", "run_directory.py", "text.py",
                    "rendering.py", "language.py",
                    "headlines.py",  # from its table HEADLINES, filled with what it names
                }  # fmt: skip
                assert allowed, f"{path}:{node.lineno}"


# ---- the claim guard ---------------------------------------------------------------------------

FORBIDDEN = re.compile(r"\bproves?\b|100 ?%|\bunique\b|from scratch|입증|증명", re.IGNORECASE)
LICENSED = {
    # questions, denials and quotations of others' claims
    "Was this model trained from scratch?",
    "Were these models trained from scratch?",
    "decoder unique; vision {origin}",
    "{field} = {value} is not unique: {same} have it too",
    "the model card names no base model; its silence proves nothing",
}


def test_no_message_claims_more_than_was_measured():
    for text in messages.messages():
        if text in LICENSED or text.startswith("No verdict says"):
            continue
        assert not FORBIDDEN.search(text), text
        korean = translate(Text(text, **dict.fromkeys(re.findall(r"{(\w+)}", text), "x")), "ko")
        assert "증명" not in korean, text


def test_every_verdict_outcome_and_result_has_words():
    from pytest_scratchverify.verdict.verdict import Result, Verdict

    assert set(MEANING) == set(Verdict)
    assert set(OUTCOME_WORDS) == set(Outcome)
    assert set(RESULT_MEANING) == set(Result)
    assert isinstance(Intent.__doc__, str)
    assert Path(messages.LOCALES).is_dir()


def test_a_run_of_chosen_tests_wants_the_others_first():
    run = run_of(finding(Outcome.INDETERMINATE))
    model = run.models[0]
    away = replace(model, sources=("catalogue",))
    whole = [str(text) for text in would_decide(away, replace(run, partial=False))]
    part = [str(text) for text in would_decide(model, replace(run, partial=True, arrived=3))]
    read = [str(text) for text in would_decide(replace(model, sources=("folder",)), run)]
    assert whole[0].startswith("the model's own files: reach the hub")  # before anything of them
    assert whole[1] == (
        "then their weights, by ranges, beside the references': embeddings, text decoder"
    )
    assert read[0].startswith("weights of embeddings, text decoder compared")
    assert part[0] == f"the whole run: 3 of {run.planned} planned tests reported"
    assert not any("weights" in text for text in part)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_findings_are_written_one_by_one_into_the_document_they_would_be_in(count):
    hostile = hostile_run()
    findings = (hostile.findings * 3)[:count]
    run = replace(hostile, findings=findings)
    whole = json.dumps(
        run_to_json(run), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    assert render_json(run, "en") == visible_json(whole) + "\n"
