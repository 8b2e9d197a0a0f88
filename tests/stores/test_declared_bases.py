"""Base models that a folder names, wherever it names them, and which archives are weights."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.disclosure import declared_base, names_base_model
from pytest_scratchverify.stores.declared_bases import declared_bases
from pytest_scratchverify.stores.folder import FileStore, FolderStore
from pytest_scratchverify.stores.store import FileEntry
from pytest_scratchverify.stores.weight_files import other_sets

MERGE = """
base_model: org/base
models:
  - model: org/one+org/lora
  - model: {path: org/two}
slices:
  - sources:
      - {model: org/three, layer_range: [0, 8]}
"""
ADAPTER = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/base/"})
CARD = "---\nbase_model: org/base\n---\n"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"README.md": CARD}, ("org/base",)),
        ({"adapter_config.json": ADAPTER}, ("org/base/",)),
        (
            {"mergekit_config.yml": MERGE},
            ("org/base", "org/one", "org/two", "org/three"),
        ),
        ({"mergekit_config.yml": "a: [", "adapter_config.json": "[]"}, ()),
        ({"mergekit_config.yml": "- 1", "adapter_config.json": "{}"}, ()),
        ({}, ()),
    ],
)
def test_bases_are_read_wherever_they_are_named(tmp_path, files, names) -> None:
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    store = FolderStore(tmp_path)
    assert declared_bases(store).names == names
    pair = Pair(ModelSpec(name="org/m"), ModelSpec(name="Org/Base"))
    assert names_base_model(pair, store) is bool(names)
    finding = declared_base(pair.model, store)
    wanted = Outcome.DECLARED if names else Outcome.NOT_APPLICABLE
    assert finding.outcome is wanted, finding.headline


@pytest.mark.parametrize(
    ("files", "sets"),
    [
        (["ckpt.pt"], [("ckpt.pt",)]),
        (["mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"], 1),
        (["mp_rank_00_model_states.pt", "mp_rank_01_model_states.pt"], 0),
        (["consolidated.00.pth"], [("consolidated.00.pth",)]),
        (["consolidated.00.pth", "consolidated.01.pth"], 0),
        (["pytorch_model.bin", "training_args.bin", "optimizer.pt"], [("pytorch_model.bin",)]),
        (["adapter_model.bin", "rng_state_0.pth", "scheduler.pt"], 0),
        (["a-q4.gguf", "a-q8.gguf", "mmproj-a.gguf"], [("a-q4.gguf",), ("a-q8.gguf",)]),
        (["a-00001-of-00002.gguf"], 0),
    ],
)
def test_archives_of_weights_are_known_by_what_stands_beside_them(files, sets) -> None:
    found = other_sets({name: FileEntry(path=name, size=10) for name in files})
    if isinstance(sets, int):
        assert len(found) == sets
    else:
        assert [one.names for one in found] == sets


def test_a_file_is_said_to_name_what_it_names_and_no_more(tmp_path) -> None:
    (tmp_path / "README.md").write_text("---\nbase_model: org/one\n---\n")
    adapter = {"base_model_name_or_path": "org/two", "peft_type": "LORA"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    found = declared_base(ModelSpec(name="org/m"), FolderStore(tmp_path))
    assert str(found.headline) == "adapter_config.json names org/two as base model"
    assert found.details["base_model"] == ["org/one", "org/two"]
    adapter["base_model_name_or_path"] = "Org/One/"  # as the card names it, but for its spelling
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    found = declared_base(ModelSpec(name="org/m"), FolderStore(tmp_path))
    assert str(found.headline) == "the model card names org/one as base model (-)"


def test_aliases_of_a_recipe_do_not_multiply(tmp_path) -> None:
    """A hundred lists of a hundred thousand sources each would be ten million names."""
    sources = ", ".join(["{model: a/b}"] * 2000)
    slices = "\n".join(["- {sources: *s}"] * 2000)
    (tmp_path / "mergekit_config.yml").write_text(f"x: &s [{sources}]\nslices:\n{slices}\n")
    assert declared_bases(FolderStore(tmp_path)).names == ("a/b",)


def test_the_metadata_of_gguf_declares_its_bases(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_base_model_count(2)
    writer.add_base_model_repo_url(0, "https://huggingface.co/org/base")
    writer.add_base_model_organization(1, "Some Lab")
    writer.add_base_model_name(1, "Base 7B")
    writer.add_tensor("token_embd.weight", np.ones((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    store = FileStore(tmp_path / "m.gguf")
    assert declared_bases(store).others == (("m.gguf", "org/base"), ("m.gguf", "Some-Lab/Base-7B"))
    pair = Pair(ModelSpec(name="m"), ModelSpec(name="org/base"))
    assert names_base_model(pair, store)
