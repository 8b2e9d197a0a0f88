"""Disclosure: what the developer states openly of base models, reused components, licence.

A declaration is a statement (level E1), not a measurement. It turns a reuse into a declared
one; its absence proves nothing, so these tests never clear a component.
"""

from pytest_scratchverify.methods.disclosure.declarations import (
    declared_component,
    names_base_model,
)
from pytest_scratchverify.methods.disclosure.licence import licence
from pytest_scratchverify.methods.disclosure.model_card import base_model, declared_base

__all__ = ["base_model", "declared_base", "declared_component", "licence", "names_base_model"]
