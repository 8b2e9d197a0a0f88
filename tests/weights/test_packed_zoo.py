"""Packed copies of zoo models are found as what they are, and packed strangers stay strangers.

Rounding is to nearest (`tools/zoo/packing.py`). s0 is 64 wide: its matrices fill blocks of 32,
its feed-forward inputs (176) fill neither those nor the 256 of K-quants, and stay in F16 or BF16
there, as quantisers leave them. Q4_K is tested on a model widened to 256 by repetition of columns.
"""

from __future__ import annotations

from functools import partial

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.architecture.parameters import stored_parameters
from pytest_scratchverify.methods.weights.fingerprint import save_fingerprint
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fingerprint import FingerprintStore
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog
from tests.weights.shipped import CALIBRATION
from tools.running import run_suites
from tools.zoo import packing
from tools.zoo.ready_models import READY
from tools.zoo.torch_archives import archive

DECODER, EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
FORMATS = {
    "gptq": lambda source, target: packing.packed_folder(source, target, packing.gptq),
    "awq": lambda source, target: packing.packed_folder(source, target, packing.awq),
    "int4": lambda source, target: packing.packed_folder(source, target, packing.compressed_int),
    "int8": lambda source, target: packing.packed_folder(source, target, packing.bnb_int8),
    "nf4": lambda source, target: packing.packed_folder(source, target, packing.bnb_nf4),
    "q8_0": lambda source, target: packing.gguf_file(source, target, "Q8_0"),
    "q4_0": lambda source, target: packing.gguf_file(source, target, "Q4_0"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("packed")

    def make(source, how):
        target = root / f"{source}-{how}"
        if not target.exists():
            FORMATS[how](READY / source, target)
        return target

    return make


def ask(model, reference, component=DECODER, **more):
    specs = [ModelSpec(name=str(path), folder=True) for path in (model, reference)]
    hypothesis = ComponentHypothesis(pair=Pair(*specs), component=component, **more)
    return weights_origin(hypothesis, FolderStore(model), FolderStore(reference), CALIBRATION)


@pytest.mark.parametrize("how", FORMATS)
def test_a_packed_copy_is_found_as_a_quantised_copy(how, made):
    finding = ask(made("s0", how), READY / "s0")
    assert (finding.outcome, finding.relation) == (Outcome.DERIVED, "derived")
    assert finding.kinds == ("quantised copy",)
    assert finding.effect.value > 0.99


@pytest.mark.parametrize("how", [
    how if how in ("gptq", "nf4", "q4_0") else pytest.param(how, marks=pytest.mark.slow)
    for how in FORMATS
])  # fmt: skip
def test_a_packed_stranger_is_not_accused(how, made):
    finding = ask(made("s1", how), READY / "s0")
    assert finding.outcome is Outcome.CONSISTENT
    assert abs(finding.effect.value) < 0.02


@pytest.mark.parametrize("how", FORMATS)
def test_places_and_rows_are_those_of_the_original(how, made):
    packed, plain = (Checkpoint(FolderStore(p)) for p in (made("s0", how), READY / "s0"))
    assert packed.inventory.matrices.keys() == plain.inventory.matrices.keys()
    assert packed.inventory.parameters == plain.inventory.parameters
    assert not packed.inventory.unsupported
    assert not packed.inventory.unmapped
    for slot, matrix in packed.inventory.matrices.items():
        original = plain.inventory.matrices[slot]
        [found] = packed.read([Block(matrix, 0, matrix.rows)], ReadLog())
        [wanted] = plain.read([Block(original, 0, original.rows)], ReadLog())
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99, slot


@pytest.mark.parametrize("how", ["gptq", "nf4", "q4_0"])
def test_parameters_are_counted_as_they_decode(how, made):
    packed, plain = (stored_parameters(FolderStore(p)) for p in (made("s0", how), READY / "s0"))
    assert packed.value.total_parameters == plain.value.total_parameters
    raw = FolderStore(made("s0", how)).tensor_index().value
    assert packed.value.total_bytes == raw.total_bytes


@pytest.mark.parametrize("how", ["gptq", "nf4", "q4_0"])
def test_two_strangers_packed_alike_stay_strangers(how, made):
    """Levels and tables that every packed model shares make nobody kin."""
    assert ask(made("s1", how), made("s0", how)).outcome is Outcome.CONSISTENT


@pytest.mark.parametrize("bits", [2, 3])
def test_zeros_that_rounding_made_are_not_called_pruning(bits, tmp_path):
    coarse = partial(packing.compressed_int, bits=bits)
    packed = packing.packed_folder(READY / "s0", tmp_path / "m", coarse)
    assert ask(packed, READY / "s0").kinds == ("quantised copy",)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Q4_1", "Q5_0", "Q5_1", "MXFP4"])
def test_other_kinds_of_gguf_are_quantised_copies(kind, tmp_path):
    packed = packing.gguf_file(READY / "s0", tmp_path / "m", kind)
    assert ask(packed, READY / "s0").kinds == ("quantised copy",)


@pytest.mark.slow
@pytest.mark.parametrize("pack", [packing.gptq, packing.compressed_int])
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_other_widths_are_quantised_copies(pack, bits, tmp_path):
    packed = packing.packed_folder(READY / "s0", tmp_path / "m", partial(pack, bits=bits))
    finding = ask(packed, READY / "s0")
    assert (finding.kinds, finding.effect.value > 0.91) == (("quantised copy",), True)


def test_act_order_and_the_second_gptq_format_are_read(tmp_path):
    def shuffled(name, value):
        order = np.random.default_rng(5).permutation(value.shape[1]) // 16
        return packing.gptq(name, value, order=order, offset=0)

    second = {"quantization_config": {"checkpoint_format": "gptq_v2"}}
    packed = packing.packed_folder(READY / "s0", tmp_path / "m", shuffled, second)
    finding = ask(packed, READY / "s0")
    assert finding.kinds == ("quantised copy",)
    assert finding.effect.value > 0.9975  # .9968 where zeros are taken for the first format's


def test_two_packed_copies_are_compared_with_one_another(made):
    assert ask(made("s0", "gptq"), made("s0", "q4_0")).kinds == ("quantised copy",)
    assert ask(made("s1", "awq"), made("s0", "nf4")).outcome is Outcome.CONSISTENT


def test_the_embeddings_of_a_gguf_file_are_a_quantised_copy_too(made):
    assert ask(made("s0", "q8_0"), READY / "s0", Component.EMBEDDINGS).kinds == ("quantised copy",)


def test_experts_packed_as_gpt_oss_packs_them_are_found(tmp_path):
    packed = packing.gpt_oss(READY / "moe0", tmp_path / "moe0")
    finding = ask(packed, READY / "moe0", EXPERTS)
    assert (finding.relation, finding.kinds) == ("derived", ("quantised copy",))
    plain = Checkpoint(FolderStore(READY / "moe0")).inventory
    assert Checkpoint(FolderStore(packed)).inventory.matrices.keys() == plain.matrices.keys()


def wide(source, target, repeat=4):
    """Repeat columns until rows fill the 256 of a K-quant; the model no longer computes."""
    packing.folder_of(source, target, {"hidden_size": 256, "intermediate_size": 256})
    state = {}
    for name, stored in packing.read(source).items():
        value = grown = stored
        if value.ndim == 2:
            rng = np.random.default_rng(len(name))
            if value.shape[0] == 64:  # what is as wide as the residual stream stays as wide
                value = np.tile(value, (4, 1)) * rng.choice([-1.0, 1.0], (256, 1))
            columns = repeat if value.shape[1] == 64 else 2
            signs = rng.choice([-1.0, 1.0], (1, columns * value.shape[1]))
            grown = (np.tile(value, (1, columns)) * signs)[:, :256]
        state[name] = grown.astype(ml_dtypes.bfloat16)
    save_file(state, target / "model.safetensors")
    return target


def test_a_q4_k_copy_is_found_and_a_stranger_is_not(tmp_path):
    zero, one = (wide(READY / name, tmp_path / name) for name in ("s0", "s1"))
    for source, name in ((zero, "zero"), (one, "one")):
        packing.gguf_file(source, tmp_path / name, "Q4_K", pad=packing.q4_k)
    finding = ask(tmp_path / "zero", zero)
    assert (finding.relation, finding.kinds) == ("derived", ("quantised copy",))
    assert ask(tmp_path / "one", zero).outcome is not Outcome.DERIVED


def bin_folder(source, target):
    packing.folder_of(READY / source, target)
    weights = {k: v.astype(ml_dtypes.bfloat16) for k, v in packing.read(READY / source).items()}
    (target / "pytorch_model.bin").write_bytes(archive(weights))
    return target


@pytest.mark.parametrize("component", [DECODER, Component.EMBEDDINGS, Component.LM_HEAD])
def test_a_bin_file_of_the_same_weights_is_identical(component, tmp_path):
    finding = ask(bin_folder("s0", tmp_path / "bin"), READY / "s0", component)
    assert (finding.relation, finding.kinds) == ("verbatim", ("identical",))


def test_a_bin_file_of_a_stranger_is_not_accused(tmp_path):
    assert ask(bin_folder("s1", tmp_path / "bin"), READY / "s0").outcome is Outcome.CONSISTENT


@pytest.mark.parametrize("how", ["gptq", "nf4", "q4_0", "bin"])
def test_a_fingerprint_stands_in_for_a_packed_model(how, made, tmp_path):
    model = bin_folder("s0", tmp_path / "bin") if how == "bin" else made("s0", how)
    path = tmp_path / f"{how}.fingerprint"
    save_fingerprint(FolderStore(model), path)
    store = FingerprintStore(path, run=RunDirectory(tmp_path / "run"), budget=ByteBudget())
    specs = [ModelSpec(name="a"), ModelSpec(name="b")]
    hypothesis = ComponentHypothesis(pair=Pair(*specs), component=DECODER)
    finding = weights_origin(hypothesis, store, FolderStore(READY / "s0"), CALIBRATION)
    assert finding.kinds == ("identical" if how == "bin" else "quantised copy",)
    whole = sum(entry.size for entry in FolderStore(model).files().value)
    assert path.stat().st_size < 2 * whole


def test_budgets_know_that_outputs_of_gptq_lie_across_the_file(made):
    packed = Checkpoint(FolderStore(made("s0", "gptq")))
    for matrix in packed.inventory.matrices.values():
        if matrix.codec is not None:
            assert Block(matrix, 0, 1).nbytes >= matrix.codec.fixed > matrix.codec.info.nbytes


def test_a_user_sees_the_packed_copy(made, tmp_path):
    model = made("s0", "gptq")
    ran = run_suites("--model", str(model), "--against", str(READY / "s0"), home=tmp_path)
    assert ran.code == 1, ran.output
    decoder = ran.model(str(model))["components"]["text_decoder"]
    assert decoder["verdict"] == "DERIVED"
    assert "quantised copy" in ran.output
