"""Names in a config: listed with the sentence that they are no evidence, and never more."""

from __future__ import annotations

import pytest

from pytest_scratchverify.catalog.store import catalogue_store
from pytest_scratchverify.core.evidence import Level, Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.architecture import Config, config_names
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from tests.weights.saves import CONFIG, folder

RECORD = catalogue_store("skt/A.X-K1").config().record
CODE = "# coding=utf-8\n# Copyright 2024 DeepSeek-AI and The HuggingFace Inc. team.\nclass X: ...\n"


@pytest.fixture
def store(tmp_path):
    made = folder(tmp_path / "model", {}, config=CONFIG)
    (made / "modeling_own.py").write_text(CODE)
    return open_store(str(made), None, run_dir=RunDirectory(tmp_path), budget=ByteBudget())


def names(store, **config):
    return config_names(ModelSpec(name="org/model"), Config(config, RECORD), store)


def test_class_names_paths_code_and_copyright_are_listed_as_no_evidence(store):
    found = names(
        store,
        architectures=["LlamaForCausalLM"],
        _name_or_path="meta-llama/Llama-3.1-8B",
        auto_map={"AutoModel": "modeling_own.OwnModel", "AutoConfig": "org/other--config_a.A"},
    )
    headline = str(found.headline)
    for name in (
        "LlamaForCausalLM",
        "meta-llama/Llama-3.1-8B",
        "modeling_own.OwnModel",
        "Copyright 2024 DeepSeek-AI",
    ):
        assert name in headline
    assert "no evidence of descent" in headline
    assert (found.outcome, found.level) == (Outcome.NOT_APPLICABLE, Level.E0)
    assert not found.outcome.blocks
    assert found.relation is None


def test_a_config_without_names_says_so(store):
    assert "names no class" in str(names(store).headline)


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["X" * 10_000] * 10_000},
        {"architectures": {"a": 1}, "_name_or_path": ["x"], "auto_map": ["y"]},
        {"auto_map": {"AutoModel": "../../etc/passwd.X"}},
        {"auto_map": {"AutoModel": [None, "modeling_own.A", {"b": 1}]}},
        {"auto_map": {str(n): f"code_{n}.X" for n in range(5000)}},
    ],
    ids=range(5),
)
def test_hostile_names_are_short_lists_of_text(store, config):
    found = names(store, **config)
    assert len(found.details["names"]) <= 12
    assert all(len(name) < 300 for name in found.details["names"])
