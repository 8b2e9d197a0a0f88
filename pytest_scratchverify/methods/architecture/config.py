"""A config.json as read, the trained components that it implies, and hypotheses about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_scratchverify.checkpoint.composite import has_other_parts
from pytest_scratchverify.checkpoint.design import Design, Tower, read_designs
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Level
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis


@dataclass(frozen=True, slots=True)
class Config:
    """A config.json that was read, and the record of that reading."""

    value: Mapping[str, Json]
    record: ArtifactRecord

    @property
    def designs(self) -> Mapping[Tower, Design]:
        """Return the designs of the towers that it describes."""
        return read_designs(self.value)

    @property
    def is_composite(self) -> bool:
        """Whether it describes more than text, in parts whose design is read or is not."""
        return set(self.designs) > {Tower.TEXT} or has_other_parts(self.value)

    @property
    def towers(self) -> float:
        """Return roughly how many parameters the towers beside the text have, those read."""
        others = [design for tower, design in self.designs.items() if tower is not Tower.TEXT]
        sizes = [(d.size("hidden_size"), d.size("num_hidden_layers")) for d in others]
        return float(sum(12 * (width or 0) ** 2 * (depth or 0) for width, depth in sizes))


def trained_components(designs: Mapping[Tower, Design]) -> tuple[Component, ...]:
    """Return the components with weights of their own that a config implies."""
    found: list[Component] = []
    if Tower.TEXT in designs:
        found += [Component.EMBEDDINGS, Component.TEXT_DECODER]
        tied = designs[Tower.TEXT].fields.get("tie_word_embeddings") is True
        found += [] if tied else [Component.LM_HEAD]  # a tied head has no weights of its own
        found += [Component.ROUTER_EXPERTS] if designs[Tower.TEXT].is_moe else []
    if Tower.VISION in designs:
        found.append(Component.VISION_ENCODER)
    if Tower.AUDIO in designs:
        found.append(Component.AUDIO_ENCODER)
    if Tower.VISION in designs or Tower.AUDIO in designs:
        found.append(Component.PROJECTOR)
    return tuple(found)


def about_design(
    test: str, model: str, config: Config, statement: Text, *, reference: str | None = None
) -> Hypothesis:
    """Return a hypothesis about a design: circumstantial at most (E2), one dependence group."""
    return Hypothesis(
        method=f"architecture.{test}",
        component=Component.ARCHITECTURE,
        model=model,
        reference=reference,
        statement=statement,
        level=Level.E2,
        dependence_group="architecture",
        artifacts=(config.record,),
    )
