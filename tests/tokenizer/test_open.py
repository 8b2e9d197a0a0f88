"""A model's tokenizer is opened through the store, or stood in for by a sketch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods import tokenizer as method
from pytest_scratchverify.tokenizer.open import open_tokenizer
from tests.tokenizer import toy
from tests.tokenizer.real_tokenizers import real
from tools.facts.artifact_registry import tokenizer_path


@dataclass
class File:
    value: Path
    record: ArtifactRecord


@dataclass
class Store:
    repo: str
    paths: list[Path] = field(default_factory=list)
    error: Unavailable | None = None

    def tokenizer_files(self):
        if self.error:
            raise self.error
        return tuple(
            File(p, ArtifactRecord(repo=self.repo, file=p.name, source=Source.FOLDER))
            for p in self.paths
        )

    def vocabulary_head(self):
        raise Unavailable(Reason.ABSENT, Text("No GGUF here."), Text("-"))


def test_the_fullest_file_is_chosen(tmp_path):
    ranks = toy.write_tiktoken(tmp_path / "a.tiktoken", [b"zz"])
    full = toy.write_tokenizer_json(tmp_path / "tokenizer.json", [b"th"], [(b"t", b"h")])
    extra = tmp_path / "special_tokens_map.json"
    extra.write_text("{}")
    vocabulary, records = open_tokenizer(Store("org/m", [ranks, extra, full]))
    assert list(vocabulary.learned) == [b"th"]
    assert vocabulary.name == "org/m"
    assert len(records) == 3


@pytest.mark.parametrize("reason", [Reason.OFFLINE, Reason.GATED, Reason.UNREACHABLE])
def test_a_sketch_stands_in_where_the_hub_is_out_of_reach(reason, calibration):
    error = Unavailable(reason, Text("The hub cannot be reached."), Text("Try later."))
    vocabulary, (record,) = open_tokenizer(Store("meta-llama/Llama-3.1-8B", error=error))
    assert record.source is Source.CATALOGUE
    assert "cannot be reached" in str(record.note)
    assert vocabulary.name == "meta-llama/Llama-3.1-8B"
    finding = method.rank_order(real("llama3-tiktoken"), vocabulary, calibration)
    assert finding.relation == "same"
    assert finding.reference == "meta-llama/Llama-3.1-8B"


def test_an_unknown_repository_stays_unavailable():
    error = Unavailable(Reason.OFFLINE, Text("The hub cannot be reached."), Text("Try later."))
    with pytest.raises(Unavailable):
        open_tokenizer(Store("nobody/nothing", error=error))
    with pytest.raises(Unavailable, match="no tokenizer file"):
        open_tokenizer(Store("nobody/nothing"))


def test_a_broken_file_is_not_papered_over_by_the_catalogue(tmp_path):
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{")
    with pytest.raises(Unavailable, match="not JSON"):
        open_tokenizer(Store("meta-llama/Llama-3.1-8B", [broken]))


def test_real_files_open(tmp_path):
    vocabulary, _ = open_tokenizer(Store("org/mistral", [tokenizer_path("mistral-v3")]))
    assert vocabulary.digest == real("mistral").digest
