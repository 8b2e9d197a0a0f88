"""Whose vocabulary is it? The tokenizer method, in findings.

Every function compares one suspect with one reference, a config or the shipped sketches and
returns a `Finding` about the tokenizer, and about nothing else: vocabularies are copied
freely between models whose weights have nothing in common (Phi-3 uses Llama-2's). Only
`rank_order` and `nearest_ancestor` can accuse; the others describe or raise questions.
"""

from pytest_scratchverify.methods.tokenizer.ancestor_search import nearest_ancestor
from pytest_scratchverify.methods.tokenizer.config_sizes import size_consistency
from pytest_scratchverify.methods.tokenizer.published_figures import (
    published_figures,
    published_findings,
)
from pytest_scratchverify.methods.tokenizer.rank_order import containment, rank_order
from pytest_scratchverify.methods.tokenizer.settings import (
    pre_tokenizer,
    script_profile,
    special_tokens,
)

__all__ = [
    "containment",
    "nearest_ancestor",
    "pre_tokenizer",
    "published_figures",
    "published_findings",
    "rank_order",
    "script_profile",
    "size_consistency",
    "special_tokens",
]
