"""What the user asked for, turned into models, references and tests to plan.

Everything here works offline: collection never touches the network.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.spec import (
    GGUF,
    Matrix,
    ModelSpec,
    Pair,
    Role,
    same_name,
    split_quantisation,
)

if TYPE_CHECKING:
    from pytest_scratchverify.stores.library import LibraryEntry

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_GLOB = re.compile(r"[*?\[]")
ALIKE = 0.93
MOST_LISTED = 1_000  # entries of a folder among which a slip is looked for
FILES = (".fingerprint", GGUF)  # that are a model each
EXACT_PREFIX = "hf:"  # --model hf:org/name means this very id, however near a listed one it is


@dataclass(frozen=True, slots=True)
class DeclaredComponent:
    """A component whose reuse is declared, or disputed, with its origin."""

    component: Component
    reference: str | None

    def __str__(self) -> str:
        return self.component.value


def select_models(names: Sequence[str], matrix: Matrix, revision: str | None) -> list[ModelSpec]:
    """Return the models that `--model` names; without names, what the matrix tests.

    Raises `ScratchError` with near matches for a glob without hits or a name that is no
    repository id, no folder, or one letter away from a listed model.
    """
    chosen: dict[str, ModelSpec] = {}
    for name in names:
        for spec in _match(name, matrix):
            chosen.setdefault(spec.name, spec)
    specs = list(chosen.values()) if names else matrix.tested()
    return [replace(spec, revision=revision) if revision else spec for spec in specs]


def _match(name: str, matrix: Matrix) -> list[ModelSpec]:
    if _GLOB.search(name) and not Path(name).expanduser().is_dir():
        found = [spec for spec in matrix if fnmatchcase(spec.name.lower(), name.lower())]
        if not found:
            raise ScratchError(f"--model {name}: no model of the matrix matches; {_known(matrix)}")
        # References stand in the matrix for others' sake: what they declare is not recorded.
        return [spec for spec in found if spec.role is not Role.REFERENCE] or found
    return [resolve_name(name, matrix)]


def resolve_name(
    name: str, matrix: Matrix, *, role: Role = Role.CANDIDATE, option: str = "--model"
) -> ModelSpec:
    """Return the spec of one name: listed, folder, or an unlisted repository id.

    Raises `ScratchError` in the name of `option`, with near matches, for any other.
    """
    exact = name.startswith(EXACT_PREFIX)
    name = name.removeprefix(EXACT_PREFIX)
    listed = {key.lower(): spec for key, spec in matrix.models.items()}
    if name.lower() in listed:
        return listed[name.lower()]
    path = Path(name).expanduser()
    if path.is_dir() or (path.suffix in FILES and path.is_file()):
        return ModelSpec(name=folder_name(name), role=role, folder=True)
    model, quantisation = split_quantisation(name)
    if quantisation is not None:
        prefix = EXACT_PREFIX if exact else ""
        return replace(resolve_name(prefix + model, matrix, role=role, option=option), name=name)
    if name.startswith((".", "/", "~")):
        raise ScratchError(
            f"{option} {name}: there is no such folder, GGUF file or fingerprint{_beside(path)}"
        )
    if not exact and path.parent != Path() and path.parent.is_dir():
        raise ScratchError(
            f"{option} {name}: there is a folder {path.parent}, and no {path.name} in it"
            f"{_beside(path)}; for the repository of that name, write {option} {EXACT_PREFIX}{name}"
        )
    if not _REPOSITORY.fullmatch(name):
        raise ScratchError(
            f"{option} {name}: neither a repository id (org/name), nor a folder, nor a glob over "
            f"the matrix.{_did_you_mean(name, matrix)}"
        )
    typo = None if exact else _typo_of(name, matrix)
    if typo:
        raise ScratchError(
            f"{option} {name}: not in the matrix; did you mean {typo}? To name exactly this id, "
            f"write {option} {EXACT_PREFIX}{name}"
        )
    return ModelSpec(name=name, role=role)


def folder_name(path: str) -> str:
    """Return the path by which a folder is named: one ending alike, and never by dots alone.

    Examples
    --------
    >>> folder_name("models/s0/"), folder_name("./s0")
    ('models/s0', './s0')
    """
    ended = path.rstrip("/") or path
    if Path(ended).name.strip("."):
        return ended
    place = Path(ended).expanduser().resolve()
    above = ".." if ended == "." else f"{ended}/.."
    return f"{above}/{place.name}" if place.name else ended


def is_repository(name: str) -> bool:
    """Whether a name has the form of a repository id."""
    return _REPOSITORY.fullmatch(name) is not None


def _typo_of(name: str, matrix: Matrix) -> str | None:
    """Return a listed name from which `name` differs by a slip of letters, not by version."""
    for known in matrix.models:
        same_numbers = re.findall(r"\d+", known) == re.findall(r"\d+", name)
        alike = difflib.SequenceMatcher(None, known.lower(), name.lower()).ratio() > ALIKE
        cut_short = known.lower().startswith(name.lower()) and len(known) - len(name) <= 2
        twice = name.lower() != known.lower() and _undoubled(name) == _undoubled(known)
        if (same_numbers and alike) or cut_short or twice:
            return known
    return None


def _undoubled(name: str) -> str:
    """Return a name without what a key that was hit twice leaves: V33 for V3."""
    return re.sub(r"(.)\1+", r"\1", name.lower())


def _beside(path: Path) -> str:
    """Name what lies where a path leads and is spelt nearly so, if anything is."""
    try:
        there = [entry.name for entry in islice(path.parent.iterdir(), MOST_LISTED)]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, there, n=2, cutoff=0.6)
    return (
        f"; did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""
    )


def _did_you_mean(name: str, matrix: Matrix) -> str:
    short = {known.split("/")[-1].lower(): known for known in matrix.models}
    full = {known.lower(): known for known in matrix.models}
    near = difflib.get_close_matches(name.lower(), [*full, *short], n=3, cutoff=0.5)
    names = dict.fromkeys({**short, **full}[key] for key in near)
    return f" Did you mean {' or '.join(names)}?" if names else f" {_known(matrix)}"


def _known(matrix: Matrix) -> str:
    return f"known: {', '.join(sorted(matrix.models))}"


def select_components(names: Iterable[str], option: str = "--component") -> frozenset[Component]:
    """Return the components that `option` names. Raises `ScratchError` on unknown ones."""
    known = [component.value for component in Component]
    chosen = set()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise ScratchError(f"{option} {name}: no such component; {hint}")
        chosen.add(Component(name))
    return frozenset(chosen)


def pairs(
    models: Iterable[ModelSpec],
    matrix: Matrix,
    against: Sequence[str],
    library: Sequence[ModelSpec] = (),
) -> list[Pair]:
    """Return every pair to test, in a fixed order: named references first, then a library's.

    A model that is among the default references or in the library is not compared with itself, at
    any revision; where it was named as its own reference, the pair says so and its tests too. A
    declared predecessor is compared with like any reference, unless the user named others.
    """
    found: list[Pair] = []
    for model in models:
        named = against or (() if library else model.against)
        names = [*(named or (() if library else matrix.default_against))]
        origin = model.predecessor.origin if model.predecessor and not against else None
        if origin is not None and same_name(origin) not in map(same_name, names):
            names.append(origin)
        chosen: dict[str, Pair] = {}
        for name in names:
            reference = _reference(name, matrix, given=name in against)
            if named or not _is_listed(model, reference):
                chosen[reference.name] = Pair(model, reference, is_itself(model, reference))
        for reference in library:
            if not _is_listed(model, reference):
                chosen.setdefault(reference.name, Pair(model, reference))
        found += chosen.values()
    return found


def library_entries(folders: Iterable[str]) -> dict[str, LibraryEntry]:
    """Return the entries of all libraries; a model that several of them hold is taken once.

    Raises `ScratchError` where a folder is no library.
    """
    found: dict[str, LibraryEntry] = {}
    for folder in folders:
        from pytest_scratchverify.stores.library import read_library  # noqa: PLC0415 - only where asked

        found = {**read_library(Path(folder).expanduser()), **found}
    return found


def library_specs(entries: Mapping[str, LibraryEntry], matrix: Matrix) -> list[ModelSpec]:
    """Return the models of libraries as references; the matrix says when they were released."""
    return [
        replace(
            matrix.models.get(name) or ModelSpec(name=name),
            role=Role.REFERENCE,
            revision=entries[name].revision,
            saved=str(entries[name].path),
        )
        for name in sorted(entries)
    ]


def is_itself(model: ModelSpec, reference: ModelSpec) -> bool:
    """Whether two specs name one model: one repository at one revision, or one folder or file.

    A folder is one by whatever path. Names of one commit are known when both are open
    (`methods.weights.origin`).
    """
    if not model.folder:
        same = (model.name.lower(), model.revision) == (reference.name.lower(), reference.revision)
        return same and not reference.folder
    places = [reference.saved] if reference.saved else []
    places += [reference.name] if reference.saved or reference.folder else []
    return any(_same_place(model.name, place) for place in places)


def _is_listed(model: ModelSpec, reference: ModelSpec) -> bool:
    """Whether a reference that nobody named is the model itself, at any revision."""
    return is_itself(model, replace(reference, revision=model.revision))


def _same_place(one: str, two: str) -> bool:
    """Whether two paths lead to one folder, or to one that holds the model of the other."""
    first, second = Path(one).expanduser(), Path(two).expanduser()
    try:
        if first.samefile(second):
            return True
        ends = sorted((first.resolve(), second.resolve()), key=lambda path: len(path.parts))
        if not (ends[1].is_dir() and ends[1].is_relative_to(ends[0])):
            return False
        from pytest_scratchverify.stores.opening import folder_of  # noqa: PLC0415 - the stores

        return folder_of(ends[0]).samefile(folder_of(ends[1]))
    except OSError:
        return one == two


def _reference(name: str, matrix: Matrix, *, given: bool) -> ModelSpec:
    """Return the spec of a reference; a slip is looked for in what a user typed alone."""
    listed = matrix.models.get(name)
    exact = name if given or Path(name).expanduser().exists() else f"{EXACT_PREFIX}{name}"
    return listed or resolve_name(exact, matrix, role=Role.REFERENCE, option="--against")


def declared_components(model: ModelSpec) -> list[DeclaredComponent]:
    """Return the trained components that a matrix line declares or disputes.

    A predecessor that is declared for no component in particular is a matter of disclosure.
    """
    declared = [
        DeclaredComponent(component, model.declares[component].origin)
        for component in Component
        if component in model.declares and component is not Component.ARCHITECTURE
    ]
    disputed = [
        DeclaredComponent(component, None) for component in Component if component in model.disputed
    ]
    earlier = (
        [DeclaredComponent(Component.DISCLOSURE, model.predecessor.origin)]
        if (model.predecessor)
        else []
    )
    return [*declared, *disputed, *earlier]


def own_references(model: ModelSpec, references: Iterable[ModelSpec]) -> frozenset[str]:
    """Return the names of the references that are earlier models of the same developer, by name."""
    return frozenset(
        reference.name
        for reference in references
        if not is_itself(model, reference)
        and model.is_of_the_developer_of(reference)
        and Pair(model, reference).reference_is_older is not False
    )


def planned_components(model: ModelSpec, found: Iterable[Component]) -> tuple[Component, ...]:
    """Return the components that a verdict has to speak of.

    `found` are those that the model's config shows; where no config was read, a text model's
    usual ones stand in. What the matrix names, declares or disputes is always spoken of.
    """
    usual = {Component.EMBEDDINGS, Component.TEXT_DECODER, Component.LM_HEAD}
    named = set(found) or usual
    named |= set(model.components) | set(model.declares) | set(model.disputed)
    return tuple(component for component in Component if component in named)


def readable_id(*parts: str) -> str:
    """Join parts into an id that `-k`, `--lf` and node ids accept; readable, never parsed.

    Anything outside ``[A-Za-z0-9_:+./-]`` becomes ``_``, and a digest keeps the id distinct.
    """
    raw = ":".join(parts)
    clean = re.sub(r"[^A-Za-z0-9_:+./-]", "_", raw).replace("::", ":_")
    if clean == raw:
        return clean
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass"))  # names that are not UTF-8
    return f"{clean}+{digest.hexdigest()[:8]}"
