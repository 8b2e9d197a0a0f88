"""Which folder is the model where the given one holds no weights: the last of one series, or one."""

from __future__ import annotations

import json

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.inner_folder import InnerFolder, inner_folder
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.snapshots import in_folders
from pytest_scratchverify.verdict.fold import Plan, fold
from tests.verdict.findings import MODEL, finding, intent_of
from tests.weights.saves import CONFIG, base, child, folder, outside, stranger, write
from tests.weights.shipped import CALIBRATION
from tools.zoo.ready_models import READY

WHOLE = "model.safetensors"
STEPS = [f"checkpoint-{n}" for n in (1000, 2000, 3000)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    return lambda path: open_store(str(path), None, run_dir=run, budget=ByteBudget())


def files(*folders, name=WHOLE):
    return [f"{one}/{name}" for one in folders]


@pytest.mark.parametrize(
    ("names", "chosen", "others"),
    [
        (files("model"), "model", ()),
        (files("weights"), "weights", ()),
        (files("checkpoint"), "checkpoint", ()),
        (files("a/b/c"), "a/b/c", ()),
        (files("out", name="pytorch_model-00001-of-00002.bin"), "out", ()),
        (files("gguf", name="m-q4.gguf"), "gguf", ()),
        (files("checkpoint-500"), "checkpoint-500", ()),
        (files(*STEPS), STEPS[2], (*STEPS[:2],)),
        (files("checkpoint-900", "checkpoint-1000"), "checkpoint-1000", ("checkpoint-900",)),
        (files("run/step_7", "run/step_10"), "run/step_10", ("run/step_7",)),
        (files(*STEPS[:2], name="adapter_model.safetensors"), STEPS[1], (STEPS[0],)),
        # states of optimizers inside and beside a save are no save
        ([*files("checkpoint-5"), "checkpoint-5/global_step5/mp_rank_00_model_states.pt"],
         "checkpoint-5", ()),
        ([*files("checkpoint-5"), "checkpoint-5/optimizer.pt", "checkpoint-7/optimizer.pt",
          "checkpoint-7/rng_state_0.pth", "training_args.bin"], "checkpoint-5", ()),
    ],
)  # fmt: skip
def test_one_is_meant(names, chosen, others):
    assert inner_folder(["config.json", "README.md", *names]) == InnerFolder(chosen, others)


@pytest.mark.parametrize(
    "names",
    [
        [],
        files("model", "other"),
        files("unet", "vae", "text_encoder"),
        files("checkpoint-5", "final"),
        files("a/checkpoint-5", "b/checkpoint-7"),
        files("checkpoint-5", "step-7"),
        files("checkpoint-5", "checkpoint-05"),
        [WHOLE, *files("checkpoint-5")],
        ["adapter_model.safetensors", *files("checkpoint-5", name="adapter_model.safetensors")],
    ],
)
def test_none_is_meant(names):
    assert inner_folder(["config.json", *names]) is None


def output(path, saves, root=(), inside=("config.json", "tokenizer.json")):
    """A trainer's output folder: `saves` from folder to tensors."""
    made = folder(path, dict(root))
    for name, tensors in saves.items():
        (made / name).mkdir(parents=True)
        write(made / name / WHOLE, tensors)
        for file in inside:
            (made / name / file).write_bytes((made / file).read_bytes())
    return made


def table(store):
    [info] = [i for n, i in store.tensor_index().value.tensors.items() if "embed_tokens" in n]
    from pytest_scratchverify.stores.http.ranges import ByteRange

    return store.read_ranges(info.file, [ByteRange(info.start, info.stop)]).value[0]


def bytes_of(tensors):
    import ml_dtypes

    return tensors["model.embed_tokens.weight"].astype(ml_dtypes.bfloat16).tobytes()


def test_the_last_checkpoint_is_read_and_the_others_are_named(tmp_path, opened):
    saves = dict(zip(STEPS, map(outside, (stranger(), base(), child())), strict=True))
    store = opened(output(tmp_path / "out", saves))
    assert table(store) == bytes_of(child())
    assert store.repo.endswith("out/checkpoint-3000")
    note = str(store.tensor_index().record.note)
    assert all(step in note for step in STEPS)
    assert {entry.path for entry in store.files().value} == {
        "README.md", "config.json", "tokenizer.json", WHOLE
    }  # fmt: skip
    assert [one.step for one in in_folders(store.root).found] == [1000, 2000, 3000]


def test_what_the_inner_folder_lacks_is_the_roots(tmp_path, opened):
    """Settings and tokenizer; its own go before, and a file of weights is none of them."""
    made = output(tmp_path / "m", {"weights": outside(child())}, inside=())
    (made / "weights" / "config.json").write_text(json.dumps({**CONFIG, "mine": 1}))
    (made / "training_args.bin").write_bytes(b"pickled")
    store = opened(made)
    assert store.config().value["mine"] == 1
    assert [one.value.name for one in store.tokenizer_files()] == ["tokenizer.json"]
    assert "training_args.bin" not in {entry.path for entry in store.files().value}


def test_the_roots_own_weights_come_first(tmp_path, opened):
    made = output(tmp_path / "m", {"checkpoint-9": outside(child())}, {WHOLE: outside(base())})
    store = opened(made)
    assert table(store) == bytes_of(base())
    assert store.scope is None


def test_a_file_below_that_the_config_names_is_the_roots_own(tmp_path, opened):
    saves = {"a": outside(base()), "b": outside(child())}
    made = output(tmp_path / "m", saves)
    (made / "config.json").write_text(json.dumps({**CONFIG, "transformers_weights": f"b/{WHOLE}"}))
    store = opened(made)
    assert store.repo == str(made)
    assert table(store) == bytes_of(child())


def test_several_models_below_stay_refused_and_are_named(tmp_path, opened):
    made = output(tmp_path / "m", {"a": outside(base()), "b": outside(child())})
    with pytest.raises(Unavailable, match="in a, b") as caught:
        opened(made).tensor_index()
    assert caught.value.reason is Reason.ABSENT


def test_a_link_out_of_the_root_is_not_followed(tmp_path, opened):
    folder(tmp_path / "elsewhere", {WHOLE: outside(child())})
    made = folder(tmp_path / "m")
    (made / "model").mkdir()
    (made / "model" / WHOLE).symlink_to(tmp_path / "elsewhere" / WHOLE)
    with pytest.raises(Unavailable, match="link that leaves"):
        opened(made).tensor_index()


@pytest.mark.slow
@pytest.mark.parametrize(("last", "outcome"), [(child, "derived"), (stranger, "consistent")])
def test_findings_say_which_folder_they_speak_of(tmp_path, opened, last, outcome):
    saves = dict(zip(STEPS, (base(), stranger(), last()), strict=True))
    made = output(tmp_path / "out", saves)
    pair = Pair(ModelSpec(name=str(made)), ModelSpec(name=str(READY / "t0" if last is stranger else READY / "s0")))  # fmt: skip
    asked = ComponentHypothesis(pair=pair, component=Component.EMBEDDINGS)
    found = weights_origin(asked, opened(made), opened(pair.reference.name), CALIBRATION)
    assert found.outcome.value == outcome
    assert "checkpoint-3000" in found.details["judged"][0]
    assert "checkpoint-1000, checkpoint-2000 below it are not" in found.details["judged"][0]
    assert "checkpoint-3000" in str(found.remedy)


def test_a_clearance_is_worded_for_that_folder():
    scope = Text("Judged are the weights in {folder} of {repo}.", folder="x", repo="y")
    part = Component.TEXT_DECODER
    one = finding(Outcome.CONSISTENT, reference="org/r", remedy=scope, details={"judged": ["x"]})
    plan = Plan(model=MODEL, intents=(intent_of(one),), components=(part,), complete=True)
    said = " ".join(map(str, fold(plan, (one,))[part].because))
    assert "weights in x of y" in said
