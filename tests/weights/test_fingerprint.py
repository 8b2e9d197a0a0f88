"""A fingerprint answers comparisons without the original, and says so where it cannot."""

from __future__ import annotations

import json
import zipfile

import pytest

from pytest_scratchverify.cli import main
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.fingerprint import save_fingerprint
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fingerprint import CONTENTS, FingerprintStore
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.opening import open_store
from tests.weights.saves import CONFIG, folder, stranger, two_shards
from tests.weights.shipped import CALIBRATION
from tools.running import run_suites
from tools.zoo.ready_models import READY


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return RunDirectory(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory, run):
    root = tmp_path_factory.mktemp("fingerprints")
    for name in ("s0", "t0", "vl0"):
        store = open_store(str(READY / name), run_dir=run, budget=ByteBudget())
        save_fingerprint(store, root / f"{name}.fingerprint")
    return root


def ask(run, model, reference, component):
    pair = Pair(
        ModelSpec(name=str(model), folder=True), ModelSpec(name=str(reference), folder=True)
    )
    stores = [
        open_store(s.name, run_dir=run, budget=ByteBudget()) for s in (pair.model, pair.reference)
    ]
    return weights_origin(ComponentHypothesis(pair=pair, component=component), *stores, CALIBRATION)


@pytest.mark.parametrize(
    ("model", "reference", "component"),
    [
        ("s0-cpt-long", "s0", Component.TEXT_DECODER),
        ("s0-cpt-long", "s0", Component.EMBEDDINGS),
        ("s1", "s0", Component.TEXT_DECODER),
        ("s1", "s0", Component.LM_HEAD),
        ("s1", "t0", Component.EMBEDDINGS),  # another vocabulary: rows by token
        ("vl0-vision-only", "vl0", Component.VISION_ENCODER),
    ],
)
def test_fingerprint_says_what_the_original_says(run, fingerprints, model, reference, component):
    kept = ask(run, READY / model, fingerprints / f"{reference}.fingerprint", component)
    whole = ask(run, READY / model, READY / reference, component)
    assert (kept.outcome, kept.kinds, kept.pvalue) == (whole.outcome, whole.kinds, whole.pvalue)
    assert kept.effect == whole.effect
    [record] = {r.source for r in kept.artifacts if r.repo.endswith(reference)}
    assert record == "fingerprint"


def test_equal_models_make_equal_fingerprints(tmp_path, run, fingerprints):
    store = open_store(str(READY / "s0"), run_dir=run, budget=ByteBudget())
    save_fingerprint(store, tmp_path / "again.fingerprint")
    assert (tmp_path / "again.fingerprint").read_bytes() == (
        fingerprints / "s0.fingerprint"
    ).read_bytes()


def test_command_line_makes_one_and_the_suites_take_it(tmp_path, capsys):
    target = tmp_path / "parent.fingerprint"
    assert main(["fingerprint", str(READY / "s0"), "--out", str(target)]) == 0
    assert "bytes of weights" in capsys.readouterr().out
    given = ("--model", str(READY / "s0-finetune"), "--against", str(target))
    ran = run_suites(*given, "-m", "weights", home=tmp_path)
    model = ran.model(str(READY / "s0-finetune"))
    assert ran.code == 1
    assert model["components"]["text_decoder"]["verdict"] == "DERIVED"


def test_what_is_not_kept_is_unavailable_and_never_guessed(run, fingerprints):
    store = FingerprintStore(fingerprints / "s0.fingerprint", run=run)
    [shard] = {info.file for info in store.tensor_index().value.tensors.values()}
    with pytest.raises(Unavailable, match="does not hold this part"):
        store.file("training_args.bin")
    size = next(e.size for e in store.files().value if e.path == shard)
    assert not store.holds(shard, [ByteRange(0, size + 1)])


@pytest.mark.parametrize(
    "content",
    [
        b"no zip at all",
        {"schema": "other"},
        {"schema": "scratchverify/fingerprint/1", "files": 7, "parts": []},
        {"schema": "scratchverify/fingerprint/1", "files": [{"path": 3}], "parts": []},
        {"schema": "scratchverify/fingerprint/1", "files": [], "parts": [["a", 5, 1]]},
        {"schema": "scratchverify/fingerprint/1", "files": [], "revision": 5, "parts": []},
    ],
)
def test_hostile_archives_cost_one_sentence(tmp_path, run, content):
    path = tmp_path / "hostile.fingerprint"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(CONTENTS, json.dumps(content))
    with pytest.raises(Unavailable):
        open_store(str(path), run_dir=run)


def test_damaged_member_costs_one_sentence(tmp_path, run, fingerprints):
    raw = bytearray((fingerprints / "s0.fingerprint").read_bytes())
    at = raw.index(b"fingerprint.json") + 40
    raw[at : at + 200] = bytes(b ^ 0xFF for b in raw[at : at + 200])
    (tmp_path / "damaged.fingerprint").write_bytes(raw)
    with pytest.raises(Unavailable):
        open_store(str(tmp_path / "damaged.fingerprint"), run_dir=run)


@pytest.mark.parametrize("named", [True, False])
def test_an_index_of_any_name_is_kept(tmp_path, run, named):
    """Named by transformers_weights of config.json, or found beside the shards."""
    name = "weights-v2.safetensors.index.json"
    shards = two_shards(stranger())
    config = {**CONFIG, "transformers_weights": name} if named else CONFIG
    made = folder(tmp_path / "m", shards, config=config)
    table = {tensor: file for file, tensors in shards.items() for tensor in tensors}
    (made / name).write_text(json.dumps({"weight_map": table}))
    store = open_store(str(made), run_dir=run, budget=ByteBudget())
    save_fingerprint(store, tmp_path / "m.fingerprint")
    kept = FingerprintStore(tmp_path / "m.fingerprint", run=run)
    assert kept.weight_sets().sets[0].index == name
    assert kept.tensor_index().value.tensors == store.tensor_index().value.tensors
    assert kept.tensor_index().value.gaps == ()
