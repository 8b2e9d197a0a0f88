"""Whether the text decoders beside a table or tower are related, whatever they are built of.

A public table or tower may stand in two models that have nothing else in common. So a relation of
one has a direction only where the decoders around it are related too. A few rows of each are laid
side by side in their places: no gains, no gated blocks and no attention are asked for, so that an
encoder, a mixer of states or a decoder of which one role was taken answers as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.measure import Measure
from pytest_scratchverify.methods.weights.roles_in_place import (
    RoleInPlace,
    RoleSums,
    roles_in_place,
)
from pytest_scratchverify.tensors.plan import Block, block_of, in_order

ROWS = 32  # of a matrix: all of them in their places have a p-value of 1 in 32!
MOST = 24  # matrices


@dataclass(frozen=True, slots=True)
class DecoderRelation:
    """A few rows of two text decoders in their places, experts among them.

    `neurons` is the p-value of neurons that keep their number, 1 where there are none; `roles`
    are the cosines by role and layer, each role with its own p-value (`roles_in_place`).
    """

    neurons: float
    roles: tuple[RoleInPlace, ...]

    def is_related(self, *, alpha: float, derived: float) -> bool:
        """Whether neurons keep their number, or a role is as alike as only descendants are.

        Channels that are alike a little are not enough: a teacher in common explains them, and
        `derived`, an aligned cosine, lies above what it leaves.
        """
        cost = 1 + len(self.roles)
        return cost * self.neurons <= alpha or any(
            cost * role.pvalue <= alpha and role.inherited(derived) for role in self.roles
        )


def decoder_relation(pair: ComponentPair, budget: int | None) -> DecoderRelation | None:
    """Compare a few rows of the decoders beside a component; None where nothing can be.

    Parameters
    ----------
    budget : int or None
        Bytes that may be read of either; None for as many as are asked for.
    """
    return pair.checkpoints.once(("decoder relation", budget), lambda: _compared(pair, budget))


def _compared(pair: ComponentPair, budget: int | None) -> DecoderRelation | None:
    blocks = [*_few_rows(pair, budget)]
    if not blocks:
        return None
    rows = {block.matrix.slot: block.matrix.rows for block in blocks}
    measured = Measure(pair.decoder.component, whole_rows=rows, matching=False)
    sums = RoleSums()
    for batch in pair.checkpoints.batches(blocks):
        sums.add(measured.add(batch))
    found = measured.result(halves=False)
    neurons = found.neurons.pvalue if found.neurons else 1.0
    return DecoderRelation(neurons, roles_in_place(found.similar, sums.pvalues()))


def _few_rows(pair: ComponentPair, budget: int | None) -> Iterator[Block]:
    """Say which rows are read: of every layer in turn, what reads the residual stream first."""
    matrices = dict(pair.decoder.matrices)
    if pair.decoder.sibling is not None:
        matrices |= pair.decoder.sibling.matrices
    taken = 0
    for matrix in in_order(m for m in matrices.values() if m.rows > 1):
        start = block_of(matrix).start
        block = Block(matrix, start, min(matrix.rows, start + ROWS))
        if budget is not None and block.nbytes > budget:
            continue
        budget = None if budget is None else budget - block.nbytes
        taken += 1
        yield block
        if taken == MOST:
            return
