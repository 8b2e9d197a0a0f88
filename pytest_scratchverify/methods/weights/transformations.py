"""Transformations that a copy went through, as far as they can be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_scratchverify.checkpoint.dtypes import is_packed, is_quantised
from pytest_scratchverify.methods.weights.framed_basis import FramedBasis
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.rotation_invariant import RotationInvariantMatch
from pytest_scratchverify.methods.weights.thresholds import UNPLACED, WeightsThresholds
from pytest_scratchverify.stats.weights.matched_channels import Channels, matched_channels

HEADS, BLOCKS = frozenset({"q", "k", "v", "o"}), frozenset({"gate", "up", "down"})
IN_ITS_PLACE = frozenset({Kind.CONTINUED, Kind.RESCALED})  # said by the kind of an aligned copy


def distinct(*kinds: Kind) -> tuple[Kind, ...]:
    """Return kinds in their order, each once."""
    return tuple(dict.fromkeys(kinds))


def identity_kinds(measured: Measured, stored: Sequence[str], unplaced: float) -> tuple[Kind, ...]:
    """Name a copy of which tensors are equal number by number.

    `unplaced` is the share of the component that could be compared with nothing; where something
    differs and is stored in few bits, what is equal was left as it was by a quantisation.
    """
    differs = measured.identity.statistic < measured.identity.n
    if measured.cast:
        return (Kind.CAST,)
    if not differs and unplaced <= UNPLACED:
        return (Kind.IDENTICAL,)
    left = differs and any(map(is_quantised, stored))
    return (*((Kind.QUANTISED,) if left else ()), Kind.PARTLY_IDENTICAL)


def aligned_kind(
    measured: Measured,
    stored: Sequence[str],
    thresholds: WeightsThresholds,
    inherited: tuple[int, ...],
) -> Kind:
    """Name the kind of a copy whose weights are in their places.

    Parameters
    ----------
    stored : sequence of str
        The dtypes of the suspect's slices.
    inherited : tuple of int
        The layers that are alike enough to be called derived.
    """
    layers = [layer for layer in measured.by_layer() if layer >= 0]
    if layers and inherited and len(inherited) <= thresholds.layer_share * len(layers):
        return Kind.PARTIAL
    rounded = any(map(is_packed, stored))  # to few bits, which makes zeros by itself
    if _is_pruned(measured.zeros, thresholds) and not rounded:
        return Kind.PRUNED
    if measured.cast:
        return Kind.CAST
    if any(map(is_quantised, stored)):
        return Kind.QUANTISED
    close = (measured.similarity or 0.0) >= thresholds.fine_tune
    return Kind.FINE_TUNE if close else Kind.CONTINUED


def further_kinds(
    measured: Measured,
    rotated: RotationInvariantMatch | None,
    thresholds: WeightsThresholds,
) -> tuple[Kind, ...]:
    """Name what else was done to a copy that was recognised by what is in its place."""
    found: list[Kind] = []
    if rotated is not None and rotated.match.effect >= thresholds.agreement_inherited:
        known = rotation_invariant_kinds(rotated, thresholds)
        found = [kind for kind in known if kind not in IN_ITS_PLACE]
    heads, blocks = _mean_of(measured, HEADS), _mean_of(measured, BLOCKS)
    bar = thresholds.derived_from(measured.component)
    if heads is not None and blocks is not None and heads < bar / 2 and blocks >= bar:
        found.append(Kind.CHANGED_HEADS)
    return tuple(found)


def _mean_of(measured: Measured, kinds: frozenset[str]) -> float | None:
    values = [item.value for item in measured.similar if item.slot.kind in kinds]
    return sum(values) / len(values) if values else None


def _is_pruned(zeros: tuple[float, float], thresholds: WeightsThresholds) -> bool:
    return zeros[0] - zeros[1] >= thresholds.pruned_zeros


def rotation_invariant_kinds(
    found: RotationInvariantMatch,
    thresholds: WeightsThresholds,
    changes: Sequence[Kind] = (),
) -> tuple[Kind, ...]:
    """Name the disguises of a copy that was recognised without regard to basis and order.

    `changes` are those of shape; a copy without any disguise was rescaled.
    """
    kinds = _channel_kinds(found.channels, thresholds)
    if found.widths:
        kinds.append(Kind.WIDTH)
    elif found.match.fixed_share < 0.5:
        kinds.append(Kind.PERMUTED_NEURONS)
    inherited = found.match.inherited(thresholds.agreement_inherited)
    if found.upcycled:
        kinds.append(Kind.UPCYCLED)
    elif any(layer.ours[0] != layer.theirs[0] for layer in inherited):
        kinds.append(Kind.LAYERS)
    elif any(layer.ours[1] != layer.theirs[1] for layer in inherited):
        kinds.append(Kind.PERMUTED_EXPERTS)
    if _is_pruned(found.zeros, thresholds):
        kinds.append(Kind.PRUNED)
    return distinct(*kinds, *changes) or (Kind.RESCALED,)


def framed_kinds(
    found: FramedBasis, thresholds: WeightsThresholds, changes: Sequence[Kind] = ()
) -> tuple[Kind, ...]:
    """Name the disguises of a copy that was recognised by residual frames."""
    held = found.match.held
    channels = matched_channels(found.match.frame.anchors)
    kinds = _channel_kinds(channels, thresholds) if channels else [Kind.CHANGED_CHANNELS]
    if found.match.fixed_share < 0.5:
        kinds.append(Kind.PERMUTED_NEURONS)
    if any(one.ours[0] != one.theirs[0] for one in held):
        kinds.append(Kind.LAYERS)
    return distinct(*kinds, *changes) or (Kind.RESCALED,)


def _channel_kinds(channels: Channels | None, thresholds: WeightsThresholds) -> list[Kind]:
    """Name what was done to the channels, as far as their correspondence tells."""
    if channels is not None and channels.alike < thresholds.channels_alike:
        return [Kind.ROTATED]
    permuted = channels is not None and channels.fixed_share < 0.5
    return [Kind.PERMUTED_CHANNELS] if permuted else []
