from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save, save_file

from pytest_scratchverify.checkpoint.header import (
    MAX_HEADER_BYTES,
    HeaderError,
    ShardHeader,
    TensorIndex,
    header_length,
    join_headers,
    parse_header,
)

SOUND = save(
    {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a": np.zeros((3,), np.int8),
        "empty": np.zeros((0, 4), np.float16),
        "scalar": np.array(2.0, np.float64),
    },
    metadata={"format": "pt"},
)


def shard(table: object, data: bytes = b"") -> bytes:
    raw = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def entry(start: int = 0, stop: int = 4, shape: object = (1,), dtype: object = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def parse(content: bytes) -> ShardHeader:
    return parse_header(content, file="m.safetensors", size=len(content))


def test_agrees_with_the_safetensors_library(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {
        f"layer.{n}.weight": generator.standard_normal((n + 1, 3)).astype(dtype)
        for n, dtype in enumerate([np.float32, np.float16, np.float64])
    }
    path = tmp_path / "model.safetensors"
    save_file(arrays, path, metadata={"format": "np"})
    content = path.read_bytes()
    header = parse_header(content, file=path.name, size=len(content))
    theirs = dict(deserialize(content))
    assert {info.name for info in header.tensors} == set(theirs)
    for info in header.tensors:
        assert info.dtype == theirs[info.name]["dtype"]
        assert list(info.shape) == theirs[info.name]["shape"]
        assert content[info.start : info.stop] == bytes(theirs[info.name]["data"])
        assert content[info.start : info.stop] == arrays[info.name].tobytes()
        assert info.parameters == arrays[info.name].size
        assert info.nbytes == arrays[info.name].nbytes
    assert header.metadata == {"format": "np"}


def test_needs_the_header_only() -> None:
    length = 8 + header_length(SOUND, file="f")
    assert parse_header(SOUND[:length], file="m.safetensors", size=len(SOUND)) == parse(SOUND)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends before its header"),
        (b"\x01\0\0", "ends before its header"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{", "100 MB"),
        (struct.pack("<Q", 2**63), "100 MB"),
        (struct.pack("<Q", 50) + b"{}", "in a file of"),
        (shard(b"[]"), "brace"),
        (shard(b" {}"), "brace"),
        (shard(b"{]"), "not JSON"),
        (shard(b"\xff{}"), "brace"),
        (shard(b'{"\xff":1}'), "not JSON"),
        (shard(b'{"a":' * 50_000), "not JSON"),
        (shard(b'{"a":1' + b"0" * 9000 + b"}"), "not JSON"),
        (shard(b'{"a":NaN}'), "contains NaN"),
        (shard(b'{"a":1,"a":2}'), "twice"),
        (shard(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}'), "twice"),
        (shard({"__metadata__": []}), "__metadata__"),
        (shard({"__metadata__": {"a": 1}}), "__metadata__"),
        (shard({"a": 3}), "exactly"),
        (shard({"a": {**entry(), "extra": 1}}, bytes(4)), "exactly"),
        (shard({"a\n": entry()}, bytes(4)), "unprintable"),
        (shard(b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'), "unprintable"),
        (shard({"a": entry(dtype="F31")}, bytes(4)), "unknown dtype"),
        (shard({"a": entry(dtype=["F32"])}, bytes(4)), "unknown dtype"),
        (shard({"a": entry(shape=[-1])}, bytes(4)), "natural"),
        (shard({"a": entry(shape=[True])}, bytes(4)), "natural"),
        (shard({"a": entry(shape=[1.0])}, bytes(4)), "natural"),
        (shard({"a": entry(shape=[2**63])}, bytes(4)), "natural"),
        (shard({"a": entry(shape="x")}, bytes(4)), "short list"),
        (shard({"a": entry(shape=[1] * 65)}, bytes(4)), "short list"),
        (shard({"a": entry(-4, 0)}, bytes(4)), "natural"),
        (shard({"a": entry(4, 0)}, bytes(4)), "no interval"),
        (shard({"a": {**entry(), "data_offsets": [0]}}, bytes(4)), "no interval"),
        (shard({"a": entry(shape=[2])}, bytes(4)), "do not hold"),
        (shard({"a": entry(0, 1, [1], "F4")}, bytes(1)), "do not hold"),
        (shard({"a": entry(0, 4), "b": entry(2, 6)}, bytes(6)), "overlaps"),
        (shard({"a": entry(0, 4), "b": entry(0, 4)}, bytes(4)), "overlaps"),
        (shard({"a": entry(0, 4), "b": entry(6, 10)}, bytes(10)), "hole"),
        (shard({"a": entry(4, 8)}, bytes(8)), "hole"),
        (shard({"a": entry(0, 4)}, bytes(5)), "end at byte"),
        (shard({"a": entry(0, 4)}, bytes(3)), "end at byte"),
    ],
)
def test_malformed(content, message) -> None:
    with pytest.raises(HeaderError, match=message):
        parse(content)


def test_cut_off_header() -> None:
    with pytest.raises(HeaderError, match="cut off"):
        parse_header(SOUND[:40], file="m.safetensors")


def test_sub_byte_dtypes() -> None:
    header = parse(shard({"a": entry(0, 2, [4], "F4"), "b": entry(2, 5, [4], "F6_E2M3")}, bytes(5)))
    assert [info.parameters for info in header.tensors] == [4, 4]


def test_empty_checkpoint() -> None:
    assert parse(shard(b"{}")).tensors == ()


@settings(max_examples=400)
@given(st.data())
def test_mutated_files_give_a_header_or_a_header_error(data) -> None:
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([None, *range(0, len(SOUND), 7)]))
    agrees(bytes(content[:cut]))


@given(st.binary(max_size=120))
def test_any_bytes_give_a_header_or_a_header_error(raw) -> None:
    agrees(raw)
    agrees(shard(b"{" + raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F4", "U8"]) | JSON,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(-1, 9), max_size=3) | JSON,
    }
)


@given(st.dictionaries(st.text(max_size=3), FIELDS | JSON, max_size=3), st.integers(0, 12))
def test_any_json_gives_a_header_or_a_header_error(table, size) -> None:
    agrees(shard(table, bytes(size)))


def agrees(content: bytes) -> None:
    """We raise HeaderError only, and accept nothing that the library refuses."""
    try:
        ours = parse(content)
    except HeaderError:
        return
    try:
        theirs = dict(deserialize(content))
    except SafetensorError:  # pragma: no cover
        pytest.fail(f"accepted what safetensors refuses: {content!r}")
    assert {info.name: list(info.shape) for info in ours.tensors} == {
        name: value["shape"] for name, value in theirs.items()
    }


def test_shards_are_joined_and_sorted() -> None:
    one = parse_header(shard({"b": entry()}, bytes(4)), file="1")
    two = parse_header(shard({"a": entry(0, 2, [1], "BF16")}, bytes(2)), file="2")
    index = join_headers([one, two])
    assert isinstance(index, TensorIndex)
    assert list(index.tensors) == ["a", "b"]
    assert (index.total_bytes, index.total_parameters) == (6, 2)
    assert index.tensors["a"].file == "2"


def test_tensor_in_two_shards_is_decided_by_the_index() -> None:
    shards = [parse_header(shard({"a": entry()}, bytes(4)), file=file) for file in "12"]
    assert join_headers(shards, {"a": "2"}).tensors["a"].file == "2"
    assert join_headers(shards, {"a": "1"}).tensors["a"].file == "1"
    with pytest.raises(HeaderError, match="both in 1 and in 2"):
        join_headers(shards)
