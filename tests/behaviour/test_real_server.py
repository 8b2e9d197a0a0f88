"""End to end against a real inference server: transformers' own, serving models of the zoo.

Slow: installs torch into an environment of its own on the first run, then about four minutes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from pytest_scratchverify.methods.behaviour.asking import Kind, probe_set, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from tests.behaviour.recorded import RECORDED, recorded
from tools.running import CLOSED_PORT, ROOT
from tools.zoo import record_answers
from tools.zoo import serve as serve_zoo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (ROOT / ".artifacts/zoo/s3").exists(), reason="tools/zoo/train first"),
]
STRANGERS = ("s2", "s3", "w0", "w1", "moe0", "moe1", "t0", "t1")


@pytest.fixture(scope="module")
def server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("s0", "s0-finetune", "s1"):
        serve_zoo.serving_copy(name)
    process = subprocess.Popen(serve_zoo.command(port), env=serve_zoo.quiet_environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        record_answers.wait_until_up(port, process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def run(model, server, tmp_path):
    """``pytest suites/ --model X --endpoint URL``: everything, with the reference recorded."""
    target, kept = tmp_path / "run.json", tmp_path / "live.jsonl"
    parent = str(serve_zoo.SERVED / "s0")
    command = [sys.executable, "-m", "pytest", "suites/", "--model", str(serve_zoo.SERVED / model),
               "--endpoint", server, "--endpoint-api", "completions", "--against", parent,
               "--answers", str(kept), "--answers", f"{parent}={RECORDED / 's0.jsonl.gz'}",
               "--verdict-json", str(target), "--offline"]  # fmt: skip
    for name in STRANGERS:
        command += ["--answers", f"zoo/{name}={RECORDED / f'{name}.jsonl.gz'}"]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": CLOSED_PORT}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done, json.loads(target.read_text()), kept


def the(data, method):
    return next(f for f in data["findings"] if f["method"] == method)


def test_a_fine_tune_is_told_from_an_independent_model(server, tmp_path):
    for model, outcome in (("s0-finetune", "indeterminate"), ("s1", "consistent")):
        (tmp_path / model).mkdir()
        done, data, kept = run(model, server, tmp_path / model)
        found = the(data, "behaviour.output_agreement")
        assert found["outcome"] == outcome, done.stdout[-3000:]
        lead = "toward_reuse" if model == "s0-finetune" else "none"
        assert found["direction"] == lead  # a lead fails no test
        assert the(data, "behaviour.answers")["outcome"] == "consistent"
        assert the(data, "behaviour.cutoff")["outcome"] == "indeterminate"
        verdict = data["models"][0]["components"]["behaviour"]["verdict"]
        assert verdict == ("SUSPECTED" if lead != "none" else "INSUFFICIENT_EVIDENCE")
        live = read_answers(kept, model)
        assert len(live.by_probe) == len(probe_set("all"))
        then = recorded(model).by_probe
        asked = [p.id for p in shipped_probes() if p.kind is Kind.CONTINUATION]
        same = sum(live.by_probe[k].text == then[k].text for k in asked)
        assert same >= 0.98 * len(asked)  # greedy decoding repeats itself on one kind of machine
        print(  # noqa: T201
            model, outcome, found["pvalue"], found["effect"], f"{same} of {len(asked)} as recorded"
        )


def test_the_chat_interface_answers_too(server, tmp_path):
    from pytest_scratchverify.methods.behaviour.asking.ask import ask_missing
    from pytest_scratchverify.methods.behaviour.asking.endpoint import Endpoint

    where = Endpoint(url=server, model=str(serve_zoo.SERVED / "s1"), api="chat")
    probes = [p for p in shipped_probes() if p.kind is Kind.CONTINUATION][:20]
    assert ask_missing(where, probes, tmp_path / "chat.jsonl").failed == 0


def test_a_model_that_is_not_served_is_unavailable(server, tmp_path):
    from pytest_scratchverify.core.errors import Unavailable
    from pytest_scratchverify.methods.behaviour.asking.ask import ask_missing
    from pytest_scratchverify.methods.behaviour.asking.endpoint import Endpoint

    where = Endpoint(url=server, model="nobody/nothing", api="completions", retries=0)
    with pytest.raises(Unavailable, match="answered nothing"):
        ask_missing(where, shipped_probes()[:20], tmp_path / "none.jsonl")


def test_a_hundred_tokens_of_a_server_without_log_probabilities(server, tmp_path):
    """It accepts `logprobs` and gives none: the token alone is known, and all hundred come."""
    from pytest_scratchverify.methods.behaviour.asking.ask import ask_missing
    from pytest_scratchverify.methods.behaviour.asking.endpoint import Endpoint

    where = Endpoint(url=server, model=str(serve_zoo.SERVED / "s1"), api="completions")
    done = ask_missing(where, probe_set("next-token"), tmp_path / "tokens.jsonl")
    assert (done.asked, done.failed) == (100, 0)
    found = read_answers(tmp_path / "tokens.jsonl", "s1").by_probe.values()
    assert all(one.top is None and one.completion_tokens == 1 for one in found)
