"""Packed weights decode to what the reference implementations make of them, row by row.

`packed/references.safetensors` holds random bit patterns and what auto-gptq, AutoAWQ,
compressed-tensors, transformers and bitsandbytes decoded them to (tools/zoo/build_packed_references.py:
none of them installs where tests run). ggml's blocks are held against the `gguf` package itself.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.formats.bitsandbytes import read_state
from pytest_scratchverify.checkpoint.formats.codec import RotaryCodec, RowCodec, unpack_bits
from pytest_scratchverify.checkpoint.formats.ggml import BLOCKS, decode_rows
from pytest_scratchverify.checkpoint.formats.recognise import shape_tensors, unpack
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo, parse_header
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.tensors.inventory import take_inventory
from pytest_scratchverify.tensors.plan import Block, plan_component
from pytest_scratchverify.tensors.reading import _decoded, spans_of
from tools.zoo import packing

RAW = (Path(__file__).parent / "packed" / "references.safetensors").read_bytes()
STEM = "model.layers.3.mlp.down_proj"


@cache
def references():
    header = parse_header(RAW, file="references", size=len(RAW))
    cases = {}
    for info in header.tensors:
        case, _, word = info.name.partition("/")
        cases.setdefault(case, {})[word] = info
    return cases


def body(info):
    return RAW[info.start : info.stop]


def named(word, stacked):
    if stacked:
        return f"model.layers.3.mlp.experts.gate_up_proj_{word}"
    return f"{STEM}.{word}"


def opened(case, **more):
    """The codec of a case as a checkpoint would give it, and the reference's numbers."""
    parts = dict(references()[case])
    wanted = parts.pop("=")
    tensors = {}
    for word, info in parts.items():
        name = named(word, "blocks" in parts)
        tensors[name] = replace(info, name=name)
    index = TensorIndex(tensors)
    found = unpack(index, {info.name: body(info) for info in shape_tensors(index)}, **more)
    assert not found.unsupported
    [(name, codec)] = found.codecs.items()
    assert list(found.index.tensors) == [name]  # no scale or table is left for others to meet
    return found, codec, decode(body(wanted), wanted.dtype, wanted.shape)


def rows(codec, start, stop):
    bodies = [RAW[part.start : part.stop] for part in codec.parts(start, stop)]
    return codec.decode(start, stop, bodies)


CASES = sorted(references())


@pytest.mark.parametrize("case", CASES)
def test_every_bit_pattern_decodes_as_the_reference_decodes_it(case):
    _, codec, wanted = opened(case)
    assert codec.shape == wanted.shape
    flat = wanted.reshape(-1, wanted.shape[-1])
    found = rows(codec, 0, len(flat))
    assert found.dtype == np.float32
    # compressed-tensors computes NVFP4 in BF16; bitsandbytes multiplies nested maxima fused
    tolerance = {"nvfp4": 2**-7, "nf4-nested": 1e-6, "fp4-nested": 1e-6}.get(case, 0)
    assert np.all(abs(found - flat) <= tolerance * abs(flat)), case


@pytest.mark.parametrize("case", CASES)
def test_a_few_rows_are_those_rows_of_the_whole(case):
    _, codec, wanted = opened(case)
    count = wanted.size // wanted.shape[-1]
    everything = rows(codec, 0, count)
    for start, stop in ((0, 1), (5, 17), (count - 1, count)):
        assert np.array_equal(rows(codec, start, stop), everything[start:stop])


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_is_what_is_counted(case):
    _, codec, wanted = opened(case)
    count = wanted.size // wanted.shape[-1]
    few = sum(part.stop - part.start for part in codec.parts(5, 7))
    whole = sum(part.stop - part.start for part in codec.parts(0, count))
    if codec.fixed:  # outputs lie across the file
        assert few == whole == codec.fixed
    else:
        assert few < whole / 2 or codec.nbytes < 4096


def test_zeros_of_the_second_gptq_format_are_stored_as_they_are():
    _, first, wanted = opened("gptq-4")
    _, second, _ = opened("gptq-4", second_gptq=True)
    scales = references()["gptq-4"]["scales"]
    step = decode(body(scales), scales.dtype, scales.shape)[first._group_of(None, 3)].T
    assert np.allclose(rows(second, 0, 32) - wanted, step, atol=1e-6)


def test_gpt_oss_alternates_gate_and_up():
    found, _, wanted = opened("gpt-oss")
    matrices = take_inventory(found.index, found.codecs).matrices
    read = {
        (slot.kind, slot.expert): _decoded(
            block := Block(matrix, 2, 9),
            {(i.file, s.start, s.stop): RAW[s.start : s.stop] for i, s in spans_of(block)},
        )
        for slot, matrix in matrices.items()
    }
    assert len(read) == 6
    for expert in range(3):
        for offset, kind in enumerate(("gate", "up")):
            rows_of_kind = wanted[expert][offset::2]
            assert np.array_equal(read[kind, str(expert)], rows_of_kind[2:9])


def test_the_layouts_tell_themselves_apart():
    kinds = {case: opened(case)[1].kind for case in CASES}
    assert kinds["awq"] == "AWQ_INT4"
    assert {kinds[f"gptq-{b}"] for b in (2, 3, 4, 8)} == {f"GPTQ_INT{b}" for b in (2, 3, 4, 8)}
    assert (kinds["nvfp4"], kinds["mxfp4"], kinds["nf4"]) == ("NVFP4", "MXFP4", "BNB_4BIT")


@pytest.mark.parametrize("case", CASES)
def test_a_tensor_that_is_missing_or_of_another_shape_is_never_decoded_as_another_format(case):
    parts = {k: v for k, v in references()[case].items() if k != "="}
    stacked = "blocks" in parts
    sound = opened(case)[1].kind
    for word, info in parts.items():
        for changed in (None, replace(info, shape=(*info.shape, 1)), replace(info, dtype="C64")):
            tensors = {
                named(k, stacked): replace(v, name=named(k, stacked)) for k, v in parts.items()
            }
            if changed is None:
                del tensors[named(word, stacked)]
            else:
                tensors[named(word, stacked)] = replace(changed, name=named(word, stacked))
            index = TensorIndex(tensors)
            found = unpack(index, {i.name: body(i) for i in shape_tensors(index)})
            for codec in found.codecs.values():
                assert codec.kind == sound
            if not found.codecs:
                assert not take_inventory(found.index).matrices


@settings(max_examples=200)
@given(st.integers(1, 8), st.lists(st.integers(0, 255), min_size=1, max_size=70))
def test_numbers_of_any_width_come_out_of_words(bits, numbers):
    numbers = [n & (1 << bits) - 1 for n in numbers]
    words = packing._words(np.array([numbers]), bits).view(np.uint32)
    assert unpack_bits(words, bits, len(numbers)).tolist() == [numbers]


@pytest.mark.parametrize("kind", sorted(set(BLOCKS) - {"Q8_K"}))
def test_blocks_of_ggml_equal_the_reference_bit_for_bit(kind):
    raw = np.random.default_rng(7).integers(0, 256, (64, 4 * BLOCKS[kind].nbytes), np.uint8)
    with np.errstate(all="ignore"):
        wanted = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])
    assert np.array_equal(decode_rows(kind, raw), wanted, equal_nan=True)


def test_q8_k_which_the_reference_lacks_by_its_structure():
    scale, numbers = np.float32(0.25), np.arange(-128, 128).astype(np.int8)
    raw = np.frombuffer(scale.tobytes() + numbers.tobytes() + bytes(32), np.uint8)[None]
    assert decode_rows("Q8_K", raw).tolist() == [(numbers * 0.25).tolist()]


def test_q4_k_of_the_zoo_is_what_the_reference_reads():
    values = np.random.default_rng(8).standard_normal((16, 512)).astype(np.float32)
    packed = packing.q4_k(values)
    read = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q4_K)
    assert abs(read - values).max() < 0.3
    assert np.corrcoef(read.ravel(), values.ravel())[0, 1] > 0.99


def test_llama_cpps_order_of_queries_is_undone_for_any_rows():
    values = np.random.default_rng(9).standard_normal((4 * 6, 8)).astype(np.float32)
    stored = values.reshape(4, 2, 3, 8).swapaxes(1, 2).reshape(24, 8)  # LlamaModel.permute
    info = TensorInfo("q", "F32", (24, 8), 100, 100 + stored.nbytes, "f")
    plain = RowCodec("F32", info, (24, 8), 32, lambda raw: raw.view(np.float32))
    codec = RotaryCodec(plain, 4)
    data = bytes(100) + stored.tobytes()
    for start, stop in ((0, 24), (5, 7), (6, 12), (17, 24)):
        bodies = [data[p.start : p.stop] for p in codec.parts(start, stop)]
        assert np.array_equal(codec.decode(start, stop, bodies), values[start:stop])


@pytest.mark.parametrize("case", ["gptq-act-order", "nf4", "int-4"])
def test_a_tensor_that_contradicts_its_siblings_costs_one_sentence(case):
    codec = opened(case)[1]
    bodies = [RAW[part.start : part.stop] for part in codec.parts(0, 8)]
    at = {"gptq-act-order": 3, "nf4": 3, "int-4": 1}[case]
    bodies[at] = b"\xff" * len(bodies[at])
    with pytest.raises(Unavailable) as caught:
        codec.decode(0, 8, bodies)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2**50, 1]}, {"shape": [0, 4]}, {"shape": "ab"}, {"blocksize": 1}, {"shape": [4]},
        {"blocksize": True}, {"nested_offset": "x"}, {"blocksize": 10**9}, {"shape": [[4], 4]},
    ],
)  # fmt: skip
def test_hostile_states_are_no_states(change):
    sound = {"shape": [4, 64], "blocksize": 64, "quant_type": "nf4", "dtype": "bfloat16"}
    assert read_state(json.dumps(sound).encode()) is not None
    assert read_state(json.dumps(sound | change).encode()) is None
    assert read_state(b"[" * 10**5) is None
    assert read_state(b"\xff\xfe") is None


WORDS = ("qweight", "qzeros", "scales", "g_idx", "weight_packed", "weight_scale", "weight_shape",
         "weight_zero_point", "weight_global_scale", "weight", "SCB", "weight.absmax",
         "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map",
         "weight.quant_state.bitsandbytes__nf4", "bias", "weight_scale_2", "biases", "W_q", "scale",
         "zero", "shape", "_weight_qdata", "_weight_scale", "_weight_zero_point", "q_weight",
         "q_scale", "trellis", "suh")  # fmt: skip
EDGES = st.sampled_from([0, 1, 2, 3, 8, 16, 24, 32, 96, 256, 2**20, 2**40])


@settings(max_examples=300)
@given(st.data())
def test_no_index_raises_anything_whatever_its_shapes(data):
    dtypes = st.sampled_from(
        ["I32", "F16", "U8", "I8", "F32", "I64", "U32", "F8_E4M3", "F8_E8M0", "GGML_Q4_K"]
    )
    tensors, place = {}, 0
    for word in data.draw(st.sets(st.sampled_from(WORDS), min_size=1)):
        name = f"{STEM}.{word}"
        shape = tuple(data.draw(st.lists(EDGES, max_size=4)))
        size = int(np.prod(shape, dtype=object)) if shape else 1
        tensors[name] = TensorInfo(name, data.draw(dtypes), shape, place, place + size, "f")
        place += size
    index = TensorIndex(tensors)
    bodies = st.one_of(
        st.binary(max_size=80),
        st.just(np.array([24, 96]).tobytes()),
        st.just(b'{"shape": [24, 96], "blocksize": 64}'),
    )
    answers = {info.name: data.draw(bodies) for info in shape_tensors(index)}
    found = unpack(index, answers)
    inventory = take_inventory(found.index, found.codecs)
    plan = plan_component(inventory.of(Component.TEXT_DECODER), 10**6)
    for block in plan.blocks:
        for info, span in spans_of(block):
            assert 0 <= span.start <= span.stop, info
