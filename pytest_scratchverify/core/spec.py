"""What is tested against what: models, pairs and the matrix they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text

GGUF = ".gguf"
# As llama.cpp and its front ends name one file of a repository.
_QUANTISATION = re.compile(
    r"(.+):((?:UD-)?(?:I?Q\d|TQ\d|BF16|F16|F32|MXFP4|NVFP4)[A-Z0-9_]*)", re.IGNORECASE
)

_REPOSITORY = re.compile(r"([^/\\\s.~][^/\\\s]*)/[^/\\\s]+")


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
    """What a line of the matrix file says of a model; its name is the line's key.

    `predecessor` is an earlier model of the same developer that parts of this one were started
    from, whichever they are; `declares` says it of single components, and of other origins.
    """

    role: Role = Role.CANDIDATE
    revision: str | None = None
    against: tuple[str, ...] = ()
    declares: Mapping[Component, Declaration] = field(default_factory=dict)
    predecessor: Declaration | None = None
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
        for declared in (self.declares.get(component), self.predecessor):
            if declared is not None and same_name(declared.origin) == same_name(reference):
                return declared
        return None

    @property
    def owner(self) -> str | None:
        """The owner of the repository, where the name is that of one."""
        found = None if self.folder else _REPOSITORY.fullmatch(self.name)
        return found[1] if found else None

    def is_of_the_developer_of(self, other: ModelSpec) -> bool:
        """Whether both are one developer's *by name*: as the matrix says, or by their owner.

        A name is no proof of rights, and of no more than that somebody uses it.
        """
        pairs = ((self.developer, other.developer), (self.owner, other.owner))
        return any(a and b and a.casefold() == b.casefold() for a, b in pairs)


def same_name(name: str) -> str:
    """Return a name as names of models are compared; a path may end in a slash."""
    return name.rstrip("/").casefold()


def split_quantisation(name: str) -> tuple[str, str | None]:
    """Return the model and the quantisation that a name asks for, as ``org/name:Q4_K_M`` does.

    Examples
    --------
    >>> split_quantisation("org/name-GGUF:Q4_K_M"), split_quantisation("org/name")
    (('org/name-GGUF', 'Q4_K_M'), ('org/name', None))
    """
    found = _QUANTISATION.fullmatch(name)
    return (found[1], found[2]) if found else (name, None)


@dataclass(frozen=True, slots=True)
class Pair:
    """A suspect and the reference that it is compared with."""

    model: ModelSpec
    reference: ModelSpec
    itself: bool = False  # the reference is the model, by name or under another path

    def same_model(self) -> Unavailable:
        """Say that no model is compared with itself: all is equal, and nothing is known by it."""
        names = {"reference": self.reference.name, "model": self.model.name}
        return Unavailable(
            Reason.SAME_MODEL,
            Text("{reference} is {model} itself: nothing was compared.", **names),
            Text(
                "{reference} is the tested model itself; name another one with --against.",
                reference=self.reference.name,
            ),
        )

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
