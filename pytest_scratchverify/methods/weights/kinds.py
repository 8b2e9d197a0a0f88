"""Kinds of reuse: what a copy went through, as far as the weights tell it."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """How weights were taken. The values are the terms that reports translate."""

    IDENTICAL = "identical"
    PARTLY_IDENTICAL = "partly identical"
    CAST = "copy in another precision"
    QUANTISED = "quantised copy"
    PRUNED = "pruned copy"
    FINE_TUNE = "fine-tune"
    CONTINUED = "continued pretraining"
    PARTIAL = "partial reuse"
    RESCALED = "rescaled"
    ROTATED = "rotated"
    PERMUTED_CHANNELS = "renumbered channels"
    PERMUTED_NEURONS = "renumbered neurons"
    PERMUTED_EXPERTS = "renumbered experts"
    CHANGED_HEADS = "renumbered or rotated heads"
    CHANGED_CHANNELS = "rotated or renumbered channels"
    WIDTH = "width changed"
    LAYERS = "layers moved"
    REPEATED_LAYERS = "layers repeated"
    FEWER_EXPERTS = "experts left out"
    MORE_EXPERTS = "experts added"
    DOUBLED_EXPERTS = "experts doubled"
    TURNED_COPIES = "the copies rotated"
    SOME_ROLES = "roles inherited, the rest drawn anew"
    UPCYCLED = "upcycled"
    SHARED_INITIALISATION = "shared initialisation"
    MERGE = "merge"
    MIXTURE = "merge, or trained on the second parent's data"
