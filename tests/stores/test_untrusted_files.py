"""Files that strangers wrote: bounded, checked, never run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.stores.bounds import MAX_CONFIG_BYTES, is_safe_name, parse_object
from pytest_scratchverify.stores.store import ArtifactStore
from tests.stores.reading import read_range
from tools.zoo.hub_server import Generated

DEEP = b'{"a":' * 100 + b"1" + b"}" * 100
VERY_DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


@pytest.fixture(params=["hub", "folder"])
def publish(request, hub, opened, tmp_path) -> Callable[[dict[str, bytes]], ArtifactStore]:
    """Publish files on the hub or in a folder, and open them."""

    def publish_files(files: dict[str, bytes]) -> ArtifactStore:
        if request.param == "hub":
            hub.add_repo("org/model", files)
            return opened("org/model")
        for name, body in files.items():
            path = tmp_path / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return opened(str(tmp_path / "model"))

    return publish_files


def reason(call) -> Reason:
    with pytest.raises(Unavailable) as caught:
        call()
    assert str(caught.value.remedy)
    return caught.value.reason


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"3", b"{", b'{"a": 1} x', b"\xff\xfe", b'{"a": "\\ud800"}', DEEP, VERY_DEEP],
)
def test_malformed_config(publish, body) -> None:
    assert reason(publish({"config.json": body}).config) is Reason.MALFORMED


def test_infinity_and_byte_order_mark_are_read(publish) -> None:
    config = publish({"config.json": b'\xef\xbb\xbf{"limit": [0.0, Infinity], "n": NaN}'}).config()
    assert config.value == {"limit": [0.0, None], "n": None}


def test_oversized_config_is_not_read(publish, hub) -> None:
    store = publish({"config.json": b" " * (MAX_CONFIG_BYTES + 1)})
    assert reason(store.config) is Reason.OVER_BUDGET
    assert hub.sent("config.json") == 0


def test_oversized_tokenizer_is_not_downloaded(hub, opened) -> None:
    body = Generated(2**30, lambda start, stop: bytes(stop - start))
    hub.add_repo("org/model", {"tokenizer.json": body})
    assert reason(opened("org/model").tokenizer_files) is Reason.OVER_BUDGET
    assert hub.sent("tokenizer.json") == 0


def test_remote_code_is_not_run(publish) -> None:
    files = {
        "config.json": b'{"auto_map": {"AutoConfig": "configuration_evil.EvilConfig"}}',
        "configuration_evil.py": b"raise SystemExit('executed')",
    }
    assert "auto_map" in publish(files).config().value


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model-q4.gguf"])
def test_other_formats_are_read_and_never_executed(publish, name) -> None:
    store = publish({"config.json": b"{}", name: b"cos\nsystem\n(S'true'\ntR."})
    assert reason(store.tensor_index) is Reason.MALFORMED


def test_an_archive_alone_is_read_as_weights_and_its_pickle_is_not_run(publish, hub) -> None:
    store = publish({"config.json": b"{}", "weights.pth": b"cos\nsystem\n"})
    assert reason(store.tensor_index) is Reason.MALFORMED


@pytest.mark.parametrize("name", ["optimizer.pt", "training_args.bin", "rng_state.pth", "m.h5"])
def test_other_formats_are_unsupported_and_not_opened(publish, hub, name) -> None:
    store = publish({"config.json": b"{}", name: b"cos\nsystem\n"})
    assert reason(store.tensor_index) is Reason.UNSUPPORTED
    assert hub.sent(name) == 0


def test_model_without_weights(publish, request) -> None:
    # A hub's list is what was published; a folder may be half copied.
    hub = request.node.callspec.params["publish"] == "hub"
    expected = Reason.NOT_PUBLISHED if hub else Reason.ABSENT
    assert reason(publish({"config.json": b"{}"}).tensor_index) is expected
    assert reason(publish({"config.json": b"{}"}).tokenizer_files) is Reason.ABSENT


@pytest.mark.parametrize(
    ("weight_map", "expected"),
    [
        (None, Reason.MALFORMED),
        ({}, Reason.MALFORMED),
        ({"a": 3}, Reason.MALFORMED),
        ({"a": "../../etc/passwd"}, Reason.MALFORMED),
        ({"a": "/etc/passwd"}, Reason.MALFORMED),
        ({"a": "gone.safetensors"}, Reason.ABSENT),
    ],
)
def test_bad_index(publish, weight_map, expected) -> None:
    index = json.dumps({"weight_map": weight_map}).encode()
    assert reason(publish({"model.safetensors.index.json": index}).tensor_index) is expected


def test_index_that_names_a_tensor_no_shard_has(publish) -> None:
    head = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    shard = len(head).to_bytes(8, "little") + head + bytes(4)
    index = json.dumps({"weight_map": {"a": "s.safetensors", "b": "s.safetensors"}}).encode()
    store = publish({"model.safetensors.index.json": index, "s.safetensors": shard})
    assert reason(store.tensor_index) is Reason.MALFORMED


def test_malformed_shard_names_itself(publish) -> None:
    store = publish({"model.safetensors": b"\x05\0\0\0\0\0\0\0[1,2]"})
    with pytest.raises(Unavailable, match=r"model\.safetensors"):
        store.tensor_index()


def test_range_beyond_the_end(publish) -> None:
    assert (
        reason(lambda: read_range(publish({"a.bin": b"1234"}), "a.bin", 2, 9)) is Reason.MALFORMED
    )


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "", "c:\\x", "a\0b"])
def test_names_cannot_leave_the_repository(publish, name, tmp_path) -> None:
    (tmp_path / "secret").write_text("x")
    assert not is_safe_name(name)
    store = publish({"config.json": b"{}"})
    assert reason(lambda: store.file(name)) is Reason.ABSENT


def test_broken_card_is_malformed_and_not_silent(publish) -> None:
    card = b"---\nbase_model: [unclosed\n---\ntext"
    assert reason(publish({"README.md": card}).card) is Reason.MALFORMED


def test_card_without_metadata(publish) -> None:
    card = publish({"README.md": b"# Just text"}).card().value
    assert card.base_model == ()
    assert card.text == "# Just text"


def test_card_claims(publish) -> None:
    card = (
        b"---\nbase_model:\n- a/b\n- c/d\nbase_model_relation: merge\nlicense: other\n"
        b"license_name: solar\nlanguage: ko\ntags: [moe, 7]\n---\nhi"
    )
    claims = publish({"README.md": card}).card().value
    assert claims.base_model == ("a/b", "c/d")
    assert claims.base_model_relation == "merge"
    assert (claims.license, claims.license_name) == ("other", "solar")
    assert claims.language == ("ko",)
    assert claims.tags == ("moe", "7")


@given(st.binary(max_size=200))
def test_json_of_any_bytes_is_an_object_or_malformed(raw) -> None:
    try:
        value = parse_object(raw, repo="r", file="f")
    except Unavailable as failure:
        found = failure.reason
    else:
        found = type(value)
    assert found in (Reason.MALFORMED, dict)


def test_hidden_folders_are_no_files_of_the_model(tmp_path: Path, opened) -> None:
    (tmp_path / "m" / ".git").mkdir(parents=True)
    (tmp_path / "m" / ".git" / "x.safetensors").write_bytes(b"")
    (tmp_path / "m" / "config.json").write_text("{}")
    assert [entry.path for entry in opened(str(tmp_path / "m")).files().value] == ["config.json"]
