"""Disclosure: what the developer states openly of base models, reused components, licence.

A declaration is a statement (level E1), not a measurement. It turns a reuse into a declared
one; its absence proves nothing, so these tests never clear a component.
"""

from pytest_scratchverify.methods.disclosure.declarations import (
    declared_component,
    names_base_model,
)
from pytest_scratchverify.methods.disclosure.model_card import base_model, card_of, licence

__all__ = ["base_model", "card_of", "declared_component", "licence", "names_base_model"]
