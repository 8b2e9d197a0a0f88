"""What the weights tests leave for figures: layers, nulls, maps, gains, shares of a merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_scratchverify.core.figure import Figure, FigureData
from pytest_scratchverify.core.known_pairs import KnownPairs, control_values, known_pairs
from pytest_scratchverify.methods.weights.step import Step

if TYPE_CHECKING:  # a report reads these classes without numpy
    from pytest_scratchverify.core.evidence import Control, Statistic
    from pytest_scratchverify.methods.weights.compare import Compared
    from pytest_scratchverify.methods.weights.judgement import Judgement
    from pytest_scratchverify.methods.weights.measure import Measured
    from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity

COSINE = "aligned_centred_cosine"  # the effect that is comparable with the controls' values
IN_PLACE = (Step.ALIGNED, Step.NONE)  # steps whose effect is that cosine
MOST_LAYERS = 128  # of a table of all layers that a run keeps
SHOWN = 50  # thousandths of a cosine from which on a cell is shaded
MOST_GROUPS = 1000  # expected by chance: more bars than a figure shows
MOVED = 0.05  # between shares by the table and by all weights: training since the merge


@dataclass(frozen=True, slots=True)
class SimilarityByLayer(FigureData):
    """The centred cosine of each layer with the same layer of the reference.

    `per_layer` counts the elements behind one value, where they were compared in place;
    `positive` and `negative` are the values of a known descendant and a known stranger.
    """

    kind: ClassVar[str] = "similarity_by_layer"

    layers: tuple[int, ...]
    values: tuple[float, ...]
    per_layer: int | None = None
    positive: float | None = None
    negative: float | None = None

    @property
    def drawable(self) -> bool:
        """One layer makes no figure; it still places the pair among all models of a run."""
        return len(self.layers) > 1


@dataclass(frozen=True, slots=True)
class NullAndObserved(FigureData):
    """Fixed points of the best matching of `n` neurons: Poisson, of mean `groups`, by chance."""

    kind: ClassVar[str] = "null_and_observed"

    groups: int
    observed: int
    n: int | None


@dataclass(frozen=True, slots=True)
class NormGains(FigureData):
    """The cosine of norm gains, raw and centred, beside what permuted channels give."""

    kind: ClassVar[str] = "norm_gains"

    raw_cosine: float
    raw_null: float
    centred_cosine: float
    p: float
    z: float
    vectors: int


@dataclass(frozen=True, slots=True)
class NormSeries(FigureData):
    """Published cosines of norm gains by layer: raw, raw after shuffling, centred."""

    kind: ClassVar[str] = "norm_series"

    layers: tuple[int, ...]
    raw: tuple[float, ...]
    shuffled: tuple[float, ...]
    centred: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MatchedLayers(FigureData):
    """The partner in the reference of every layer that has one, and the share they have alike."""

    kind: ClassVar[str] = "layer_map"

    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    share: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LayerTable(FigureData):
    """Cosines of every layer with every layer of the reference, see `thousandths`."""

    kind: ClassVar[str] = "layer_table"

    rows: tuple[str, ...]

    @property
    def drawable(self) -> bool:
        """A table of strangers is blank: nothing to draw, and nothing that a figure could show."""
        return any(
            value != "." and int(value) >= SHOWN for row in self.rows for value in row.split()
        )


def _shaded(rows: Sequence[str]) -> bool:
    return any(value != "." and int(value) >= SHOWN for row in rows for value in row.split())


@dataclass(frozen=True, slots=True)
class RoleTable(FigureData):
    """Cosines of every role of every layer with its own place in the reference.

    `rows` holds a line a role, see `thousandths`; `layers` are its columns.
    """

    kind: ClassVar[str] = "role_table"

    roles: tuple[str, ...]
    layers: tuple[int, ...]
    rows: tuple[str, ...]

    @property
    def drawable(self) -> bool:
        """A table of which no cell would be shaded shows nothing."""
        return _shaded(self.rows)


@dataclass(frozen=True, slots=True)
class SharesByLayer(FigureData):
    """The mixture of `parents` that is nearest to each layer: `shares[layer][parent]`.

    `explained` is the share of the distance to the nearest parent that the mixture explains;
    `trained_on` says that training after the merge moved the layers away from its shares.
    """

    kind: ClassVar[str] = "merge_shares"

    parents: tuple[str, ...]
    layers: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]
    explained: float
    trained_on: bool


def origin_figures(
    compared: Compared,
    judgement: Judgement,
    effect: Statistic,
    controls: Sequence[Control],
    *,
    reused: bool,
) -> tuple[Figure, ...]:
    """Return the figures of one compared component; `reused` where it was found to be."""
    found = _origin_figures(compared, judgement, effect, controls, reused=reused)
    return tuple(data.to_json() for data in found)


def _origin_figures(
    compared: Compared,
    judgement: Judgement,
    effect: Statistic,
    controls: Sequence[Control],
    *,
    reused: bool,
) -> Iterator[FigureData]:
    layers = _similarity_by_layer(compared.measured, effect, controls)
    null = _null_and_observed(compared.measured)
    pairs = _beside_controls(compared, judgement, effect, controls)
    matched = _matched_layers(compared) if reused else None
    yield from (data for data in (layers, null, pairs, matched) if data is not None)
    roles = _role_table(compared) if reused else None
    if roles is not None:
        yield roles
    rows = thousandths(compared.layers.similarity) if compared.layers is not None else ()
    if len(rows) > 1:
        yield LayerTable(rows)


def _similarity_by_layer(
    measured: Measured, effect: Statistic, controls: Sequence[Control]
) -> SimilarityByLayer | None:
    values = {layer: v for layer, v in sorted(measured.by_layer().items()) if layer >= 0}
    if not values:
        return None
    elements = effect.n if effect.name == COSINE else None
    positive, negative = (control_values(controls, kind) for kind in ("positive", "negative"))
    return SimilarityByLayer(
        layers=tuple(values),
        values=tuple(round(value, 5) for value in values.values()),
        per_layer=elements // len(values) if elements else None,
        positive=next(iter(positive), None),
        negative=next(iter(negative), None),
    )


def _null_and_observed(measured: Measured) -> NullAndObserved | None:
    neurons = measured.neurons
    if neurons is None or not 0 < len(neurons.sizes) <= MOST_GROUPS:
        return None
    return NullAndObserved(len(neurons.sizes), int(neurons.statistic), neurons.n)


def _beside_controls(
    compared: Compared, judgement: Judgement, effect: Statistic, controls: Sequence[Control]
) -> KnownPairs | None:
    """The effect beside its controls, where these measured the same statistic."""
    if judgement.step is Step.BASIS:
        share = compared.rotated.match.effect if compared.rotated is not None else None
        return known_pairs("neurons_recognised", share, controls, disguised=True)
    if judgement.step not in IN_PLACE or effect.name != COSINE:
        return None
    return known_pairs(effect.name, effect.value, controls)


def _matched_layers(compared: Compared) -> MatchedLayers | None:
    if compared.rotated is not None and compared.rotated.match.layers:
        matched = compared.rotated.match.layers
        found = [(layer.ours[0], layer.theirs[0], round(layer.share, 4)) for layer in matched]
    elif compared.layers is not None:
        pairs = enumerate(compared.layers.pairs)
        found = [(ours, theirs, 1.0) for ours, theirs in pairs if theirs >= 0]
    else:
        return None
    if len(found) < 2:
        return None
    ours, theirs, share = zip(*found, strict=True)
    return MatchedLayers(ours, theirs, share)


def _role_table(compared: Compared) -> RoleTable | None:
    layers = sorted({layer for role in compared.roles for layer in role.layers if layer >= 0})
    roles = [role for role in compared.roles if any(layer >= 0 for layer in role.layers)]
    rows = thousandths([[role.layers.get(layer) for layer in layers] for role in roles])
    if len(roles) < 2 or len(layers) < 2 or not rows:
        return None
    return RoleTable(tuple(role.kind for role in roles), tuple(layers), rows)


def thousandths(table: Sequence[Sequence[float | None]]) -> tuple[str, ...]:
    """Write a table of cosines as one line a layer: whole thousandths, a dot where none was read.

    Of at most `MOST_LAYERS` layers each way, so that a run stays small.
    """
    if not table or max(len(table), len(table[0])) > MOST_LAYERS:
        return ()
    return tuple(" ".join("." if v is None else str(round(1000 * v)) for v in row) for row in table)


def gains_figures(gains: GainSimilarity) -> tuple[Figure, ...]:
    """Return the figure of the norm control."""
    found = NormGains(
        raw_cosine=gains.raw,
        raw_null=gains.raw_null,
        centred_cosine=gains.effect,
        p=gains.pvalue,
        z=gains.z,
        vectors=gains.vectors,
    )
    return (found.to_json(),)


def series_figures(
    layers: Sequence[int], by_name: Mapping[str, Sequence[float]]
) -> tuple[Figure, ...]:
    """Return the figure of published cosines: by layer, each under its name in `NormSeries`."""
    if len(layers) < 2:
        return ()
    found = NormSeries(tuple(layers), **{name: tuple(row) for name, row in by_name.items()})
    return (found.to_json(),)


def merge_figures(
    parents: Sequence[str],
    by_layer: Mapping[int, Sequence[float]],
    explained: float,
    *,
    trained_on: bool,
) -> tuple[Figure, ...]:
    """Return the figure of a merge: the shares of its parents in each layer."""
    layers = sorted(layer for layer in by_layer if layer >= 0)
    found = SharesByLayer(
        parents=tuple(parents),
        layers=tuple(layers),
        shares=tuple(tuple(round(share, 4) for share in by_layer[layer]) for layer in layers),
        explained=round(explained, 4),
        trained_on=trained_on,
    )
    return (found.to_json(),)


def shares_moved(by_table: Sequence[float], by_weights: Sequence[float]) -> bool:
    """Whether training after a merge moved the layers away from the shares of the table."""
    pairs = zip(by_table, by_weights, strict=True)
    return any(abs(round(a, 4) - round(b, 4)) > MOVED for a, b in pairs)
