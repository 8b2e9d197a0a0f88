"""One component of two checkpoints, made once for a comparison and passed down.

Whatever several steps ask of the pair is a cached property here: the matrices of either side,
the slots they share, the rows of shared tokens, the changes of shape, the gated blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_scratchverify.core.component import SIBLINGS, TOKEN_TABLES, Component
from pytest_scratchverify.methods.weights.gated_blocks import (
    GatedBlock,
    GatedBlocks,
    gated_blocks,
)
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.shape_changes import shape_changes
from pytest_scratchverify.stats.weights.anchored_search import Key
from pytest_scratchverify.tensors.inventory import Matrix, Slot, shared_slots
from pytest_scratchverify.tensors.reading import CheckpointPair
from pytest_scratchverify.tensors.token_rows import TokenRows, aligned_token_rows

Blocks = Mapping[Key, GatedBlock]


@dataclass(frozen=True)
class ComponentPair:
    """A component of two checkpoints side by side: `ours` is the suspect's."""

    checkpoints: CheckpointPair
    component: Component

    @cached_property
    def ours(self) -> Mapping[Slot, Matrix]:
        """Our matrices by slot."""
        return self.checkpoints.ours.inventory.of(self.component)

    @cached_property
    def theirs(self) -> Mapping[Slot, Matrix]:
        """The reference's matrices by slot."""
        return self.checkpoints.theirs.inventory.of(self.component)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots at which both hold matrices of one shape, sorted."""
        return tuple(shared_slots(self.ours, self.theirs))

    @cached_property
    def matrices(self) -> Mapping[Slot, Matrix]:
        """Our matrices at the shared slots."""
        return {slot: self.ours[slot] for slot in self.slots}

    @cached_property
    def parameters(self) -> tuple[int, int]:
        """How many parameters either model has in the component, compared or not."""
        name = self.component.value
        ours, theirs = self.checkpoints.ours.inventory, self.checkpoints.theirs.inventory
        return ours.parameters.get(name, 0), theirs.parameters.get(name, 0)

    @cached_property
    def dtypes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The dtypes in which either stores the matrices that are compared."""
        sides = (self.ours, self.theirs)
        of_side = [{side[s].info.dtype for s in self.slots if side[s].rows > 1} for side in sides]
        return tuple(sorted(of_side[0])), tuple(sorted(of_side[1]))

    @property
    def is_token_table(self) -> bool:
        """Whether rows are tokens, which mean something: neurons and layers do not."""
        return self.component in TOKEN_TABLES

    @property
    def is_decoder(self) -> bool:
        """Whether the component is the text decoder, or the experts that are a part of it."""
        return self.component in (Component.TEXT_DECODER, Component.ROUTER_EXPERTS)

    @cached_property
    def token_slot(self) -> Slot:
        """The slot of the table of tokens. Raises KeyError for what is none."""
        return Slot(self.component.value, TOKEN_TABLES[self.component])

    @property
    def token_rows(self) -> TokenRows:
        """The rows that stand for the same tokens, found once for two checkpoints."""
        ours, theirs = self.checkpoints.ours.store, self.checkpoints.theirs.store
        return self.checkpoints.once("token rows", lambda: aligned_token_rows(ours, theirs))

    @cached_property
    def shape_changes(self) -> tuple[Kind, ...]:
        """What differs in shape between the two."""
        ours, theirs = self.checkpoints.ours, self.checkpoints.theirs
        return shape_changes(ours.inventory, theirs.inventory, self.component)

    @cached_property
    def own_blocks(self) -> tuple[GatedBlocks, GatedBlocks]:
        """The gated blocks of the component itself, ours and theirs."""
        ours, theirs = self.checkpoints.ours.inventory, self.checkpoints.theirs.inventory
        return gated_blocks(ours, self.component), gated_blocks(theirs, self.component)

    @cached_property
    def blocks(self) -> tuple[GatedBlocks, GatedBlocks]:
        """The gated blocks, ours and theirs; where a side has none, those of the sibling."""
        ours, theirs = self.own_blocks
        if self.sibling is None:
            return ours, theirs
        return ours or self.sibling.own_blocks[0], theirs or self.sibling.own_blocks[1]

    @cached_property
    def sibling(self) -> ComponentPair | None:
        """The component that this one may have been made of, or made into: dense and experts."""
        other = SIBLINGS.get(self.component)
        return replace(self, component=other) if other is not None else None

    @cached_property
    def decoder(self) -> ComponentPair:
        """The text decoder of the same two checkpoints."""
        return self._beside(Component.TEXT_DECODER)

    @cached_property
    def embeddings(self) -> ComponentPair:
        """The embedding tables of the same two checkpoints."""
        return self._beside(Component.EMBEDDINGS)

    def _beside(self, component: Component) -> ComponentPair:
        return self if component is self.component else replace(self, component=component)
