"""The console script: wrappers that do what they say."""

from __future__ import annotations

import pytest

from tools.running import run_suites, scratchverify
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub


def test_run_takes_short_names_anywhere(tmp_path):
    done = scratchverify("run", "--model", "skt/A.X-K1", "-m", "architecture", home=tmp_path)
    assert done.returncode == 10, done.stdout + done.stderr
    assert "deepseek-ai/DeepSeek-V3" in done.stdout
    assert "warning" not in done.stdout


def test_render_makes_reports_of_an_earlier_run(tmp_path):
    ran = run_suites("--model", "skt/A.X-K1", home=tmp_path)
    (tmp_path / "saved.json").write_bytes(ran.json_bytes)
    pages = ["--html", tmp_path / "p.html", "--md", tmp_path / "p.md", "--report-lang", "ko"]
    assert scratchverify("render", tmp_path / "saved.json", *pages, home=tmp_path).returncode == 0
    assert "구성 요소별 판정" in (tmp_path / "p.html").read_text("utf-8")
    assert "INSUFFICIENT_EVIDENCE" in (tmp_path / "p.md").read_text("utf-8")


DAMAGED = '{"schema": "scratchverify/run/3", "findings": null, "models": [], "plan": []}'


@pytest.mark.parametrize(
    "text",
    ["{}", "no json", '{"schema": "scratchverify/run/99"}', DAMAGED, 100_000 * "["],
    ids=["empty", "no-json", "version", "damaged", "deep"],
)
def test_render_refuses_what_is_no_run(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text)
    done = scratchverify("render", path, "--html", tmp_path / "p.html", home=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "p.html").exists()


def test_a_run_of_an_earlier_schema_is_refused_in_one_line_that_says_who_wrote_it(tmp_path):
    path = tmp_path / "old.json"
    path.write_text('{"schema": "scratchverify/run/1", "version": "2026.10.0", "findings": []}')
    done = scratchverify("render", path, "--html", tmp_path / "p.html", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"{path}: written as scratchverify/run/1 by pytest-scratchverify 2026.10.0; this version"
        " reads scratchverify/run/3: run the tests again\n"
    )


def test_fetch_prepares_a_run_without_network(tmp_path):
    folder = checkpoints.independent(tmp_path / "model")
    with LoopbackHub() as hub:
        hub.add_repo("org/new", folder)
        env = hub.environment(tmp_path / "hf")
        done = scratchverify("fetch", "org/new", home=tmp_path, env=env)
        missing = scratchverify("fetch", "org/none", home=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "org/new tensor_index: ok" in done.stdout
    assert missing.returncode == 1
    assert "org/none" in missing.stderr
    ran = run_suites(
        "--model", "org/new", "--offline", "-m", "architecture", home=tmp_path, env=env
    )
    assert ran.finding("architecture.text_design")["artifacts"][0]["source"] == "cache"


def test_without_a_command_it_says_what_there_is(tmp_path):
    done = scratchverify(home=tmp_path)
    assert done.returncode == 2
    assert "scratchverify render run.json" in done.stderr
