"""What does the developer state openly? A declaration is a statement, not a measurement."""

import pytest

from pytest_scratchverify.methods.disclosure import declared_base, declared_component, licence

pytestmark = pytest.mark.disclosure


@pytest.mark.scratch("disclosure.base_model", component="text_decoder")
def test_card_names_no_base_model(model, artifacts, record):
    """Neither card nor adapter nor recipe names a base model that the text decoder comes from."""
    finding = record(declared_base(model, artifacts(model)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("disclosure.licence", component="disclosure")
def test_card_states_a_licence(model, artifacts, references, record):
    """The model card states a licence; notices of named origins are kept, and duties met."""
    store = artifacts(model)
    finding = record(licence(model, store.card(), store, references(model)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("disclosure.component", component="{declared}")
def test_component_is_not_declared_reused(model, declared, record):
    """Nobody states that this component comes from another model."""
    finding = record(declared_component(model, declared.component))
    assert not finding.derived, finding.headline
