"""PyTorch archives and GGUF files over a hub: by range, and only the description at first."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.tokenizer.open import open_tokenizer
from tests.stores.reading import read_range
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.torch_archives import archive

ROWS = {f"model.layers.{i}.mlp.up_proj.weight": (2048, 256) for i in range(4)}


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in ROWS.items()}


@pytest.fixture
def models(hub, weights, tmp_path):
    """One model in both formats; the GGUF file as the reference writes it."""
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "qwen3")
    writer.add_token_list([f"token-{i}" for i in range(30_000)])
    for number, value in enumerate(weights.values()):
        writer.add_tensor(f"blk.{number}.ffn_gate.weight", value)
        writer.add_tensor(f"blk.{number}.ffn_up.weight", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    hub.add_repo("org/gguf", {"m.gguf": (tmp_path / "m.gguf").read_bytes()})
    hub.add_repo("org/bin", {"pytorch_model.bin": archive(weights)})
    return {"org/gguf": "m.gguf", "org/bin": "pytorch_model.bin"}


@pytest.mark.parametrize("repo", ["org/gguf", "org/bin"])
def test_the_description_costs_little_and_rows_are_exact(repo, models, opened, weights, hub):
    store = opened(repo, budget=ByteBudget())
    index = store.tensor_index()
    size = next(entry.size for entry in store.files().value)
    assert index.record.bytes_read < size / 5
    assert hub.sent(models[repo]) < size / 3
    for name, wanted in weights.items():
        info = index.value.tensors[name]
        span = ByteRange(info.start + 1024 * 7, info.start + 1024 * 9)
        body = read_range(store, models[repo], span.start, span.stop)
        assert np.array_equal(np.frombuffer(body, np.float32), wanted[7:9].ravel())


def test_safetensors_are_read_where_there_are_any(hub, opened, tmp_path, weights):
    folder = checkpoints.independent(tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(archive(weights))
    hub.add_repo("org/both", folder)
    store = opened("org/both")
    assert all("safetensors" in i.file for i in store.tensor_index().value.tensors.values())
    assert hub.sent("pytorch_model.bin") == 0


def test_a_hub_of_nothing_but_gguf_gives_design_and_vocabulary(models, opened):
    store = opened("org/gguf")
    config = store.config()
    assert (config.value["model_type"], config.record.file) == ("qwen3", models["org/gguf"])
    vocabulary, records = open_tokenizer(store)
    assert (vocabulary.sizes.rows, records[0].file) == (30_000, models["org/gguf"])
    with pytest.raises(Unavailable, match=r"tokenizer\.json"):
        open_tokenizer(opened("org/bin"))
