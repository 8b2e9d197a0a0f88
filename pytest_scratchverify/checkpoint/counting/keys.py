"""The keys of a text config, those of one layer before those of the model.

Sizes are read by their names on the hub and in `transformers`. A size that a layer needs and the
config does not state is an `UncountableDesignError` that names it: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_scratchverify.checkpoint.design import FIELDS, LARGEST_SIZE, Design
from pytest_scratchverify.core.json_values import Json

MOST_LAYERS = 4096  # of one model; a config that promises more is not counted


NESTED = ("attn_config", "ffn_config")  # tables of a decoder's own keys
# Names of sizes that older types have, and that describe no design of the catalogue.
ALSO: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("emb_dim",),
    "num_hidden_layers": ("layers",),
    "num_attention_heads": ("attention_heads",),
    "num_key_value_heads": ("kv_n_heads",),
    "head_dim": ("dim_head", "d_head"),
    "intermediate_size": ("dim_ff", "dff", "d_inner"),
    "moe_intermediate_size": ("expert_ffn_hidden_size",),
    "num_experts_per_tok": ("moe_top_k",),
}
OF_THE_WHOLE = frozenset({"hidden_size", "model_type", "is_encoder_decoder"})


def names_of(name: str) -> tuple[str, ...]:
    """Return all the names of a key."""
    return (*FIELDS[name].names, *ALSO.get(name, ())) if name in FIELDS else (name,)


class UncountableDesignError(Exception):
    """The config does not state enough to count parameters; the message names what is missing."""


class UnknownLayerError(UncountableDesignError):
    """The config has a key, or a kind of layer, whose parameters no rule here counts."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a config states: the canonical fields of its design, and every other key as it is."""

    fields: Mapping[str, Json]
    raw: Mapping[str, Json]
    layer: Mapping[str, Json] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # every name that a rule asked for

    @classmethod
    def of(cls, design: Design) -> Keys:
        """Return the keys of a design and of the config that it was read from."""
        raw = design.config
        inner = [v for k in NESTED if isinstance(v := raw.get(k), dict)]
        for table in inner:  # DBRX and MPT
            own = {k: v for k, v in table.items() if k not in OF_THE_WHOLE}
            raw = {**own, **raw}
            if "kv_n_heads" in own:  # whatever the key beside the table says
                raw["num_key_value_heads"] = own["kv_n_heads"]
        return cls(design.fields, raw)

    @property
    def family(self) -> str:
        """Return the model type without the suffix that names the text part of a composite."""
        return str(self.fields.get("model_type", "")).removesuffix("_text")

    def within(self, overrides: Mapping[str, Json]) -> Keys:
        """Return the keys as one layer sees them."""
        return replace(self, layer={**self.layer, **overrides})

    def value(self, name: str) -> Json:
        """Return a key's value under any name that it is known by; None where it is not stated."""
        names = names_of(name)
        self.asked.update(names)
        for place in (self.layer, self.raw):
            for alias in names:
                if place.get(alias) is not None:
                    return place[alias]
        return self.fields.get(name)

    def size(self, *names: str) -> int | None:
        """Return the first of these keys that holds a size."""
        for name in names:
            value = self.value(name)
            if type(value) is float and value.is_integer():
                value = int(value)
            if type(value) is int and 0 <= value < LARGEST_SIZE:
                return value
        return None

    def need(self, *names: str) -> int:
        """Return a size without which nothing can be counted."""
        found = self.size(*names)
        if found is None:
            raise UncountableDesignError(names[0])
        return found

    def flag(self, *names: str, default: bool = False) -> bool:
        """Return the first of these keys that is true or false."""
        return next((v for n in names if isinstance(v := self.value(n), bool)), default)

    def text(self, name: str) -> str | None:
        """Return a key that is a word."""
        value = self.value(name)
        return value if isinstance(value, str) else None

    def listed(self, name: str) -> list[Json] | None:
        """Return a key that is a list, a value a layer."""
        value = self.value(name)
        return value if isinstance(value, list) else None

    def table(self, name: str) -> Mapping[str, Json]:
        """Return a key that holds keys of its own; empty where it does not."""
        value = self.value(name)
        return value if isinstance(value, dict) else {}
