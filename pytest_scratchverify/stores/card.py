"""Parse a model card (README.md with YAML metadata) into claims of its author."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # what huggingface_hub reads cards with, and demands

from pytest_scratchverify.core.untrusted import open_regular, printable
from pytest_scratchverify.stores.bounds import (
    MAX_CARD_BYTES,
    MAX_CARD_CHARACTERS,
    MAX_JSON_DEPTH,
    malformed,
)
from pytest_scratchverify.stores.store import ModelCard

_BLOCK = re.compile(r"^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\r|\n|$))")  # as on the hub
# Of the metadata: cards with thousands of benchmark results have half of these.
MAX_METADATA = 1 << 20
MAX_NODES = 200_000
LONGEST_NUMBER = 40
MAX_NAMED = 1000  # of base models, languages, tags
LONGEST_NAME = 1000
_SCALARS = (str, int, float)


def read_card(path: Path, *, repo: str) -> ModelCard:
    """Read a README.md from disk.

    Raises
    ------
    Unavailable
        With reason malformed, if the metadata block is not a YAML table. Whether reuse was
        declared hangs on it, so a broken block is not the same as an empty one.
    """
    try:
        with open_regular(path) as stream:
            text = printable(stream.read(MAX_CARD_BYTES).decode("utf-8-sig"))
        metadata = _metadata(text, repo)
    except RecursionError:
        raise malformed(repo, "README.md", "it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        why = printable(str(error))
        raise malformed(repo, "README.md", f"its metadata is unreadable ({why:.200})") from error
    return card_from_metadata(metadata, text=text[:MAX_CARD_CHARACTERS])


def _metadata(text: str, repo: str) -> Mapping[str, object]:
    block = _BLOCK.search(text)
    if block is None:
        return {}
    if len(block[2]) > MAX_METADATA:
        raise malformed(repo, "README.md", f"its metadata is longer than {MAX_METADATA} characters")
    found = _load(block[2])
    if not isinstance(found, dict | None):
        raise malformed(repo, "README.md", "its metadata is not a table")
    return found or {}


def _load(text: str) -> object:
    return yaml.load(text, Loader=_BoundedLoader)  # noqa: S506 - a safe loader, see below


def bounded_yaml(text: str) -> object:
    """Read YAML of plain values. Raises `ValueError` for whatever is wrong with it."""
    if len(text) > MAX_METADATA:
        raise ValueError(f"longer than {MAX_METADATA} characters")
    try:
        return _load(text)
    except (yaml.YAMLError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(printable(str(error))) from error


class _BoundedLoader(yaml.SafeLoader):  # type: ignore[misc] # as above
    """PyYAML's safe loader, which makes plain values only, with an end to depth and number.

    Merge keys are refused: ten of them in a row, each of nine tables, are a table of 9^10.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values")
        if self._depth > MAX_JSON_DEPTH:
            raise ValueError("nested too deeply")
        found = super().compose_node(parent, index)
        self._depth -= 1
        return found

    def flatten_mapping(self, node: Any) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ValueError("it has merge keys (<<), which no card needs")
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: Any) -> Any:
        # 1:2:3 and 0x... are numbers too, of any length, in time that grows with its square.
        if len(node.value) > LONGEST_NUMBER:
            return node.value
        return super().construct_yaml_int(node)

    def construct_yaml_float(self, node: Any) -> Any:
        if len(node.value) > LONGEST_NUMBER:
            return node.value
        return super().construct_yaml_float(node)


for _tag in ("int", "float"):
    _BoundedLoader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", getattr(_BoundedLoader, f"construct_yaml_{_tag}")
    )


def card_from_metadata(metadata: Mapping[str, object], *, text: str = "") -> ModelCard:
    """Pick the claims that matter here out of a card's metadata."""
    return ModelCard(
        base_model=_strings(metadata.get("base_model")),
        base_model_relation=_string(metadata.get("base_model_relation")),
        license=_string(metadata.get("license")),
        license_name=_string(metadata.get("license_name")),
        language=_strings(metadata.get("language")),
        tags=_strings(metadata.get("tags")),
        text=text,
    )


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_said(value),)
    if isinstance(value, list):
        return tuple(_said(item) for item in value[:MAX_NAMED] if isinstance(item, _SCALARS))
    return ()


def _string(value: object) -> str | None:
    found = _strings(value)
    return found[0] if found else None


def _said(value: object) -> str:
    return printable(str(value))[:LONGEST_NAME]
