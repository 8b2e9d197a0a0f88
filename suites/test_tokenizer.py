"""Whose vocabulary is it? Its order tells; overlap and sizes do not, and weights never follow."""

from typing import Any, NamedTuple

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.methods import tokenizer
from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.tokenizer.open import open_tokenizer

pytestmark = pytest.mark.tokenizer


DECLARING = (Component.TOKENIZER, Component.TEXT_DECODER)


class Opened(NamedTuple):
    """A vocabulary, and the records of what was read to get it."""

    vocabulary: Any
    records: tuple[ArtifactRecord, ...]


@pytest.fixture(scope="session")
def tokenizers(artifacts):
    """Open a model's tokenizer: its file, or the shipped sketch where no file is in reach."""
    return lambda spec: Opened(*open_tokenizer(artifacts(spec), spec.name))


@pytest.fixture(scope="session")
def thresholds(calibration):
    """The frozen thresholds, with the real pairs that they were taken from."""
    return TokenizerThresholds.from_json(calibration("tokenizer"))


@pytest.mark.scratch("tokenizer.rank_order", component="tokenizer")
def test_merges_are_not_inherited(pair, artifacts, tokenizers, thresholds, record):
    """Merges learnt from scratch come in an order of their own."""
    suspect, reference = tokenizers(pair.model), tokenizers(pair.reference)
    declared = names_base_model(pair, artifacts(pair.model), Component.TOKENIZER)
    words = suspect.vocabulary, reference.vocabulary
    older = pair.reference_is_older
    finding = tokenizer.rank_order(*words, thresholds, declared=declared, reference_is_older=older)
    record(finding, *suspect.records, *reference.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.nearest_ancestor", component="tokenizer")
def test_no_known_vocabulary_is_the_ancestor(model, tokenizers, thresholds, record):
    """No catalogued vocabulary is this one, inside it or nearly so, in its order."""
    declared = [d.origin for part, d in model.declares.items() if part in DECLARING]
    suspect = tokenizers(model)
    finding = tokenizer.nearest_ancestor(suspect.vocabulary, thresholds, declared=declared)
    record(finding, *suspect.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.containment", component="tokenizer")
def test_overlap_is_that_of_unrelated_vocabularies(pair, tokenizers, thresholds, record):
    """Unrelated vocabularies of such sizes share as many tokens."""
    suspect, reference = tokenizers(pair.model), tokenizers(pair.reference)
    finding = tokenizer.containment(suspect.vocabulary, reference.vocabulary, thresholds)
    record(finding, *suspect.records, *reference.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.special_tokens", component="tokenizer")
def test_special_tokens_are_conventions_or_its_own(pair, tokenizers, record):
    """Special tokens that both have are conventions; rare ones in common are a lead."""
    suspect, reference = tokenizers(pair.model), tokenizers(pair.reference)
    finding = tokenizer.special_tokens(suspect.vocabulary, reference.vocabulary)
    record(finding, *suspect.records, *reference.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.pre_tokenizer", component="tokenizer")
def test_surroundings_are_a_librarys_or_its_own(pair, tokenizers, record):
    """Splitting pattern, normaliser and chat template are a library's or its own."""
    suspect, reference = tokenizers(pair.model), tokenizers(pair.reference)
    finding = tokenizer.pre_tokenizer(suspect.vocabulary, reference.vocabulary)
    record(finding, *suspect.records, *reference.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.size_consistency", component="tokenizer")
def test_config_and_tokenizer_belong_together(model, tokenizers, artifacts, record):
    """The config's sizes and ids fit the tokenizer that came with it."""
    suspect, config = tokenizers(model), artifacts(model).config()
    finding = tokenizer.size_consistency(model.name, suspect.vocabulary.sizes, config.value)
    record(finding, config.record, *suspect.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.script_profile", component="tokenizer")
def test_scripts_are_described(model, tokenizers, record):
    """How much Hangul the vocabulary holds, and what a Korean syllable costs in it."""
    suspect = tokenizers(model)
    finding = record(tokenizer.script_profile(suspect.vocabulary), *suspect.records)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.published_figures", component="tokenizer")
def test_published_figures_support_what_they_are_said_to(model, thresholds, record):
    """What was published about the tokenizer shows what its author says."""
    findings = [record(f) for f in tokenizer.published_findings(model.name, thresholds)]
    assert not any(finding.derived for finding in findings), findings[0].headline
