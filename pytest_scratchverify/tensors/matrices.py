"""Slots and matrices: what two checkpoints may have in common, and where its rows lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorInfo

# The kinds whose columns are channels of the residual stream: [out, hidden].
RESIDUAL_COLUMNS = frozenset(
    {"q", "k", "v", "qkv", "q_a", "kv_a", "gate", "up", "fc1", "router", "embed", "head",
     "cross_q", "cross_k", "cross_v"}
)  # fmt: skip
RESIDUAL_ROWS = frozenset(
    {"o", "down", "fc2", "cross_o"}
)  # the kinds whose rows are residual channels
# Before the names of tensors that no table knows: they read the residual stream, write it, read
# what one that reads it gives (the second of a pair through a latent), or none of these.
READS, WRITES, VIA, OTHER = "in:", "out:", "via:", "at:"
# And before those of vectors of its width, which are norm gains if they are a weight at all.
GAIN = "norm:"
# Before the kinds of gains that stand in their place in part (`tensors.gain_pairing`): all of them.
WHOLE = "whole:"
# Before the names of a mixer's tensors (`checkpoint.mixer_lines`). Their rows have places: heads,
# channels that a convolution moves along, rotary pairs. So nothing of them is permuted, and they
# are compared in place, on the residual side where they have one. Kernels of channels are compared
# in place only: trained ones look alike channel by channel. `STATE` is what a formula fills at the
# start and training hardly moves (decay rates): equal in strangers, no evidence.
MIXER_READS, MIXER_WRITES, MIXER_INNER = "reads:", "writes:", "inner:"
MIXER_KERNEL, STATE = "kernel:", "state:"


def reads_residual(kind: str) -> bool:
    """Whether the columns of a kind are channels of the residual stream, whatever its name."""
    return kind in RESIDUAL_COLUMNS or kind.startswith((READS, MIXER_READS))


def writes_residual(kind: str) -> bool:
    """Whether the rows of a kind are channels of the residual stream, whatever its name."""
    return kind in RESIDUAL_ROWS or kind.startswith((WRITES, MIXER_WRITES))


def is_unnamed(kind: str) -> bool:
    """Whether a kind is the name of a tensor that no table knows."""
    return kind.startswith((READS, WRITES, VIA, OTHER, GAIN))


def is_mixer(kind: str) -> bool:
    """Whether a kind is one of a mixer, known by the module that it stands in."""
    return kind.startswith((MIXER_READS, MIXER_WRITES, MIXER_INNER, MIXER_KERNEL, STATE))


def is_no_evidence(kind: str) -> bool:
    """Whether a tensor is compared with none: a formula may have filled it, or it is there twice.

    What a formula fills, strangers have in common.
    """
    return kind.startswith((OTHER, STATE, WHOLE))


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place that two models may have in common: what is compared is compared by slot."""

    component: str
    kind: str
    layer: int = -1
    expert: str = ""

    def __str__(self) -> str:
        layer = "" if self.layer < 0 else str(self.layer)
        return f"{self.component}/{self.kind}/{layer}/{self.expert}"

    @classmethod
    def parse(cls, text: str) -> Slot:
        """Read what `str` wrote."""
        component, kind, layer, expert = text.split("/")
        return cls(component, kind, int(layer) if layer else -1, expert)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix as the statistics see it: rows are outputs, whatever the file calls it.

    `first_row` is where the matrix begins inside of its tensor, counted in rows: a fused
    ``gate_up_proj`` holds two matrices, a stack of experts one or two for each expert.
    """

    slot: Slot
    info: TensorInfo
    rows: int
    cols: int
    first_row: int = 0
    scale: TensorInfo | None = None
    codec: Codec | None = None
    step: int = 1  # stored rows from one row to the next: two where gate and up alternate
    fixed: int = 0  # bytes that any block costs, in this or in the other model

    @property
    def row_bytes(self) -> int:
        """Bytes of one stored row, with its share of all that belongs to it."""
        if self.codec is not None:
            if self.codec.fixed:  # charged by the block; a row is what it costs beside BF16
                return 2 * self.cols
            return -(-self.codec.nbytes * self.step // max(1, prod(self.codec.shape[:-1])))
        return self.cols * DTYPE_BITS[self.info.dtype] // 8
