"""Real tokenizers, served by the loopback hub under invented names, through the real suites."""

from __future__ import annotations

import json

import pytest

from tools.facts.artifact_registry import tokenizer_path
from tools.running import run_suites
from tools.zoo.hub_server import LoopbackHub


def repository(tokenizer: str, rows: int) -> dict[str, bytes]:
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
              "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": rows,
              "hidden_act": "silu", "rms_norm_eps": 1e-5}  # fmt: skip
    return {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": tokenizer_path(tokenizer).read_bytes(),
        "README.md": b"---\nlicense: mit\n---\n# A fixture: a real tokenizer, no model\n",
    }


@pytest.fixture(scope="module")
def hub():
    with LoopbackHub() as hub:
        hub.add_repo("fixture/llama3", repository("llama3", 128256))
        hub.add_repo("fixture/deepseek", repository("deepseek-v3", 129280))
        hub.add_repo("fixture/qwen", repository("qwen2.5", 152064))
        yield hub


def relation(ran, model):
    finding = next(
        f
        for f in ran.run["findings"]
        if f["method"] == "tokenizer.rank_order" and f["model"] == model
    )
    return finding["outcome"], finding["relation"]


@pytest.mark.slow
def test_independent_vocabularies_are_consistent_and_slow_fetches_are_named(hub, tmp_path):
    arguments = ("--model", "fixture/deepseek", "--against", "fixture/llama3", "-m", "tokenizer")
    ran = run_suites(*arguments, home=tmp_path, env=hub.environment(tmp_path))
    assert relation(ran, "fixture/deepseek") == ("consistent", "independent")
    assert "fetching fixture/llama3 tokenizer.json (" in ran.output  # a line, never a bar
    assert "\r" not in ran.output
    again = run_suites(*arguments, home=tmp_path, env=hub.environment(tmp_path))
    assert again.json_bytes == ran.json_bytes


def test_a_vocabulary_of_another_is_found_under_any_name(hub, tmp_path):
    hub.add_repo("fixture/renamed", repository("llama3", 128256))
    ran = run_suites("--model", "fixture/renamed", "--against", "fixture/llama3", home=tmp_path,
                     env=hub.environment(tmp_path))  # fmt: skip
    assert ran.code == 10, ran.output  # no weights to ask about; a tokenizer fails no policy here
    assert relation(ran, "fixture/renamed")[0] == "derived"
    assert "is reported; this policy does not ask about it" in ran.output
    assert ran.verdicts("fixture/renamed")["tokenizer"] in ("REUSED_VERBATIM", "DERIVED")
    assert ran.verdicts("fixture/renamed")["text_decoder"] == "NOT_TESTABLE"  # it has no weights
    assert "says nothing about the weights" in ran.output


@pytest.mark.slow
def test_a_common_ancestor_is_no_descent(hub, tmp_path):
    """Qwen and Llama-3 both extend cl100k: related, and neither is the other's child."""
    ran = run_suites("--model", "fixture/qwen", "--against", "fixture/llama3", "-n", "2",
                     home=tmp_path, env=hub.environment(tmp_path))  # fmt: skip
    assert relation(ran, "fixture/qwen")[1] == "shared_ancestry"
