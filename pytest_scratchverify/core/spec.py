"""What is tested against what: models, pairs and the matrix they stand in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_scratchverify.core.component import Component


class Role(StrEnum):
    """Why a model stands in the matrix."""

    CANDIDATE = "candidate"  # its claim is under test
    REFERENCE = "reference"  # others are compared with it
    CONTROL = "control"  # its truth is known: it tests the methods


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A reuse that somebody states openly: of what, by whom, where it can be read.

    `state` is ``frozen``, ``fine-tuned``, ``re-initialised`` or ``disputed``; policies differ
    in which of them they accept. Example: a vision encoder taken from Qwen2.5-VL.
    """

    origin: str
    by: str
    source: str
    state: str = "unstated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """What a line of the matrix file says of a model; its name is the line's key."""

    role: Role = Role.CANDIDATE
    revision: str | None = None
    against: tuple[str, ...] = ()
    declares: Mapping[Component, Declaration] = field(default_factory=dict)
    disputed: Mapping[Component, str] = field(default_factory=dict)
    components: tuple[Component, ...] = ()
    truth: str | None = None
    released: str | None = None
    developer: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(ModelLine):
    """One line of the matrix, or what `--model` made up on the spot.

    `name` is a repository id or, where `folder` is set, a local folder as the user gave it.
    `saved` is the fingerprint of a library that answers for it.
    """

    name: str
    folder: bool = False
    saved: str | None = None

    def declaration(self, component: Component, reference: str) -> Declaration | None:
        """Return the declaration that covers `component` taken from `reference`, if any."""
        declared = self.declares.get(component)
        return declared if declared is not None and declared.origin == reference else None


@dataclass(frozen=True, slots=True)
class Pair:
    """A suspect and the reference that it is compared with."""

    model: ModelSpec
    reference: ModelSpec
    itself: bool = False  # the reference is the model, by name or under another path

    @property
    def reference_is_older(self) -> bool | None:
        """Whether the reference was released first; None where a date is unknown, or the same."""
        one, two = self.reference.released, self.model.released
        return None if one is None or two is None or one == two else one < two


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The declarative matrix: models by name, and whom an unlisted model is compared with."""

    models: Mapping[str, ModelSpec]
    default_against: tuple[str, ...] = ()
    path: str = ""
    digest: str = ""

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self.models.values())

    def spec(self, name: str) -> ModelSpec:
        """Return the listed model, or a fresh reference for a name that has no line."""
        return self.models.get(name) or ModelSpec(name=name, role=Role.REFERENCE)

    def tested(self) -> list[ModelSpec]:
        """Return what runs without `--model`: every candidate and every control."""
        return [spec for spec in self if spec.role is not Role.REFERENCE]
