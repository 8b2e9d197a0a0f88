"""GPTQ and AWQ are told apart by the shapes of their tensors, and from what is neither."""

from __future__ import annotations

import pytest

from pytest_scratchverify.checkpoint.formats.gptq_awq import AwqCodec, GptqCodec, recognise
from pytest_scratchverify.checkpoint.header import TensorInfo

INPUTS, OUTPUTS, GROUPS = 96, 24, 3


def tensor(dtype, *shape):
    return TensorInfo("x", dtype, shape, 0, 1, "f")


def scales(dtype="F16"):
    return tensor(dtype, GROUPS, OUTPUTS)


def zeros(bits):
    return tensor("I32", GROUPS, OUTPUTS * bits // 32)


def gptq(bits):
    return tensor("I32", INPUTS * bits // 32, OUTPUTS)


AWQ = tensor("I32", INPUTS, OUTPUTS // 8)


@pytest.mark.parametrize("bits", [4, 8])
def test_gptq_packs_along_the_inputs(bits):
    found = recognise(gptq(bits), scales(), zeros(bits), None)
    assert isinstance(found, GptqCodec)
    assert (found.bits, found.shape, found.zero_offset) == (bits, (OUTPUTS, INPUTS), 1)
    second = recognise(gptq(bits), scales(), zeros(bits), None, second_version=True)
    assert second.zero_offset == 0


def test_awq_packs_along_the_outputs():
    found = recognise(AWQ, scales(), zeros(4), None)
    assert isinstance(found, AwqCodec)
    assert found.shape == (OUTPUTS, INPUTS)


@pytest.mark.parametrize(
    ("info", "beside"),
    [
        pytest.param(gptq(4), (None, zeros(4), None), id="no scales"),
        pytest.param(gptq(4), (scales(), None, None), id="no zeros"),
        pytest.param(gptq(4), (scales("I32"), zeros(4), None), id="scales are integers"),
        pytest.param(tensor("F16", 12, 24), (scales(), zeros(4), None), id="weight of floats"),
        pytest.param(tensor("I32", 12, 24, 1), (scales(), zeros(4), None), id="no matrix"),
        pytest.param(tensor("I32", 0, 24), (scales(), zeros(4), None), id="empty"),
        pytest.param(gptq(4), (scales(), tensor("I32", 4, 3), None), id="other groups"),
        pytest.param(gptq(4), (scales(), tensor("I32", 3, 5), None), id="no whole bits"),
        pytest.param(gptq(4), (scales(), zeros(4), tensor("I32", 95)), id="g_idx too short"),
        pytest.param(gptq(4), (scales(), zeros(4), tensor("I64", 96)), id="g_idx of other dtype"),
        pytest.param(tensor("I32", 6, 48), (scales(), zeros(4), None), id="Marlin"),
        pytest.param(tensor("I32", 95, 3), (scales(), zeros(4), None), id="no whole groups"),
    ],
)
def test_other_shapes_are_neither(info, beside):
    assert recognise(info, *beside) is None
