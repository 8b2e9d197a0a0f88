"""Whose vocabulary is it? Its order tells; overlap and sizes do not, and weights never follow."""

import pytest

from pytest_scratchverify.methods import tokenizer
from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.tokenizer.open import open_tokenizer
from pytest_scratchverify.tokenizer.relation import Calibration

pytestmark = pytest.mark.tokenizer


@pytest.fixture(scope="session")
def tokenizers(artifacts):
    """Open a model's tokenizer: its file, or the shipped sketch where no file is in reach."""
    return lambda spec: open_tokenizer(artifacts(spec), spec.name)[0]


@pytest.fixture(scope="session")
def numbers(calibration):
    """The frozen thresholds, with the real pairs that they were taken from."""
    return Calibration.from_json(calibration("tokenizer"))


@pytest.mark.scratch("tokenizer.rank_order", component="tokenizer")
def test_merges_are_not_inherited(pair, artifacts, tokenizers, numbers, record):
    """Merges learnt from scratch come in an order of their own."""
    suspect, reference = tokenizers(pair.model), tokenizers(pair.reference)
    declared = names_base_model(pair, artifacts(pair.model), Component.TOKENIZER)
    finding = record(tokenizer.rank_order(suspect, reference, numbers, declared=declared))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.nearest_ancestor", component="tokenizer")
def test_no_known_vocabulary_is_the_ancestor(model, tokenizers, numbers, record):
    """No catalogued vocabulary is this one, inside it or nearly so, in its order."""
    declared = [d.origin for component, d in model.declares.items() if component == "tokenizer"]
    finding = record(tokenizer.nearest_ancestor(tokenizers(model), numbers, declared=declared))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.containment", component="tokenizer")
def test_overlap_is_that_of_unrelated_vocabularies(pair, tokenizers, numbers, record):
    """Unrelated vocabularies of such sizes share as many tokens."""
    suspect, reference = tokenizers(pair.model), tokenizers(pair.reference)
    finding = record(tokenizer.containment(suspect, reference, numbers))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.special_tokens", component="tokenizer")
def test_special_tokens_are_conventions_or_its_own(pair, tokenizers, record):
    """Special tokens that both have are conventions; rare ones in common are a lead."""
    finding = record(tokenizer.special_tokens(tokenizers(pair.model), tokenizers(pair.reference)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.pre_tokenizer", component="tokenizer")
def test_surroundings_are_a_librarys_or_its_own(pair, tokenizers, record):
    """Splitting pattern, normaliser and chat template are a library's or its own."""
    finding = record(tokenizer.pre_tokenizer(tokenizers(pair.model), tokenizers(pair.reference)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.size_consistency", component="tokenizer")
def test_config_and_tokenizer_belong_together(model, tokenizers, artifacts, record):
    """The config's sizes and ids fit the tokenizer that came with it."""
    sizes, config = tokenizers(model).sizes, artifacts(model).config().value
    finding = record(tokenizer.size_consistency(model.name, sizes, config))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.script_profile", component="tokenizer")
def test_scripts_are_described(model, tokenizers, record):
    """How much Hangul the vocabulary holds, and what a Korean syllable costs in it."""
    finding = record(tokenizer.script_profile(tokenizers(model)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("tokenizer.published_figures", component="tokenizer")
def test_published_figures_support_what_they_are_said_to(model, numbers, record):
    """What was published about the tokenizer shows what its author says."""
    findings = [record(f) for f in tokenizer.published_findings(model.name, numbers)]
    assert not any(finding.derived for finding in findings), findings[0].headline
