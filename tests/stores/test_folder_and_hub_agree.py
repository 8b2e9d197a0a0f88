"""A folder and a hub give equal artifacts, and records that differ in the source only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, ArtifactStore
from tests.stores.reading import read_range
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub

QUESTIONS = ["config", "generation_config", "card", "tensor_index", "files"]


@pytest.fixture
def pair(independent: Path, hub: LoopbackHub, opened) -> tuple[ArtifactStore, ArtifactStore]:
    hub.add_repo("org/independent", independent)
    return opened(str(independent)), opened("org/independent")


def content(artifact: Artifact) -> Artifact:
    """The artifact without what must differ."""
    record = replace(artifact.record, repo="", source=Source.HUB, revision=None)
    if record.file == "*":  # a folder has to hash its files to know their digests
        record = replace(record, bytes_read=0)
    return Artifact(artifact.value, record)


@pytest.mark.parametrize("question", QUESTIONS)
def test_folder_equals_hub(pair, question) -> None:
    folder, hub = (content(getattr(store, question)()) for store in pair)
    assert folder == hub


def test_folder_equals_hub_for_tokenizer_files(pair) -> None:
    folder, hub = (store.tokenizer_files() for store in pair)
    assert [item.value.read_bytes() for item in folder] == [item.value.read_bytes() for item in hub]
    assert [item.record.digest for item in folder] == [item.record.digest for item in hub]
    assert [item.record.file for item in hub] == ["tokenizer.json", "tokenizer_config.json"]


def test_folder_equals_hub_for_ranges(pair) -> None:
    file = "model-00001-of-00002.safetensors"
    wanted = [ByteRange(900, 1000), ByteRange(0, 8), ByteRange(950, 2000), ByteRange(7, 7)]
    folder, hub = (content(store.read_ranges(file, wanted)) for store in pair)
    assert folder == hub
    assert hub.record.bytes_read == 8 + 1100


def test_sources_and_revisions_are_told_apart(pair) -> None:
    folder, hub = pair
    assert folder.config().record.source is Source.FOLDER
    assert hub.config().record.source is Source.HUB
    assert folder.revision is None
    assert len(hub.revision) == 40


def test_record_counts_content(pair, independent) -> None:
    record = pair[1].config().record
    size = (independent / "config.json").stat().st_size
    assert (record.bytes_read, record.bytes_total) == (size, size)
    index = pair[1].tensor_index()
    assert index.record.bytes_read < 8000
    assert index.record.bytes_total == sum(
        path.stat().st_size for path in independent.glob("*.safetensors")
    )
    assert index.value.total_parameters == sum(
        value.size for value in checkpoints.read(independent).values()
    )


def test_index_places_every_tensor(pair, independent) -> None:
    weights = checkpoints.read(independent)
    hub = pair[1]
    tensors = hub.tensor_index().value.tensors
    assert set(tensors) == set(weights)
    for name, info in tensors.items():
        body = read_range(hub, info.file, info.start, info.stop)
        assert body == weights[name].tobytes(), name


def test_verbatim_copy_shows_in_digests_alone(tmp_path, independent, opened) -> None:
    copied = checkpoints.verbatim_copy(tmp_path / "copied", independent)
    tuned = checkpoints.finetuned(tmp_path / "tuned", independent)

    def digests(folder: Path) -> list[str]:
        return [entry.sha256 for entry in opened(str(folder)).files().value if entry.sha256]

    assert digests(copied) == digests(independent)
    assert not set(digests(tuned)) & set(digests(independent))


def test_composite_and_finetune_are_read(tmp_path, independent, opened) -> None:
    composite = opened(str(checkpoints.composite(tmp_path / "composite")))
    tensors = composite.tensor_index().value.tensors
    assert {name.split(".")[0] for name in tensors} == {
        "language_model",
        "vision_tower",
        "projector",
    }
    tuned = opened(str(checkpoints.finetuned(tmp_path / "tuned", independent)))
    card = tuned.card().value
    assert (card.base_model, card.base_model_relation) == (("org/independent",), "finetune")
    assert "A small model." in card.text


def test_single_file_checkpoint_without_index(tmp_path, opened, independent) -> None:
    shard = (independent / "model-00001-of-00002.safetensors").read_bytes()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(shard)
    index = opened(str(tmp_path / "model")).tensor_index()
    assert index.record.file == "model.safetensors"
    assert index.record.bytes_total == len(shard)
