"""The client against servers that fail, over real sockets: nothing of it becomes an answer."""

from __future__ import annotations

import gzip
import json
import sys
import time

import pytest

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import (
    Answer,
    collect,
    from_line,
    read_answers,
)
from pytest_scratchverify.methods.behaviour.asking.ask import GIVE_UP_AFTER, ask_missing
from pytest_scratchverify.methods.behaviour.asking.endpoint import KEY_VARIABLE, Client, Endpoint
from pytest_scratchverify.methods.behaviour.asking.locate import given_answers, shown_entry
from pytest_scratchverify.methods.behaviour.asking.request import request_for
from tests.behaviour.server import DRIPS, BadServer
from tools.running import HANGS

PROBES = tuple(p for p in shipped_probes() if p.kind is Kind.CONTINUATION)[:40]


def endpoint(server, **more):
    return Endpoint(
        **{"url": server.url, "model": "org/model", "retries": 1, "timeout": HANGS, **more}
    )


def one(server, **more):
    client = Client(endpoint(server, **more))
    try:
        return client.ask(request_for(PROBES[0], more.get("api", "chat")))
    finally:
        client.close()


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_an_answer_is_kept_with_its_request(api, tmp_path):
    with BadServer() as server:
        done = ask_missing(endpoint(server, api=api), PROBES, tmp_path / "a.jsonl")
    assert (done.asked, done.failed, done.gave_up) == (40, 0, None)
    found = read_answers(tmp_path / "a.jsonl", "org/model")
    assert set(found.by_probe) == {p.id for p in PROBES}
    row = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert row["request"]["temperature"] == 0
    assert row["usage"] == {"prompt_tokens": 7, "completion_tokens": 5}
    assert row["finish_reason"] == "stop"
    assert row["api"] == api
    assert row["time"].endswith("Z")


def test_a_resumed_run_asks_only_what_is_missing(tmp_path):
    path = tmp_path / "a.jsonl"
    with BadServer("dies", after=15) as server:
        first = ask_missing(endpoint(server, retries=0), PROBES, path)
    assert first.gave_up == "connection: no answer"
    assert first.asked < 40
    there = {a.key for a in read_answers(path, "m").by_probe.values() if a.text is not None}
    assert len(there) == 15
    with BadServer() as server:
        second = ask_missing(endpoint(server), PROBES, path)
        assert len(server.requests) == 25
    assert (second.kept, second.asked) == (15, 25)
    with BadServer() as server:
        assert ask_missing(endpoint(server), PROBES, path).asked == 0
        assert server.requests == []
    assert all(a.text for a in read_answers(path, "m").by_probe.values())


def test_a_killed_run_leaves_half_a_line_and_is_resumed(tmp_path):
    path = tmp_path / "a.jsonl"
    with BadServer() as server:
        ask_missing(endpoint(server), PROBES[:10], path)
        path.write_text(path.read_text()[:-30])
        ask_missing(endpoint(server), PROBES[:10], path)
        assert len(server.requests) == 11
    found = read_answers(path, "m")
    assert found.broken == 1
    assert len(found.by_probe) == 10


def test_a_dead_server_is_not_asked_a_thousand_times(tmp_path):
    with BadServer("dies", after=0) as server:
        with pytest.raises(Unavailable) as caught:
            ask_missing(endpoint(server, retries=0), PROBES, tmp_path / "a.jsonl")
        assert len(server.requests) <= GIVE_UP_AFTER + 4
    assert caught.value.reason is Reason.UNREACHABLE
    assert "--endpoint" in str(caught.value)


def test_nobody_listens(tmp_path):
    with BadServer() as server:
        closed = endpoint(server, retries=0)
    with pytest.raises(Unavailable):
        ask_missing(closed, PROBES, tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("mode", "error"),
    [("garbage", "malformed"), ("errors", "status: HTTP 500"), ("cut", "broken"),
     ("always_limited", "status: HTTP 429"), ("huge", "broken")],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_line(mode, error):
    with BadServer(mode) as server:
        answer = one(server)
    assert answer.text is None
    assert answer.error.startswith(error)


def test_a_server_that_drips_is_left_after_the_timeout():
    with BadServer("drips") as server:
        assert one(server, timeout=1.0).text is None
        assert server.dripped < DRIPS


def test_garbage_throughout_is_unavailable(tmp_path):
    with BadServer("garbage") as server, pytest.raises(Unavailable):
        ask_missing(endpoint(server), PROBES, tmp_path / "a.jsonl")


def test_retry_after_is_waited_for():
    with BadServer("limited") as server:
        started = time.monotonic()
        answer = one(server)
        assert answer.text
        assert time.monotonic() - started >= 1
        assert len(server.requests) == 2


def test_rejected_parameters_are_left_out_and_noted():
    with BadServer("no_seed") as server:
        client = Client(endpoint(server))
        first = client.ask(request_for(PROBES[0], "chat"))
        second = client.ask(request_for(PROBES[1], "chat"))
        client.close()
        assert len(server.requests) == 3 + 1  # learnt once
    assert first.dropped == second.dropped == ("seed", "temperature")
    assert first.body["temperature"] == 0  # what was meant; `dropped` says what was sent


def test_the_key_comes_from_our_variable_only(monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "sentinel-openai")
    with BadServer() as server:
        ask_missing(endpoint(server), PROBES[:2], tmp_path / "a.jsonl")
        assert "sentinel-openai" not in json.dumps(server.headers)
        monkeypatch.setenv(KEY_VARIABLE, "sentinel-ours")
        ask_missing(endpoint(server), PROBES[:4], tmp_path / "a.jsonl")
        assert "sentinel-ours" in json.dumps(server.headers)
    assert "sentinel" not in (tmp_path / "a.jsonl").read_text()
    assert "sentinel" not in repr(Client(endpoint(server)))


def test_secrets_in_the_address_are_not_shown():
    shown = Endpoint(url="https://me:secret@host:8/v1?key=secret#x", model="m").shown
    assert shown == "https://host:8/v1"
    entry = shown_entry("a/b=https://me:secret@host/v1?key=secret#served")
    assert entry == "a/b=https://host/v1#served"
    assert shown_entry("a/b=x.jsonl") == "a/b=x.jsonl"


def test_a_file_of_another_model_is_not_added_to(tmp_path):
    path = tmp_path / "a.jsonl"
    with BadServer() as server:
        ask_missing(endpoint(server), PROBES[:3], path)
        with pytest.raises(Unavailable, match="org/model"):
            ask_missing(endpoint(server, model="org/other"), PROBES[:3], path)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read_answers(packed, "m").by_probe) == 3
    with BadServer() as server, pytest.raises(Unavailable, match="packed"):
        ask_missing(endpoint(server), PROBES[:3], packed)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with BadServer() as server, pytest.raises(Unavailable, match="cannot be written"):
        ask_missing(endpoint(server), PROBES[:3], tmp_path / "file" / "a.jsonl")


@pytest.mark.parametrize(
    "line",
    ["", "{}", "[1]", "null", '{"api": "chat"}', '{"api": "chat", "request": {}, "answer": 3}',
     "[" * 100_000, '{"api": "telepathy", "request": {}, "answer": "x"}'],
    ids=str,
)  # fmt: skip
def test_untrusted_lines_are_counted_and_left_out(line, tmp_path):
    good = Answer(api="chat", body=request_for(PROBES[0], "chat").body, model="m", text="yes")
    (tmp_path / "a.jsonl").write_text(f"{good.to_line()}\n{line}\n")
    found = read_answers(tmp_path / "a.jsonl", "m")
    assert len(found.by_probe) == 1


def test_answers_are_bounded_and_matched_by_what_was_asked(tmp_path):
    body = request_for(PROBES[0], "chat").body
    long = from_line(json.dumps({"api": "chat", "request": body, "answer": "x" * 10**6}))
    assert len(long.text) == 20_000
    other = Answer(api="chat", body={**body, "temperature": 1}, model="m", text="hot")
    found = collect("m", [long, other], "s")
    assert found.foreign == 1
    failed = Answer(api="chat", body=body, model="m", text=None, error="connection")
    assert (
        collect("m", [long, failed], "s").by_probe[PROBES[0].id].text
    )  # an answer outdoes an error


def test_two_models_in_one_file_are_refused(tmp_path):
    rows = [
        Answer(api="chat", body=request_for(PROBES[0], "chat").body, model=m, text="x")
        for m in "ab"
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(row.to_line() for row in rows))
    with pytest.raises(Unavailable, match="several models"):
        read_answers(tmp_path / "a.jsonl", "m")


def test_entries_are_sorted_to_models():
    found = given_answers(
        ["x.jsonl", "a/b=y.jsonl", "c/d=http://h:1/v1#served"], ["m/n"], None, None
    )
    assert str(found["m/n"].path) == "x.jsonl"
    assert str(found["a/b"].path) == "y.jsonl"
    assert (found["c/d"].url, found["c/d"].served_as) == ("http://h:1/v1", "served")
    both = given_answers(["x.jsonl"], ["m/n"], "http://h:1/v1", "name")["m/n"]
    assert (str(both.path), both.url, both.served_as) == ("x.jsonl", "http://h:1/v1", "name")
    with pytest.raises(ScratchError, match="NAME="):
        given_answers(["x.jsonl"], ["a/b", "c/d"], None, None)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch, limits):
    from pytest_scratchverify.methods import behaviour as methods
    from tests.behaviour.recorded import panel

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(Unavailable, match=r"pytest-scratchverify\[behaviour\]"):
        Client(Endpoint(url="http://127.0.0.1:9/v1", model="m"))
    for name in [n for n in sys.modules if n.split(".")[0] == "Bio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Bio", None)
    with pytest.raises(Unavailable, match=r"pytest-scratchverify\[behaviour\]"):
        methods.tree(panel("s1", "s0"), limits)


def test_answers_are_kept_by_address_and_model_where_no_file_is_named():
    from pytest_scratchverify.plugin.answers import cached_answers_path

    paths = {
        cached_answers_path(Endpoint(url=url, model=model, api=api))
        for url in ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")
        for model in ("a", "b")
        for api in ("chat", "completions")
    }
    assert len(paths) == 8
    again = cached_answers_path(Endpoint(url="http://me:secret@127.0.0.1:1/v1?x=1", model="a"))
    assert again in paths
