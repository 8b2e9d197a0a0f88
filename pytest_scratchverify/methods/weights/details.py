"""Details of a weights finding: the numbers that a report shows beside it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.methods.weights.applicability import LISTED, inventory_details
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.judgement import Judgement
from pytest_scratchverify.methods.weights.roles_in_place import RoleInPlace
from pytest_scratchverify.stats.weights.layer_map import runs
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity
from pytest_scratchverify.stats.weights.power_by_dilution import PowerCurve


def details_of(
    pair: ComponentPair,
    compared: Compared,
    gains: GainSimilarity | None,
    judgement: Judgement,
    curve: PowerCurve | None,
) -> dict[str, Json]:
    """Return the numbers beside the finding, builtins only."""
    measured = compared.measured
    table: dict[str, Json] = {
        "step": judgement.step.value,
        "by_layer": {str(k): round(v, 5) for k, v in measured.by_layer().items()},
        "inherited_layers": [*judgement.layers],
        "roles": roles_table(compared.roles),
        "std_profile_correlation": measured.spread_profile(),  # shown, never evidence
        "shared_slots": len(pair.slots),
        "slots": len(pair.ours),
        **inventory_details(pair),
        "identical": [*measured.identity.names[:LISTED]],
    }
    broken = _broken(pair)
    if broken:
        table["not_finite"] = [*broken[:LISTED]]
    if measured.beyond:  # mostly values beyond any weight, or not finite: these took no part
        table["not_measured"] = [*measured.beyond[:LISTED]]
    channels, agreement = measured.channels, measured.agreement
    if channels is not None:
        table["channels"] = {
            "z": channels.statistic,
            "p": channels.pvalue,
            "cosine": channels.effect,
            "kept": channels.fixed_points,
            "of": channels.n,
        }
    if agreement is not None:
        table["matching"] = {
            "share": agreement.effect,
            "p": agreement.pvalue,
            "kept_number": agreement.fixed_share,
        }
    if compared.aligned is not None:
        table["aligned_by_embeddings"] = {
            "table_cosine": compared.aligned.embeddings,
            "matching": compared.aligned.agreement,
            "renumbered": compared.aligned.moved,
            "attention_cka": compared.aligned.attention,
            "attention_cka_of_deranged_tokens": compared.aligned.attention_null,
        }
    table |= _rotation_invariant(compared)
    table |= _framed(compared)
    if compared.layers is not None:
        table["layer_map"] = {
            "pairs": [*compared.layers.pairs],
            "runs": [list(run) for run in runs(compared.layers.pairs)],
            "p": compared.layers.pvalue,
        }
    if gains is not None:
        table["norm_gains"] = gains_table(gains)
    if curve is not None:
        table["dilution"] = {"cosine": [*curve.shares], "found": [*curve.found]}
    return table


def roles_table(roles: Sequence[RoleInPlace]) -> dict[str, Json]:
    """Return every role's cosine in place by layer, and the p-value of the role by itself."""
    return {
        role.kind: {
            "cosine": round(role.similarity, 5),
            "p": role.pvalue,
            "by_layer": {str(layer): round(v, 5) for layer, v in role.layers.items()},
        }
        for role in roles
    }


def _broken(pair: ComponentPair) -> list[str]:
    """Name the tensors of either side in which numbers are not finite, or beyond any weight."""
    sides = (pair.checkpoints.ours, pair.checkpoints.theirs)
    return [
        f"{side.store.repo}: {name}" for side in sides for name in side.broken_names(pair.component)
    ]


def _rotation_invariant(compared: Compared) -> dict[str, Json]:
    table: dict[str, Json] = {}
    rotated, angles = compared.rotated, compared.angles
    if angles is not None:
        table["angles"] = {
            "layers_that_fit_best": angles.statistic,
            "of": angles.n,
            "p": angles.pvalue,
            "correlation": angles.effect,
        }
    if rotated is not None:
        match, channels = rotated.match, rotated.channels
        table["any_basis"] = {
            "agreed": match.statistic,
            "neurons": match.n,
            "share": match.effect,
            "p": match.pvalue,
            "kept_number": match.fixed_share,
            "layers": [
                [*map(str, layer.ours), *map(str, layer.theirs), round(layer.share, 4)]
                for layer in match.layers
            ],
            "channels_alike": channels.alike if channels else None,
            "channels_kept": channels.fixed_share if channels else None,
            "table_cosine": compared.table,
        }
    return table


def _framed(compared: Compared) -> dict[str, Json]:
    """Return what frames recognised: block by block, or layer by layer of heads."""
    if compared.framed is None:
        return {}
    match = compared.framed.match
    return {
        "frames": {
            "asked": "heads" if match.held[0].of_heads else "neurons",
            "agreed": match.statistic,
            "of": round(match.n, 2),
            "p": match.pvalue,
            "kept_number": match.fixed_share,
            "score": round(match.frame.score, 4),
            "layers_read": len(compared.framed.network.heads),
            "held_out": [
                [*map(str, held.ours), *map(str, held.theirs), held.agreed, round(held.n, 2)]
                for held in match.held
            ],
        }
    }


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
