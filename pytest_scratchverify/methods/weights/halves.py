"""Two disjoint halves of what is compared in place: either replicates the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_scratchverify.stats.weights.assignment import FixedPoints, fixed_points_pvalue
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSimilarity, ChannelSums


@dataclass(slots=True)
class Group:
    """Fixed points of the neurons of a half, and the sums of its channels."""

    fixed: int = 0
    sizes: list[int] = field(default_factory=list)
    sums: ChannelSums | None = None

    def neurons(self) -> FixedPoints | None:
        """Return the test of the numbers of neurons; None if there are none."""
        if not self.sizes:
            return None
        return FixedPoints(
            self.fixed,
            sum(self.sizes),
            fixed_points_pvalue(self.fixed, self.sizes),
            tuple(self.sizes),
        )

    def channels(self) -> ChannelSimilarity | None:
        """Return the test of the numbers of channels; None if there are none."""
        return self.sums.result() if self.sums else None


def neurons_together(halves: tuple[Group, Group]) -> FixedPoints | None:
    """Test the neurons of both halves at once."""
    both = Group(halves[0].fixed + halves[1].fixed, halves[0].sizes + halves[1].sizes)
    return both.neurons()


def channels_together(halves: tuple[Group, Group]) -> ChannelSimilarity | None:
    """Test the channels of both halves at once."""
    sums = [group.sums for group in halves if group.sums and group.sums.matrices]
    if not sums:
        return None
    joined = ChannelSums(sums[0].channels)
    for item in sums:
        joined.join(item)
    return joined.result()
