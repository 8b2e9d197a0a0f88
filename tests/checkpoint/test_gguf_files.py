"""GGUF files give the original's names and rows; hostile ones cost one sentence."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.formats.gguf_file import MAX_HEADER, read_gguf
from pytest_scratchverify.checkpoint.formats.gguf_names import restore_names
from pytest_scratchverify.checkpoint.header import HeaderError, TensorInfo
from pytest_scratchverify.checkpoint.roles import role_of
from pytest_scratchverify.stores.store import FileEntry
from pytest_scratchverify.stores.weight_files import other_weights


def opened(raw, size=None):
    asked = []

    def fetch(start, stop):
        asked.append((start, stop))
        return raw[start:stop]

    return read_gguf(fetch, size or len(raw), "model.gguf"), asked


def text(word):
    return struct.pack("<Q", len(word)) + word.encode()


def head(tensors=1, keys=0, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def entry(name="blk.0.ffn_up.weight", shape=(32, 4), kind=8, offset=0):
    dimensions = struct.pack(f"<{len(shape)}Q", *shape)
    place = struct.pack("<IQ", kind, offset)
    return text(name) + struct.pack("<I", len(shape)) + dimensions + place


def file(*entries, keys=b"", count=0, data=4 * 34):
    raw = head(len(entries), count) + keys + b"".join(entries)
    return raw + bytes(-len(raw) % 32) + bytes(data)


def test_a_sound_file_of_these_tests():
    found, _ = opened(file(entry()))
    [info] = found.tensors
    assert (info.dtype, info.shape, info.nbytes) == ("GGML_Q8_0", (4, 32), 4 * 34)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"GGUF", b"GGML" + bytes(60), head(version=1) + bytes(60), head(tensors=2**60),
        head(keys=2**60), head(0, 1) + struct.pack("<Q", 2**60),
        head(0, 1) + text("k") + struct.pack("<I", 99), head(0, 1) + text("k" * 5000) + bytes(9),
        head(0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1),
        head(0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**62),
        head(0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 16_000_000),
        head(0, 1) + text("general.alignment") + struct.pack("<II", 4, 0) + bytes(64),
        file(entry(shape=(31, 4))), file(entry(shape=(32, 2**40))), file(entry(offset=2**62)),
        file(entry(shape=(1,) * 5)), file(entry(), entry()), file(entry(name="a\nb")),
        file(entry("a"), entry("b", offset=32)), file(entry(), data=10),
    ],
)  # fmt: skip
def test_hostile_files_cost_one_sentence(raw):
    with pytest.raises(HeaderError) as caught:
        opened(raw)
    assert len(str(caught.value)) < 400


def test_a_header_without_end_is_left_at_its_limit():
    unit = text("k") + struct.pack("<IQ", 8, 2**20) + bytes(2**20)  # a text of a megabyte
    start_of_keys = len(head(0, 0))
    asked = []

    def fetch(start, stop):
        asked.append(stop)
        first = max(0, start - start_of_keys) // len(unit)
        count = (stop - start) // len(unit) + 2
        here = head(0, 90_000) if start == 0 else b""
        skip = 0 if start == 0 else start - start_of_keys - first * len(unit)
        return (here + unit * count)[skip : skip + stop - start]

    with pytest.raises(HeaderError, match="longer than"):
        read_gguf(fetch, 2**40, "endless.gguf")
    assert max(asked) <= MAX_HEADER


@settings(max_examples=300)
@given(st.data())
def test_no_damage_raises_anything_else(data):
    keys = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    raw = bytearray(file(entry(), entry("b", offset=160), keys=keys, count=1, data=400))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found, _ = opened(bytes(raw))
    except HeaderError:
        return
    assert all(info.stop <= len(raw) for info in found.tensors)
    restore_names(found.tensors, found.keys)


def test_kinds_that_nobody_decodes_are_listed_and_the_rest_is_read():
    found, _ = opened(file(entry(), entry("blk.0.ffn_down.weight", kind=16, offset=160), data=999))
    assert found.unreadable == ("blk.0.ffn_down.weight",)
    assert len(found.tensors) == 1


def renamed(architecture, *names, rows=8, **keys):
    infos = [TensorInfo(name, "F16", (rows, 4), 0, 8 * rows, "f") for name in names]
    return restore_names(infos, {"general.architecture": architecture, **keys})


@pytest.mark.parametrize(
    ("architecture", "keys", "kept", "heads"),
    [
        ("internlm2", {}, True, 2), ("exaone-moe", {}, True, None), ("glm4", {}, True, None),
        ("glm4", {"glm4.rope.dimension_sections": [8, 12, 12, 0]}, False, None),
        ("of-tomorrow", {}, False, None),
    ],
)  # fmt: skip
def test_rows_of_queries_are_put_back_left_or_left_out(architecture, keys, kept, heads):
    known = {f"{architecture}.attention.head_count": 2, **keys}
    found = renamed(architecture, "blk.0.attn_q.weight", "blk.0.attn_v.weight", **known)
    assert len(found.tensors) == 1 + kept
    assert found.excluded == (() if kept else ("blk.0.attn_q.weight",))
    assert found.rotary.get("model.layers.0.self_attn.q_proj.weight") == heads


def test_every_name_of_the_table_has_a_role():
    names = [f"blk.3.{kind}.weight" for kind in (
        "attn_v", "attn_output", "attn_q_a", "attn_kv_b", "attn_norm", "ffn_norm", "ffn_gate",
        "ffn_up", "ffn_down", "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps",
        "ffn_gate_shexp", "post_ffw_norm",
    )]  # fmt: skip
    found = renamed("qwen3moe", *names, "token_embd.weight", "output.weight", "output_norm.weight")
    roles = {info.name: role_of(info.name) for info in found.tensors}
    assert all(roles.values()), roles
    assert roles["model.layers.3.mlp.experts.up_proj"].expert == "stack"
    assert roles["model.layers.3.mlp.gate.weight"].kind == "router"


def test_queries_of_architectures_whose_order_is_unknown_are_excluded_not_guessed():
    llama = {"llama.attention.head_count": 4, "llama.attention.head_count_kv": 2}
    found = renamed("llama", "blk.0.attn_q.weight", "blk.0.attn_k.weight", **llama)
    prefix = "model.layers.0.self_attn."
    assert found.rotary == {f"{prefix}q_proj.weight": 4, f"{prefix}k_proj.weight": 2}
    assert renamed("qwen2", "blk.0.attn_q.weight").rotary == {}
    other = renamed("brandnew", "blk.0.attn_q.weight", "blk.0.attn_v.weight")
    assert other.excluded == ("blk.0.attn_q.weight",)
    assert renamed("gptneox", "blk.0.attn_qkv.weight").excluded
    assert not renamed("phi3", "blk.0.attn_qkv.weight").excluded
    assert renamed("llama", "blk.0.attn_q.weight").excluded  # the heads are not stated


def test_safetensors_win_and_of_quantisations_the_largest():
    def choose(**sizes):
        listing = {n: FileEntry(path=n, size=s) for n, s in sizes.items()}
        found = other_weights(listing)
        return found and (found.names or (found.index,))

    both = {"m-Q4_K_M.gguf": 5, "m-Q8_0.gguf": 9, "mmproj-F16.gguf": 99}
    assert choose(**both) == ("m-Q8_0.gguf",)
    assert choose(**both, **{"pytorch_model.bin": 3}) == ("pytorch_model.bin",)
    assert choose(**both, **{"model.safetensors": 3}) is None
    parts = {f"big/F16-0000{i}-of-00002.gguf": 50 for i in (1, 2)}
    assert choose(**both, **parts) == tuple(parts)
    assert choose(**both, **{"big/F16-00001-of-00002.gguf": 50}) == ("m-Q8_0.gguf",)
    assert choose(**{"optimizer.pt": 4, "training_args.bin": 5}) is None
    assert choose(**{"consolidated.00.pth": 4}) == ("consolidated.00.pth",)
    assert choose(**{"consolidated.00.pth": 4, "consolidated.01.pth": 4}) is None
