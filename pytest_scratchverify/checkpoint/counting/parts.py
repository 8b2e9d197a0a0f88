"""What a count is the sum of."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.checkpoint.counting.feed_forward import FeedForward


@dataclass(frozen=True, slots=True)
class Parts:
    """Parameters of a model of text, by part; `lm_head` counts once more where it is not `tied`.

    `beside` stands neither in a table nor in a layer, `largest` is the most that a layer has,
    `assumed` the fields whose absence was read as having one meaning.
    """

    embeddings: int
    lm_head: int
    tied: bool
    mixers: int
    mlp: FeedForward
    norms: int
    beside: int
    largest: int = 0
    assumed: tuple[str, ...] = ()

    @property
    def own_head(self) -> int:
        """Return the output head where it is a matrix of its own."""
        return 0 if self.tied else self.lm_head
