"""The catalogue: enough entries, each with sources; search by a stated distance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.catalog.nearest import compare, nearest
from pytest_scratchverify.checkpoint.design import ABSENT, UNSTATED, Tower
from pytest_scratchverify.stats.architecture.gower import gower_distance

CATALOGUE = shipped_catalogue()
STATUSES = {"hub", "hub-page", "package", "published", "class-default", "unverified"}


def test_the_catalogue_holds_the_facts_and_two_hundred_more():
    published = [entry for entry in CATALOGUE.values() if entry.verification]
    assert len(published) == 24 + 5 + 12  # the facts, those of 2026, class defaults
    assert len(CATALOGUE) - len(published) >= 200


SECOND_PHASE = (
    "LGAI-EXAONE/K-EXAONE-2.0-750B-A37B",
    "Motif-Technologies/Motif-3",
    "skt/A.X-K2",
    "upstage/Solar-Open2-250B",
)


@pytest.mark.parametrize("repo", SECOND_PHASE)
def test_the_second_phase_says_what_is_published_and_what_was_not_read(repo):
    entry = CATALOGUE[repo]
    assert entry.status in ("published", "unverified")
    assert "config.json has not been read" in entry.verification
    assert entry.facts["declared_parameters"]["total"] > 2e11
    assert entry.facts["training"]["claim"]
    design = entry.designs[Tower.TEXT]
    assert set(design.fields).isdisjoint(entry.config.get(UNSTATED, ()))  # nothing is guessed


def test_a_class_default_stands_beside_a_second_source():
    """Alone it is no checkpoint's configuration: facts/README of the maintainers."""
    from tools.facts.build_class_defaults import CHECKPOINTS, agrees, named_size

    for repo, page in CHECKPOINTS.values():
        entry = CATALOGUE[repo]
        if entry.status == "class-default":
            assert len(entry.sources) == 2
            counted = int(entry.verification.split()[3].replace(",", ""))
            assert page or agrees(counted, named_size(repo))
    assert named_size("Qwen/Qwen3-Next-80B-A3B-Instruct") == "80B"
    assert named_size("zai-org/GLM-5") is None
    assert agrees(118_970_000_000, "119B")
    assert not agrees(9_410_000_000, "27B")


@pytest.mark.parametrize("repo", sorted(CATALOGUE))
def test_every_entry_has_a_status_and_where_it_states_facts_sources(repo):
    entry = CATALOGUE[repo]
    assert entry.status in STATUSES
    assert entry.sources or not entry.config


def test_names_are_found_without_regard_to_case():
    assert CATALOGUE["SKT/a.x-k1"].repo == "skt/A.X-K1"
    assert "nobody/nothing" not in CATALOGUE
    with pytest.raises(KeyError):
        CATALOGUE["nobody/nothing"]


def rows(model, **options):
    return nearest(CATALOGUE[model].designs[Tower.TEXT], CATALOGUE, exclude=[model], **options)


def test_a_x_k1_is_nearest_to_deepseek_v3_and_equals_kimi_k2s_core():
    successor, first, second = rows("skt/A.X-K1", k=3)
    assert successor.entry.repo == "skt/A.X-K2"  # the same developer's, in the same design
    assert first.entry.repo == "deepseek-ai/DeepSeek-V3"
    assert first.core_equal == 4
    assert "num_attention_heads" in first.differences
    assert {"q_lora_rank", "kv_lora_rank", "moe_intermediate_size", "n_group"} <= set(
        first.result.shared
    )
    assert second.entry.repo == "moonshotai/Kimi-K2-Instruct"
    assert second.core_equal == 5
    assert {"vocab_size", "num_attention_heads"} <= set(second.result.shared)


def test_an_independent_model_can_have_another_models_design():
    """OpenLLaMA was trained by others on other data, in Llama's exact shapes."""
    found = rows("openlm-research/open_llama_7b", k=None)
    llama = next(row for row in found if row.entry.repo == "meta-llama/Llama-2-7b-hf")
    assert llama.core_equal == 5
    assert llama.distance <= 0.1


def test_a_known_descendant_has_its_parents_design():
    row = rows("PrimeIntellect/INTELLECT-3", k=1)[0]
    assert (row.entry.repo, row.distance) == ("zai-org/GLM-4.5-Air", 0.0)


def test_what_states_too_little_is_not_compared():
    kimi_linear = CATALOGUE["moonshotai/Kimi-Linear-48B-A3B-Instruct"]
    vision = CATALOGUE["naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"].designs[Tower.VISION]
    assert compare(vision, kimi_linear) is None


VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "x", "y"]),
    st.integers(1, 9) | st.just(ABSENT),
    max_size=5,
)


@given(VALUES, VALUES)
def test_gower_is_symmetric_bounded_and_zero_for_equals(a, b):
    def distance(left, right):
        return gower_distance(left, right, ["a", "b", "c"], ["x", "y"], absent=ABSENT)

    there, back = distance(a, b), distance(b, a)
    assert there.statistic == back.statistic
    assert there.statistic is None or 0 <= there.statistic <= 1
    assert distance(a, a).statistic in (0, None)


def test_gower_by_hand():
    a = {"size": 64, "other": 100, "kind": "MLA", "gone": ABSENT, "unknown": 3}
    b = {"size": 128, "other": 100, "kind": "GQA", "gone": 5}
    result = gower_distance(a, b, ["size", "other", "gone", "unknown"], ["kind"], absent=ABSENT)
    assert result.statistic == (1 + 0 + 1 + 1) / 4
    assert result.shared == ("other",)
    assert result.n == 4
