"""What is not the listed file is no evidence: pages, mixed-up files, damaged copies."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.access import HubAccess, shown_address
from pytest_scratchverify.stores.http.failures import Subject, as_unavailable
from pytest_scratchverify.stores.http.ranges import ByteRange
from tools.zoo import small_checkpoints

SHARD = "model-00001-of-00002.safetensors"
SPAN = [ByteRange(3000, 3100)]
PAGE = b"<html>Please log in</html>" * 2**17


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A model of the same shape, hence with files of the same sizes."""
    return small_checkpoints.independent(tmp_path_factory.mktemp("other") / "model", seed=7)


@pytest.fixture
def listed(hub, independent, other, opened):
    """A model and another one on the hub; headers were read before anything goes wrong."""
    hub.add_repo("org/other", other)
    hub.add_repo("org/model", independent)
    store = opened("org/model")
    store.tensor_index()
    return store


def sound(independent) -> bytes:
    return (independent / SHARD).read_bytes()[3000:3100]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("portal", {"body": PAGE}),
        ("portal", {"body": b"<html>short</html>"}),
        ("mixed-up", {"of": "org/other", "told": True}),
        ("wrong-total", {"total": 12}),
        ("stale-link", {}),
    ],
)
def test_what_is_not_the_listed_file_is_refused_asked_again_and_never_kept(
    hub, independent, listed, opened, tmp_path, kind, options
) -> None:
    hub.fault("org/model", SHARD, kind, **options)
    with pytest.raises(Unavailable) as caught:
        opened("org/model", run_dir=RunDirectory(tmp_path / "one")).read_ranges(SHARD, SPAN)
    assert caught.value.reason is Reason.MISMATCH
    assert "not the listed file" in str(caught.value.what)
    assert "publisher" not in str(caught.value.remedy)
    hub.mend()
    later = opened("org/model", run_dir=RunDirectory(tmp_path / "two"))
    assert later.read_ranges(SHARD, SPAN).value == (sound(independent),)


@pytest.mark.parametrize(
    ("kind", "options"), [("portal", {"body": PAGE}), ("mixed-up", {"of": "org/other", "told": 1})]
)
def test_one_wrong_answer_is_overcome(hub, independent, listed, kind, options) -> None:
    hub.fault("org/model", SHARD, kind, times=1, **options)
    assert listed.read_ranges(SHARD, SPAN).value == (sound(independent),)


def test_a_whole_file_of_the_listed_length_is_used_and_not_kept(
    hub, independent, listed, opened, tmp_path
) -> None:
    hub.fault("org/model", SHARD, "ignore-range")
    assert listed.read_ranges(SHARD, SPAN).value == (sound(independent),)
    hub.mend()
    asked = len(hub.log)
    later = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    assert later.read_ranges(SHARD, SPAN).value == (sound(independent),)
    assert [line.range for line in hub.log[asked:] if line.origin == "cdn"] == [(3000, 3100)]


@pytest.mark.parametrize("damage", [b"", b"{}", None])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_damaged_file_in_the_hubs_cache_is_fetched_again(
    hub, independent, opened, tmp_path, name, damage
) -> None:
    hub.add_repo("org/model", independent)
    whole = (independent / name).read_bytes()
    cached = opened("org/model").file(name).value
    content = whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage
    cached.resolve().write_bytes(content)
    later = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    assert later.file(name).value.read_bytes() == whole


def test_a_small_file_that_is_never_the_listed_one_is_refused(hub, independent, opened) -> None:
    hub.add_repo("org/model", independent)
    size = (independent / "config.json").stat().st_size
    hub.fault("org/model", "config.json", "garbage", body=b" " * size)
    with pytest.raises(Unavailable) as caught:
        opened("org/model").config()
    assert caught.value.reason is Reason.MISMATCH


def test_a_damaged_header_is_fetched_again(hub, independent, opened, tmp_path, access) -> None:
    hub.add_repo("org/model", independent)
    before = opened("org/model").tensor_index().value
    headers = [path for path in tmp_path.rglob("headers/*/*") if path.is_file()]
    assert headers
    for path in headers:
        path.write_bytes(path.read_bytes()[:40] + b"\0" * 8 + path.read_bytes()[48:])
    later = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    assert later.tensor_index().value == before


def test_a_home_that_cannot_be_written_loses_nothing(hub, independent, opened, tmp_path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    access = HubAccess(
        endpoint=hub.endpoint, cache_dir=tmp_path / "hub", assets_dir=blocked / "assets"
    )
    hub.add_repo("org/model", independent)
    store = opened("org/model", access=access)
    assert store.read_ranges(SHARD, SPAN).value == (sound(independent),)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:PW@host:8080/path?key=1#x", "http://host:8080/path"),
        ("https://huggingface.co/", "https://huggingface.co"),
        ("http://PW@[::1]:9", "http://[::1]:9"),
        ("http://a:b@host:no", "http://host"),
    ],
)
def test_addresses_are_shown_without_secrets(address, shown) -> None:
    assert shown_address(address) == shown
    error = ConnectionError(f"cannot reach {address}")
    failure = as_unavailable(error, Subject(repo="a/b", endpoint=shown_address(address)))
    assert "PW" not in str(failure)
    assert ":b@" not in str(failure)
