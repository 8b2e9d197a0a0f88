"""What was fetched by range is kept: between runs, between workers, and for a lost network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.disk.range_cache import RangeCache
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.range_reader import RangeReader
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import FileEntry
from tests.stores.reading import read_range

SHARD = "model-00001-of-00002.safetensors"


def sent(hub) -> int:
    return sum(line.range is not None for line in hub.log if line.origin == "cdn")


def wanted(store) -> list[ByteRange]:
    index = store.tensor_index().value
    spans = [ByteRange(i.start, i.stop) for i in index.tensors.values() if i.file == SHARD]
    return sorted(spans)[:4]


def test_next_run_fetches_nothing_twice(hub, independent, opened, tmp_path) -> None:
    hub.add_repo("org/model", independent)
    first = opened("org/model")
    spans = wanted(first)
    bodies = first.read_ranges(SHARD, spans)
    before = sent(hub)
    again = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    assert again.read_ranges(SHARD, spans).value == bodies.value
    inner = ByteRange(spans[0].start + 4, spans[0].stop - 4)
    assert again.read_ranges(SHARD, [inner]).value == (bodies.value[0][4:-4],)
    assert sent(hub) == before
    record = again.read_ranges(SHARD, spans).record
    assert record.bytes_read == bodies.record.bytes_read  # needed bytes, whoever fetched them


def test_new_commit_is_read_anew(hub, independent, opened, tmp_path) -> None:
    hub.add_repo("org/model", independent)
    spans = wanted(opened("org/model"))
    opened("org/model").read_ranges(SHARD, spans)
    content = (independent / SHARD).read_bytes()
    hub.push("org/model", {SHARD: content[:-8] + b"\x01" * 8})
    before = sent(hub)
    moved = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    moved.read_ranges(SHARD, spans)
    assert sent(hub) > before


def test_kept_ranges_serve_where_the_hub_is_gone(hub, independent, opened, tmp_path) -> None:
    hub.add_repo("org/model", independent)
    store = opened("org/model")
    spans = wanted(store)
    bodies = store.read_ranges(SHARD, spans).value
    offline = opened("org/model", run_dir=RunDirectory(tmp_path / "next"), offline=True)
    assert offline.read_ranges(SHARD, spans).value == bodies
    beyond = max(i.stop for i in store.tensor_index().value.tensors.values() if i.file == SHARD)
    with pytest.raises(Unavailable, match="not in the local cache"):
        read_range(offline, SHARD, beyond - 1, beyond)


def test_run_that_was_broken_off_goes_on_where_it_stopped(
    hub, independent, opened, tmp_path
) -> None:
    hub.add_repo("org/model", independent)
    store = opened("org/model")
    spans = wanted(store)
    store.read_ranges(SHARD, spans[:3])  # and here somebody pulled the plug
    before = sent(hub)
    later = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    later.read_ranges(SHARD, spans)
    fetched = [line.range for line in hub.log if line.origin == "cdn" and line.range][before:]
    assert [stop - start for start, stop in fetched] == [len(spans[3])]


def test_range_is_kept_as_soon_as_it_has_arrived(tmp_path) -> None:
    kept = []

    class Broken(RangeReader):
        def read(self, url, entry, wanted):
            if wanted.start:
                raise ConnectionError(url)
            return b"0123456789", True

    spans = [ByteRange(0, 10), ByteRange(10, 20)]
    with pytest.raises(ConnectionError):
        Broken({}, 1.0).read_all(
            "http://nowhere",
            FileEntry(path="file", size=20),
            spans,
            lambda span, _body: kept.append(span),
        )
    assert kept == spans[:1]


def test_damaged_or_unwritable_folder_is_just_empty(tmp_path) -> None:
    cache = RangeCache(tmp_path / "ranges")
    span = ByteRange(10, 20)
    cache.store("file", span, b"0123456789")
    assert cache.find("file", [ByteRange(12, 15)]) == {ByteRange(12, 15): b"234"}
    [kept] = (tmp_path / "ranges").rglob("*.range")
    sound = kept.read_bytes()
    damages = (b"01", sound[:-1], bytes(len(sound)), sound[:-1] + b"8", b"0123456789")
    for damaged in damages:  # cut short, zeroed, one byte, without a digest
        kept.write_bytes(damaged)
        assert cache.find("file", [span]) == {}
    for name in ("junk.range", "9-3.range", "-1-5.range", f"0-{9**30}.range"):
        kept.with_name(name).write_bytes(sound)
    assert cache.find("file", [span, ByteRange(0, 3)]) == {}
    cache.store("file", span, b"too short")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    RangeCache(blocked / "ranges").store("file", span, b"0123456789")
    assert RangeCache(blocked / "ranges").find("file", [span]) == {}


def test_one_run_keeps_no_more_than_the_limit_and_trims_the_oldest(tmp_path) -> None:
    cache = RangeCache(tmp_path, limit=25)
    for number in range(4):
        cache.store("file", ByteRange(10 * number, 10 * number + 10), b"0123456789")
    assert len([*tmp_path.rglob("*.range")]) == 2
    smaller = replace(cache, limit=10)
    smaller.trim()
    assert len([*tmp_path.rglob("*.range")]) == 1


def test_next_run_makes_room_for_what_it_keeps(tmp_path) -> None:
    first = RangeCache(tmp_path, limit=25)
    for number in range(2):
        first.store("file", ByteRange(10 * number, 10 * number + 10), b"0123456789")
    RangeCache(tmp_path, limit=10).store("file", ByteRange(50, 60), b"0123456789")
    assert len([*tmp_path.rglob("*.range")]) == 2  # one of the old ones went, the new one stays
