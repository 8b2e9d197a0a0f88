"""The real suites over small checkpoints, from folders and from the loopback hub."""

from __future__ import annotations

import re
import shutil

import pytest

from tools.running import run_suites
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """FIXTURE: random weights of a real layout, no trained models."""
    root = tmp_path_factory.mktemp("zoo")
    base = checkpoints.independent(root / "base", seed=1)
    return {
        "base": base,
        "other": checkpoints.independent(root / "other", seed=2),
        "finetuned": checkpoints.finetuned(root / "finetuned", base, base_model="zoo/base"),
        "copy": checkpoints.verbatim_copy(root / "copy", base),
        "composite": checkpoints.composite(root / "composite"),
    }


@pytest.fixture
def hub(zoo, tmp_path):
    with LoopbackHub() as hub:
        for name, folder in zoo.items():
            hub.add_repo(f"zoo/{name}", folder)
        yield hub


def test_a_copy_in_a_folder_is_reused_verbatim_and_exits_1(zoo, tmp_path):
    ran = run_suites("--model", str(zoo["copy"]), "--against", str(zoo["base"]), home=tmp_path)
    assert ran.code == 1, ran.output
    name = str(zoo["copy"])
    decoder = ran.model(name)["components"]["text_decoder"]
    assert decoder["verdict"] == "REUSED_VERBATIM"
    assert decoder["reference"] == str(zoo["base"])
    assert ran.model(name)["policies"]["strict"]["result"] == "FAIL"


def test_independent_weights_are_cleared_with_reference_and_power(zoo, tmp_path):
    name, base = str(zoo["other"]), str(zoo["base"])
    ran = run_suites("--model", name, "--against", base, home=tmp_path)
    assert ran.code == 0, ran.output
    decoder = ran.model(name)["components"]["text_decoder"]
    assert decoder["verdict"] == "NO_EVIDENCE_OF_REUSE"
    assert base in decoder["because"][0]["text"]
    assert "would have been found" in decoder["because"][0]["text"]


def test_metadata_alone_clears_nobody(zoo, tmp_path):
    name = str(zoo["other"])
    arguments = ("--model", name, "--against", str(zoo["base"]), "--depth", "metadata")
    ran = run_suites(*arguments, home=tmp_path)
    assert ran.code == 10, ran.output
    assert ran.verdicts(name)["text_decoder"] == "INSUFFICIENT_EVIDENCE"


def test_a_declared_fine_tune_is_declared_and_exits_as_strict_says(zoo, hub, tmp_path):
    ran = run_suites("--model", "zoo/finetuned", "--against", "zoo/base", home=tmp_path,
                     env=hub.environment(tmp_path))  # fmt: skip
    assert ran.code == 1, ran.output
    assert ran.verdicts("zoo/finetuned")["text_decoder"] == "DECLARED_REUSE"
    assert ran.verdicts("zoo/finetuned")["tokenizer"] == "DECLARED_REUSE"
    assert ran.model("zoo/finetuned")["policies"]["strict"]["result"] == "FAIL"


def test_a_composite_model_is_judged_tower_by_tower(zoo, tmp_path):
    pages = [tmp_path / "v.html", tmp_path / "v.md", tmp_path / "r.html"]
    reports = ["--verdict-html", pages[0], "--verdict-md", pages[1], "--html", pages[2]]
    arguments = ["--model", zoo["composite"], "--against", zoo["base"], *reports]
    ran = run_suites(*map(str, arguments), home=tmp_path)
    assert all("NO_EVIDENCE_OF_REUSE" in page.read_text("utf-8") for page in pages), ran.output
    components = ran.verdicts(str(zoo["composite"]))
    assert {"vision_encoder", "projector", "text_decoder"} <= set(components)
    assert ran.finding("architecture.vision_design")["outcome"] in ("consistent", "indeterminate")


def test_the_hub_and_the_folder_give_the_same_findings(zoo, hub, tmp_path):
    env = hub.environment(tmp_path)
    on_hub = run_suites("--model", "zoo/copy", "--against", "zoo/base", home=tmp_path, env=env)
    in_folder = run_suites(
        "--model", str(zoo["copy"]), "--against", str(zoo["base"]), home=tmp_path
    )
    assert on_hub.code == in_folder.code == 1, on_hub.output

    def outcomes(ran):
        return [(f["method"], f["outcome"]) for f in ran.run["findings"]]

    assert outcomes(on_hub) == outcomes(in_folder)
    assert on_hub.model("zoo/copy")["revision"]
    assert on_hub.model("zoo/copy")["sources"] == ["hub"]


def test_only_headers_are_read_never_weights(zoo, hub, tmp_path):
    ran = run_suites("--model", "zoo/other", "--against", "zoo/base", "--depth", "metadata",
                     home=tmp_path, env=hub.environment(tmp_path))  # fmt: skip
    weights = sum(path.stat().st_size for path in zoo["other"].glob("*.safetensors"))
    model = ran.model("zoo/other")
    assert model["bytes_total"] == pytest.approx(weights, rel=0.05)
    served = hub.sent(".safetensors")
    assert 0 < served < 0.2 * weights
    assert model["bytes_read"] > 0
    counted = re.search(r"Network: (\d+) requests, (\S+ \w+) received", ran.output)
    assert int(counted[1]) == len(hub.requests())


@pytest.mark.slow
def test_distribution_changes_nothing_on_the_hub_either(zoo, hub, tmp_path):
    arguments = ("--model", "zoo/composite", "--against", "zoo/base")
    env = hub.environment(tmp_path)
    serial = run_suites(*arguments, home=tmp_path / "a", env=env | {"HF_HOME": str(tmp_path / "a")})
    spread = run_suites(
        *arguments, "-n", "2", home=tmp_path / "b", env=env | {"HF_HOME": str(tmp_path / "b")}
    )
    assert serial.json_bytes == spread.json_bytes, spread.output


def test_the_cache_serves_when_the_hub_is_gone_and_says_so(zoo, hub, tmp_path):
    arguments = ("--model", "zoo/other", "--against", "zoo/base")
    run_suites(*arguments, home=tmp_path, env=hub.environment(tmp_path))
    later = run_suites(*arguments, "--offline", home=tmp_path, env=hub.environment(tmp_path))
    assert later.model("zoo/other")["sources"] == ["cache"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("gated", "HF_TOKEN"),
        ("missing", "nobody/missing"),
        pytest.param("rate-limit", "HF_TOKEN", marks=pytest.mark.slow),
        ("cut-off", "zoo/base"),
    ],
)
def test_a_fault_of_the_hub_is_a_sentence_and_never_a_verdict(fault, words, zoo, hub, tmp_path):
    name = "zoo/base"
    if fault == "gated":
        hub.add_repo("zoo/gated", zoo["base"], gated=True)
        name = "zoo/gated"
    elif fault == "missing":
        name = "nobody/missing"
    else:
        hub.fault("zoo/base", "*", fault)
    ran = run_suites("--model", name, "--against", "zoo/other", home=tmp_path,
                     env=hub.environment(tmp_path))  # fmt: skip
    assert ran.code == 10, ran.output
    assert ran.verdicts(name)["text_decoder"] == "INSUFFICIENT_EVIDENCE"
    design = ran.finding("architecture.text_design")
    assert design["outcome"] == "unavailable"
    sentence = design["headline"]["text"] + " " + design["remedy"]["text"]
    assert words in sentence
    assert "Traceback" not in ran.output


def test_a_model_is_judged_offline_from_a_copied_folder(zoo, tmp_path):
    moved = tmp_path / "my model, v2 (final)"
    shutil.copytree(zoo["other"], moved)
    ran = run_suites("--model", str(moved), "--against", str(zoo["base"]), "--offline",
                     "-k", "design", home=tmp_path)  # fmt: skip
    assert ran.run["partial"]
    assert ran.code == 10, ran.output
