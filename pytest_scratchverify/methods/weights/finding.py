"""The sentences of the weights method, and the table of numbers that a report shows."""

from __future__ import annotations

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Null, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.judge import Judgement
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.methods.weights.token_rows import KIND
from pytest_scratchverify.stats.weights.layer_map import runs
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity
from pytest_scratchverify.stats.weights.power_by_dilution import DilutionCurve
from pytest_scratchverify.tensors.reading import Checkpoint, Sides


def hypothesis_of(component: Component) -> Text:
    """Return the innocent claim under test."""
    return Text(
        "the weights of {component} were not taken from the reference", component=component.value
    )


def shown_headline(
    reference: str, compared: Compared, judgement: Judgement, outcome: Outcome
) -> Text:
    """Say in one sentence what was found, by which step, with which numbers."""
    measured = compared.measured
    if judgement.relation == "verbatim":
        return Text(
            "{same} of {n} sampled tensors are number for number {reference}'s",
            same=measured.identity.statistic,
            n=measured.identity.n,
            reference=reference,
        )
    if judgement.relation == "shared_initialisation":
        return Text(
            "the weights share an initialisation with {reference}: cosine {effect}, p {p}; more"
            " than strangers share, less than a descendant keeps",
            reference=reference,
            effect=judgement.effect,
            p=judgement.pvalue,
        )
    if judgement.relation in ("derived", "shared_ancestry"):
        return _kin_headline(reference, judgement)
    if judgement.relation == "unclear" and judgement.step is Step.ALIGNMENT:
        return Text(
            "alike to {reference} once the channels are renumbered: {effect} after fitting, a"
            " lead without a p-value",
            reference=reference,
            effect=judgement.effect,
        )
    if judgement.relation == "unclear" and judgement.step is Step.BASIS:
        return Text(
            "alike to {reference} in the basis in which its layers were recognised: cosine"
            " {effect}; taken along, or learnt in that basis",
            reference=reference,
            effect=judgement.effect,
        )
    if judgement.relation == "unclear":
        return Text(
            "more alike than strangers and less than kin of {reference}: cosine {effect}, p {p}",
            reference=reference,
            effect=judgement.effect,
            p=judgement.pvalue,
        )
    if outcome is Outcome.CONSISTENT:
        return Text(
            "no relation to {reference}: cosine {effect}, p {p} over {tensors} tensors",
            reference=reference,
            effect=judgement.effect,
            p=judgement.pvalue,
            tensors=compared.tensors,
        )
    return Text(
        "nothing was found against {reference}, and the test could not have decided",
        reference=reference,
    )


def _kin_headline(reference: str, judgement: Judgement) -> Text:
    if judgement.relation == "shared_ancestry":
        return Text(
            "the weights are kin of {reference}'s ({kind}), which looks like the later of the two:"
            " cosine {effect}, p {p}",
            reference=reference,
            kind=judgement.kind or "kind unknown",
            effect=judgement.effect,
            p=judgement.pvalue,
        )
    if judgement.step is Step.BASIS:
        return Text(
            "the weights come from {reference} in another order or basis ({kind}): share of a"
            " layer's neurons that is recognised {effect}, p {p}, decided by {step}",
            reference=reference,
            kind=judgement.kind or "kind unknown",
            effect=judgement.effect,
            p=judgement.pvalue,
            step=judgement.step.value,
        )
    if judgement.step is Step.ANGLES:
        return Text(
            "the weights come from {reference} in another basis ({kind}): the angles between"
            " neurons correlate by {effect}, p {p}, decided by {step}",
            reference=reference,
            kind=judgement.kind or "kind unknown",
            effect=judgement.effect,
            p=judgement.pvalue,
            step=judgement.step.value,
        )
    return Text(
        "the weights come from {reference} ({kind}): cosine {effect}, p {p}, decided by {step}",
        reference=reference,
        kind=judgement.kind or "kind unknown",
        effect=judgement.effect,
        p=judgement.pvalue,
        step=judgement.step.value,
    )


def incomparable(component: Component, reference: str, sides: Sides) -> Text:
    """Say why nothing could be laid side by side."""
    widths = [_widths(checkpoint, component) for checkpoint in (sides.ours, sides.theirs)]
    if component in KIND and widths[0] == widths[1]:
        return Text(
            "{component} cannot be compared with {reference}: too few tokens in common whose rows"
            " could be laid side by side",
            component=component.value,
            reference=reference,
        )
    return Text(
        "{component} cannot be compared with {reference}: no tensor of one shape in common"
        " ({ours} and {theirs})",
        component=component.value,
        reference=reference,
        ours=_shapes(sides, component, mine=True),
        theirs=_shapes(sides, component, mine=False),
    )


def _widths(checkpoint: Checkpoint, component: Component) -> set[int]:
    return {m.cols for m in checkpoint.inventory.of(component).values() if m.rows > 1}


def _shapes(sides: Sides, component: Component, *, mine: bool) -> str:
    inventory = (sides.ours if mine else sides.theirs).inventory.of(component)
    shapes = sorted({(m.rows, m.cols) for m in inventory.values() if m.rows > 1}, reverse=True)
    return ", ".join(f"{rows} x {cols}" for rows, cols in shapes[:3]) or "-"


def null_of(measured: Measured) -> Null:
    """Name the null behind the p-value."""
    if measured.neurons is not None:
        return Null(
            kind="exact",
            description=Text(
                "independent initialisation: under it the best renumbering of neurons is a"
                " uniform permutation; fixed points in {groups} groups",
                groups=len(measured.neurons.sizes),
            ),
        )
    return Null(
        kind="permutation",
        description=Text(
            "independent initialisation: joint permutation of {n} residual channels, exact mean"
            " and variance, tail by fixed points",
            n=measured.channels.n if measured.channels else 0,
        ),
    )


def details_of(
    compared: Compared,
    gains: GainSimilarity | None,
    judgement: Judgement,
    power: DilutionCurve | None,
) -> dict[str, Json]:
    """Return the numbers beside the finding, builtins only."""
    measured = compared.measured
    inventory = compared.sides.ours.inventory
    table: dict[str, Json] = {
        "step": judgement.step.value,
        "by_layer": {str(k): round(v, 5) for k, v in measured.by_layer().items()},
        "inherited_layers": [*judgement.layers],
        "std_profile_correlation": measured.spread_profile(),  # shown, never evidence
        "shared_slots": compared.shared_slots,
        "slots": compared.our_slots,
        "unmapped": [*inventory.unmapped[:20]],
        "unsupported": [*inventory.unsupported[:20]],
        "identical": [*measured.identity.names[:20]],
    }
    channels, agreement = measured.channels, measured.agreement
    if channels is not None:
        table["channels"] = {
            "z": channels.statistic,
            "p": channels.pvalue,
            "cosine": channels.effect,
            "kept": channels.kept,
            "of": channels.n,
        }
    if agreement is not None:
        table["matching"] = {
            "share": agreement.effect,
            "p": agreement.pvalue,
            "kept_number": agreement.identity,
        }
    if compared.aligned is not None:
        table["aligned_by_embeddings"] = {
            "table_cosine": compared.aligned.embeddings,
            "matching": compared.aligned.agreement,
            "renumbered": compared.aligned.moved,
            "attention_cka": compared.aligned.attention,
            "attention_cka_of_deranged_tokens": compared.aligned.attention_null,
        }
    table |= _any_basis(compared)
    if compared.layers is not None:
        table["layer_map"] = {
            "pairs": [*compared.layers.pairs],
            "runs": [list(run) for run in runs(compared.layers.pairs)],
            "p": compared.layers.pvalue,
        }
    if gains is not None:
        table["norm_gains"] = gains_table(gains)
    if power is not None:
        table["dilution"] = {"cosine": [*power.shares], "found": [*power.found]}
    return table


def _any_basis(compared: Compared) -> dict[str, Json]:
    table: dict[str, Json] = {}
    basis, angles = compared.basis, compared.angles
    if angles is not None:
        table["angles"] = {
            "layers_that_fit_best": angles.statistic,
            "of": angles.n,
            "p": angles.pvalue,
            "correlation": angles.effect,
        }
    if basis is not None:
        match, channels = basis.match, basis.channels
        table["any_basis"] = {
            "agreed": match.statistic,
            "neurons": match.n,
            "share": match.effect,
            "p": match.pvalue,
            "kept_number": match.kept,
            "layers": [
                [*map(str, layer.ours), *map(str, layer.theirs), round(layer.share, 4)]
                for layer in match.layers
            ],
            "channels_alike": channels.alike if channels else None,
            "channels_kept": channels.kept if channels else None,
            "table_cosine": compared.table,
        }
    return table


def gains_table(gains: GainSimilarity) -> dict[str, Json]:
    """Return the norm control: the raw cosine beside what it is worth."""
    return {
        "raw_cosine": gains.raw,
        "raw_null": gains.raw_null,
        "moment_null": gains.moment_null,
        "raw_says_nothing": gains.raw_is_empty,
        "centred_cosine": gains.effect,
        "p": gains.pvalue,
        "z": gains.z,
        "vectors": gains.vectors,
    }
