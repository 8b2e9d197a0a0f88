"""What of a component was compared with nothing: it withholds a clearance, and accuses nobody."""

from __future__ import annotations

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.any_basis import TABLES
from pytest_scratchverify.tensors.reading import Sides
from pytest_scratchverify.tensors.slices import common

# Chosen, not calibrated: a forger must not be cleared by what he leaves to be compared.
UNPLACED = 0.01  # of a component's parameters may be of unknown name or dtype, or second in a place
IN_SHAPE = 0.5  # of them must have the reference's shapes, or be recognisable in any basis


def unmet(sides: Sides, component: Component, *, any_basis: bool) -> Text | None:
    """Say why silence about a component would be worth nothing; None where it is worth something.

    Parameters
    ----------
    any_basis
        Whether the run could have recognised the component's neurons in any basis and width.
    """
    inventory = sides.ours.inventory
    share = inventory.unplaced_share(component)
    if share > UNPLACED:
        names = [*inventory.twice, *inventory.unsupported, *inventory.unmapped]
        return Text(
            "{share} % of the parameters could be compared with nothing: tensors of unknown name"
            " or dtype, or two for one place ({first}, ...). Nothing is cleared by the rest.",
            share=round(100 * share),
            first=names[0],
        )
    if not any_basis and component not in TABLES and _out_of_shape(sides, component):
        return Text("Most matrices have other shapes than the reference's and met nothing: what"
                    " cannot be laid side by side is not thereby different.")  # fmt: skip
    return None


def _out_of_shape(sides: Sides, component: Component) -> bool:
    """Whether most of a component meets nothing: a neuron of zeros more changes every shape."""
    mine = sides.ours.inventory.of(component)
    slots = common(mine, sides.theirs.inventory.of(component))
    met = sum(mine[slot].rows * mine[slot].cols for slot in slots)
    return met < IN_SHAPE * sides.ours.inventory.parameters.get(component.value, 0)
