"""Models of which there is nothing but GGUF: design, vocabulary, parts, and which quantisation."""

from __future__ import annotations

import json
import shutil
import struct

import gguf
import numpy as np
import pytest

from pytest_scratchverify.checkpoint.design import Tower, read_designs
from pytest_scratchverify.checkpoint.formats.gguf_config import config_of
from pytest_scratchverify.checkpoint.parameter_count import count_parameters
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.matrix_file import read_matrix
from pytest_scratchverify.core.spec import Matrix, ModelSpec, Pair, split_quantisation
from pytest_scratchverify.methods.weights.file_digests import shard_digests
from pytest_scratchverify.methods.weights.fingerprint import save_fingerprint
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.plugin.selection import resolve_name
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fingerprint import FingerprintStore
from pytest_scratchverify.stores.folder import FileStore, FolderStore
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.weight_files import other_sets
from pytest_scratchverify.tensors.reading import open_checkpoint
from pytest_scratchverify.tokenizer.open import open_tokenizer
from pytest_scratchverify.tokenizer.read import read_tokenizer
from tests.weights.shipped import CALIBRATION
from tools.running import run_suites
from tools.zoo.packing import write_gguf
from tools.zoo.ready_models import READY

DECODER = Component.TEXT_DECODER


def ask(ours, theirs, component=DECODER):
    pair = Pair(ModelSpec(name="a"), ModelSpec(name="b"))
    return weights_origin(
        ComponentHypothesis(pair=pair, component=component), ours, theirs, CALIBRATION
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    return {
        (name, kind): write_gguf(READY / name, folder / f"{name}-{kind}.gguf", kind)
        for name, kind in (("s0", "Q8_0"), ("s0", "Q4_0"), ("s1", "Q8_0"), ("s1", "Q4_0"))
    }


def test_the_design_is_that_of_config_json(files):
    store = FileStore(files["s0", "Q8_0"])
    stated = store.config()
    assert "No config.json" in str(stated.record.note)
    ours = read_designs(stated.value)[Tower.TEXT].fields
    theirs = read_designs(json.loads((READY / "s0" / "config.json").read_text()))[Tower.TEXT].fields
    assert {k: ours.get(k) for k in theirs if k != "hidden_act"} == {
        k: v for k, v in theirs.items() if k != "hidden_act"
    }
    count = count_parameters(read_designs(stated.value)[Tower.TEXT])
    assert count.total == open_checkpoint(store)._unpacked.index.total_parameters


def test_the_vocabulary_is_that_of_tokenizer_json(files):
    embedded, records = open_tokenizer(FileStore(files["s0", "Q8_0"]))
    original = read_tokenizer(READY / "s0" / "tokenizer.json")
    assert embedded.keys.keys.tolist() == original.keys.keys.tolist()
    assert records[0].file == "s0-Q8_0.gguf"


def test_what_a_head_states_by_layer_or_by_low_ranks():
    keys = {
        "general.architecture": "deepseek2",
        "deepseek2.block_count": 4,
        "deepseek2.attention.kv_lora_rank": 512,
        "deepseek2.attention.key_length": 576,
        "deepseek2.attention.key_length_mla": 192,
        "deepseek2.attention.value_length_mla": 128,
        "deepseek2.rope.dimension_count": 64,
        "deepseek2.feed_forward_length": [10944, 10944, 10944, 10944],
        "deepseek2.attention.head_count": [8, 4, 8, 8],
        "deepseek2.expert_count": 64,
        "deepseek2.expert_gating_func": 2,
    }
    found = config_of(keys, (), 1000)
    assert (found["qk_nope_head_dim"], found["qk_rope_head_dim"], found["v_head_dim"]) == (
        128,
        64,
        128,
    )
    assert (found["intermediate_size"], found["n_routed_experts"]) == (10944, 64)
    assert found["scoring_func"] == "sigmoid"
    assert "num_attention_heads" not in found  # of two sizes none is the model's
    assert config_of({}, (), None) == {}
    assert config_of({**keys, "deepseek2.block_count": "four"}, (), None)["model_type"]


def test_layers_that_predict_further_tokens_are_no_layers():
    keys = {"general.architecture": "glm4moe", "glm4moe.block_count": 47,
            "glm4moe.nextn_predict_layers": 1}  # fmt: skip
    found = config_of(keys, (), None)
    assert (found["num_hidden_layers"], found["model_type"]) == (46, "glm4_moe")


def test_a_config_beside_the_weights_is_believed_first(files, tmp_path):
    shutil.copy(files["s0", "Q8_0"], tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "mine", "hidden_size": 8}')
    assert FolderStore(tmp_path).config().value == {"model_type": "mine", "hidden_size": 8}
    (tmp_path / "config.json").write_text('{"model_type": "mine"}')  # as hubs count downloads by
    config = FolderStore(tmp_path).config().value
    assert (config["model_type"], config["hidden_size"]) == ("mine", 64)


def test_equal_files_are_equal_under_another_name(files, tmp_path):
    shutil.copy(files["s0", "Q8_0"], tmp_path / "Renamed.gguf")
    ours, theirs = FileStore(tmp_path / "Renamed.gguf"), FileStore(files["s0", "Q8_0"])
    pair = Pair(ModelSpec(name="a"), ModelSpec(name="b"))
    assert shard_digests(pair, ours, theirs, declared=False).kinds == ("identical",)
    assert ask(ours, theirs).kinds == ("identical",)


def test_a_file_is_a_model_and_what_lies_beside_it_is_not_its(files, tmp_path):
    shutil.copy(files["s1", "Q8_0"], tmp_path / "one.gguf")
    shutil.copy(files["s0", "Q8_0"], tmp_path / "another.gguf")
    (tmp_path / "config.json").write_text('{"model_type": "of something else"}')
    store = open_store(str(tmp_path / "one.gguf"), run_dir=RunDirectory(tmp_path / "run"))
    assert [entry.path for entry in store.files().value] == ["one.gguf"]
    assert store.config().value["model_type"] == "llama"
    assert ask(store, FolderStore(READY / "s0")).outcome is Outcome.CONSISTENT


def parted(file, folder):
    """Divide a file as llama-gguf-split does: metadata in the first part, tensors in all."""
    reader = gguf.GGUFReader(file)
    half = len(reader.tensors) // 2
    for number, tensors in ((1, reader.tensors[:half]), (2, reader.tensors[half:])):
        writer = gguf.GGUFWriter(folder / f"m-{number:05d}-of-00002.gguf", "llama")
        if number == 1:
            for key in ("llama.attention.head_count", "llama.attention.head_count_kv",
                        "llama.block_count", "llama.embedding_length"):  # fmt: skip
                writer.add_uint32(key, int(reader.fields[key].contents()))
        for tensor in tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def test_one_part_is_given_and_the_set_is_read(files, tmp_path):
    parted(files["s0", "Q8_0"], tmp_path)
    store = FileStore(tmp_path / "m-00002-of-00002.gguf")
    assert len(store.files().value) == 2
    assert ask(store, FolderStore(READY / "s0")).kinds == ("quantised copy",)
    (tmp_path / "m-00001-of-00002.gguf").unlink()
    with pytest.raises(Unavailable, match="00001-of-00002"):
        FileStore(tmp_path / "m-00002-of-00002.gguf").tensor_index()


# ---- several quantisations -----------------------------------------------------------------


def repository(folder, files, best, other):
    folder.mkdir()
    shutil.copy(files[best, "Q8_0"], folder / "model-Q8_0.gguf")
    shutil.copy(files[other, "Q4_0"], folder / "model-Q4_0.gguf")
    return folder


def test_the_best_is_read_and_said_and_the_others_are_seen_to_be_the_same(files, tmp_path):
    store = FolderStore(repository(tmp_path / "m", files, "s1", "s1"))
    index = store.tensor_index()
    assert index.record.file == "model-Q8_0.gguf"
    assert "of 2 quantisations it has the most bits" in str(index.record.note)
    finding = ask(store, FolderStore(READY / "s0"))
    assert finding.outcome is Outcome.CONSISTENT
    assert finding.details["readings"][0]["files"] == ["model-Q4_0.gguf"]


def test_another_model_under_another_label_is_judged_too(files, tmp_path):
    store = FolderStore(repository(tmp_path / "m", files, "s1", "s0"))
    finding = ask(store, FolderStore(READY / "s0"))
    assert finding.outcome is Outcome.DERIVED
    assert "model-Q4_0.gguf" in str(finding.headline)


def test_a_quantisation_is_chosen_by_its_label(files, tmp_path):
    folder = repository(tmp_path / "m", files, "s1", "s0")
    run = RunDirectory(tmp_path / "run")
    chosen = open_store(f"{folder}:q4_0", run_dir=run)
    assert ask(chosen, FolderStore(READY / "s0")).kinds == ("quantised copy",)
    assert chosen.config().value["num_hidden_layers"] == 4
    assert "readings" not in ask(chosen, FolderStore(READY / "s1")).details
    with pytest.raises(Unavailable, match=r"Q4_K.*model-Q8_0\.gguf") as caught:
        open_store(f"{folder}:Q4_K", run_dir=run)
    assert caught.value.reason is Reason.ABSENT


def test_a_quantisation_that_nobody_decodes_whole_leaves_the_repository_open(files, tmp_path):
    folder = repository(tmp_path / "m", files, "s1", "s1")
    four = folder / "model-Q4_0.gguf"
    with_kind(four, folder / "model-IQ2_XXS.gguf", "blk.2.ffn_up.weight", 16)
    four.unlink()
    finding = ask(FolderStore(folder), FolderStore(READY / "s0"))
    assert finding.outcome is Outcome.INDETERMINATE
    assert "model-IQ2_XXS.gguf are not decoded" in str(finding.remedy)
    chosen = open_store(f"{folder}:Q8_0", run_dir=RunDirectory(tmp_path / "run"))
    assert ask(chosen, FolderStore(READY / "s0")).outcome is Outcome.CONSISTENT


@pytest.mark.parametrize("name", ["flora-7b.gguf", "Explorata.Q4_0.gguf", "newvocab.gguf"])
def test_names_that_hold_a_word_are_models(name, tmp_path):
    (tmp_path / name).write_bytes(b"GGUF")
    (tmp_path / "mmproj-F16.gguf").write_bytes(b"GGUF")
    listing = {entry.path: entry for entry in FolderStore(tmp_path).files().value}
    assert [found.names for found in other_sets(listing)] == [(name,)]


def test_labels_are_told_from_names():
    assert split_quantisation("org/name-GGUF:UD-Q4_K_XL") == ("org/name-GGUF", "UD-Q4_K_XL")
    assert split_quantisation("org/name:main") == ("org/name:main", None)
    assert split_quantisation("C:/models") == ("C:/models", None)


# ---- what nobody decodes -------------------------------------------------------------------


def with_kind(source, target, name, kind):
    """Say in the header that one tensor is of a kind that nobody decodes."""
    raw = bytearray(source.read_bytes())
    at = raw.index(struct.pack("<Q", len(name)) + name.encode()) + 8 + len(name)
    dimensions = struct.unpack_from("<I", raw, at)[0]
    struct.pack_into("<I", raw, at + 4 + 8 * dimensions, kind)
    target.write_bytes(raw)
    return target


def test_tensors_that_nobody_decodes_withhold_a_clearance(files, tmp_path):
    file = files["s1", "Q8_0"]
    for layer in range(4):
        path = tmp_path / f"{layer}.gguf"
        file = with_kind(file, path, f"blk.{layer}.ffn_up.weight", 16)
    store = FileStore(file)
    inventory = open_checkpoint(store).inventory
    assert "blk.0.ffn_up.weight" in inventory.unsupported
    assert inventory.unplaced[DECODER.value] == 4 * 176 * 64
    finding = ask(store, FolderStore(READY / "s0"))
    assert finding.outcome is Outcome.INDETERMINATE
    assert "could be compared with nothing" in str(finding.remedy)


def test_equal_numbers_beside_undecoded_ones_are_not_the_whole(files, tmp_path):
    file = files["s0", "Q8_0"]
    for number, word in enumerate(("ffn_up", "ffn_gate", "attn_output", "attn_q")):
        for layer in range(4):
            path = tmp_path / f"{number}-{layer}.gguf"
            file = with_kind(file, path, f"blk.{layer}.{word}.weight", 16)
    finding = ask(FileStore(file), FileStore(files["s0", "Q8_0"]))
    assert finding.kinds[-1] == "partly identical"
    assert finding.effect.value == pytest.approx(15360 / 46080, abs=0.01)


def test_a_user_sees_a_file_judged_whole(files, tmp_path):
    ran = run_suites(
        "--model", str(files["s0", "Q8_0"]), "--against", str(READY / "s0"), "--report-lang=ko",
        home=tmp_path,
    )  # fmt: skip
    assert ran.code == 1, ran.output
    found = ran.verdicts(str(files["s0", "Q8_0"]))
    assert found["text_decoder"] == found["embeddings"] == "DERIVED"
    assert found["tokenizer"] == "REUSED_VERBATIM"
    count = ran.finding("architecture.parameter_count")
    assert (count["outcome"], np.isfinite(count["statistic"]["value"])) == ("consistent", True)


def test_a_fingerprint_keeps_design_and_vocabulary(files, tmp_path):
    path = tmp_path / "s0.fingerprint"
    save_fingerprint(FileStore(files["s0", "Q8_0"]), path)
    store = FingerprintStore(path, run=RunDirectory(tmp_path / "run"))
    assert store.config().value == FileStore(files["s0", "Q8_0"]).config().value
    assert open_tokenizer(store)[0].sizes == open_tokenizer(FileStore(files["s0", "Q8_0"]))[0].sizes


def test_a_line_of_the_matrix_may_name_a_label(files, tmp_path):
    folder = repository(tmp_path / "m", files, "s1", "s0")
    matrix = tmp_path / "matrix.toml"
    line = f'"{folder}:Q4_0" = {{ against = ["{READY / "s0"}"] }}'
    matrix.write_text(f"[models]\n{line}\n")
    found = resolve_name(f"{folder}:Q4_0", read_matrix(matrix))
    assert (found.name, found.against) == (f"{folder}:Q4_0", (str(READY / "s0"),))
    assert resolve_name(f"hf:{folder}:Q8_0", Matrix(models={})).folder


def test_a_broken_file_beside_a_config_leaves_the_config(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "custom", "a": 1}', "utf-8")
    (tmp_path / "x.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    assert FolderStore(tmp_path).config().value == {"model_type": "custom", "a": 1}
