"""Adapters of PEFT and MLX: what adapter_config.json and the tensors beside it add to a base.

Read as PEFT 0.17 loads them (``peft/tuners/lora``): two factors a module, scaled by alpha and
rank, magnitudes of DoRA, and tensors that were saved whole; and as mlx-lm does
(``mlx_lm/tuner/lora.py``): factors stored inputs first, and the scale itself. Every number comes
from a stranger's file: what does not fit is named and left out, and nothing is cleared by the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.parameter_count import amount
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import printable

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin", "adapters.safetensors")
WRAPPED = "base_model.model."
FACTORS = frozenset(
    {
        *("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"),
        *("lora_a", "lora_b"),
    }
)
PAIRS = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"), ("lora_a", "lora_b"))
# Segments that PEFT puts between a module's name and what it holds.
INSERTED = frozenset({"base_layer", "modules_to_save", "default"})
DEFAULT_ALPHA = 8.0  # LoraConfig.lora_alpha
LONGEST = 200  # characters of a name from a config
# Initialisations that change the base itself: what was saved belongs to the changed one.
CHANGES_BASE = ("pissa", "olora", "loftq", "corda")
HEADLINES = {
    "kind": "adapters of the kind {kind} are not put together here",
    "scale": "its scale ({names}) cannot be read",
}
_PLAIN = re.compile(r"[\w.]+")


@dataclass(frozen=True, slots=True)
class Factors:
    """The two factors that one module adds, ``B A``, and DoRA's magnitude; shapes unchecked.

    `turned` says that the product is stored inputs first: of embeddings always. `inputs_first` says
    so of either factor, as MLX writes them.
    """

    module: str
    first: TensorInfo
    second: TensorInfo
    magnitude: TensorInfo | None = None
    turned: bool = False
    inputs_first: bool = False

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """What the change is made of, the two factors first."""
        found = (self.first, self.second)
        return found if self.magnitude is None else (*found, self.magnitude)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes [rank, inputs] and [outputs, rank], where there are two sides."""
        first, second = self.first.shape, self.second.shape
        return (first[::-1], second[::-1]) if self.inputs_first else (first, second)


@dataclass(frozen=True)
class AdapterTensors:
    """An adapter's tensors: factors by module, whole tensors by the base's name, and the rest."""

    factors: Mapping[str, Factors]
    whole: Mapping[str, TensorInfo]
    unknown: tuple[str, ...]
    parameters: int

    @property
    def ranks(self) -> str:
        """The rank, or the least and the greatest."""
        found = sorted({min(f.first.shape, default=0) for f in self.factors.values()})
        return "-" if not found else "-".join(map(str, dict.fromkeys((found[0], found[-1]))))

    @property
    def said(self) -> dict[str, int | str]:
        """The size, as sentences name it."""
        modules = len(self.factors) + len(self.whole)
        return {"added": amount(self.parameters), "modules": modules, "rank": self.ranks}


@dataclass(frozen=True)
class AdapterConfig:
    """What adapter_config.json says; `refused` says why it is not put together with its base."""

    base: str | None
    kind: str | None
    revision: str | None = None
    rank: int | None = None
    alpha: float = DEFAULT_ALPHA
    alphas: Mapping[str, float] = field(default_factory=dict)
    by_root: bool = False
    inputs_first: bool = False
    stated_scale: float | None = None
    refused: Text | None = None

    def scale(self, module: str, rank: int) -> float:
        """Return the factor of a module's product: alpha over the rank, or over its root."""
        if self.stated_scale is not None:
            return self.stated_scale
        named = (a for key, a in self.alphas.items() if f".{module}".endswith(f".{key}"))
        alpha = next(named, self.alpha)
        return alpha / (math.sqrt(rank) if self.by_root else rank)


def read_adapter_config(table: Mapping[str, Json]) -> AdapterConfig:
    """Read adapter_config.json; nothing in it raises."""
    if "fine_tune_type" in table and "peft_type" not in table:
        return _read_mlx(table)
    kind, base = _text(table.get("peft_type")), _text(table.get("base_model_name_or_path"))
    rank, alpha = table.get("r"), _number(table.get("lora_alpha", DEFAULT_ALPHA))
    patterns = table.get("alpha_pattern")
    given = patterns if isinstance(patterns, dict) else {}
    alphas = {key.replace("\\.", "."): _number(value) for key, value in given.items()}
    ranks = table.get("rank_pattern")
    start = _text(table.get("init_lora_weights")) or ""
    refused = None
    if (kind or "").upper() != "LORA":
        refused = Text(HEADLINES["kind"], kind=kind or "-")
    elif start.lower().startswith(CHANGES_BASE):
        refused = Text("its initialisation ({name}) changed the base itself", name=start)
    elif table.get("layer_replication"):
        refused = Text("it repeats layers of its base")
    elif alpha is None or None in alphas.values() or not all(map(_PLAIN.fullmatch, alphas)):
        refused = Text(HEADLINES["scale"], names="lora_alpha, alpha_pattern")
    return AdapterConfig(
        base=base,
        kind=kind,
        revision=_text(table.get("revision")),
        rank=rank if isinstance(rank, int) and not ranks else None,
        alpha=DEFAULT_ALPHA if alpha is None else alpha,
        alphas={key: value for key, value in alphas.items() if value is not None},
        by_root=table.get("use_rslora") is True,
        inputs_first=table.get("fan_in_fan_out") is True,
        refused=refused,
    )


def _read_mlx(table: Mapping[str, Json]) -> AdapterConfig:
    """Read what mlx-lm writes: kind, base, and the scale itself."""
    kind, given = _text(table.get("fine_tune_type")), table.get("lora_parameters")
    settings = given if isinstance(given, dict) else {}
    scale = _number(settings.get("scale"))
    refused = None
    if kind != "lora":
        refused = Text(HEADLINES["kind"], kind=kind or "-")
    elif scale is None:
        refused = Text(HEADLINES["scale"], names="lora_parameters")
    return AdapterConfig(_text(table.get("model")), kind, stated_scale=scale, refused=refused)


def _text(value: Json) -> str | None:
    return printable(value)[:LONGEST] if isinstance(value, str) and value else None


def _number(value: Json) -> float | None:
    """Return a finite number, and None for whatever else stands there."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and abs(value) < 1e30 else None  # type: ignore[arg-type]


def sort_tensors(tensors: Mapping[str, TensorInfo]) -> AdapterTensors:
    """Sort an adapter's tensors by their names: pairs of factors, whole tensors, and the rest."""
    found: dict[str, dict[str, TensorInfo]] = {}
    whole: dict[str, TensorInfo] = {}
    for name, info in tensors.items():
        module, factor = _place(name)
        if factor is None:
            whole[module] = info
        else:
            found.setdefault(module, {})[factor] = info
    factors: dict[str, Factors] = {}
    unknown: list[str] = []
    for module, parts in found.items():
        keys = next((pair for pair in PAIRS if pair[0] in parts), PAIRS[0])
        magnitude = parts.get("lora_magnitude_vector")
        extra = parts.keys() - {*keys, "lora_magnitude_vector"}
        if not parts.keys() >= {*keys} or extra:
            unknown += [info.name for info in parts.values()]
            continue
        first, second = (parts[key] for key in keys)
        across, flipped = keys == PAIRS[1], keys == PAIRS[2]
        factors[module] = Factors(
            module, first, second, magnitude, turned=across, inputs_first=flipped
        )
    alone = [name for name, info in whole.items() if "lora_" in name or not info.shape]
    unknown += [whole.pop(name).name for name in alone]
    parameters = sum(info.parameters for info in tensors.values())
    return AdapterTensors(factors, whole, tuple(unknown), parameters)


def _place(name: str) -> tuple[str, str | None]:
    """Return the base's name of what an adapter's tensor belongs to, and which factor it is."""
    parts = name.removeprefix(WRAPPED).split(".")
    at = next((n for n, part in enumerate(parts) if part in FACTORS), None)
    if at is None:
        return ".".join(part for part in parts if part not in INSERTED), None
    behind = [part for part in parts[at + 1 :] if part != "weight"]
    if len(behind) > 1 or "bias" in behind:  # one segment is the adapter's name
        return name, "?"
    return ".".join(part for part in parts[:at] if part not in INSERTED), parts[at]
