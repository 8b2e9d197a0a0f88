"""Installed beside everything else: inert, cheap, and out of the way."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_a_foreign_project_sees_nothing_of_us(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            mine = [name for name in sys.modules if name.startswith("pytest_scratchverify")]
            assert sorted(mine) == ["pytest_scratchverify", "pytest_scratchverify.plugin", "pytest_scratchverify.plugin.options"]
            for heavy in ("numpy", "scipy", "huggingface_hub", "cattrs", "jinja2"):
                assert heavy not in sys.modules, heavy
        """
    )
    disabled = [
        "hypothesispytest",
        "syrupy",
        "html",
        "metadata",
        "anyio",
        "xdist",
        "benchmark",
        "timeout",
    ]
    flags = [part for name in disabled for part in ("-p", f"no:{name}")]
    result = pytester.runpytest_subprocess(*flags)
    assert result.ret == 0, result.stdout.str()
    text = result.stdout.str()
    assert "scratchverify:" not in text
    assert "verdict" not in text


def test_a_foreign_option_named_model_is_not_in_the_way(pytester):
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--model", action="store")
        """
    )
    pytester.makepyfile("def test_it(pytestconfig): assert pytestconfig.getoption('model') == 'x'")
    assert pytester.runpytest_subprocess("--model", "x").ret == 0


@pytest.mark.parametrize("without", [["xdist"], ["html"], ["xdist", "html", "metadata", "timeout"]])
def test_it_works_without_its_guests(without, suite, run):
    suite()
    flags = [part for name in without for part in ("-p", f"no:{name}")]
    result, found = run(*flags)
    assert result.ret == 0, result.stdout.str()
    assert found is not None


def test_the_help_has_one_group_with_every_option():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    group = done.stdout.split("was this model trained from scratch?")[1].split("\n\n")[0]
    from pytest_scratchverify.plugin.options import OPTIONS

    for option in OPTIONS:
        assert f"--scratch-{option.name}" in group
        assert f"{option.dest} (" in done.stdout  # its ini twin


def test_markers_have_sentences(pytester):
    result = pytester.runpytest_subprocess("--markers")
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.scratch(method, component=...): one null hypothesis*",
            "*tokenizer: ancestry*",
        ]
    )
