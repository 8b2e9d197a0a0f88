"""PyTorch archives are read by range and never unpickled; hostile ones cost one sentence.

`archives/*.bin` were written by torch 2.13 (tools/zoo/build_torch_archives.py), with what torch itself
loads from them beside.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES
from pytest_scratchverify.checkpoint.formats.pickle_scan import scan
from pytest_scratchverify.checkpoint.formats.pytorch_file import MAX_DIRECTORY, read_pytorch
from pytest_scratchverify.checkpoint.header import HeaderError, parse_header
from tools.zoo.torch_archives import archive, text, zipped

ARCHIVES = Path(__file__).parent / "archives"


def opened(raw):
    """Read an archive out of bytes; count what was asked for."""
    asked = []

    def fetch_all(spans):
        asked.extend(spans)
        assert all(0 <= start <= stop <= len(raw) for start, stop in spans)
        return [raw[start:stop] for start, stop in spans]

    return read_pytorch(fetch_all, len(raw), "pytorch_model.bin"), asked


def loaded(name):
    raw = (ARCHIVES / f"{name}.safetensors").read_bytes()
    return {
        info.name: (info.dtype, info.shape, raw[info.start : info.stop])
        for info in parse_header(raw, file=name, size=len(raw)).tensors
    }


@pytest.mark.parametrize("name", ["plain", "legacy", "module", "wrapped"])
def test_tensors_are_what_torch_loads(name):
    raw = (ARCHIVES / f"{name}.bin").read_bytes()
    found, _ = opened(raw)
    wanted = loaded("plain" if name == "wrapped" else name)
    strided = {"model.layers.0.mlp.down_proj.weight"} if name != "module" else set()
    assert {*found.unreadable} == strided
    assert {info.name for info in found.tensors} == wanted.keys() - strided
    for info in found.tensors:
        dtype, shape, body = wanted[info.name]
        assert (info.dtype, info.shape, raw[info.start : info.stop]) == (dtype, shape, body)


def test_tied_weights_are_the_same_bytes():
    found, _ = opened((ARCHIVES / "plain.bin").read_bytes())
    places = {info.name: (info.start, info.stop) for info in found.tensors}
    assert places["lm_head.weight"] == places["model.embed_tokens.weight"]


def test_only_the_description_is_read():
    weights = {f"w{i}": np.zeros((256, 1024), np.float32) for i in range(4)}
    raw = archive(weights)
    _, asked = opened(raw)
    assert sum(stop - start for start, stop in asked) < 80_000 < len(raw) / 50


def test_a_whole_module_is_refused_by_the_name_of_its_class():
    with pytest.raises(HeaderError, match=r"names torch\.nn\.modules\.container\.Sequential"):
        opened((ARCHIVES / "whole-module.bin").read_bytes())


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/scratchverify-was-here",)


def test_nothing_of_a_pickle_is_executed():
    trace = Path("/tmp/scratchverify-was-here")
    trace.unlink(missing_ok=True)
    for protocol in range(6):
        raw = pickle.dumps({"w": Evil()}, protocol=protocol)
        with pytest.raises(HeaderError):
            opened(zipped(raw))
        with pytest.raises(HeaderError):
            opened(raw)  # as a legacy file
    assert not trace.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"\x80\x02cbuiltins\ngetattr\n.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\n.",
        b"\x80\x02}(K\x01K\x02K\x03u.",
        b"\x80\x02N)R.",
        b"\x80\x02K\x01b.",
        b"\x80\x02h\x05.",
        b"\x80\x020.",
        b"\x80\x02(" + b"N" * 100,
        b"\x80\x02\x8b\xff\xff\xff\x7f",
        b"\x80\x02X\xff\xff\xff\xff",
        b"\x80\x02" + b"(" * 1_100_000,
        b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        b"",
    ],
)
def test_hostile_pickles_cost_one_sentence(raw):
    with pytest.raises(HeaderError) as caught:
        scan(raw, "pytorch_model.bin")
    assert len(str(caught.value)) < 300


def test_a_list_that_holds_itself_holds_no_tensors():
    assert scan(b"\x80\x02]q\x00h\x00a.", "f")[0] == {}


@pytest.mark.parametrize(
    ("shape", "stride", "offset", "elements"),
    [((4, 4), (4, 1), 1, 16), ((2**40, 2**40), (1, 1), 0, 4), ((4,), (1, 1), 0, 4),
     ((-4,), (1,), 0, 4), ((4,), (1,), 2**60, 4), ((4,), (1,), 0, 2**50)],
)  # fmt: skip
def test_tensors_beyond_their_storage_are_refused(shape, stride, offset, elements):
    def whole(n):
        return b"\x8a\x08" + struct.pack("<q", n)

    raw = b"".join(
        [b"\x80\x02}(", text("w"), b"ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"),
         b"ctorch\nFloatStorage\n", text("0"), text("cpu"), whole(elements), b"tQ", whole(offset),
         b"(", *map(whole, shape), b"t(", *map(whole, stride),
         b"t\x89ccollections\nOrderedDict\n)RtRu."]
    )  # fmt: skip
    with pytest.raises(HeaderError):
        opened(zipped(raw, [("0", bytes(64))]))


def sound():
    return archive({"w": np.arange(12, dtype=np.float32).reshape(3, 4)})


def test_the_archives_of_these_tests_are_sound():
    raw = sound()
    [info] = opened(raw)[0].tensors
    assert np.frombuffer(raw[info.start : info.stop], NUMPY_DTYPES["F32"]).tolist() == [*range(12)]


def test_a_compressed_member_is_refused_so_that_no_bomb_unfolds():
    with pytest.raises(HeaderError, match="compressed"):
        opened(zipped(bytes(10**6), method=zipfile.ZIP_DEFLATED))


def test_a_directory_that_announces_more_than_its_limit_is_not_read():
    raw = bytearray(sound())
    at = raw.rindex(b"PK\x05\x06")
    raw[at + 12 : at + 16] = struct.pack("<I", MAX_DIRECTORY + 1)
    with pytest.raises(HeaderError):
        opened(bytes(raw))
    huge = bytes(MAX_DIRECTORY + 100) + bytes(raw[at:])
    with pytest.raises(HeaderError):
        opened(b"PK\x03\x04" + huge)


def test_two_members_of_one_name_and_lying_offsets_are_refused():
    raw = bytearray(sound())
    at = raw.index(b"PK\x01\x02")
    raw[at + 42 : at + 46] = struct.pack("<I", 5)
    with pytest.raises(HeaderError):
        opened(bytes(raw))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(b"\x80\x02}.", [("0", b"a"), ("0", b"b")])
    with pytest.raises(HeaderError, match="twice"):
        opened(twice)


@settings(max_examples=300)
@given(st.data())
def test_no_damage_to_an_archive_raises_anything_else(data):
    raw = bytearray(sound())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.integers(1, len(raw)))])
    try:
        found, _ = opened(raw)
    except HeaderError:
        return
    assert all(info.stop <= len(raw) for info in found.tensors)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_pickle_raises_anything_else(raw):
    try:
        scan(b"\x80\x02" + raw, "f")
    except HeaderError:
        return


def test_bfloat16_and_two_shards_in_one_folder(tmp_path):
    from pytest_scratchverify.stores.folder import FolderStore

    one = archive({"model.norm.weight": np.ones(4, ml_dtypes.bfloat16)})
    two = archive({"lm_head.weight": np.ones((3, 4), np.float32)})
    names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    for name, raw in zip(names, (one, two), strict=True):
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "pytorch_model.bin.index.json").write_text(
        json.dumps(
            {"weight_map": dict(zip(["model.norm.weight", "lm_head.weight"], names, strict=True))}
        )
    )
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Evil()))
    index = FolderStore(tmp_path).tensor_index()
    assert {i.name: (i.dtype, i.file) for i in index.value.tensors.values()} == {
        "model.norm.weight": ("BF16", names[0]),
        "lm_head.weight": ("F32", names[1]),
    }
