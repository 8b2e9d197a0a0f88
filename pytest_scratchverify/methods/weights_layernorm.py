"""The norm control: what a cosine of 0.99 between norm gains is worth, shown beside its null.

Norm gains are some millionths of a model. A relation between them is a lead that the weights
must confirm; its absence clears nobody.
"""

from __future__ import annotations

import numpy as np

from pytest_scratchverify.checkpoint.slices import Block, common, in_order
from pytest_scratchverify.errors import Reason, Unavailable
from pytest_scratchverify.hub.store import ArtifactStore
from pytest_scratchverify.methods.weights_reading import Checkpoint, Sides
from pytest_scratchverify.methods.weights_words import gains_table
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.model.evidence import (
    Coverage,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Statistic,
)
from pytest_scratchverify.model.spec import Pair
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.stats.centring import is_degenerate
from pytest_scratchverify.stats.norm_gains import GainSimilarity, gain_similarity

VECTORS = 24
FIRES_AT = 0.30  # centred cosine, with p <= 0.001: STATISTICS E3
FIRES_BELOW = 0.001
DRAWS = 999


def norm_control(pair: Pair, ours: ArtifactStore, theirs: ArtifactStore) -> Finding:
    """Compare the norm gains of two text decoders, raw and centred, each with its null.

    Raises `Unavailable` where the weights of either cannot be read, or no gains compare.
    """
    sides = Sides(Checkpoint(ours), Checkpoint(theirs))
    found = _measure(sides)
    if found is None:
        raise Unavailable(
            Reason.UNSUPPORTED,
            Text("{model} and {reference} have no norm gains of one size that vary.",
                 model=pair.model.name, reference=pair.reference.name),
            Text("Gains that were folded away or never trained say nothing: compare matrices."),
        )  # fmt: skip
    fires = found.effect >= FIRES_AT and found.pvalue <= FIRES_BELOW
    parameters = sides.ours.inventory.parameters[Component.TEXT_DECODER.value]
    read = sum(sides.ledgers[0].spent.values())
    return Finding(
        method="weights.layernorm",
        component=Component.TEXT_DECODER,
        model=pair.model.name,
        reference=pair.reference.name,
        outcome=Outcome.INDETERMINATE if fires else Outcome.CONSISTENT,
        headline=_headline(pair, found, fires=fires),
        hypothesis=Text("the norm gains are no more alike than renumbered ones"),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if fires else Direction.NONE,
        statistic=Statistic(name="centred_cosine", value=found.effect, n=found.vectors),
        effect=Statistic(name="raw_cosine", value=found.raw, n=found.vectors),
        pvalue=found.pvalue,
        null=Null(
            kind="permutation",
            description=Text("joint renumbering of the channels of all layers"),
            draws=found.draws,
        ),
        coverage=Coverage(tensors=found.vectors, parameters=read / 2 / parameters),
        dependence_group="norm gains",
        artifacts=(
            sides.ours.index_record,
            *sides.ledgers[0].as_records(),
            sides.theirs.index_record,
            *sides.ledgers[1].as_records(),
        ),
        remedy=Text("Gains alone decide nothing: see the matrices of the same run.")
        if fires
        else None,
        details={"norm_gains": gains_table(found)},
    )


def _measure(sides: Sides) -> GainSimilarity | None:
    mine = sides.ours.inventory.of(Component.TEXT_DECODER)
    slots = common(mine, sides.theirs.inventory.of(Component.TEXT_DECODER))
    norms = [mine[s] for s in slots if s.kind.startswith("norm") and mine[s].rows == 1]
    blocks = [Block(matrix, 0, 1) for matrix in in_order(norms)[:VECTORS]]
    read = [pair for batch in sides.batches(blocks) for pair in batch.values()]
    gains = [(a[0], b[0]) for a, b in read if not (is_degenerate(a) or is_degenerate(b))]
    return gain_similarity(gains, np.random.default_rng(2026), DRAWS)


def _headline(pair: Pair, found: GainSimilarity, *, fires: bool) -> Text:
    words = {
        "reference": pair.reference.name,
        "raw": found.raw,
        "null": found.raw_null,
        "centred": found.effect,
        "p": found.pvalue,
    }
    if fires:
        return Text(
            "norm gains follow {reference}'s: centred cosine {centred}, p {p} (raw cosine {raw},"
            " {null} for renumbered channels)",
            **words,
        )
    return Text(
        "norm gains say nothing against {reference}: raw cosine {raw}, and {null} for renumbered"
        " channels; centred cosine {centred}, p {p}",
        **words,
    )
