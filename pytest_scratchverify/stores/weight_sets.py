"""Decide which files of a repository are the model: what a loader would load is what is judged.

A *set* is one whole save: the files that some loader puts together to one model. The first set is
the one that transformers loads (``transformers_weights`` of config.json, then
``model.safetensors``, then the index); every other set of the repository is judged beside it, and
nothing is cleared by one of them. What a set lacks, and whatever makes loaders disagree, is a
sentence that withholds a clearance. The rule is docs/adr/0009-which-bytes-are-the-model.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import printable
from pytest_scratchverify.stores.adapter import ADAPTER_CONFIG, read_adapter_config
from pytest_scratchverify.stores.bounds import absent, is_safe_name
from pytest_scratchverify.stores.store import FileEntry
from pytest_scratchverify.stores.weight_files import (
    INDEX,
    SINGLE,
    Format,
    other_sets,
    shards_of_index,
)

MOST_SETS = 8  # that are judged; the ninth is named
MOST_QUANTISATIONS = 40  # of GGUF alone: a few rows tell that they are one model
MOST_NAMED = 100  # parts that a sentence names
_INDEX_ENDING = ".safetensors.index.json"
_NUMBERED = re.compile(r"(?P<stem>.*?)[-_.]?(?P<number>\d{1,5})-of-(?P<total>\d{1,5})\.\w+$")
# Saved beside the weights by trainers, and loaded as weights by nobody.
_NO_SET = re.compile(
    r"^(?:adapter_model|(?:\d+_)?adapters\.safetensors"
    r"|optimizer|optim|scheduler|scaler|rng|random_states|training_args)",
    re.IGNORECASE,
)

HEADLINES = {
    "numbering": "By their numbering, {names} are absent.",
    "left out": "The index leaves out {names}, which lie beside the shards that it names.",
    "in vain": "The index {index} names files that are absent ({names}).",
    "explicit": "config.json names {name} as the weights (transformers_weights), and it is absent.",
    "elsewhere": "config.json names {name} as the weights (transformers_weights), which is no"
    " safetensors file and no index of this repository.",
    "adapter": "The file adapter_config.json stands beside the weights: loaders that know it load"
    " {base} and the adapter in their place.",
    "many": "{n} sets of weights lie side by side, and {names} were not read.",
}


@dataclass(frozen=True, slots=True)
class WeightSet:
    """One save: its files, its map from tensor to file, and what it lacks.

    `kind` is None for safetensors; `is_default` says that some loader takes the set without
    being told to.
    """

    names: tuple[str, ...]
    weight_map: Mapping[str, str]
    index: str | None = None
    kind: Format | None = None
    lacks: tuple[Text, ...] = ()
    is_default: bool = True


@dataclass(frozen=True, slots=True)
class WeightSets:
    """All sets of a repository, the one that is loaded first in front, and what is in doubt."""

    sets: tuple[WeightSet, ...]
    doubts: tuple[Text, ...] = ()


ReadIndex = Callable[[str], Mapping[str, Json]]
NamesIn = Callable[[Sequence[str]], list[frozenset[str]]]


def weight_sets(
    listing: Mapping[str, FileEntry],
    config: Mapping[str, Json],
    *,
    repo: str,
    read_index: ReadIndex,
    names_in: NamesIn,
) -> WeightSets:
    """Sort the weight files of a repository into sets.

    Parameters
    ----------
    listing
        The files by path.
    config
        The parsed config.json, or an empty mapping.
    repo
        The repository's name, for messages.
    read_index
        Reads an index file; may raise `Unavailable`.
    names_in
        The tensor names of several safetensors files; asked only where no index and no usual
        name says which files belong together.

    Raises
    ------
    Unavailable
        Malformed or absent, where the one index that there is cannot be followed.
    """
    doubts: list[Text] = []
    found = _Found(listing, repo, read_index)
    found.add_named(config.get("transformers_weights"))
    if SINGLE in listing:
        found.add((SINGLE,))
    for name in _indexes(listing):
        found.add_index(name)
    loose = [
        name
        for name in sorted(listing)
        if _is_root(name) and name.endswith(".safetensors") and not _NO_SET.match(name)
    ]
    for names in _groups(loose, names_in, alone=not found.sets):
        found.add(names, is_default=not found.has_index)
    if found.failure is not None and not found.sets:
        raise found.failure
    doubts += found.doubts
    others = [
        WeightSet(w.names, {}, w.index, w.kind, is_default=not found.sets)
        for w in other_sets(listing)
    ]
    sets = [*found.sets, *others]
    most = MOST_QUANTISATIONS if sets and sets[0].kind is Format.GGUF else MOST_SETS
    if len(sets) > most:
        left = [one.index or one.names[0] for one in sets[most:]]
        doubts.append(Text(HEADLINES["many"], n=len(sets), names=left))
    if ADAPTER_CONFIG in listing and sets:
        base = adapter_base(read_index, listing)
        doubts.append(Text(HEADLINES["adapter"], base=base or "-"))
    return WeightSets(tuple(sets[:most]), tuple(doubts))


def adapter_base(read: ReadIndex, listing: Mapping[str, FileEntry]) -> str | None:
    """Return the base that adapter_config.json names; None where it names none."""
    if ADAPTER_CONFIG not in listing:
        return None
    try:
        return read_adapter_config(read(ADAPTER_CONFIG)).base
    except Unavailable:
        return None


class _Found:
    """Sets in the order in which they are found; one whose files another has is none."""

    def __init__(self, listing: Mapping[str, FileEntry], repo: str, read_index: ReadIndex) -> None:
        self.sets: list[WeightSet] = []
        self.doubts: list[Text] = []
        self.failure: Unavailable | None = None
        self.has_index = False
        self._listing, self._repo, self._read_index = listing, repo, read_index

    def add_named(self, name: Json) -> None:
        """Add what config.json names as the weights; where that is none of these files, say so."""
        if name is None:
            return
        if not isinstance(name, str) or not is_safe_name(name):
            self.doubts.append(Text(HEADLINES["elsewhere"], name=printable(f"{name!r:.100}")))
        elif name not in self._listing:
            self.doubts.append(Text(HEADLINES["explicit"], name=name))
        elif name.endswith(_INDEX_ENDING):
            self.add_index(name)
        elif name.endswith(".safetensors"):
            self.add((name,))
        else:  # transformers refuses it
            self.doubts.append(Text(HEADLINES["elsewhere"], name=name))

    def add(self, names: Sequence[str], *, is_default: bool = True) -> None:
        """Add files that belong together without an index."""
        if any(set(names) <= set(known.names) for known in self.sets):
            return
        lacks = missing_by_number(names, self._listing)
        self.sets.append(WeightSet(tuple(names), {}, lacks=lacks, is_default=is_default))

    def add_index(self, name: str) -> None:
        """Add what an index names; one that cannot be followed is named where another set is."""
        try:
            content = self._read_index(name)
            shards = shards_of_index(content, None, repo=self._repo, file=name)
        except Unavailable as failure:
            self.failure = self.failure or failure
            self.doubts.append(failure.what)
            return
        lost = sorted({*shards.values()} - self._listing.keys())
        if lost:
            self.failure = self.failure or absent(self._repo, lost[0])
            self.doubts.append(Text(HEADLINES["in vain"], index=name, names=lost))
            return
        self.has_index = True
        names = sorted({*shards.values()})
        if any(known.index == name or known.names == tuple(names) for known in self.sets):
            return  # one file and the index that names nothing else are one save
        lacks = missing_by_number(names, self._listing)
        self.sets.append(WeightSet(tuple(names), shards, name, lacks=lacks))


def missing_by_number(names: Iterable[str], listing: Mapping[str, FileEntry]) -> tuple[Text, ...]:
    """Name the parts that a set lacks by its own numbering, and those that its index leaves out.

    Parts are counted from one, or from zero where there is a part of that number.
    """
    here = set(names)
    found: list[Text] = []
    for (_, _, total), parts in _by_stem(here).items():
        first = 0 if 0 in parts else 1
        lost = [n for n in range(first, first + total) if n not in parts][:MOST_NAMED]
        if not lost:
            continue
        sample = parts[min(parts)]
        width = len(_numbers(sample)["number"])
        named = [_renumbered(sample, n, width) for n in lost]
        beside = [name for name in named if name in listing]
        gone = [name for name in named if name not in listing]
        if beside:
            found.append(Text(HEADLINES["left out"], names=beside))
        if gone:
            found.append(Text(HEADLINES["numbering"], names=gone))
    return tuple(found)


def _numbers(name: str) -> dict[str, str]:
    found = _NUMBERED.fullmatch(PurePosixPath(name).name)
    return found.groupdict() if found else {}


def _renumbered(name: str, number: int, width: int) -> str:
    path = PurePosixPath(name)
    found = _NUMBERED.fullmatch(path.name)
    assert found is not None  # noqa: S101 - it was sorted by its number
    start, stop = found.span("number")
    renamed = f"{path.name[:start]}{number:0{width}d}{path.name[stop:]}"
    return renamed if len(path.parts) == 1 else str(path.with_name(renamed))


def _by_stem(names: Iterable[str]) -> dict[tuple[str, str, int], dict[int, str]]:
    """Sort numbered names by folder, stem and total: from number to name."""
    found: dict[tuple[str, str, int], dict[int, str]] = {}
    for name in sorted(names):
        parts = _numbers(name)
        if parts:
            key = (str(PurePosixPath(name).parent), parts["stem"], int(parts["total"]))
            found.setdefault(key, {})[int(parts["number"])] = name
    return found


def _indexes(listing: Mapping[str, FileEntry]) -> list[str]:
    """Name the indexes of safetensors, that of the usual name first."""
    names = [name for name in sorted(listing) if _is_root(name) and name.endswith(_INDEX_ENDING)]
    return sorted(names, key=lambda name: (name != INDEX, name))


def _groups(loose: Sequence[str], names_in: NamesIn, *, alone: bool) -> list[tuple[str, ...]]:
    """Sort files that no index names into saves.

    Where there is nothing else, all of them together are the model, unless two hold one tensor:
    then they are several saves, each numbered group and each other file one.
    """
    numbered = [tuple(parts[n] for n in sorted(parts)) for parts in _by_stem(loose).values()]
    grouped = {name for group in numbered for name in group}
    single = [(name,) for name in loose if name not in grouped]
    several = [*numbered, *single]
    if not alone or len(several) < 2:
        return several
    seen: set[str] = set()
    for names in names_in(loose):
        if seen & names:
            return several
        seen |= names
    return [tuple(loose)]


def _is_root(name: str) -> bool:
    return len(PurePosixPath(name).parts) == 1
