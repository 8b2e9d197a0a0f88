"""The main job, as the README runs it: skt/A.X-K1 with no hub to be reached."""

from __future__ import annotations

import html
import json
import re
from collections import Counter

import pytest

from tools.running import ROOT, run_suites

AXK1 = "skt/A.X-K1"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    home = tmp_path_factory.mktemp("alone")
    extras = ["--html", str(home / "r.html"), "--verdict-html", str(home / "v.html")]
    extras += ["--verdict-md", str(home / "v.md"), "--junitxml", str(home / "junit.xml")]
    return run_suites("--model", AXK1, *extras, home=home), home


def test_it_ends_with_exit_code_10_and_undetermined(alone):
    ran, _ = alone
    assert ran.code == 10, ran.output
    assert ran.model(AXK1)["policies"]["strict"]["result"] == "UNDETERMINED"
    assert ran.verdicts(AXK1)["text_decoder"] == "INSUFFICIENT_EVIDENCE"
    assert not ran.run["partial"]


def test_the_report_is_one_file(alone):
    """Who forwards r.html forwards all of it: pytest-html by itself leaves its styles beside."""
    _, home = alone
    assert not (home / "assets").exists()
    page = (home / "r.html").read_text("utf-8")
    assert "<style" in page
    assert '<link href="assets' not in page


def test_it_reports_the_architecture_findings(alone):
    ran, _ = alone
    design = ran.finding("architecture.text_design")
    assert design["outcome"] == "declared"
    assert design["reference"] == "deepseek-ai/DeepSeek-V3"
    assert design["details"]["design"]["attention_kind"] == "MLA"
    core = next(f for f in ran.run["findings"] if f["id"].endswith("moonshotai/Kimi-K2-Instruct")
                and f["method"] == "architecture.core_fields")  # fmt: skip
    assert core["statistic"]["value"] == 5
    assert {"vocab_size", "num_attention_heads"} <= set(core["details"]["equal"])
    assert ran.finding("architecture.claim.attention-is-mha")["relation"] == "contradicted"


def test_every_artifact_is_marked_as_the_catalogues(alone):
    ran, _ = alone
    records = [record for f in ran.run["findings"] for record in f["artifacts"]]
    assert records
    assert {record["source"] for record in records} == {"catalogue"}
    assert ran.model(AXK1)["bytes_read"] == 0


def test_both_judgements_stand_side_by_side(alone):
    ran, home = alone
    policies = ran.model(AXK1)["policies"]
    assert policies["korea-2026"]["result"] == "PASS"
    page = (home / "v.html").read_text("utf-8")
    assert "korea-2026: PASS" in page
    assert "strict: UNDETERMINED" in page
    assert "The policies differ because" in page


def test_the_terminal_summary_fits_a_screen(alone):
    ran, _ = alone
    lines = re.split(r"= verdict =+\n", ran.output)[1].split("---")[0].splitlines()
    assert len(lines) <= 40
    assert max(len(line) for line in lines) <= 140
    assert "not enough was measured" in ran.output
    assert "Would decide" in ran.output


def test_pytest_html_carries_the_verdict_and_the_columns(alone):
    _, home = alone
    page = (home / "r.html").read_text("utf-8")
    assert "strict: UNDETERMINED" in page
    assert "col-finding" in page
    assert "INSUFFICIENT_EVIDENCE" in page
    assert re.search(r"<h1[^>]*>Was this model trained from scratch\? skt/A.X-K1</h1>", page)


def rows_of(page):
    """The rows of pytest-html's table: its own result, and the word that a reader sees."""
    blob = json.loads(html.unescape(re.search('data-jsonblob="([^"]*)"', page)[1]))
    tests = [test for rows in blob["tests"].values() for test in rows]
    words = [re.search(">([^<]*)<", test["resultsTableRow"][0])[1] for test in tests]
    return blob, [(test["result"], word) for test, word in zip(tests, words, strict=True)], tests


def test_pytest_html_counts_as_the_terminal_does_and_collapses_what_measured_nothing(alone):
    ran, home = alone
    said = ran.output.splitlines()[-1].partition(" in ")[0].strip("= ")
    counted = re.findall(r"(\d+) (\w+)", said)
    page = (home / "r.html").read_text("utf-8")
    blob, rows, _ = rows_of(page)
    ended = [(n, word) for n, word in counted if word != "deselected"]  # which have no row
    assert Counter(word for _, word in rows) == {word: int(n) for n, word in ended}
    assert f'<p class="counts">{said}</p>' in page
    assert {result for result, _ in rows} <= {"Passed", "Skipped"}  # its script filters by these
    assert "skipped" in blob["renderCollapsed"]
    filters = re.findall(r'<span class="(?:passed|skipped)">([^<]*?),?</span>', page)
    assert sorted(", ".join(filters).split(", ")) == sorted(f"{n} {w}" for n, w in ended)


def test_junit_carries_scalars_of_the_verdict(alone):
    _, home = alone
    text = (home / "junit.xml").read_text("utf-8")
    assert 'name="scratch_outcome"' in text
    assert 'name="scratch_verdict:skt/A.X-K1:text_decoder" value="INSUFFICIENT_EVIDENCE"' in text


def test_the_markdown_names_verdict_and_reproduction(alone):
    _, home = alone
    text = (home / "v.md").read_text("utf-8")
    assert "**strict: UNDETERMINED**" in text
    assert "pytest suites/ --model skt/A.X-K1 --depth quick" in text


def test_serial_and_distributed_runs_write_the_same_bytes(alone, tmp_path):
    ran, _ = alone
    distributed = run_suites("--model", AXK1, "-n", "2", home=tmp_path)
    assert distributed.code == 10, distributed.output
    assert distributed.json_bytes == ran.json_bytes


def test_korean_is_spoken(tmp_path):
    page, table = tmp_path / "v.html", tmp_path / "r.html"
    ran = run_suites("--model", AXK1, "--report-lang", "ko", "--verdict-html", str(page),
                     "--html", str(table), home=tmp_path)  # fmt: skip
    assert "텍스트 디코더" in ran.output
    assert '<html lang="ko">' in page.read_text("utf-8")
    text = table.read_text("utf-8")
    _, rows, tests = rows_of(text)
    assert {word for _, word in rows} == {"통과", "건너뜀", "공표됨", "판단할 수 없음"}
    for test in tests:
        finding = re.search('"col-finding">([^<]*)<', "".join(test["resultsTableRow"]))[1]
        assert re.search("[가-힣]", finding), finding
        assert test["result"] == "Passed" or re.search("[가-힣]", test["log"])
    words = json.loads(re.search('id="sv-words">([^<]*)<', text)[1])  # said by its script
    assert all(re.search("[가-힣]", said) for said in words.values())
    assert {"Environment", "Summary", "Result", "Show all details"} <= set(words)


def test_the_whole_matrix_runs(tmp_path):
    ran = run_suites(home=tmp_path)
    assert ran.code == 1, ran.output  # strict says FAIL of declared reuse, and so does the code
    assert len(ran.run["models"]) == 13
    hyperclova = "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"
    assert ran.verdicts(hyperclova)["vision_encoder"] == "DECLARED_REUSE"
    assert ran.verdicts(hyperclova)["audio_encoder"] == "CONFLICTING"
    assert ran.model(hyperclova)["policies"]["strict"]["result"] == "FAIL"
    assert ran.verdicts("PrimeIntellect/INTELLECT-3")["text_decoder"] == "DECLARED_REUSE"
    assert ran.verdicts("upstage/Solar-Open-100B")["text_decoder"] == "INSUFFICIENT_EVIDENCE"


def test_other_policies(tmp_path):
    hyperclova = "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"
    expected = {"text-only": "UNDETERMINED", "msit-2026": "FAIL"}
    asked = [part for name in expected for part in ("--policy", name)]
    ran = run_suites("--model", hyperclova, *asked, home=tmp_path)
    found = ran.model(hyperclova)["policies"]
    assert {name: found[name]["result"] for name in expected} == expected


def test_an_unlisted_repository_needs_no_line(tmp_path):
    ran = run_suites("--model", "nobody/new-model", home=tmp_path)
    assert ran.code == 10, ran.output
    assert ran.verdicts("nobody/new-model")["text_decoder"] == "INSUFFICIENT_EVIDENCE"


def test_the_run_obeys_its_published_schema(alone):
    import jsonschema

    ran, _ = alone
    schema = json.loads(
        (ROOT / "pytest_scratchverify" / "report" / "run.schema.json").read_text("utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(ran.run, schema)
