"""One measurement and what it may support: intents, findings and their parts.

A finding is immutable, holds JSON builtins only, and names the null hypothesis that it
tested. It never decides a verdict; `verdict.fold` does, over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.core.json_values import Json, to_builtin
from pytest_scratchverify.core.text import Text


class Outcome(StrEnum):
    """What became of one hypothesis (docs/adr/0005-outcomes-and-accusations.md)."""

    CONSISTENT = "consistent"
    DERIVED = "derived"
    DECLARED = "declared"
    INDETERMINATE = "indeterminate"
    UNAVAILABLE = "unavailable"
    NOT_APPLICABLE = "not-applicable"
    MISSING = "missing"
    HARNESS_ERROR = "harness-error"

    @property
    def blocks(self) -> bool:
        """Whether this outcome keeps its component from a clean verdict."""
        return self in _BLOCKING


_BLOCKING = frozenset(
    {Outcome.INDETERMINATE, Outcome.UNAVAILABLE, Outcome.MISSING, Outcome.HARNESS_ERROR}
)


class Level(StrEnum):
    """How strong a kind of evidence can be at most, whatever its number says."""

    E0 = "E0"  # none: not run, not comparable, control failed
    E1 = "E1"  # declared: card, press release, self-published log
    E2 = "E2"  # circumstantial: shapes, sizes, style
    E3 = "E3"  # calibrated: a null that holds, both controls passed, coverage
    E4 = "E4"  # decisive: byte-identical tensors, near-unit residual correlation


class Direction(StrEnum):
    """Which way a finding points."""

    TOWARD_REUSE = "toward_reuse"
    TOWARD_INDEPENDENCE = "toward_independence"
    NONE = "none"


MOST = 0.5  # of what a component holds: from there on equal numbers make a verbatim copy of it


class Relation(StrEnum):
    """What a finding says two models, or a model and a claim about it, are to each other.

    The fold decides by some of them; the others are shown. `Finding` refuses any other word.
    """

    # of bytes and whole vocabularies
    VERBATIM = "verbatim"
    SAME = "same"
    # of weights and vocabularies
    EXTENDS = "extends"  # one vocabulary holds the whole other, in its order
    DERIVED = "derived"
    MERGE = "merge"
    SHARED_ANCESTRY = "shared_ancestry"
    SHARED_INITIALISATION = "shared_initialisation"
    INDEPENDENT = "independent"
    INCONCLUSIVE = "inconclusive"
    UNCLEAR = "unclear"
    NOT_COMPARABLE = "not_comparable"
    # of designs
    NEAR_DESIGN = "near_design"
    OWN_DESIGN = "own_design"
    SAME_CORE = "same_core"
    OTHER_CORE = "other_core"
    # of training logs
    COPIED_SEGMENT = "copied_segment"
    COPIED_RECORD = "copied_record"
    SAME_DATA_ORDER = "same_data_order"
    STRETCH_APART = "stretch_apart"
    INCOMPARABLE = "incomparable"
    INCOMPLETE = "incomplete"
    # of answers
    SHARED_ANSWERS = "shared_answers"
    # of what is claimed and what is found
    CONTRADICTED = "contradicted"
    DECLARED = "declared"
    CONFLICTING = "conflicting"  # sources disagree
    NOT_PUBLISHED = "not_published"  # the repository was listed and holds no weights
    AUDITED = "audited"  # part of the training was re-executed; needs level E4

    @property
    def inherits(self) -> bool:
        """Whether one of two vocabularies is made from the other."""
        return self in (Relation.SAME, Relation.EXTENDS, Relation.DERIVED)


class Source(StrEnum):
    """Where an artifact was read from in this run."""

    HUB = "hub"
    FOLDER = "folder"
    CACHE = "cache"
    FINGERPRINT = "fingerprint"
    CATALOGUE = "catalogue"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRecord:
    """What was read of one file: identity, source, bytes. Equal reads compare equal.

    `ranges` are the bytes (first, one past the last) where parts of a file were read: sorted
    and disjoint. `digest` is the sha256 of what was read: of a whole file, of the headers of weight
    files, or, for a listing, of the lines that `sha256sum` prints of the weight files it names.
    """

    repo: str
    file: str
    source: Source
    revision: str | None = None
    bytes_read: int = 0
    bytes_total: int | None = None
    digest: str | None = None
    note: Text | None = None
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A named number with the sample size and, where there is one, its interval."""

    name: str
    value: float | None
    n: int | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _plain(self, "value", "n", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """The null under which a p-value was computed: its kind, its size, its words."""

    kind: str  # permutation, exact, reference_population, moment, block
    description: Text
    draws: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The same statistic on a pair whose truth is known, in the same run.

    `disguised` says that the second of the pair was renumbered and rotated first, so that only
    recognition in any basis can find it.
    """

    kind: str  # positive, negative, self_permuted, deranged
    pair: tuple[str, str]
    passed: bool | None  # None: the control returned nothing, which voids the finding
    value: float | None = None
    disguised: bool = False

    def __post_init__(self) -> None:
        _plain(self, "value")

    @property
    def shown_pair(self) -> tuple[str, str]:
        """The pair as reports name it."""
        return self.pair[0], f"{self.pair[1]}, disguised" if self.disguised else self.pair[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the test would have found: the smallest effect seen with probability `power`."""

    minimum_detectable_effect: float | None
    power: float | None
    description: Text | None = None

    def __post_init__(self) -> None:
        _plain(self, "minimum_detectable_effect", "power")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of the component the finding speaks of.

    `size` is how many parameters the component has, `inherited` how many of them were found to
    be the reference's, and `roles` which roles are, where only some are.
    """

    tensors: int | None = None
    parameters: float | None = None  # share of the component's parameters, 0 to 1
    size: int | None = None
    inherited: int | None = None
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _plain(self, "parameters", "size", "inherited")
        object.__setattr__(self, "roles", tuple(str(role) for role in self.roles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One planned hypothesis. The verdict is folded against these, not against arrivals."""

    nodeid: str
    method: str
    component: Component
    model: str
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one hypothesis about one component of one model.

    `method` is ``area.statistic``; `dependence_group` names findings that rest on the same
    observation and count once; `replications` counts disjoint sets of tensors or ranks on
    which it was found; `kinds` name the relation further, in terms that reports translate.
    `components` are those that the model's config shows it to have, and `weight_bytes` the size
    of its weight files, from findings that read the one or the other. `figures` holds data of
    drawings; `details` is for readers only, and nothing is decided by it.
    """

    method: str
    component: Component
    model: str
    outcome: Outcome
    headline: Text
    hypothesis: Text
    reference: str | None = None
    level: Level = Level.E0
    direction: Direction = Direction.NONE
    relation: Relation | None = None
    kinds: tuple[str, ...] = ()
    statistic: Statistic | None = None
    effect: Statistic | None = None
    pvalue: float | None = None
    null: Null | None = None
    power: Power | None = None
    controls: tuple[Control, ...] = ()
    coverage: Coverage | None = None
    dependence_group: str | None = None
    replications: int = 1
    artifacts: tuple[ArtifactRecord, ...] = ()
    remedy: Text | None = None
    components: tuple[Component, ...] = ()
    weight_bytes: int | None = None
    figures: tuple[Figure, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _plain(self, "pvalue", "details")
        object.__setattr__(self, "kinds", tuple(str(kind) for kind in self.kinds))
        if self.relation is not None:  # a word that is none of them raises ValueError here
            object.__setattr__(self, "relation", Relation(self.relation))

    @property
    def id(self) -> str:
        """Stable across runs, processes and languages."""
        parts = [self.method, self.component.value, self.model]
        return ":".join([*parts, self.reference] if self.reference else parts)

    @property
    def derived(self) -> bool:
        """What a suite asserts against: ``assert not finding.derived, finding.headline``."""
        return self.outcome is Outcome.DERIVED


def _plain(owner: object, *names: str) -> None:
    for name in names:
        object.__setattr__(owner, name, to_builtin(getattr(owner, name)))
