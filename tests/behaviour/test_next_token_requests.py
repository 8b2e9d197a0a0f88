"""A single token is asked with its rivals; what servers make of that, over real sockets."""

from __future__ import annotations

import json

import pytest

from pytest_scratchverify.methods.behaviour.asking import Kind, probe_set, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import (
    MOST_TOP,
    from_line,
    log_probabilities,
    read_answers,
)
from pytest_scratchverify.methods.behaviour.asking.ask import ask_missing
from pytest_scratchverify.methods.behaviour.asking.endpoint import Client, Endpoint
from pytest_scratchverify.methods.behaviour.asking.request import request_for
from tests.behaviour.server import BadServer
from tools.running import HANGS

PROBES = probe_set("next-token")
RIVALS = {" river": -0.5, " stone": -1.25, "\n": -3.0}


def asked(server, api="completions", probe=PROBES[0]):
    client = Client(Endpoint(url=server.url, model="m", api=api, retries=0, timeout=HANGS))
    try:
        return client.ask(request_for(probe, api))
    finally:
        client.close()


def test_a_hundred_prompts_of_which_nothing_else_asks():
    assert len(PROBES) == 100
    assert {p.kind for p in PROBES} == {Kind.NEXT_TOKEN}
    assert {p.max_tokens for p in PROBES} == {1}
    assert not {p.id for p in probe_set("all")} & {p.id for p in PROBES}
    assert len(probe_set("all")) + len(PROBES) == len(shipped_probes())
    body = request_for(PROBES[0], "completions").body
    assert (body["max_tokens"], body["logprobs"], body["temperature"]) == (1, 5, 0)
    assert "logprobs" not in request_for(probe_set("all")[0], "chat").body


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_rivals_are_kept_with_the_token(api, tmp_path):
    with BadServer("rivals") as server:
        ask_missing(
            Endpoint(url=server.url, model="m", api=api, timeout=HANGS), PROBES[:3],
            tmp_path / "a.jsonl",
        )  # fmt: skip
    found = read_answers(tmp_path / "a.jsonl", "m")
    assert {p.id for p in PROBES[:3]} == set(found.by_probe)
    assert all(one.top == RIVALS for one in found.by_probe.values())
    row = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert row["top"] == RIVALS


def test_a_server_that_gives_no_rivals_gave_none():
    with BadServer() as server:
        assert asked(server).top is None
    with BadServer("odd_rivals") as server:
        answers = [asked(server, api) for api in ("chat", "completions") for _ in range(4)]
        assert all(one.error is None and one.top is None for one in answers)


def test_a_server_that_rejects_log_probabilities_is_asked_without_and_keeps_the_rest():
    with BadServer("no_logprobs") as server:
        answer = asked(server)
        assert answer.error is None
        assert answer.dropped == ("logprobs",)
        assert "seed" in server.requests[-1]
        assert answer.key == request_for(PROBES[0], "completions").key
    with BadServer("no_seed") as server:
        answer = asked(server)
        assert answer.error is None
        assert answer.dropped == ("seed", "temperature")
        assert "logprobs" in server.requests[-1]


def test_rivals_from_outside_are_bounded():
    assert log_probabilities({"a": -1, "b": "x", "c": True, "d": float("nan"), "e": 4}) == {
        "a": -1.0
    }
    assert len(log_probabilities({str(i): -1.0 for i in range(10_000)})) == MOST_TOP
    assert [*log_probabilities({"x" * 10**6: -1.0})] == ["x" * 200]
    assert log_probabilities({"\ud800": -1.0}) == {"\N{REPLACEMENT CHARACTER}": -1.0}
    assert log_probabilities([("a", -1)]) is None
    assert log_probabilities({"a": float("-inf")}) is None
    line = {"api": "chat", "request": {}, "model": "m", "answer": "x", "top": {"x": -0.1}}
    assert from_line(json.dumps(line)).top == {"x": -0.1}
    assert from_line(json.dumps({**line, "top": "?"})).top is None
