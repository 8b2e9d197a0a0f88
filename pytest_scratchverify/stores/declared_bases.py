"""Base models that a repository names, wherever it names them: card, adapter, recipe of a merge.

``adapter_config.json`` of PEFT names the model to which an adapter belongs, and
``mergekit_config.yml`` of mergekit those that were merged. Either is a statement of the
publisher's, as the card's ``base_model`` is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.spec import same_name
from pytest_scratchverify.core.untrusted import open_regular, printable
from pytest_scratchverify.stores.adapter import ADAPTER_CONFIG, read_adapter_config
from pytest_scratchverify.stores.bounds import MAX_CONFIG_BYTES, malformed, parse_object
from pytest_scratchverify.stores.card import LONGEST_NAME, MAX_NAMED, bounded_yaml
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, ModelCard

HUB = "huggingface.co/"
MERGES = ("mergekit_config.yml", "mergekit_config.yaml")


@dataclass(frozen=True, slots=True)
class DeclaredBases:
    """The card, None where there is none, and the bases that other files name.

    `others` are pairs of a file and a name, each name once, in the order of the files.
    """

    card: Artifact[ModelCard] | None
    others: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the card's first."""
        card = self.card.value.base_model if self.card else ()
        return tuple(dict.fromkeys((*card, *(name for _, name in self.others))))


def declared_bases(store: ArtifactStore) -> DeclaredBases:
    """Read every base model that a repository names.

    Raises
    ------
    Unavailable
        Where the card cannot be read, and no other file names a base. A repository without
        a README.md names none in it.
    """
    others = tuple({name: (file, name) for file, name in _others(store)}.values())
    try:
        card = store.card()
    except Unavailable as failure:
        if failure.reason is not Reason.ABSENT and not others:
            raise
        return DeclaredBases(None, others)
    return DeclaredBases(card, others)


def _others(store: ArtifactStore) -> Iterator[tuple[str, str]]:
    for file, names in ((ADAPTER_CONFIG, _adapter_names), *((m, _merge_names) for m in MERGES)):
        try:
            path = store.file(file).value
            with open_regular(path) as stream:
                raw = stream.read(MAX_CONFIG_BYTES + 1)
            table = (
                parse_object(raw, repo=store.repo, file=file)
                if file == ADAPTER_CONFIG
                else _yaml_table(raw, store.repo, file)
            )
        except (Unavailable, OSError):
            continue  # what cannot be read names nothing: it costs a declaration
        for name in islice(names(table), MAX_NAMED):
            yield file, printable(name)[:LONGEST_NAME]
    for file, name in _gguf_names(store):
        yield file, printable(name)[:LONGEST_NAME]


def _gguf_names(store: ArtifactStore) -> Iterator[tuple[str, str]]:
    """Yield the bases that the metadata of GGUF weights names, where it stands for config.json."""
    try:
        if not store.config().record.file.endswith(".gguf"):
            return
        index = store.tensor_index()
    except Unavailable:
        return
    keys = index.value.metadata
    count = keys.get("general.base_model.count")
    for number in range(min(count, MAX_NAMED) if type(count) is int else 0):
        told = {
            word: keys.get(f"general.base_model.{number}.{word}")
            for word in ("repo_url", "organization", "name")
        }
        words = {word: value for word, value in told.items() if isinstance(value, str) and value}
        if "repo_url" in words:
            yield (
                index.record.file,
                words["repo_url"].rstrip("/").partition(HUB)[2] or words["repo_url"],
            )
        elif "name" in words:
            named = "/".join(words[word] for word in ("organization", "name") if word in words)
            yield index.record.file, named.replace(" ", "-")


def _yaml_table(raw: bytes, repo: str, file: str) -> Mapping[str, Any]:
    try:
        found = bounded_yaml(raw[:MAX_CONFIG_BYTES].decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise malformed(repo, file, "it is unreadable") from error
    return found if isinstance(found, dict) else {}


def _adapter_names(table: Mapping[str, Any]) -> Iterator[str]:
    base = read_adapter_config(table).base
    if base is not None:
        yield base


def _merge_names(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the models of a recipe: base_model, models, and the sources of slices."""
    yield from _model(table.get("base_model"))
    for entry in _tables(table.get("models")):
        yield from _model(entry.get("model"))
    for part in _tables(table.get("slices")):
        for source in _tables(part.get("sources")):
            yield from _model(source.get("model"))


def _tables(value: object) -> list[Mapping[str, Any]]:
    # Aliases of YAML make a list of lists of lists long in no time.
    found = value[:MAX_NAMED] if isinstance(value, list) else []
    return [item for item in found if isinstance(item, dict)]


def _model(value: object) -> Iterator[str]:
    """Yield a model's name: text, with an adapter behind a plus, or a table with a path."""
    if isinstance(value, dict):
        value = value.get("path", value.get("model"))
        value = value.get("path") if isinstance(value, dict) else value
    if isinstance(value, str) and value:
        yield value.partition("+")[0]


def is_named(target: str, declared: str) -> bool:
    """Whether a base that a publisher declares is the model that a user gave as `target`.

    Names are compared, and paths where both lead to one folder; what is declared opens nothing.
    """
    if same_name(target) == same_name(declared):
        return True
    try:
        one, other = Path(target).expanduser(), Path(declared).expanduser()
        return one.exists() and one.samefile(other)
    except (OSError, ValueError, RuntimeError):
        return False
