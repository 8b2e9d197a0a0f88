"""Uncompared parameters of a component, and why they block NO_EVIDENCE_OF_REUSE.

What met nothing withholds a clearance, and accuses nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.thresholds import UNPLACED
from pytest_scratchverify.tensors.completeness import incomplete
from pytest_scratchverify.tensors.inventory import Matrix, Slot, is_no_evidence, is_unnamed
from pytest_scratchverify.tensors.matrices import GAIN

LAYERED = (Component.TEXT_DECODER, Component.ROUTER_EXPERTS)
# Chosen, not calibrated: a forger must not be cleared by what he leaves to be compared.
IN_SHAPE = 0.5  # of them must have the reference's shapes, or be recognisable in any basis

HEADLINES = {
    "unplaced": "{share} % of the parameters could be compared with nothing: tensors of unknown"
    " name or dtype, larger than their names promise, or two for one place ({first}, ...). Nothing"
    " is cleared by the rest.",
    "formula": "{share} % of the parameters follow one public formula ({formula}) in both models,"
    " and what training left of them was not compared: nothing is cleared by the rest.",
    "incomplete": "Nothing is cleared by what there is of {repo}: {why}",
    "out of shape": "Most matrices have other shapes than the reference's and met nothing: what"
    " cannot be laid side by side is not thereby different.",
    "no layers": "Names tell no layer of most matrices, and no order or basis but the stored one"
    " could be tried: a copy in another one would look the same. Nothing is cleared.",
}


def uncompared_reason(
    pair: ComponentPair, *, rotation_invariant: bool, formulas: Mapping[str, str]
) -> Text | None:
    """Say why silence about a component would be worth nothing; None where it is worth something.

    Parameters
    ----------
    rotation_invariant
        Whether the run could have recognised the component's neurons in any basis and width.
    formulas : mapping from str to str
        Slots whose numbers follow a public formula in both, and were trained beside it.
    """
    inventory = pair.checkpoints.ours.inventory
    alone = _without_partner(pair)
    missed = inventory.unplaced.get(pair.component.value, 0)
    missed += sum(matrix.rows * matrix.cols for matrix in alone)
    share = missed / max(1, inventory.counted(pair.component))
    if share > UNPLACED:
        named = (inventory.twice, inventory.unsupported, inventory.oversized)
        names = [name for group in named for name in group]
        names += [*(matrix.info.name for matrix in alone), *inventory.unmapped]
        return Text(HEADLINES["unplaced"], share=round(100 * share), first=next(iter(names), "-"))
    placed = [matrix for slot, matrix in pair.ours.items() if str(slot) in formulas]
    share = sum(m.rows * m.cols for m in placed) / max(1, inventory.counted(pair.component))
    if share > UNPLACED:
        given = ", ".join(sorted(set(formulas.values())))
        return Text(HEADLINES["formula"], share=round(100 * share), formula=given)
    lacking = _incomplete_side(pair)
    if lacking is not None:
        return lacking
    if not rotation_invariant and not pair.is_token_table and _is_out_of_shape(pair):
        return Text(HEADLINES["out of shape"])
    if not rotation_invariant and pair.component in LAYERED and _tells_no_layer(pair):
        return Text(HEADLINES["no layers"])
    return None


def _without_partner(pair: ComponentPair) -> list[Matrix]:
    """Return our matrices and gains of unknown names that met none of the reference's.

    And those that meet none because a formula may have filled them: strangers' are equal; and
    further tables of tokens where only the first one's rows were laid side by side.
    """
    unread = _tables_unread(pair)
    return [
        matrix
        for slot, matrix in pair.ours.items()
        if (slot in unread and matrix.rows > 1)
        or (
            (is_unnamed(slot.kind) or is_no_evidence(slot.kind))
            and (matrix.rows > 1 or slot.kind.startswith(GAIN))
            and slot not in pair.matrices
        )
    ]


def _tables_unread(pair: ComponentPair) -> set[Slot]:
    """Return the tables beside the first that both have, where tokens are numbered differently.

    Embeddings of every layer, an encoder's own: `token_rows` aligns the rows of one table.
    """
    if not pair.is_token_table:
        return set()
    further = {s for s in pair.ours.keys() & pair.theirs.keys() if s.kind.startswith("embed_")}
    if not further:
        return set()
    in_place = pair.token_rows.same_numbers is not False and pair.token_slot in pair.matrices
    return further - (pair.matrices.keys() if in_place else set())


def _incomplete_side(pair: ComponentPair) -> Text | None:
    """Say which of the two files lack a part of the component, or numbers that are finite."""
    for checkpoint in (pair.checkpoints.ours, pair.checkpoints.theirs):
        why = incomplete(checkpoint, pair.component) or checkpoint.broken_numbers(pair.component)
        if why is not None:
            return Text(HEADLINES["incomplete"], repo=checkpoint.store.repo, why=why)
    return None


def _tells_no_layer(pair: ComponentPair) -> bool:
    """Whether most of a stack of layers has names that know neither a role nor a layer."""
    nameless = sum(
        matrix.rows * matrix.cols
        for slot, matrix in pair.ours.items()
        if is_unnamed(slot.kind) and slot.layer < 0
    )
    return nameless > IN_SHAPE * pair.parameters[0]


def _is_out_of_shape(pair: ComponentPair) -> bool:
    """Whether most of a component is uncompared: a neuron of zeros more changes every shape."""
    met = sum(matrix.rows * matrix.cols for matrix in pair.matrices.values())
    return met < IN_SHAPE * pair.parameters[0]
