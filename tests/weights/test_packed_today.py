"""Layouts of 2025 and 2026: a copy is a quantised copy, what nobody decodes is named and counted."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.architecture.parameters import stored_parameters
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog
from tests.weights.shipped import CALIBRATION
from tools.zoo import packing_today as today
from tools.zoo.packing import packed_folder
from tools.zoo.ready_models import READY

DECODER = Component.TEXT_DECODER
FORMATS = {
    "ModelOpt NVFP4": today.modelopt_nvfp4,
    "MXFP8": today.modelopt_mxfp8,
    "MLX mxfp4": today.mlx_mode,
    "MLX mxfp8": partial(today.mlx_mode, mode="mxfp8"),
    "MLX nvfp4": partial(today.mlx_mode, mode="nvfp4"),
    "HQQ 8": partial(today.hqq, bits=8),
    "HQQ 4": today.hqq,
    "HQQ 4, columns": partial(today.hqq, axis=0),
    "HQQ 2": partial(today.hqq, bits=2, group=16),
    "torchao int8": today.torchao,
    "torchao float8": partial(today.torchao, kind="float8"),
    "torchao int4": partial(today.torchao, kind="int4"),
}
QUICK = ("ModelOpt NVFP4", "HQQ 4", "torchao int4", "MLX mxfp4")
SOME = [how if how in QUICK else pytest.param(how, marks=pytest.mark.slow) for how in FORMATS]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("today")

    def make(source, how, pack=None):
        target = root / f"{source}-{how}"
        if not target.exists():
            packed_folder(READY / source, target, pack or FORMATS[how])
        return target

    return make


def ask(model, reference, component=DECODER):
    specs = [ModelSpec(name=str(path), folder=True) for path in (model, reference)]
    hypothesis = ComponentHypothesis(pair=Pair(*specs), component=component)
    return weights_origin(hypothesis, FolderStore(model), FolderStore(reference), CALIBRATION)


@pytest.mark.parametrize("how", FORMATS)
def test_places_and_rows_are_those_of_the_original(how, made):
    packed, plain = (Checkpoint(FolderStore(p)) for p in (made("s0", how), READY / "s0"))
    assert packed.inventory.matrices.keys() == plain.inventory.matrices.keys()
    assert packed.inventory.parameters == plain.inventory.parameters
    assert not packed.inventory.unsupported
    assert not packed.inventory.unmapped
    worst = 1.0
    for slot, matrix in packed.inventory.matrices.items():
        original = plain.inventory.matrices[slot]
        first = matrix.rows // 3  # rows in the middle: what lies before them must not matter
        [found] = packed.read([Block(matrix, first, matrix.rows)], ReadLog())
        [wanted] = plain.read([Block(original, first, original.rows)], ReadLog())
        worst = min(worst, np.corrcoef(found.ravel(), wanted.ravel())[0, 1])
        scale = float(np.vdot(found, wanted) / np.vdot(wanted, wanted))
        assert scale == pytest.approx(1, abs=0.08 if how == "HQQ 2" else 0.03), slot
    assert worst > (0.9 if how == "HQQ 2" else 0.985)
    count = stored_parameters(FolderStore(made("s0", how))).value.total_parameters
    assert count == stored_parameters(FolderStore(READY / "s0")).value.total_parameters


@pytest.mark.parametrize("how", SOME)
def test_a_copy_is_a_quantised_copy(how, made):
    finding = ask(made("s0", how), READY / "s0")
    assert (finding.outcome, finding.relation) == (Outcome.DERIVED, "derived")
    assert finding.kinds == ("quantised copy",)


@pytest.mark.parametrize("how", [
    how if how == "ModelOpt NVFP4" else pytest.param(how, marks=pytest.mark.slow) for how in FORMATS
])  # fmt: skip
def test_a_stranger_is_cleared(how, made):
    assert ask(made("s1", how), READY / "s0").outcome is Outcome.CONSISTENT


# ---- what nobody decodes ---------------------------------------------------------------------


def all_but_gate(pack):
    return lambda name, value: (
        today._unpacked(name, value) if name.endswith("gate_proj") else pack(name, value)
    )


@pytest.mark.parametrize(("title", "pack"), [("EXL2", today.exl2), ("EXL3", today.exl3)])
def test_what_is_left_unpacked_is_not_the_component(title, pack, made):
    """The gates are the reference's, number for number, and a fourth of the decoder."""
    finding = ask(made("s0", title, all_but_gate(pack)), READY / "s0")
    assert finding.kinds == ("partly identical",)
    assert finding.effect.value < 0.5
    assert any(f"({title})" in name for name in finding.details["unsupported"])


def test_a_stranger_of_whom_nothing_can_be_read_is_named_and_not_cleared(made):
    finding = ask(made("s1", "EXL3 whole", today.exl3), READY / "s0")
    assert finding.outcome is Outcome.INDETERMINATE
    assert "EXL3" in str(finding.remedy)
    part = ask(made("s1", "EXL3 part", all_but_gate(today.exl3)), READY / "s0")
    assert part.outcome is Outcome.INDETERMINATE
    assert "EXL3" in str(part.remedy)
