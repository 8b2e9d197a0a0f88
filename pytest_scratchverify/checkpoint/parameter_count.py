"""Count parameters from a design: computed, never copied from a card.

Total and active, per part, for the text decoder; `checkpoint.counting` has the rules, layer kind
by layer kind. Multi-token-prediction layers and the towers of other modalities are left out, as
`transformers` and most model cards leave them out. A config that states a size or a kind of layer
that no rule here knows is not counted at all (`UncountableDesignError`); what is assumed, because
the field's absence has one meaning, is listed with the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.checkpoint.counting.encoder_decoder import count_pair
from pytest_scratchverify.checkpoint.counting.families import traits_of
from pytest_scratchverify.checkpoint.counting.keys import (
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.pairs import pair_of
from pytest_scratchverify.checkpoint.counting.parts import Parts
from pytest_scratchverify.checkpoint.counting.stated import refuse_unstated_keys
from pytest_scratchverify.checkpoint.counting.tables import (
    decoder_parts,
    prediction_layers,
    with_encoder,
)
from pytest_scratchverify.checkpoint.counting.vocabulary import (
    refuse_keys_of_known_types,
    refuse_other_models,
    refuse_unknown_keys,
)
from pytest_scratchverify.checkpoint.design import Design

__all__ = [
    "ParameterCount",
    "UncountableDesignError",
    "UnknownLayerError",
    "amount",
    "count_parameters",
]


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters of a text tower: all of them, and those that one token passes through.

    `total` is what training changes. `untrained` are the numbers that a checkpoint holds beside
    them (corrections of the router's scores). `active` is None where the config does not say how
    many experts a token passes. `tied_head` is the output head's size where it is the embedding
    table again, for those who count it twice. `prediction` is the most that layers of multi-token
    prediction can add. `certain` says that the model type's code is known.
    """

    total: int
    active: int | None
    embeddings: int
    lm_head: int
    attention: int
    mlp: int
    norms: int
    assumed: tuple[str, ...] = ()
    untrained: int = 0
    tied_head: int = 0
    prediction: int = 0
    certain: bool = True

    @property
    def decoder(self) -> int:
        """Return the parameters without embeddings and output head."""
        return self.total - self.embeddings - self.lm_head

    @property
    def active_as_cards_count(self) -> tuple[int, ...]:
        """Return the active parameters: all, without the look-up table, without both tables.

        Model cards use each of the three (Solar-Open, K-EXAONE, GLM-4.5) and rarely say which.
        """
        if self.active is None:
            return ()
        without_table = self.active - self.embeddings
        return self.active, without_table, without_table - self.lm_head


def count_parameters(design: Design) -> ParameterCount:
    """Return the parameter count of a text tower.

    Raises `UncountableDesignError` naming the first field that is missing, and its subclass
    `UnknownLayerError` naming a key or a kind of layer that no rule counts.
    """
    keys = Keys.of(design)
    if (pair := pair_of(keys)) is not None:
        refuse_unstated_keys(keys)
        both = count_pair(keys, pair)
        if not pair.known:
            refuse_unknown_keys(keys)
        return _count(keys, both, certain=pair.known)
    traits = traits_of(keys)
    if not traits.counted:
        raise UnknownLayerError(f"model_type: {keys.family}")
    refuse_other_models(keys)
    refuse_unstated_keys(keys)
    parts = decoder_parts(keys, traits)
    if keys.value("encoder") is not None:
        parts = with_encoder(keys, traits, parts)
    if not traits.known:
        refuse_keys_of_known_types(keys, traits)
        refuse_unknown_keys(keys)
    return _count(keys, parts, certain=traits.known)


def _count(keys: Keys, parts: Parts, *, certain: bool) -> ParameterCount:
    shared = parts.embeddings + parts.own_head + parts.mixers + parts.norms + parts.beside
    active, hidden = parts.mlp.active, keys.need("hidden_size")
    return ParameterCount(
        total=shared + parts.mlp.total,
        active=None if active is None else shared + active,
        embeddings=parts.embeddings,
        lm_head=parts.own_head,
        attention=parts.mixers,
        mlp=parts.mlp.total,
        norms=parts.norms,
        assumed=parts.assumed,
        untrained=parts.mlp.untrained,
        tied_head=parts.lm_head if parts.tied else 0,
        prediction=prediction_layers(keys)
        * (parts.largest + 3 * hidden * (hidden + 1) + 2 * parts.lm_head),
        certain=certain,
    )


def amount(parameters: float) -> str:
    """Return a parameter count as model cards write it: 518.98B, 6.7M, 270k."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.2f}".rstrip("0").rstrip(".") + unit
    return f"{parameters:.0f}"
