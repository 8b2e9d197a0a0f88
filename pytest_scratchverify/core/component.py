"""The parts of a model that a verdict speaks of, one by one and never averaged."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Component(StrEnum):
    """A part of a released model with an origin of its own."""

    TOKENIZER = "tokenizer"
    EMBEDDINGS = "embeddings"
    TEXT_DECODER = "text_decoder"
    LM_HEAD = "lm_head"
    ROUTER_EXPERTS = "router_experts"
    VISION_ENCODER = "vision_encoder"
    AUDIO_ENCODER = "audio_encoder"
    PROJECTOR = "projector"
    ARCHITECTURE = "architecture"
    BEHAVIOUR = "behaviour"
    TRAINING_RECORD = "training_record"
    DISCLOSURE = "disclosure"

    @property
    def is_trained(self) -> bool:
        """Whether the component is made of trained weights, as `strict` demands tests of."""
        return self in TRAINED

    @property
    def is_part(self) -> bool:
        """Whether it is something that a model's files hold, and that may come from elsewhere."""
        return self.is_trained or self is Component.TOKENIZER


TRAINED = frozenset(
    {
        Component.EMBEDDINGS,
        Component.TEXT_DECODER,
        Component.LM_HEAD,
        Component.ROUTER_EXPERTS,
        Component.VISION_ENCODER,
        Component.AUDIO_ENCODER,
        Component.PROJECTOR,
    }
)

TEXT_ONLY = frozenset(
    {
        Component.EMBEDDINGS,
        Component.TEXT_DECODER,
        Component.LM_HEAD,
        Component.ROUTER_EXPERTS,
    }
)

# Components whose rows are tokens, and the kind of slot that their table has.
TOKEN_TABLES: Mapping[Component, str] = {
    Component.EMBEDDINGS: "embed",
    Component.LM_HEAD: "head",
}

# Where a component has no block of its own, the other's may be what it was made of.
SIBLINGS: Mapping[Component, Component] = {
    Component.ROUTER_EXPERTS: Component.TEXT_DECODER,
    Component.TEXT_DECODER: Component.ROUTER_EXPERTS,
}
