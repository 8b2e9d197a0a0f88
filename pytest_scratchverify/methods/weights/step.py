"""The steps of the weights test, under the names that reports say."""

from __future__ import annotations

from pytest_scratchverify.core.text import Term


class Step(Term):
    """The step of the escalation that decided, in the order of cost."""

    BYTES = "equal numbers"
    ALIGNED = "aligned numbering"
    ROLES = "roles in their places"
    MATCHING = "matching of neurons"
    LAYERS = "map of layers"
    BASIS = "matching in any basis"
    FRAMES = "residual frames"
    ANGLES = "angles between neurons"
    ALIGNMENT = "alignment by shared embeddings"
    NONE = "all steps"
