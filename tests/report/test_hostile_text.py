"""Hostile text in any field of a run, in every outlet: visible, bounded, and no command."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib.util import find_spec
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_scratchverify.cli import main
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    ArtifactRecord,
    Null,
    Outcome,
    Power,
    Relation,
    Source,
    Statistic,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import MAX_SHOWN, visible, visible_document
from pytest_scratchverify.methods.weights.figure_data import SharesByLayer
from pytest_scratchverify.report.actions import append_summary, workflow_commands
from pytest_scratchverify.report.attestation import statement_of
from pytest_scratchverify.report.badge import render_badge_json, render_badge_svg
from pytest_scratchverify.report.cyclonedx import render_cyclonedx
from pytest_scratchverify.report.difference import differences
from pytest_scratchverify.report.eval_results import render_eval_results
from pytest_scratchverify.report.explanation import explained
from pytest_scratchverify.report.figures.rendering import Rendered, figures_of
from pytest_scratchverify.report.html import render_html, verdict_fragment
from pytest_scratchverify.report.inspect_log import render_inspect_log
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.sarif import render_sarif
from pytest_scratchverify.report.spdx import render_spdx
from pytest_scratchverify.report.terminal import summary_lines
from pytest_scratchverify.report.writing import render_json
from pytest_scratchverify.verdict.serialization import dumps, finding_from_json, run_from_json
from tests.report.runs import run_of, tags_of
from tests.verdict.findings import finding

SECRET = "hunter2"
PARTS = [
    "\x1b[2J", "\x1b]0;pwned\x07", "\x9b31m", "\x00", "\x7f", "\r", "\n", "\u2028", "\x85",
    "\u202e", "\u2066", "\u2069", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u3164", "\ufffe",
    "\udcff", "\ud800", "\U000e0041", "::error::x", "\n::set-output name=a::b", " ::add-mask::y",
    "##[error]", "%0A::error::", f"https://user:{SECRET}@host/", f"//{SECRET}@", "](javascript:x)",
    "<script>", "'\"&", "|", "`", "{x}", "{x.__class__}", "x" * 50,
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PARTS) | st.text(max_size=4), min_size=1, max_size=8).map(
    "".join
)


READ = ArtifactRecord(
    repo="org/suspect", file="config.json", source=Source.HUB, bytes_read=7, bytes_total=7,
    digest=64 * "a",
)  # fmt: skip


def full_run(text="x"):
    """A run of two models in which every field that can hold a text holds one."""
    record = ArtifactRecord(
        repo="org/suspect", file="model.safetensors", source=Source.HUB, revision="main",
        digest="d", note=Text("note {x}", x="n"), bytes_read=7, ranges=((1, 2),),
    )  # fmt: skip
    made = finding(
        Outcome.DERIVED,
        method="architecture.nearest_design",
        headline=Text("read {x}", x="a value"),
        hypothesis=Text("not {x}", x="a value"),
        remedy=Text("do {x}", x="a value"),
        relation=Relation.DERIVED,
        kinds=("odd thing",),
        statistic=Statistic(name="s", value=1.0, n=3, low=0.0, high=2.0),
        null=Null(kind="permutation", description=Text("null {x}", x="a value"), draws=9),
        power=Power(minimum_detectable_effect=0.1, power=0.9, description=Text("power {x}", x="y")),
        artifacts=(record,),
        details={
            "catalogue_entries": 3,
            "nearest": [{"repo": "org/near", "distance": 0.5, "equal": ["a"], "compared": 2,
                         "core_equal": 1, "core_compared": 2, "different": {"f": ["v", "w"]},
                         "status": "hub"}],
        },
    )  # fmt: skip
    open_one = replace(made, outcome=Outcome.UNAVAILABLE, method="weights.origin", pvalue=None)
    run = run_of(made, open_one, partial=(Text("stopped: {x}", x="a value"),))
    other = run_of(finding(Outcome.INDETERMINATE, model="org/other"), name="org/other")
    return replace(
        run,
        models=(*run.models, *other.models),
        matrix="matrix.toml",
        matrix_digest="0123456789abcdef",
        environment={"pytest": "9"},
        missing=("suites/test_x.py::test_y",),
    )


def poisoned(value, text):
    """The same object with `text` in the place of every free string; templates keep their names."""
    if isinstance(value, Text):
        return Text(value.template, **dict.fromkeys(value.params, text)) if value.params else value
    if type(value) is str:
        return text
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: poisoned(getattr(value, f.name), text) for f in fields(value)}
        )
    if isinstance(value, Mapping):
        return {key: poisoned(item, text) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(poisoned(item, text) for item in value)
    return value


FORMATS_OF_JSON = (
    "json", "sarif", "spdx", "inspect", "badge.json", "cyclonedx", "statement"
)  # fmt: skip


def outlets(run, tmp_path, languages=("en", "ko")):
    """Every outlet of a run, by name: what a terminal, a browser, a log or a parser gets."""
    yield "html", render_html(run, "en")  # in every language
    for language in languages:
        yield "fragment", verdict_fragment(run, language)
        yield "markdown", render_markdown(run, language)
        yield "sarif", render_sarif(run, language)
        yield "spdx", render_spdx(run, language)
        yield "inspect", render_inspect_log(run, language)
        yield "yaml", render_eval_results(replace(run, models=run.models[:1]), language)
        if find_spec("cyclonedx"):
            yield "cyclonedx", render_cyclonedx(run, language)
        yield "badge.json", render_badge_json(run, language)
        yield "badge.svg", render_badge_svg(run, language)
        for line, _ in summary_lines(run, language, 100):
            yield "line", line
        one = replace(run, models=run.models[:1])
        for line, _ in summary_lines(one, language, 100):
            yield "line", line
        for command in workflow_commands(run, language):
            yield "command", command
        for text in [
            *differences(full_run(), run),
            *explained(run.findings[0].method, None, None, run.findings),
        ]:
            yield "line", visible(translate(text, language)) if text.template else ""
    summary = tmp_path / "summary.md"
    summary.unlink(missing_ok=True)
    append_summary(run, summary, "en")
    yield "summary", summary.read_bytes().decode()
    yield "json", render_json(run, "en")
    if find_spec("in_toto_attestation"):
        read = finding(Outcome.CONSISTENT, model=run.models[0].model, artifacts=(READ,))
        yield "statement", statement_of(replace(run, findings=(*run.findings, read))).decode()


def as_the_runner_reads(line):
    """Whether a runner of GitHub Actions takes a line for a command, in its two syntaxes."""
    return line.lstrip().startswith("::") or re.search(r"##\[[^\]]*\]", line) is not None


def check(name, text):
    text.encode()
    assert visible_document(text) == text, name
    assert SECRET not in text, name
    if name == "line":
        assert "\n" not in text
        assert not as_the_runner_reads(text)
    if name == "command":
        assert "\n" not in text
        assert re.match(r"::(error|notice|warning) title=[^:,]*::", text)
        assert "##[" not in text
    if name == "badge.svg":
        ET.fromstring(text)
    if name == "yaml":
        yaml.safe_load(text)
    if name in FORMATS_OF_JSON:
        json.loads(text)


def test_what_is_cut_off_is_no_half_of_a_password(tmp_path):
    for name, shown in outlets(poisoned(full_run(), f"\x0000//{SECRET}@"), tmp_path):
        check(name, shown)


@settings(
    max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(HOSTILE)
def test_no_outlet_shows_hostile_text_as_it_is(tmp_path, text):
    for name, shown in outlets(poisoned(full_run(), text), tmp_path):
        check(name, shown)


def test_all_kinds_at_once_and_markup_stays_what_it_is(tmp_path):
    pages = {"x": [], "".join(PARTS): []}
    for text, found in pages.items():
        for name, shown in outlets(poisoned(full_run(), text), tmp_path):
            check(name, shown)
            if name in ("html", "fragment"):
                tags = [tag for tag, _ in tags_of(shown)]
                found.append((name, [t for t in tags if t in ("script", "a", "img")]))
    clean, hostile = pages.values()
    assert hostile == clean
    assert [name for name, _ in clean] == ["html", "fragment", "fragment"]


def test_a_hostile_template_of_a_foreign_run_shows_nothing_as_it_is(tmp_path):
    text = "".join(part for part in PARTS if "{" not in part and "@" not in part)
    run = full_run()
    bad = replace(run.findings[0], headline=Text(text), remedy=Text(text))
    for name, shown in outlets(replace(run, findings=(bad,)), tmp_path):
        if name != "command":  # a template is a file's only in a foreign run, which has no step
            check(name, shown)


def test_overlong_text_is_bounded_in_every_outlet_but_the_json(tmp_path):
    sizes = {"line": 2 * MAX_SHOWN, "command": 4 * MAX_SHOWN}
    for name, shown in outlets(poisoned(full_run(), "x" * 30_000), tmp_path, ("en",)):
        if name not in ("json", "statement"):
            assert len(shown) < sizes.get(name, 600_000), name


def test_names_in_figures_are_visible_and_bounded():
    text = "\x1b[2J\u202e\udcff" + "x" * 10_000
    shares = SharesByLayer(
        parents=(text, "b"),
        layers=(0, 1),
        shares=((0.5, 0.5), (0.4, 0.6)),
        explained=0.9,
        trained_on=False,
    )
    [drawn] = figures_of(finding(Outcome.DERIVED, figures=(shares.to_json(),)), "en")
    assert isinstance(drawn, Rendered)
    check("figure", drawn.svg)
    assert "\u241b[2J\u27e8U+202E\u27e9\\xff" in drawn.svg
    assert len(drawn.svg) < 60_000


def test_the_json_keeps_what_identifies_the_original():
    text = "a\x1b[2J\u202e\u200b\ufeffb"
    run = run_from_json(render_json(poisoned(full_run(), text), "en"))
    assert run.models[0].model == text
    assert run.findings[0].headline.params == {"x": text}
    assert str(run.findings[0].headline) == f"read {visible(text)}"
    document = json.loads(render_json(poisoned(full_run(), "caf\udce9"), "en"))
    assert document["models"][0]["model"] == "caf\\xe9"


def test_a_finding_travels_between_processes_as_it_is():
    text = "caf\udce9\ud800\x1b\u202e"
    made = poisoned(full_run().findings[0], text)
    line = dumps(made)
    assert line.isascii()
    assert finding_from_json(line) == made


@pytest.mark.parametrize("command", ["explain", "diff", "render"])
def test_the_console_script_prints_nothing_as_it_is(command, tmp_path, capsys):
    text = "".join(part for part in PARTS if "\ud800" not in part)
    path = tmp_path / "run.json"
    path.write_text(render_json(poisoned(full_run(), text), "en"), "utf-8")
    clean = tmp_path / "clean.json"
    clean.write_text(render_json(full_run(), "en"), "utf-8")
    told = json.loads(path.read_text("utf-8"))["findings"][0]["method"]
    missing = tmp_path / "no\x1b[2J\u202e\udcff.json"
    for arguments in {
        "explain": [[told, path], ["x", missing]],
        "diff": [[clean, path], [missing, path]],
        "render": [[path], [missing]],
    }[command]:
        main([command, *map(str, arguments)])
    printed = capsys.readouterr()
    for line in (printed.out + printed.err).splitlines():
        check("line", line)
    assert "no␛[2J⟨U+202E⟩\\xff.json" in printed.err


def test_the_parser_of_the_console_script_quotes_the_command_line_visibly(capsys):
    with pytest.raises(SystemExit):
        main(["render", "run.json", "extra\x1b[2J\u202e"])
    assert "extra␛[2J⟨U+202E⟩" in capsys.readouterr().err


def test_components_are_never_free_text():
    assert all(visible(component.value) == component.value for component in Component)
