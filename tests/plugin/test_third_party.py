"""docs/extending: a package of somebody else, built, installed and run beside the suites."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from pytest_scratchverify import compare_weights
from pytest_scratchverify.core.evidence import Outcome
from tools.running import CLOSED_PORT, ROOT

PACKAGE = ROOT / "docs" / "extending"
READY = ROOT / "tools" / "zoo" / "ready" / "s0"


def built(target: Path) -> Path:
    """Build a wheel by hand: its builder would have to come from the network."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    info = f"{name}-{version}.dist-info"
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    wheel = target / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted((PACKAGE / name).rglob("*")):
            if path.suffix in {".py", ".toml"}:
                archive.write(path, path.relative_to(PACKAGE))
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/entry_points.txt", points)
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def renamed(folder: Path) -> Path:
    """Write s0 with the names and the fused matrices of the laboratory's architecture."""
    raw = (READY / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    header.pop("__metadata__", None)
    tensors = {
        name: (info["shape"], data[slice(*info["data_offsets"])]) for name, info in header.items()
    }
    for layer in {name.split(".")[2] for name in tensors if name.startswith("model.layers.")}:
        stem = f"model.layers.{layer}.mlp."
        (rows, cols), gate = tensors.pop(f"{stem}gate_proj.weight")
        _, up = tensors.pop(f"{stem}up_proj.weight")
        tensors[f"{stem}both.weight"] = ([2 * rows, cols], gate + up)
    words = {"model.layers.": "net.stage.", "model.embed_tokens": "net.table"}
    words |= {"mlp.both": "glu.both", "mlp.down_proj": "glu.out"}
    table, bodies, place = {}, [], 0
    for name, (shape, body) in tensors.items():
        for old, new in words.items():
            name = name.replace(old, new)  # noqa: PLW2901
        table[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [place, place + len(body)]}
        bodies.append(body)
        place += len(body)
    head = json.dumps(table).encode()
    folder.mkdir()
    for file in ("config.json", "tokenizer.json"):
        (folder / file).write_bytes((READY / file).read_bytes())
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(head)) + head + b"".join(bodies)
    )
    return folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Install the package beside a model of its architecture; return a way to run commands."""
    home = tmp_path_factory.mktemp("lab")
    site = home / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(built(home))], check=True)
    model = renamed(home / "model")
    audit = {"auditor": "MyLab", "first_step": 0, "last_step": 50, "checkpoints_agree": True}
    (model / "audit.json").write_text(json.dumps(audit))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "GITHUB"))}
    env |= {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "HF_ENDPOINT": CLOSED_PORT}
    env |= {"HF_HOME": str(home / "hf"), "MYLAB_LEDGER": str(home / "ledger.txt")}

    def python(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    return home, python


@pytest.fixture(scope="module")
def alone(lab):
    """The laboratory's tests by themselves, against a reference that is there and one that is not."""
    home, python = lab
    done = python(
        "-m", "pytest", "--pyargs", "mylab_scratch.suites", "-p", "no:cacheprovider",
        "--scratch-model=./model", f"--scratch-against={READY}", "--scratch-against=org/absent",
        "--scratch-policy=lab-2027", "--scratch-offline", "--scratch-verdict-json=run.json",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return json.loads((home / "run.json").read_text("utf-8"))


def test_its_tests_are_planned_and_its_findings_reported(alone):
    assert alone["plan"]["planned"] == 3
    assert not alone["partial"]
    found = {(f["method"], f["outcome"]) for f in alone["findings"]}
    assert found == {
        ("signs.agreement", "derived"),
        ("signs.agreement", "unavailable"),
        ("audit.rerun", "consistent"),
    }


def test_what_did_not_arrive_is_in_holms_family(alone):
    """Two comparisons were planned and one was had: its p-value counts twice all the same."""
    lead = alone["models"][0]["components"]["embeddings"]
    (finding,) = (f for f in alone["findings"] if f["outcome"] == "derived")
    assert lead["verdict"] == "SUSPECTED"
    assert 0 < finding["pvalue"] < 1e-3
    assert lead["p_adjusted"] == pytest.approx(2 * finding["pvalue"])


def test_an_audit_reaches_the_verdict_that_only_an_audit_can(alone):
    audited = alone["models"][0]["components"]["text_decoder"]
    assert audited["verdict"] == "INDEPENDENCE_AUDITED"
    (finding,) = (f for f in alone["findings"] if f["method"] == "audit.rerun")
    assert (finding["relation"], finding["level"]) == ("audited", "E4")


def test_its_policy_is_chosen_like_any_other(alone):
    assert alone["models"][0]["policies"]["lab-2027"]["result"] == "FAIL"


def test_the_command_that_repeats_the_run_names_its_suites(alone):
    assert alone["reproduce"].startswith("pytest --pyargs mylab_scratch.suites --scratch-model")


def test_it_sees_the_finished_run(alone, lab):
    home, _ = lab
    assert "./model {'consistent': 1" in (home / "ledger.txt").read_text("utf-8")


def test_its_layout_is_read(lab):
    """By its names and its fused matrices the model is s0; without them its table is by numbers."""
    home, python = lab
    code = f"""
from pytest_scratchverify import verify
run = verify("./model", against="{READY}", component=["text_decoder", "embeddings"], offline=True,
             suites=["mylab_scratch.suites"], plugins=["mylab_scratch.plugin"])
for component, verdict in run.models[0].components.items():
    print(component, verdict.verdict, verdict.reference == "{READY}")
print({{f.method.partition(".")[0] for f in run.findings}} >= {{"signs", "audit", "weights"}})
origin = {{f.component: f for f in run.findings if f.method == "weights.origin"}}
print(origin["text_decoder"].relation, origin["text_decoder"].coverage.parameters)
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "embeddings REUSED_VERBATIM True" in said
    assert "text_decoder REUSED_VERBATIM True" in said
    assert said[-2] == "True"
    relation, coverage = said[-1].split()
    assert relation == "verbatim"
    assert float(coverage) > 0.9
    bare = compare_weights(home / "model", READY, component="embeddings")
    assert bare.outcome is Outcome.DERIVED
    assert "embeddings/embed//" in bare.details["placed_by_numbers_or_shape"].values()


def test_explain_knows_its_test(alone, lab):
    home, python = lab
    by_name = python("-m", "pytest_scratchverify.cli", "explain", "signs.agreement")
    assert by_name.returncode == 0, by_name.stderr
    assert "Signs asks whether two embedding tables agree more than coins do." in by_name.stdout
    assert "The signs of the embedding table are not the reference's." in by_name.stdout
    node = "mylab_scratch/suites/test_mylab.py::test_published_steps_lead_to_the_published_weights"
    by_node = python("-m", "pytest_scratchverify.cli", "explain", node, str(home / "run.json"))
    assert "MyLab ran steps 0 to 50 again" in by_node.stdout


def test_markers_name_its_methods(lab):
    _, python = lab
    assert "@pytest.mark.signs: signs of the embedding table" in python("-m", "pytest", "--markers").stdout  # fmt: skip


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("methods(): return [SHIPPED_METHODS[0]]", "two plugins register a method"),
        ("policies(): return read_policies(STRICT).values()", "two plugins register a policy"),
        ("tensor_names(): return [TensorNames(in_layer=(('q', '('),))]", "'(' is no pattern"),
        ("policies(): return read_policies('[x]').values()", "table cannot be read"),
    ],
)
def test_a_slip_in_a_hook_is_one_clear_usage_error(hook, message, pytester, suite):
    suite()
    pytester.makeconftest(
        f"""
        from pytest_scratchverify.checkpoint.roles import TensorNames
        from pytest_scratchverify.methods.registry import SHIPPED_METHODS
        from pytest_scratchverify.verdict.policy import read_policies
        STRICT = "[strict]\\nrequires='text'\\nsatisfied_by=[]\\nfailed_by=[]"
        def pytest_scratchverify_{hook}
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 4
    assert message in result.stderr.str()
    assert "Traceback" not in result.stderr.str()
