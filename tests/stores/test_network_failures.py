"""Every way in which a hub fails becomes a sentence and a remedy, or is overcome."""

from __future__ import annotations

import json

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.opening import open_store
from tests.stores.reading import read_range
from tools.running import HANGS
from tools.zoo.hub_server import Generated, LoopbackHub

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def model(hub: LoopbackHub, independent) -> str:
    hub.add_repo("org/model", independent)
    return "org/model"


def refused(call) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        call()
    assert str(caught.value.what).endswith(".")
    assert str(caught.value.remedy).endswith(".")
    return caught.value


def test_gated_says_where_to_accept_the_licence(hub, independent, opened) -> None:
    hub.add_repo("org/gated", independent, gated="manual")
    failure = refused(opened("org/gated").config)
    assert failure.reason is Reason.GATED
    assert f"{hub.endpoint}/org/gated" in str(failure.remedy)
    assert "HF_TOKEN" in str(failure.remedy)


def test_gated_opens_with_the_right_token(hub, independent, run, access) -> None:
    hub.add_repo("org/gated", independent, gated="manual", tokens={"hf_good"})
    with_token = HubAccess(**{**_fields(access), "token": "hf_good"})
    store = open_store("org/gated", run_dir=run, access=with_token)
    assert store.config().value["model_type"] == "llama"
    assert read_range(store, SHARD, 0, 8)


def test_gated_refuses_a_token_without_permission(hub, independent, run, access) -> None:
    hub.add_repo("org/gated", independent, gated="manual", tokens={"hf_good"})
    with_token = HubAccess(**{**_fields(access), "token": "hf_other"})
    store = open_store("org/gated", run_dir=run, access=with_token)
    assert refused(store.config).reason is Reason.GATED
    assert refused(lambda: read_range(store, SHARD, 0, 8)).reason is Reason.GATED


def test_gated_still_shows_its_file_list_and_card_metadata(hub, independent, opened) -> None:
    card = {"base_model": "org/parent", "license": "other"}
    hub.add_repo("org/gated", independent, gated="auto", cardData=card)
    store = opened("org/gated")
    assert len(store.files().value) == 8
    assert store.card().value.base_model == ("org/parent",)
    assert "gated" in str(store.card().record.note)


def test_token_never_reaches_the_cdn(hub, independent, run, access) -> None:
    hub.add_repo("org/gated", independent, gated="manual", tokens={"hf_good"})
    with_token = HubAccess(**{**_fields(access), "token": "hf_good"})
    store = open_store("org/gated", run_dir=run, access=with_token)
    store.tensor_index()
    read_range(store, SHARD, 0, 100)
    on_cdn = [line for line in hub.log if line.origin == "cdn"]
    assert on_cdn
    assert all(line.authorization is None for line in on_cdn)


def test_missing_or_private_repository_is_not_distinguished(hub, independent, opened) -> None:
    hub.add_repo("org/private", independent, private=True)
    for name in ("org/private", "org/nonexistent"):
        failure = refused(lambda name=name: opened(name))
        assert failure.reason is Reason.ABSENT
        assert "private" in str(failure.what)
        assert "HF_TOKEN" in str(failure.remedy)


def test_missing_revision(model, opened) -> None:
    failure = refused(lambda: opened(model, "v9"))
    assert failure.reason is Reason.ABSENT
    assert "v9" in str(failure.what)


def test_missing_file_costs_no_request(hub, model, opened) -> None:
    store = opened(model)
    before = len(hub.log)
    failure = refused(lambda: store.file("tekken.json"))
    assert failure.reason is Reason.ABSENT
    assert "tekken.json" in str(failure.what)
    assert len(hub.log) == before


def test_listed_file_that_is_gone_is_absent(hub, model, opened) -> None:
    hub.fault(model, "config.json", "missing")
    assert refused(opened(model).config).reason is Reason.ABSENT


@pytest.mark.parametrize("offline", [False, True])
def test_impossible_name_is_no_request(hub, opened, offline) -> None:
    for name in ("not a name!", "a/b/c", "org/na--me"):
        failure = refused(lambda name=name: opened(name, offline=offline))
        assert failure.reason is Reason.ABSENT
        assert "organisation/name" in str(failure.remedy)
    assert not hub.log


def test_disabled_repository(hub, model, opened) -> None:
    headers = {"X-Error-Message": "Access to this resource is disabled."}
    hub.fault(model, "", "status", code=403, headers=headers)
    failure = refused(lambda: opened(model))
    assert failure.reason is Reason.ABSENT
    assert "disabled" in str(failure.what)


def test_answer_that_would_escape_the_cache_is_malformed(hub, model, opened) -> None:
    for number, (sha, name) in enumerate([("../../x", "org/model"), ("0" * 40, "../../../x")]):
        body = json.dumps({"id": name, "sha": sha, "siblings": []}).encode()
        hub.fault(model, "", "garbage", body=body, times=2)  # asked once more
        failure = refused(lambda number=number: opened(model, f"r{number}"))
        assert failure.reason is Reason.MALFORMED


def test_absent_folder_is_not_looked_up_on_the_hub(hub, opened) -> None:
    failure = refused(lambda: opened("./nowhere"))
    assert failure.reason is Reason.ABSENT
    assert not hub.log


@pytest.mark.parametrize("header", ["ratelimit", "retry-after"])
def test_rate_limited_resolution_names_the_seconds(hub, model, opened, header) -> None:
    hub.fault(model, "", "rate-limit", seconds=37, header=header)
    failure = refused(lambda: opened(model))
    assert failure.reason is Reason.RATE_LIMITED
    assert "37 seconds" in str(failure.remedy)
    assert "HF_TOKEN" in str(failure.remedy)


def test_rate_limit_is_waited_for_by_huggingface_hub(hub, model, opened, waits) -> None:
    hub.fault(model, "config.json", "rate-limit", seconds=7, times=2)
    assert opened(model).config().value
    assert 8.0 in waits


@pytest.mark.parametrize("read", ["config", "range"])
def test_rate_limit_that_stays_is_reported(hub, model, opened, waits, read) -> None:
    hub.fault(model, "*", "rate-limit", seconds=7)
    store = opened(model)
    call = store.config if read == "config" else lambda: read_range(store, SHARD, 0, 8)
    failure = refused(call)
    assert failure.reason is Reason.RATE_LIMITED
    assert "7 seconds" in str(failure.remedy)
    assert waits


def test_refusal_is_remembered_and_not_asked_for_again(hub, model, opened, waits) -> None:
    hub.fault(model, "config.json", "rate-limit", seconds=7)
    store = opened(model)
    refused(store.config)
    before = len(hub.log)
    refused(store.config)
    assert len(hub.log) == before


def test_server_error_that_passes_is_overcome(hub, model, opened, waits) -> None:
    hub.fault(model, SHARD, "status", code=503, times=2)
    assert len(read_range(opened(model), SHARD, 0, 8)) == 8


@pytest.mark.parametrize("read", ["config", "range"])
def test_server_error_that_stays_is_unreachable(hub, model, opened, waits, read) -> None:
    hub.fault(model, "*", "status", code=503)
    store = opened(model)
    call = store.config if read == "config" else lambda: read_range(store, SHARD, 0, 8)
    failure = refused(call)
    assert failure.reason is Reason.UNREACHABLE
    assert "503" in str(failure.what)


def test_server_error_of_the_api(hub, model, opened) -> None:
    hub.fault(model, "", "status", code=500)
    assert refused(lambda: opened(model)).reason is Reason.UNREACHABLE


def test_invalid_token_is_said_to_be_refused(hub, model, opened) -> None:
    headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
    hub.fault(model, "", "status", code=401, headers=headers)
    failure = refused(lambda: opened(model))
    assert failure.reason is Reason.GATED
    assert "HF_TOKEN" in str(failure.remedy)


def test_cut_off_range(hub, model, opened) -> None:
    hub.fault(model, SHARD, "cut-off", after=100)
    failure = refused(lambda: read_range(opened(model), SHARD, 0, 4000))
    assert failure.reason is Reason.CUT_OFF
    assert "500 of 4000" in str(failure.what)


def test_range_that_breaks_off_is_continued_where_it_ended(hub, model, opened, independent) -> None:
    hub.fault(model, SHARD, "cut-off", after=1000, times=2)
    body = read_range(opened(model), SHARD, 50, 4050)
    assert body == (independent / SHARD).read_bytes()[50:4050]
    assert hub.sent(SHARD) == 4000


def test_cut_off_header(hub, model, opened) -> None:
    hub.fault(model, SHARD, "cut-off", after=0)
    assert refused(opened(model).tensor_index).reason is Reason.CUT_OFF


def test_cut_off_file_is_resumed_by_huggingface_hub(hub, model, opened, waits) -> None:
    hub.fault(model, "tokenizer.json", "cut-off", after=1000, times=3)
    path = opened(model).file("tokenizer.json").value
    assert (
        path.read_bytes()
        == hub.repos[model].commits[path.parent.name]["tokenizer.json"].read_bytes()
    )


def test_cut_off_file_that_stays_cut_off(hub, model, opened, waits) -> None:
    hub.fault(model, "config.json", "cut-off", after=0)
    assert refused(opened(model).config).reason is Reason.CUT_OFF


def test_server_that_ignores_range_is_read_only_as_far_as_needed(hub, opened) -> None:
    size = 40 * 2**20
    hub.add_repo("org/big", {"model.safetensors": Generated(size, lambda a, b: bytes(b - a))})
    hub.fault("org/big", "model.safetensors", "ignore-range")
    body = read_range(opened("org/big"), "model.safetensors", 1000, 1100)
    assert body == bytes(100)
    assert hub.sent("model.safetensors") < size / 2


def test_server_that_ignores_range_gives_the_right_slice(hub, model, opened, independent) -> None:
    hub.fault(model, SHARD, "ignore-range")
    wanted = [ByteRange(5000, 5100), ByteRange(10, 20)]
    whole = (independent / SHARD).read_bytes()
    bodies = opened(model).read_ranges(SHARD, wanted).value
    assert bodies == (whole[5000:5100], whole[10:20])


def test_far_end_of_a_file_is_not_read_from_a_server_without_ranges(hub, opened) -> None:
    size = 2**40
    hub.add_repo("org/big", {"model.safetensors": Generated(size, lambda a, b: bytes(b - a))})
    hub.fault("org/big", "model.safetensors", "ignore-range")
    failure = refused(lambda: read_range(opened("org/big"), "model.safetensors", 2**39, 2**39 + 8))
    assert failure.reason is Reason.UNSUPPORTED


def test_another_range_than_asked_for_is_refused(hub, model, opened) -> None:
    hub.fault(model, SHARD, "wrong-range", by=16)
    assert refused(lambda: read_range(opened(model), SHARD, 0, 8)).reason is Reason.CUT_OFF


def test_expired_signed_address_is_renewed(hub, model, opened) -> None:
    store = opened(model)
    read_range(store, SHARD, 0, 8)
    hub.fault(model, SHARD, "expired", times=1)
    assert len(read_range(store, SHARD, 8, 16)) == 8


def test_second_range_does_not_ask_the_hub_again(hub, model, opened) -> None:
    store = opened(model)
    read_range(store, SHARD, 0, 8)
    read_range(store, SHARD, 8, 16)
    assert len([line for line in hub.requests(SHARD) if line.origin == "hub"]) == 1


def test_renamed_repository_is_followed_and_noted(hub, model, opened) -> None:
    hub.rename(model, "neworg/newname")
    store = opened(model)
    record = store.config().record
    assert record.repo == store.repo == "neworg/newname"
    assert str(record.note) == "renamed from org/model"
    assert store.tensor_index().value.tensors


def test_slow_answer_within_the_time_limit(hub, model, opened) -> None:
    hub.fault(model, "config.json", "slow", seconds=0.3)
    assert opened(model).config().value


@pytest.mark.parametrize("read", ["api", "range"])
@pytest.mark.usefixtures("waits")
def test_too_slow_answer_times_out(hub, model, run, access, read) -> None:
    hasty = HubAccess(**{**_fields(access), "timeout": 0.1})
    if read == "api":
        hub.fault(model, "", "slow", seconds=HANGS)
        failure = refused(lambda: open_store(model, run_dir=run, access=hasty))
    else:
        open_store(model, run_dir=run, access=access)  # its commit is settled, without haste
        store = open_store(model, run_dir=run, access=hasty)
        hub.fault(model, SHARD, "slow", seconds=HANGS)
        failure = refused(lambda: read_range(store, SHARD, 0, 8))
    assert failure.reason is Reason.UNREACHABLE
    assert "in time" in str(failure.what)


def test_malformed_answer_of_the_api(hub, model, opened) -> None:
    for body in (b"<html>", b"[]", b'{"id": 3}', b"{" * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000):
        hub.fault(model, "", "garbage", body=body, times=2)  # asked once more
        failure = refused(lambda body=body: opened(model, f"r{len(body)}{body[:1].hex()}"))
        assert failure.reason is Reason.MALFORMED, body[:20]


def test_endpoint_that_is_no_hub(hub, opened, access, run) -> None:
    hub.add_repo("org/model", {"config.json": b"{}"})
    hub.fault("org/model", "config.json", "status", code=200)
    failure = refused(opened("org/model").config)
    assert failure.reason is Reason.UNREACHABLE
    assert "HF_ENDPOINT" in str(failure.remedy)


def test_portal_that_answers_everything_with_404_is_no_hub(hub, model, opened) -> None:
    hub.fault(model, "", "status", code=404)
    failure = refused(lambda: opened(model))
    assert failure.reason is Reason.UNREACHABLE
    assert "does not answer like a hub" in str(failure.what)


def test_hub_is_the_source_also_when_the_bytes_came_from_the_cache(
    hub, model, opened, tmp_path
) -> None:
    from pytest_scratchverify.stores.disk.run_directory import RunDirectory

    first = opened(model).config()
    before = len(hub.requests("config.json"))
    second = opened(model, run_dir=RunDirectory(tmp_path / "second-run")).config()
    assert second.record == first.record
    assert second.record.source is Source.HUB
    assert len(hub.requests("config.json")) == before


def _fields(access: HubAccess) -> dict:
    return {name: getattr(access, name) for name in HubAccess.__dataclass_fields__}
