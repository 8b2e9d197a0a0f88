"""Adapters: base and adapter together are judged as the model that a loader makes of them."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.weights.file_digests import shard_digests
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.adapter import read_adapter_config
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.declared_bases import declared_bases
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.adapted import APPLIED, AdaptedStore, with_base
from pytest_scratchverify.tensors.completeness import incomplete
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import ReadLog, open_checkpoint
from tests.weights.saves import CONFIG, base, folder, mlx, stranger
from tests.weights.shipped import CALIBRATION
from tools.zoo.ready_models import READY

DECODER = Component.TEXT_DECODER
WHOLE, FILE = "model.safetensors", "adapter_model.safetensors"
MODULES = {f"model.layers.{n}.self_attn.{x}_proj": (64 if x == "q" else 32, 64)
           for n in range(4) for x in "qv"}  # fmt: skip
Q0, V1 = "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj"
RANK, ALPHA = 8, 16


def factors(modules=MODULES, rank=RANK, seed=3, size=0.02):
    generator = np.random.default_rng(seed)
    return {
        name: (
            generator.normal(0, size, (rank, inputs)).astype(np.float32),
            generator.normal(0, size, (outputs, rank)).astype(np.float32),
        )
        for name, (outputs, inputs) in modules.items()
    }


def stored(pairs, prefix="base_model.model."):
    """The tensors of adapter_model.safetensors, rounded as it rounds them."""
    found = {}
    for name, (first, second) in pairs.items():
        found[f"{prefix}{name}.lora_A.weight"] = first
        found[f"{prefix}{name}.lora_B.weight"] = second
    return found


def adapter(path, tensors, settings=None, files=None):
    made = folder(path, {**(files or {}), FILE: tensors}, config=CONFIG if files else False)
    known = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": RANK}
    table = {**known, "lora_alpha": ALPHA, **(settings or {})}
    (made / "adapter_config.json").write_text(json.dumps(table))
    return made


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    return lambda path: open_store(str(path), None, run_dir=run, budget=ByteBudget())


@pytest.fixture
def together(opened):
    """Open an adapter beside the base that it names."""

    def together(path, of=READY / "s0"):
        return with_base(opened(path), lambda name: opened(of) if name == "org/base" else None)

    return together


def rounded(values):
    return np.asarray(values, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)


def read(store, name):
    info = store.tensor_index().value.tensors[name]
    [raw] = store.read_ranges(info.file, [ByteRange(info.start, info.stop)]).value
    return decode(raw, info.dtype, info.shape)


def product(pairs, name):
    first, second = (rounded(part) for part in pairs[name])
    return second @ first


# --- what a loader makes of the two -----------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, ALPHA / RANK),
        ({"use_rslora": True}, ALPHA / RANK**0.5),
        ({"alpha_pattern": {"q_proj": 32, "v_proj": 4}}, 32 / RANK),
        ({"alpha_pattern": {"layers.0.self_attn.q_proj": 4, "q_proj": 32}}, 4 / RANK),
        ({"r": 4, "rank_pattern": {"q_proj": RANK}}, ALPHA / RANK),
        ({"init_lora_weights": "gaussian", "revision": None}, ALPHA / RANK),
    ],
)
def test_rows_are_the_bases_and_the_scaled_product(tmp_path, together, settings, scale) -> None:
    pairs = factors()
    store = together(adapter(tmp_path / "a", stored(pairs), settings))
    expected = rounded(base()[f"{Q0}.weight"] + scale * product(pairs, Q0))
    assert np.array_equal(read(store, f"{Q0}.weight"), expected)
    kept = "model.layers.0.self_attn.k_proj.weight"
    assert np.array_equal(read(store, kept), base()[kept])
    assert incomplete(open_checkpoint(store), DECODER) is None


def test_any_range_of_rows_is_computed_alike(tmp_path, together) -> None:
    store = together(adapter(tmp_path / "a", stored(factors())))
    tensors = store.tensor_index().value.tensors
    last = max(info.stop for info in tensors.values() if info.file == APPLIED)
    [whole] = store.read_ranges(APPLIED, [ByteRange(0, last)]).value
    for start, stop in ((0, 1), (1, 131), (127, 128), (8190, 8200), (last - 3, last), (5, last)):
        [part] = store.read_ranges(APPLIED, [ByteRange(start, stop)]).value
        assert part == whole[start:stop]
    with pytest.raises(Unavailable):
        store.read_ranges(APPLIED, [ByteRange(last, last + 8)])


def test_dora_gives_every_row_its_length(tmp_path, together) -> None:
    pairs, lengths = factors(), np.linspace(0.5, 2, 64, dtype=np.float32)
    tensors = {**stored(pairs), f"base_model.model.{Q0}.lora_magnitude_vector.weight": lengths}
    store = together(adapter(tmp_path / "a", tensors, {"use_dora": True}))
    rows = base()[f"{Q0}.weight"] + 2 * product(pairs, Q0)
    expected = rows * (rounded(lengths) / np.linalg.norm(rows, axis=1))[:, None]
    assert np.allclose(read(store, f"{Q0}.weight"), rounded(expected), rtol=1e-2)
    found = np.linalg.norm(read(store, f"{Q0}.weight"), axis=1)
    assert np.allclose(found, rounded(lengths), rtol=1e-2)


def test_embeddings_lie_across(tmp_path, together) -> None:
    generator = np.random.default_rng(1)
    first = generator.normal(0, 0.1, (4, 1024)).astype(np.float32)
    second = generator.normal(0, 0.1, (64, 4)).astype(np.float32)
    stem = "base_model.model.model.embed_tokens."
    tensors = {f"{stem}lora_embedding_A": first, f"{stem}lora_embedding_B": second}
    store = together(adapter(tmp_path / "a", tensors, {"r": 4}))
    expected = base()["model.embed_tokens.weight"] + 4 * (rounded(second) @ rounded(first)).T
    assert np.array_equal(read(store, "model.embed_tokens.weight"), rounded(expected))


@pytest.mark.parametrize("flag", [True, False])
def test_a_base_stored_inputs_first_is_met_across(tmp_path, opened, together, flag) -> None:
    """GPT-2's Conv1D; where the shape tells, it decides, whatever the flag says."""
    name = "model.layers.0.mlp.up_proj"
    pairs = factors({name: (176, 64)})
    turned = {**base(), f"{name}.weight": np.ascontiguousarray(base()[f"{name}.weight"].T)}
    of = folder(tmp_path / "base", {WHOLE: turned})
    made = adapter(tmp_path / "a", stored(pairs), {"fan_in_fan_out": flag})
    expected = rounded(turned[f"{name}.weight"] + 2 * product(pairs, name).T)
    assert np.array_equal(read(together(made, of), f"{name}.weight"), expected)


def test_whole_tensors_stand_in_place_of_the_bases(tmp_path, together) -> None:
    head = np.random.default_rng(2).normal(0, 0.02, (1030, 64)).astype(np.float32)
    tensors = {**stored(factors()), "base_model.model.lm_head.weight": head}
    store = together(adapter(tmp_path / "a", tensors, {"modules_to_save": ["lm_head"]}))
    assert np.array_equal(read(store, "lm_head.weight"), rounded(head))


@pytest.mark.parametrize("prefix", ["base_model.model.language_model.", "base_model.model.", ""])
def test_modules_meet_their_matrix_whatever_stands_in_front(tmp_path, together, prefix) -> None:
    pairs = factors({Q0: (64, 64)})
    store = together(adapter(tmp_path / "a", stored(pairs, prefix)))
    expected = rounded(base()[f"{Q0}.weight"] + 2 * product(pairs, Q0))
    assert np.array_equal(read(store, f"{Q0}.weight"), expected)


def test_a_packed_base_is_decoded_first(tmp_path, together) -> None:
    """As QLoRA: the base is stored in four bits."""
    pairs = factors()
    config = {**CONFIG, "quantization": {"group_size": 32, "bits": 4}}
    of = folder(tmp_path / "base", {WHOLE: mlx(base(), 4)}, config=config)
    model = open_checkpoint(together(adapter(tmp_path / "a", stored(pairs)), of))
    assert not model.inventory.unmapped
    matrix = model.inventory.matrices[Slot(DECODER.value, "q", 0)]
    [rows] = model.read([Block(matrix, 0, 64)], ReadLog())
    expected = base()[f"{Q0}.weight"] + 2 * product(pairs, Q0)
    assert np.corrcoef(rows.ravel(), expected.ravel())[0, 1] > 0.98


# --- judged as a model ------------------------------------------------------------------------


@pytest.fixture
def ask(opened, together):
    def ask(model, reference=READY / "s0"):
        ours, theirs = together(model), opened(reference)
        pair = Pair(ModelSpec(name=str(model)), ModelSpec(name=str(reference)))
        declared = names_base_model(pair, ours)
        asked = ComponentHypothesis(pair=pair, component=DECODER, declared=declared)
        return weights_origin(asked, ours, theirs, CALIBRATION)

    return ask


def everywhere(size):
    """Factors for every matrix of every layer: no tensor of the base is left as it was."""
    shapes = {k.removesuffix(".weight"): v.shape for k, v in base().items() if v.ndim > 1}
    return factors({k: s for k, s in shapes.items() if "layers" in k}, size=size)


def test_it_is_its_bases_and_says_how_much_it_adds(tmp_path, ask) -> None:
    finding = ask(adapter(tmp_path / "a", stored(everywhere(0.03))))
    assert finding.outcome is Outcome.DERIVED  # named under another name than the reference's
    assert "28 modules, rank 8" in str(finding.headline)
    assert finding.details["adapter"]["base"] == str(READY / "s0")


def test_a_named_base_is_a_declared_one(tmp_path, opened) -> None:
    reference = READY / "s0"
    settings = {"base_model_name_or_path": f"{reference.parent}/../{reference.parent.name}/s0/"}
    model = adapter(tmp_path / "a", stored(factors()), settings)
    ours = with_base(opened(model), lambda _: opened(reference))
    pair = Pair(ModelSpec(name=str(model)), ModelSpec(name=str(reference)))
    assert names_base_model(pair, ours)
    assert not names_base_model(Pair(pair.model, ModelSpec(name=str(READY / "s1"))), ours)


@pytest.mark.slow
def test_the_whole_is_cleared_against_a_stranger(tmp_path, ask) -> None:
    finding = ask(adapter(tmp_path / "a", stored(everywhere(0.03))), READY / "t0")
    assert finding.outcome is Outcome.CONSISTENT


@pytest.mark.slow
def test_an_adapter_beside_strange_weights_is_judged_too(tmp_path, ask) -> None:
    """Loaders that know adapter_config.json load the base: it is accused, and nothing cleared."""
    tensors = stored(everywhere(0.03))
    finding = ask(adapter(tmp_path / "a", tensors, files={WHOLE: stranger()}))
    assert finding.outcome is Outcome.DERIVED
    assert "adapter_config.json" in str(finding.headline)
    finding = ask(tmp_path / "a", READY / "t0")
    assert finding.outcome is Outcome.INDETERMINATE


# --- what does not fit ------------------------------------------------------------------------


def misshapen(tensors):
    tensors[f"base_model.model.{V1}.lora_B.weight"] = np.ones((31, RANK), np.float32)


def ranks_disagree(tensors):
    tensors[f"base_model.model.{V1}.lora_A.weight"] = np.ones((RANK + 1, 64), np.float32)


def half_a_pair(tensors):
    del tensors[f"base_model.model.{V1}.lora_B.weight"]


def no_such_module(tensors):
    first, second = factors()[V1]
    tensors |= stored({"model.layers.9.self_attn.v_proj": (first, second)})


def another_kind(tensors):
    tensors[f"base_model.model.{V1}.lora_E.weight"] = np.ones((RANK, 1), np.float32)


def short_lengths(tensors):
    tensors[f"base_model.model.{V1}.lora_magnitude_vector"] = np.ones(31, np.float32)


def no_elements(tensors):
    for factor, shape in (("lora_A", (0, 64)), ("lora_B", (32, 0))):
        tensors[f"base_model.model.{V1}.{factor}.weight"] = np.ones(shape, np.float32)


MISFITS = (misshapen, ranks_disagree, half_a_pair, no_such_module, another_kind, short_lengths,
           no_elements)  # fmt: skip


@pytest.mark.parametrize("change", MISFITS, ids=lambda change: change.__name__)
def test_what_fits_nothing_is_named_and_clears_nothing(tmp_path, together, change) -> None:
    tensors = stored(factors())
    change(tensors)
    model = open_checkpoint(together(adapter(tmp_path / "a", tensors)))
    why = str(incomplete(model, DECODER))
    assert "left out" in why
    assert "layers.9" in why if change is no_such_module else "layers.1." in why
    if change not in (no_such_module, another_kind):
        assert np.array_equal(read(model.store, f"{V1}.weight"), base()[f"{V1}.weight"])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_factors_that_are_no_numbers_are_named(tmp_path, together, value) -> None:
    pairs = factors()
    pairs[V1][1][:] = value
    model = open_checkpoint(together(adapter(tmp_path / "a", stored(pairs))))
    matrix = model.inventory.matrices[Slot(DECODER.value, "v", 1)]
    model.read([Block(matrix, 0, 32)], ReadLog())
    assert model.broken_names(DECODER) == [f"{V1}.weight"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"peft_type": None}, "kind -"),
        ({"init_lora_weights": "pissa_niter_16"}, "changed the base"),
        ({"layer_replication": [[0, 4], [2, 4]]}, "repeats layers"),
        ({"lora_alpha": "16"}, "scale"),
        ({"alpha_pattern": {"(a+)+$": 3}}, "scale"),
        ({"lora_alpha": 10**400}, "scale"),
    ],
)
def test_what_is_not_put_together_says_why(tmp_path, together, settings, words) -> None:
    store = together(adapter(tmp_path / "a", stored(factors()), settings))
    assert not isinstance(store, AdaptedStore)
    with pytest.raises(Unavailable, match=words) as caught:
        store.tensor_index()
    assert caught.value.reason is Reason.UNSUPPORTED
    assert "7.17k parameters in 8 modules (rank 8)" in str(caught.value)


def test_a_base_that_is_not_at_hand_is_asked_for(tmp_path, opened) -> None:
    made = adapter(tmp_path / "a", stored(factors()), {"base_model_name_or_path": str(READY)})
    store = with_base(opened(made), lambda _: None)
    with pytest.raises(Unavailable, match="--against"):
        store.tensor_index()


def test_a_base_of_several_saves_clears_nothing(tmp_path, together) -> None:
    of = folder(tmp_path / "base", {WHOLE: base(), "other.safetensors": stranger()})
    model = open_checkpoint(together(adapter(tmp_path / "a", stored(factors())), of))
    assert "several saves" in str(incomplete(model, DECODER))


def test_an_adapter_of_an_adapter_is_none(tmp_path, together) -> None:
    other = adapter(tmp_path / "other", stored(factors()))
    made = adapter(tmp_path / "a", stored(factors()))
    for of in (other, made):
        with pytest.raises(Unavailable, match="holds an adapter"):
            together(made, of)


def test_a_base_that_cannot_be_read_is_what_is_said(tmp_path, together) -> None:
    of = folder(tmp_path / "base")
    (of / WHOLE).write_bytes(b"no header")
    made = adapter(tmp_path / "a", stored(factors()))
    with pytest.raises(Unavailable, match="base is malformed"):
        together(made, of)
    beside = adapter(tmp_path / "b", stored(factors()), files={WHOLE: stranger()})
    assert "loaders that know it" in str(incomplete(open_checkpoint(together(beside, of)), DECODER))


@pytest.mark.parametrize(
    "value", [None, True, -1, 0, 1.5, 10**400, "x", "\ud800", [], {}, {"q": []}]
)
def test_settings_of_any_kind_raise_nothing(value) -> None:
    for key in ("peft_type", "base_model_name_or_path", "revision", "r", "lora_alpha",
                "alpha_pattern", "rank_pattern", "use_rslora", "fan_in_fan_out",
                "init_lora_weights", "layer_replication"):  # fmt: skip
        read = read_adapter_config({"peft_type": "LORA", "r": 8, key: value})
        assert isinstance(read.scale("layers.0.q_proj", 8), float)


def test_equal_adapters_are_one_file(tmp_path, opened) -> None:
    """Of two adapters, that one is the other's is a matter of digests."""
    big = factors({Q0: (64, 64)}, rank=64)
    made = [adapter(tmp_path / name, stored(big), {"r": 64}) for name in ("a", "b")]
    other = adapter(tmp_path / "c", stored(factors({Q0: (64, 64)}, rank=64, seed=9)), {"r": 64})
    ours, theirs, third = map(opened, (*made, other))
    pair = Pair(*(ModelSpec(name=str(path)) for path in made))
    found = shard_digests(pair, ours, theirs, declared=False)
    assert found.derived
    assert found.details["identical"] == [FILE]
    assert not shard_digests(pair, ours, third, declared=False).derived


def mlx_adapter(path, pairs, settings=None):
    """What mlx-lm writes: factors stored inputs first, numbered saves beside the last one."""
    tensors = {}
    for name, (first, second) in pairs.items():
        tensors[f"{name}.lora_a"], tensors[f"{name}.lora_b"] = first.T, second.T
    made = folder(path, {"adapters.safetensors": tensors, "0000100_adapters.safetensors": tensors},
                  config=False)  # fmt: skip
    table = {"fine_tune_type": "lora", "model": "org/base", "num_layers": 4,
             "lora_parameters": {"rank": RANK, "scale": 20.0, "dropout": 0.0}}  # fmt: skip
    (made / "adapter_config.json").write_text(json.dumps({**table, **(settings or {})}))
    return made


def test_adapters_of_mlx_are_read(tmp_path, together, opened) -> None:
    pairs = factors()
    made = mlx_adapter(tmp_path / "a", pairs)
    assert declared_bases(opened(made)).names == ("org/base",)
    store = together(made)
    expected = rounded(base()[f"{Q0}.weight"] + 20 * product(pairs, Q0))
    assert np.array_equal(read(store, f"{Q0}.weight"), expected)
    assert incomplete(open_checkpoint(store), DECODER) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"fine_tune_type": "dora"}, "dora"), ({"lora_parameters": {"scale": None}}, "scale")],
)
def test_adapters_of_mlx_that_are_not_read_say_why(tmp_path, together, settings, words) -> None:
    store = together(mlx_adapter(tmp_path / "a", factors(), settings))
    with pytest.raises(Unavailable, match=words) as caught:
        store.tensor_index()
    assert "7.17k parameters in 8 modules (rank 8)" in str(caught.value)


def test_rows_cost_one_request_a_file(tmp_path, together, monkeypatch) -> None:
    """Base rows and factors of all blocks of a batch come together, and factors once."""
    store = together(adapter(tmp_path / "a", stored(factors())))
    model = open_checkpoint(store)
    asked = []
    for one in (store.base, store.adapter):
        read_ranges = one.read_ranges
        monkeypatch.setattr(
            one, "read_ranges", lambda file, ranges, real=read_ranges: (
                asked.append((file, len(ranges))), real(file, ranges))[1]
        )  # fmt: skip
    found = model.inventory.matrices
    blocks = [Block(found[Slot(DECODER.value, kind, n)], 0, 16) for kind in "qv" for n in range(4)]
    model.read(blocks, ReadLog())
    assert sorted(asked) == [(FILE, 16), (WHOLE, 8)]
    asked.clear()
    model.read([Block(block.matrix, 16, 32) for block in blocks], ReadLog())
    assert asked == [(WHOLE, 8)]


def test_what_rows_were_computed_from_is_confirmed(tmp_path, together, opened, monkeypatch) -> None:
    """As of a hub, where bytes have a way to come: of the base's file and of the adapter's."""
    store = together(adapter(tmp_path / "a", stored(everywhere(0.03))))
    for one in (store.adapter, store.base, store._factor_store):
        monkeypatch.setattr(one, "_revision", "abc")
    asked = []
    for one in (store.base, store.adapter):
        real = one.confirm
        monkeypatch.setattr(
            one, "confirm", lambda file, seen, further=(), real=real: (
                asked.append((file, len(seen))), real(file, seen, further))[1]
        )  # fmt: skip
    pair = Pair(ModelSpec(name="a"), ModelSpec(name="b"))
    hypothesis = ComponentHypothesis(pair=pair, component=DECODER)
    finding = weights_origin(hypothesis, store, opened(READY / "s0"), CALIBRATION)
    assert finding.outcome is Outcome.DERIVED
    counted = dict(asked)
    assert counted[FILE] == 56
    assert counted[WHOLE] >= 28
