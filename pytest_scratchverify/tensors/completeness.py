"""Completeness of a checkpoint: what its files lack of what its config, or its names, promise.

A component of which a part is unknown is not cleared by the rest, on either side of a pair: what
is missing may be the other model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from pytest_scratchverify.checkpoint.design import Design, Tower, read_designs
from pytest_scratchverify.checkpoint.parameter_count import (
    UncountableDesignError,
    amount,
    count_parameters,
)
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.tensors.inventory import Inventory
from pytest_scratchverify.tensors.reading import Checkpoint

DECODER = (Component.TEXT_DECODER, Component.ROUTER_EXPERTS)
TOWERS: Mapping[Component, Tower] = {
    Component.TEXT_DECODER: Tower.TEXT,
    Component.ROUTER_EXPERTS: Tower.TEXT,
    Component.VISION_ENCODER: Tower.VISION,
    Component.AUDIO_ENCODER: Tower.AUDIO,
}
# Of the parameters that a config accounts for: as far as counts of sound models lie from it
# (suites/calibration/architecture.json, parameter_tolerance).
SHORTAGE = 0.03
LISTED = 20

HEADLINES = {
    "layers": "Of {n} layers that config.json promises, {missing} have no matrix in the files.",
    "numbers": "The layers are numbered to {last}, and {missing} have no matrix in the files.",
    "empty": "{n} tensors have no element ({first}, ...), as shards of ZeRO-3 are saved.",
    "short": "config.json accounts for {computed} parameters of the decoder, and the files hold"
    " {stored} that are read as such (see architecture.parameter_count).",
}


def incomplete(checkpoint: Checkpoint, component: Component) -> Text | None:
    """Say what is unknown of a component; None where the files are all that they promise.

    Parameters
    ----------
    checkpoint
        Either side of a pair.
    component
        What is to be cleared. A save that lacks files, or that loaders disagree about, is
        incomplete in every component.
    """
    return next(_reasons(checkpoint, component), None)


def _reasons(checkpoint: Checkpoint, component: Component) -> Iterator[Text]:
    yield from checkpoint.gaps
    inventory = checkpoint.inventory
    if inventory.empty:
        yield Text(HEADLINES["empty"], n=len(inventory.empty), first=inventory.empty[0])
    if component not in TOWERS:
        return
    config = _config(checkpoint)
    design = read_designs(config).get(TOWERS[component]) if config else None
    layers = _layers(inventory, component)
    promised = design.size("num_hidden_layers") if design else None
    encoder_decoder = config.get("is_encoder_decoder") is True
    if layers and not encoder_decoder:
        yield from _absent_layers(layers, promised)
    if component in DECODER and design is not None and not encoder_decoder and layers:
        yield from _shortage(inventory, design)


def _absent_layers(layers: set[int], promised: int | None) -> Iterator[Text]:
    last = max(layers)
    wanted = promised if promised is not None and promised <= 10_000 else last + 1
    missing = [*islice((n for n in range(wanted) if n not in layers), LISTED)]
    if not missing:
        return
    if promised is not None:
        yield Text(HEADLINES["layers"], n=promised, missing=missing)
    else:
        yield Text(HEADLINES["numbers"], last=last, missing=missing)


def _shortage(inventory: Inventory, design: Design) -> Iterator[Text]:
    """Compare with the count that `architecture.parameter_count` makes of the same config."""
    try:
        count = count_parameters(design)
    except UncountableDesignError:
        return  # what no rule counts says nothing of what is missing
    if not count.certain and ("gated_mlp" in count.assumed or _is_ungated(inventory)):
        return
    stored = sum(inventory.parameters.get(part.value, 0) for part in DECODER)
    stored += sum(inventory.nameless.values())  # of unknown name: these are named elsewhere
    if stored < (1 - SHORTAGE) * count.decoder:
        computed = amount(count.decoder)
        yield Text(HEADLINES["short"], computed=computed, stored=amount(stored))


def _is_ungated(inventory: Inventory) -> bool:
    """Whether the blocks have two matrices, whatever an activation in the config suggests."""
    kinds = {slot.kind for slot in inventory.of(Component.TEXT_DECODER)}
    return "fc1" in kinds and not kinds & {"gate", "gate_up"}


def _layers(inventory: Inventory, component: Component) -> set[int]:
    """Return the layers of which there is a matrix, experts and decoder together."""
    parts = DECODER if component in DECODER else (component,)
    return {
        slot.layer
        for part in parts
        for slot, matrix in inventory.of(part).items()
        if slot.layer >= 0 and matrix.rows > 1
    }


def _config(checkpoint: Checkpoint) -> Mapping[str, Json]:
    try:
        return checkpoint.store.config().value
    except Unavailable:
        return {}
