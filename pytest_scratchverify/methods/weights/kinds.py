"""Names what was done to a copy, as far as it can be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_scratchverify.checkpoint.dtypes import is_packed, is_quantised
from pytest_scratchverify.methods.weights.any_basis import LAYERS, UPCYCLED, WIDTH, InAnyBasis
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds

CONTINUED, RESCALED = "continued pretraining", "rescaled"
CAST = "copy in another precision"
HEADS, BLOCKS = frozenset({"q", "k", "v", "o"}), frozenset({"gate", "up", "down"})


def joined(kinds: Sequence[str]) -> str:
    """Return several kinds as one phrase, each once."""
    return ", ".join(dict.fromkeys(kinds))


def more_kinds(
    measured: Measured, basis: InAnyBasis | None, numbers: WeightsThresholds
) -> list[str]:
    """Name what else was done to a copy that was recognised by what is in its place."""
    found: list[str] = []
    if basis is not None and basis.match.effect >= numbers.agreement_inherited:
        found = [
            k for k in kinds_in_any_basis(basis, numbers, ()) if k not in (CONTINUED, RESCALED)
        ]
    heads, blocks = _by_kind(measured, HEADS), _by_kind(measured, BLOCKS)
    bar = numbers.derived_from(measured.component)
    if heads is not None and blocks is not None and heads < bar / 2 and blocks >= bar:
        found.append("renumbered or rotated heads")
    return found


def _by_kind(measured: Measured, kinds: frozenset[str]) -> float | None:
    values = [item.value for item in measured.similar if item.slot.kind in kinds]
    return sum(values) / len(values) if values else None


def kind_in_place(
    measured: Measured,
    stored: Sequence[str],
    numbers: WeightsThresholds,
    inherited: tuple[int, ...],
) -> str:
    """Name the kind of a copy whose weights are in their places."""
    layers = [layer for layer in measured.by_layer() if layer >= 0]
    if layers and inherited and len(inherited) <= numbers.layer_share * len(layers):
        return "partial reuse"
    rounded = any(map(is_packed, stored))  # to few bits, which makes zeros by itself
    if measured.zeros[0] - measured.zeros[1] >= numbers.pruned_zeros and not rounded:
        return "pruned copy"
    effect = measured.similarity or 0.0
    if measured.cast:
        return CAST
    if any(map(is_quantised, stored)):
        return "quantised copy"
    return "fine-tune" if effect >= numbers.fine_tune else CONTINUED


def kinds_in_any_basis(
    found: InAnyBasis, numbers: WeightsThresholds, changes: Sequence[str]
) -> list[str]:
    """Name the disguises of a copy that was recognised without regard to basis and order."""
    kinds = []
    channels = found.channels
    if channels is not None and channels.alike < numbers.channels_alike:
        kinds.append("rotated")
    elif channels is not None and channels.kept < 0.5:
        kinds.append("renumbered channels")
    if found.widths:
        kinds.append(WIDTH)
    elif found.match.kept < 0.5:
        kinds.append("renumbered neurons")
    if found.upcycled:
        kinds.append(UPCYCLED)
    inherited = found.match.inherited(numbers.agreement_inherited)
    if not found.upcycled and any(layer.ours[0] != layer.theirs[0] for layer in inherited):
        kinds.append(LAYERS)
    elif any(layer.ours[1] != layer.theirs[1] for layer in inherited) and not found.upcycled:
        kinds.append("renumbered experts")
    if found.zeros[0] - found.zeros[1] >= numbers.pruned_zeros:
        kinds.append("pruned copy")
    kinds += [change for change in changes if change not in kinds]
    return kinds or [RESCALED]
