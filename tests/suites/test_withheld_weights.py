"""NOT_TESTABLE: the model's own repository was listed, and publishes no weights."""

from __future__ import annotations

import pytest

from tools.running import run_suites
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = checkpoints.independent(tmp_path_factory.mktemp("model") / "whole")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def without_weights(files):
    return {name: body for name, body in files.items() if "safetensors" not in name}


def on_hub(tmp_path, model, reference, **options):
    with LoopbackHub() as hub:
        hub.add_repo("org/model", model, **options)
        hub.add_repo("org/reference", reference)
        names = ("--model", "org/model", "--against", "org/reference")
        return run_suites(*names, home=tmp_path, env=hub.environment(tmp_path / "hf"))


def test_a_listed_repository_without_weights_is_not_testable(tmp_path, files):
    ran = on_hub(tmp_path, without_weights(files), files)
    verdicts = ran.verdicts("org/model")
    assert verdicts["text_decoder"] == verdicts["embeddings"] == "NOT_TESTABLE", ran.output
    assert verdicts["tokenizer"] != "NOT_TESTABLE", "tokenizer files are published"
    assert verdicts["architecture"] != "NOT_TESTABLE", "so is the config"
    found = [f for f in ran.run["findings"] if f["method"] == "weights.origin"]
    finding = next(f for f in found if f["component"] == "embeddings")
    assert (finding["outcome"], finding["relation"]) == ("unavailable", "not_published")
    assert ran.model("org/model")["policies"]["strict"]["result"] == "UNDETERMINED"


def test_a_reference_without_weights_makes_nothing_untestable(tmp_path, files):
    ran = on_hub(tmp_path, files, without_weights(files))
    assert "NOT_TESTABLE" not in ran.verdicts("org/model").values()
    assert {f["relation"] for f in ran.run["findings"]}.isdisjoint({"not_published"})


@pytest.mark.parametrize("other", ["weights.distcp", "parts/model-rank0.tar"])
def test_an_unknown_format_is_insufficient_evidence(tmp_path, files, other):
    ran = on_hub(tmp_path, {**without_weights(files), other: b"x" * 100}, files)
    assert ran.verdicts("org/model")["text_decoder"] == "INSUFFICIENT_EVIDENCE"


def test_gated_weights_are_published(tmp_path, files):
    ran = on_hub(tmp_path, files, files, gated="manual")
    assert ran.verdicts("org/model")["lm_head"] == "INSUFFICIENT_EVIDENCE"
    assert "NOT_TESTABLE" not in ran.verdicts("org/model").values()


def test_an_unreachable_hub_says_nothing_of_the_repository(tmp_path):
    ran = run_suites("--model", "org/model", "--against", "org/reference", home=tmp_path)
    assert "NOT_TESTABLE" not in ran.verdicts("org/model").values()
