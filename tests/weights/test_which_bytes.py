"""Which bytes are the model: what a loader would load is judged, and nothing less is cleared."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.methods.weights.readings import judge_readings
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.one_set import other_readings
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.completeness import incomplete
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import ReadLog, open_checkpoint
from pytest_scratchverify.tensors.side_by_side import side_by_side
from tests.weights.saves import (
    CONFIG,
    base,
    child,
    folder,
    layers,
    mlx,
    outside,
    stranger,
    two_shards,
    write,
)
from tests.weights.shipped import CALIBRATION
from tools.zoo.ready_models import READY

DECODER, TABLE = Component.TEXT_DECODER, Component.EMBEDDINGS
D, S, OPEN = Outcome.DERIVED, Outcome.CONSISTENT, Outcome.INDETERMINATE
WHOLE = "model.safetensors"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    return lambda path: open_store(str(path), None, run_dir=run, budget=ByteBudget())


@pytest.fixture(scope="module")
def ask(opened):
    def ask(model, reference=READY / "s0", component=DECODER):
        specs = [ModelSpec(name=str(path), folder=True) for path in (model, reference)]
        hypothesis = ComponentHypothesis(pair=Pair(*specs), component=component)
        return weights_origin(hypothesis, opened(model), opened(reference), CALIBRATION)

    return ask


def is_childs(checkpoint):
    """Whether the first layer's norm is the fine-tuned model's."""
    info = checkpoint.inventory.matrices[Slot(DECODER.value, "norm_in", 0)].info
    [raw] = checkpoint.store.read_ranges(info.file, [ByteRange(info.start, info.stop)]).value
    return decode(raw, info.dtype, info.shape).tolist() == child()[info.name].tolist()


def said(finding):
    return f"{finding.headline} {finding.remedy}"


def numbered(tensors, *, without=()):
    """Three shards, of which some are not there."""
    parts = {
        "model-00001-of-00003.safetensors": {**outside(tensors), **layers(tensors, 0)},
        "model-00002-of-00003.safetensors": layers(tensors, 1, 2),
        "model-00003-of-00003.safetensors": layers(tensors, 3),
    }
    return {name: part for name, part in parts.items() if name not in without}


# --- which save ---------------------------------------------------------------------------------


def named_by_config(path):
    config = {**CONFIG, "transformers_weights": "weights-v2.safetensors"}
    return folder(path, {WHOLE: stranger(), "weights-v2.safetensors": child()}, config=config)


def index_named_by_config(path):
    name = "other.safetensors.index.json"
    config = {**CONFIG, "transformers_weights": name}
    made = folder(path, {WHOLE: stranger(), **two_shards(child())}, config=config)
    table = {t: f for f, tensors in two_shards(child()).items() for t in tensors}
    (made / name).write_text(json.dumps({"weight_map": table}))
    return made


def stale_index(path):
    return folder(path, {WHOLE: child(), **two_shards(stranger())}, index=two_shards(stranger()))


def index_of_absent_shards(path):
    return folder(path, {WHOLE: child()}, index=two_shards(child()))


@pytest.mark.parametrize(
    "make", [named_by_config, index_named_by_config, stale_index, index_of_absent_shards]
)
def test_what_transformers_loads_is_read_first(tmp_path, opened, make) -> None:
    model = open_checkpoint(opened(make(tmp_path / "model")))
    assert is_childs(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [named_by_config, index_named_by_config, stale_index, index_of_absent_shards]
)
def test_what_transformers_loads_is_judged(tmp_path, ask, make) -> None:
    assert ask(make(tmp_path / "model")).outcome is D


def whole_beside_the_childs_index(path):
    """The copy is in the shards: loaders that prefer the index take it."""
    return folder(path, {WHOLE: stranger(), **two_shards(child())}, index=two_shards(child()))


def two_numberings(path):
    return folder(path, {**numbered(stranger()), **two_shards(child())})


def second_precision(path):
    return folder(path, {"a.safetensors": stranger(), "b.safetensors": child()})


@pytest.mark.parametrize(
    ("make", "sets"),
    [
        (named_by_config, [("weights-v2.safetensors",), (WHOLE,)]),
        (stale_index, [(WHOLE,), (FIRST, SECOND)]),
        (whole_beside_the_childs_index, [(WHOLE,), (FIRST, SECOND)]),
        (two_numberings, [(FIRST, SECOND), tuple(numbered(stranger()))]),
        (second_precision, [("a.safetensors",), ("b.safetensors",)]),
    ],
)
def test_every_save_is_a_set(tmp_path, opened, make, sets) -> None:
    assert [one.names for one in opened(make(tmp_path / "m")).weight_sets().sets] == sets


@pytest.mark.slow
@pytest.mark.parametrize("make", [two_numberings, second_precision])
def test_of_two_saves_without_a_first_either_accuses(tmp_path, ask, make) -> None:
    assert ask(make(tmp_path / "model")).outcome is D


def test_a_save_that_other_loaders_take_is_accused_and_named(tmp_path, ask) -> None:
    finding = ask(whole_beside_the_childs_index(tmp_path / "model"))
    assert finding.outcome is D
    assert "model.safetensors.index.json" in said(finding)


@pytest.mark.slow
def test_a_save_that_nobody_takes_unasked_is_a_lead_and_clears_nothing(tmp_path, ask) -> None:
    shards = two_shards(stranger())
    files = {**shards, "old.safetensors": child()}
    finding = ask(folder(tmp_path / "left", files, index=shards))
    assert finding.outcome is OPEN
    assert "old.safetensors" in said(finding)


@pytest.mark.slow
def test_a_reference_of_two_saves_is_asked_about_both(tmp_path, ask) -> None:
    reference = folder(tmp_path / "r", {WHOLE: stranger(), "other.safetensors": base()})
    finding = ask(READY / "s0-finetune", reference)
    assert finding.outcome is D
    assert "other.safetensors" in said(finding)


@pytest.mark.slow
def test_two_saves_of_a_stranger_are_cleared_together(tmp_path, ask) -> None:
    files = {WHOLE: stranger(), "model.fp32.safetensors": stranger()}
    finding = ask(folder(tmp_path / "model", files))
    assert finding.outcome is S
    assert finding.details["readings"][0]["files"] == ["model.fp32.safetensors"]


# --- what is not all there ----------------------------------------------------------------------


def lost_shard(path):
    return folder(path, numbered(stranger(), without=["model-00002-of-00003.safetensors"]))


def lost_shard_and_an_index_that_hides_it(path):
    parts = numbered(stranger(), without=["model-00002-of-00003.safetensors"])
    return folder(path, parts, index=parts, config=False)


def lost_last_shard_without_config(path):
    parts = numbered(stranger(), without=["model-00003-of-00003.safetensors"])
    return folder(path, parts, config=False)


def index_leaves_out(path):
    parts = numbered(stranger())
    kept = {k: v for k, v in parts.items() if "00002" not in k}
    return folder(path, parts, index=kept)


def lost_layers_in_one_file(path):
    tensors = {**outside(stranger()), **layers(stranger(), 0, 1, 2)}
    return folder(path, {WHOLE: tensors})


def lost_layer_without_config(path):
    tensors = {**outside(stranger()), **layers(stranger(), 0, 3)}
    return folder(path, {WHOLE: tensors}, config=False)


def lost_kind_of_matrix(path):
    return folder(path, {WHOLE: {k: v for k, v in stranger().items() if "down_proj" not in k}})


def empty_tensors(path):
    empty = np.zeros(0, np.float32)
    tensors = {k: empty if ".mlp." in k or "o_proj" in k else v for k, v in stranger().items()}
    return folder(path, {WHOLE: tensors})


def empty_with_two_sides(path):
    empty = np.zeros((0, 64), np.float32)
    tensors = {k: empty if "layers.2" in k and v.ndim > 1 else v for k, v in stranger().items()}
    return folder(path, {WHOLE: tensors})


def config_names_an_absent_file(path):
    config = {**CONFIG, "transformers_weights": "weights-v2.safetensors"}
    return folder(path, {WHOLE: stranger()}, config=config)


def adapter_beside_weights(path):
    made = folder(path, {WHOLE: stranger()})
    text = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/base"})
    (made / "adapter_config.json").write_text(text)
    return made


INCOMPLETE = {
    lost_shard: "00002-of-00003",
    lost_shard_and_an_index_that_hides_it: "00002-of-00003",
    lost_last_shard_without_config: "00003-of-00003",
    index_leaves_out: "00002-of-00003",
    lost_layers_in_one_file: "4 layers",
    lost_layer_without_config: "1, 2",
    lost_kind_of_matrix: "config.json accounts for",
    empty_tensors: "no element",
    empty_with_two_sides: "no element",
    config_names_an_absent_file: "weights-v2.safetensors",
    adapter_beside_weights: "org/base",
}


@pytest.mark.parametrize("make", INCOMPLETE, ids=lambda make: make.__name__)
def test_what_is_not_all_there_is_said(tmp_path, opened, make) -> None:
    why = incomplete(open_checkpoint(opened(make(tmp_path / "model"))), DECODER)
    assert INCOMPLETE[make] in str(why)


@pytest.mark.slow
@pytest.mark.parametrize("make", INCOMPLETE, ids=lambda make: make.__name__)
def test_what_is_not_all_there_clears_nothing_on_either_side(tmp_path, ask, make) -> None:
    model = make(tmp_path / "model")
    ours = ask(model)
    assert ours.outcome is OPEN
    assert INCOMPLETE[make] in said(ours)
    assert ours.coverage is None or ours.coverage.parameters is None
    theirs = ask(READY / "t0", model)
    assert theirs.outcome is not S
    assert INCOMPLETE[make] in said(theirs)


@pytest.mark.slow
def test_a_sound_stranger_is_cleared_whatever_stands_beside_it(tmp_path, ask) -> None:
    """The rule withholds no clearance for files that are no save, nor for sound numberings."""
    shards = two_shards(stranger())
    for name, files, index in (
        ("whole", {WHOLE: stranger()}, None),
        ("shards", shards, shards),
        ("bare shards", shards, None),
        ("optimizer", {WHOLE: stranger(), "optimizer.safetensors": child()}, None),
    ):
        made = folder(tmp_path / name, files, index=index, card=None)
        (made / "checkpoint-5").mkdir()
        write(made / "checkpoint-5" / WHOLE, stranger())
        assert ask(made).outcome is S, name


# --- uncounted tensors ---------------------------------------------------------------------------


def flat(tensors):
    return np.concatenate([v.ravel() for k, v in sorted(tensors.items()) if ".layers." in k])


HIDDEN_UNDER = [
    "extra",
    "model.extra.weight",
    "model.layers.0.mlp.gate_proj.bias",
    "model.layers.0.input_layernorm.bias",
    "model.layers.0.self_attn.rotary_emb.inv_freq",
    "model.layers.0.mlp.up_proj.weight_scale",
    "model.layers.0.attn.bias",
    "model.norm.bias",
]


@pytest.mark.parametrize("name", HIDDEN_UNDER)
def test_what_no_comparison_takes_is_counted(tmp_path, opened, name) -> None:
    tensors = {**stranger(), name: flat(child())}
    inventory = open_checkpoint(opened(folder(tmp_path / "m", {WHOLE: tensors}))).inventory
    assert inventory.unplaced_share(DECODER) > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("name", HIDDEN_UNDER)
def test_true_weights_beside_a_stranger_are_counted(tmp_path, ask, name) -> None:
    finding = ask(folder(tmp_path / "model", {WHOLE: {**stranger(), name: flat(child())}}))
    assert finding.outcome is OPEN
    assert name in said(finding)
    assert finding.coverage.parameters < 0.75


def test_biases_and_constants_of_their_own_size_are_innocent(tmp_path, opened) -> None:
    tensors = stranger()
    tensors["model.layers.0.mlp.gate_proj.bias"] = np.zeros(176, np.float32)
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)
    model = open_checkpoint(opened(folder(tmp_path / "model", {WHOLE: tensors})))
    assert model.inventory.unplaced_share(DECODER) == 0
    assert incomplete(model, DECODER) is None


# --- numbers that are none -----------------------------------------------------------------------


def spoilt(tensors, value, share, generator):
    """Put `value` into a share of every matrix."""
    found = {k: v.copy() for k, v in tensors.items()}
    for values in found.values():
        if values.ndim > 1:
            count = max(1, int(values.size * share))
            values.flat[generator.choice(values.size, count, replace=False)] = value
    return found


@pytest.mark.parametrize(
    ("value", "component"),
    [
        (np.nan, TABLE),
        pytest.param(np.nan, DECODER, marks=pytest.mark.slow),
        pytest.param(-np.inf, DECODER, marks=pytest.mark.slow),
        pytest.param(1e38, TABLE, marks=pytest.mark.slow),
    ],
)
def test_scattered_bad_numbers_hide_nothing(tmp_path, ask, value, component) -> None:
    tensors = spoilt(child(), value, 1e-3, np.random.default_rng(5))
    finding = ask(folder(tmp_path / "model", {WHOLE: tensors}), component=component)
    assert finding.outcome is D
    assert finding.effect.value > 0.99
    assert finding.details["not_finite"]


@pytest.mark.parametrize("row", [slice(1023, 1024), slice(0, 40)])
def test_bad_rows_of_a_table_hide_no_table(tmp_path, ask, row) -> None:
    tensors = {k: v.copy() for k, v in child().items()}
    tensors["model.embed_tokens.weight"][row] = np.nan
    tensors["model.embed_tokens.weight"][500, 3] = np.inf
    finding = ask(folder(tmp_path / "model", {WHOLE: tensors}), component=TABLE)
    assert finding.outcome is D


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (np.nan, (1, 2)),
        pytest.param(np.nan, (0, 1, 2, 3), marks=pytest.mark.slow),
        pytest.param(0.0, (1, 2), marks=pytest.mark.slow),
        pytest.param(0.25, (0, 1, 2, 3), marks=pytest.mark.slow),
    ],
)
def test_layers_that_are_no_numbers_never_raise_nor_clear(tmp_path, ask, value, numbers) -> None:
    lost = layers(stranger(), *numbers)
    tensors = {k: np.full_like(v, value) if k in lost else v for k, v in stranger().items()}
    finding = ask(folder(tmp_path / "model", {WHOLE: tensors}))
    assert finding.outcome is OPEN if np.isnan(value) else finding.outcome is not D
    if np.isnan(value) and len(numbers) == 2:
        assert "model.layers.1." in said(finding)


@pytest.mark.slow
def test_a_stranger_with_a_few_bad_numbers_is_cleared(tmp_path, ask) -> None:
    tensors = spoilt(stranger(), np.nan, 1e-3, np.random.default_rng(6))
    assert ask(folder(tmp_path / "model", {WHOLE: tensors})).outcome is S


# --- formats, roots and refusals -----------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_mlx_is_decoded(tmp_path, opened, bits) -> None:
    config = {**CONFIG, "quantization": {"group_size": 32, "bits": bits}}
    model = open_checkpoint(
        opened(folder(tmp_path / "m", {WHOLE: mlx(base(), bits)}, config=config))
    )
    matrix = model.inventory.matrices[Slot(TABLE.value, "embed")]
    [rows] = model.read([Block(matrix, 100, 110)], ReadLog())
    true = base()["model.embed_tokens.weight"][100:110]
    step = np.ptp(true.reshape(10, -1, 32), axis=2).max() / (2**bits - 1)
    assert np.abs(rows - true).max() < 0.6 * step + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_copies_of_mlx_are_judged(tmp_path, ask, bits) -> None:
    config = {**CONFIG, "quantization": {"group_size": 32, "bits": bits}}
    for name, tensors, outcome in (("copy", base(), D), ("stranger", stranger(), S)):
        made = folder(tmp_path / name, {WHOLE: mlx(tensors, bits)}, config=config)
        finding = ask(made, component=TABLE)
        assert finding.outcome is outcome, name
        if outcome is D:
            assert finding.effect.value > (0.9 if bits > 2 else 0.7)


def test_mlx_without_its_settings_is_listed_and_counted(tmp_path, opened) -> None:
    found = open_checkpoint(opened(folder(tmp_path / "m", {WHOLE: mlx(stranger(), 4)}))).inventory
    assert "model.layers.0.self_attn.q_proj.weight" in found.unsupported
    assert found.unplaced_share(DECODER) > 0.01


def test_the_root_of_a_hub_cache_is_its_snapshot(tmp_path, opened) -> None:
    root = tmp_path / "models--org--name"
    folder(root / "snapshots" / "abc", {WHOLE: child()})
    assert is_childs(open_checkpoint(opened(root)))
    shutil.copytree(root / "snapshots" / "abc", root / "snapshots" / "def")
    with pytest.raises(Unavailable, match="snapshots/abc"):
        opened(root).tensor_index()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("def\n")
    assert is_childs(open_checkpoint(opened(root)))


def test_a_link_out_of_a_hub_cache_is_not_followed(tmp_path, opened) -> None:
    folder(tmp_path / "elsewhere", {WHOLE: child()})
    root = tmp_path / "models--org--name"
    (root / "snapshots").mkdir(parents=True)
    (root / "snapshots" / "abc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        opened(root).tensor_index()


def test_a_file_and_the_index_that_names_nothing_else_are_one_save(tmp_path, opened) -> None:
    weights = child()
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, WHOLE)}
    path = folder(tmp_path / "m", {WHOLE: weights})
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert not other_readings(opened(path))


def test_scales_of_any_name_are_scales_and_hide_nothing(tmp_path, opened) -> None:
    weights = stranger()
    for name in [name for name in weights if name.endswith("up_proj.weight")]:
        rows, cols = weights[name].shape
        weights[name.removesuffix("weight") + "scale"] = np.ones(
            (rows // 16, cols // 16), np.float32
        )
    found = open_checkpoint(opened(folder(tmp_path / "m", {WHOLE: weights}))).inventory
    assert not found.oversized
    assert found.unplaced_share(DECODER) == 0


def test_refusals_name_what_is_there(tmp_path, opened) -> None:
    lfs = folder(tmp_path / "lfs")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 635984\n"
    (lfs / WHOLE).write_text(pointer)
    (lfs / "tokenizer.json").write_text(pointer)
    gguf = folder(tmp_path / "gguf")
    (gguf / "m-q4_k_m-00001-of-00003.gguf").write_bytes(b"GGUF" + bytes(60))
    output = folder(tmp_path / "output")
    for name in ("checkpoint-500", "final"):  # one alone, or steps of one series, are read
        (output / name).mkdir()
        write(output / name / WHOLE, child())
    adapter = folder(tmp_path / "adapter", {"adapter_model.safetensors": outside(child())})
    for path, words, reason in (
        (lfs, "git lfs pull", Reason.ABSENT),
        (gguf, "m-q4_k_m-00003-of-00003.gguf", Reason.ABSENT),
        (output, "checkpoint-500, final", Reason.ABSENT),
        (adapter, "an adapter", Reason.UNSUPPORTED),
    ):
        with pytest.raises(Unavailable, match=words) as caught:
            opened(path).tensor_index()
        assert caught.value.reason is reason
    with pytest.raises(Unavailable, match="pointer file"):
        opened(lfs).tokenizer_files()


# --- what config.json names as the weights ---------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../elsewhere/model.safetensors", "/etc/model.safetensors", "C:\\model.safetensors", "", 7,
     ["model.safetensors"], {"a": 1}, "tokenizer.json", "gone.safetensors",
     "gone.safetensors.index.json"],
)  # fmt: skip
def test_weights_that_the_config_names_in_vain_raise_a_doubt(tmp_path, opened, name) -> None:
    config = {**CONFIG, "transformers_weights": name}
    made = folder(tmp_path / "m", {WHOLE: child()}, config=config)
    model = open_checkpoint(opened(made))
    assert is_childs(model)
    assert "transformers_weights" in str(incomplete(model, DECODER))


def test_weights_that_no_config_names_raise_none(tmp_path, opened) -> None:
    for number, value in enumerate((None, WHOLE)):
        config = {**CONFIG, "transformers_weights": value}
        made = folder(tmp_path / str(number), {WHOLE: child()}, config=config)
        assert incomplete(open_checkpoint(opened(made)), DECODER) is None


# --- which of several saves decides ----------------------------------------------------------------


def answers(**outcomes):
    """A judge that answers by the name of the first file of the model's save."""

    def judge_one(mine, _theirs):
        name = mine.weight_sets().sets[0].names[0].partition(".")[0]
        outcome, direction, pvalue = outcomes[name]
        asked = ComponentHypothesis(
            pair=Pair(ModelSpec(name="m"), ModelSpec(name="r")), component=DECODER
        )
        return replace(
            asked.unanswered(outcome, Text("{name} said", name=name)),
            direction=direction,
            pvalue=pvalue,
        )

    return judge_one


LEAD, NONE = Direction.TOWARD_REUSE, Direction.NONE
SAID_OF = {
    "derived": (D, LEAD, 1e-9),
    "weaker": (D, LEAD, 1e-4),
    "lead": (OPEN, LEAD, 0.01),
    "open": (OPEN, NONE, None),
    "silent": (S, NONE, 0.7),
}


@pytest.mark.parametrize(
    ("first", "asked", "unasked", "decides", "outcome"),
    [
        ("derived", "silent", "silent", "model", D),
        ("silent", "derived", "derived", "other", D),
        ("lead", "weaker", "derived", "other", D),
        ("lead", "open", "derived", "model", OPEN),
        ("silent", "lead", "derived", "other", OPEN),
        ("silent", "open", "derived", "pytorch_model", OPEN),
        ("open", "silent", "lead", "pytorch_model", OPEN),
        ("silent", "silent", "open", "pytorch_model", OPEN),
        ("open", "open", "open", "model", OPEN),
        ("silent", "silent", "silent", "model", S),
    ],
)
def test_all_saves_are_judged_and_what_loads_unasked_goes_first(
    tmp_path, opened, first, asked, unasked, decides, outcome
) -> None:
    made = folder(tmp_path / "m", {WHOLE: outside(child()), "other.safetensors": outside(child())})
    (made / "pytorch_model.bin").write_bytes(b"never read here")
    said_by = {"model": first, "other": asked, "pytorch_model": unasked}
    judge_one = answers(**{name: SAID_OF[word] for name, word in said_by.items()})
    found = judge_readings(judge_one, opened(made), opened(READY / "s0"))
    assert found.outcome is outcome
    assert f"{decides} said" in str(found.headline)
    if outcome is D and decides == "other":  # three saves were asked
        assert found.pvalue == pytest.approx(3 * SAID_OF[asked][2])


def test_a_first_save_that_cannot_be_read_hides_no_accusation(tmp_path, opened) -> None:
    made = folder(tmp_path / "m", {WHOLE: outside(child()), "other.safetensors": outside(child())})

    def judge_one(mine, theirs):
        if mine.weight_sets().sets[0].names == (WHOLE,):
            raise Unavailable(Reason.MALFORMED, Text("broken"), Text("mend it"))
        return answers(other=SAID_OF[word])(mine, theirs)

    word = "derived"
    assert judge_readings(judge_one, opened(made), opened(READY / "s0")).outcome is D
    word = "silent"
    with pytest.raises(Unavailable, match="broken"):
        judge_readings(judge_one, opened(made), opened(READY / "s0"))


@pytest.mark.parametrize("digits", [7, 5000])
def test_numbers_of_any_length_in_names_raise_nothing(tmp_path, opened, digits) -> None:
    number, table = "9" * digits, np.zeros((4, 64), np.float32)
    names = (
        f"model.layers.{number}.mlp.up_proj.weight",
        f"model.layers.0.mlp.experts.{number}.up_proj.weight",
        f"tower.{number}.thing.{number}.weight",
        f"blk.{number}.attn_q.weight",
        "model.layers.²².mlp.up_proj.weight",
    )
    made = folder(tmp_path / "m", {WHOLE: {**stranger(), **dict.fromkeys(names, table)}})
    model = open_checkpoint(opened(made))
    assert {*names} <= {*model.inventory.unmapped}
    side_by_side(opened(made), opened(made))


# --- constants and masks ---------------------------------------------------------------------------


def causal(size, kind):
    triangle = np.tri(size, dtype=np.float32)
    window = triangle - np.tri(size, k=-4, dtype=np.float32)
    return {
        "ones": triangle,
        "window": window,
        "hidden": np.where(triangle > 0, np.float32(0), np.float32(-1e4)),
        "infinite": np.where(triangle > 0, np.float32(0), np.float32(-np.inf)),
    }[kind].reshape(1, 1, size, size)


def masked(path, opened, values, layer_count=4):
    masks = {f"model.layers.{n}.attn.bias": values for n in range(layer_count)}
    store = opened(folder(path, {WHOLE: {**stranger(), **masks}}))
    return side_by_side(store, opened(READY / "s0")).ours.inventory


@pytest.mark.parametrize("kind", ["ones", "window", "hidden", "infinite"])
def test_masks_are_believed_where_they_are_masks(tmp_path, opened, kind) -> None:
    inventory = masked(tmp_path / "m", opened, causal(200, kind))
    assert inventory.unplaced_share(DECODER) == 0


def bits(size):
    """Weights of one bit each: a mask's numbers, and in no mask's order."""
    drawn = np.random.default_rng(4).integers(0, 2, (1, 1, size, size))
    return drawn.astype(np.float32)


def weights(size):
    return np.resize(flat(child()), (1, 1, size, size)).astype(np.float32)


def half_a_mask(size):
    values = causal(size, "ones").copy()
    values[0, 0, : size // 2] = weights(size)[0, 0, : size // 2]
    return values


@pytest.mark.parametrize("make", [bits, weights, half_a_mask])
def test_what_only_has_a_masks_shape_is_counted(tmp_path, opened, make) -> None:
    inventory = masked(tmp_path / "m", opened, make(200))
    assert inventory.unplaced_share(DECODER) > 0.3
    assert len([name for name in inventory.oversized if name.endswith("attn.bias")]) == 4


@pytest.mark.parametrize(("each", "hidden"), [(8, False), (8192, True)])
def test_many_small_constants_hide_nothing(tmp_path, opened, each, hidden) -> None:
    name = "model.layers.{}.self_attn.rotary_emb.{}_cached"
    values = np.resize(flat(child()), (each // 8, 8)).astype(np.float32)
    constants = {name.format(n, word): values for n in range(4) for word in ("sin", "cos")}
    model = open_checkpoint(opened(folder(tmp_path / "m", {WHOLE: {**stranger(), **constants}})))
    assert (model.inventory.unplaced_share(DECODER) > 0.01) is hidden
    assert {*model.inventory.oversized} == ({*constants} if hidden else set())
