"""Parse a model card (README.md with YAML metadata) into claims of its author."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import huggingface_hub

from pytest_scratchverify.stores.bounds import MAX_CARD_CHARACTERS, malformed
from pytest_scratchverify.stores.store import ModelCard


def read_card(path: Path, *, repo: str) -> ModelCard:
    """Read a README.md from disk.

    Raises
    ------
    Unavailable
        With reason malformed, if the metadata block is not a YAML table. Whether reuse was
        declared hangs on it, so a broken block is not the same as an empty one.
    """
    try:
        metadata = huggingface_hub.metadata_load(path) or {}
        text = path.read_text(encoding="utf-8-sig")
    except RecursionError:
        raise malformed(repo, "README.md", "it is nested too deeply") from None
    except OSError:
        raise
    except Exception as error:  # PyYAML's errors, which we have no dependency of our own on
        raise malformed(
            repo, "README.md", f"its metadata is unreadable ({error!s:.200})"
        ) from error
    return card_from_metadata(metadata, text=text[:MAX_CARD_CHARACTERS])


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
        return (value,)
    if isinstance(value, list):
        return tuple(str(item) for item in value if isinstance(item, (str, int, float)))
    return ()


def _string(value: object) -> str | None:
    found = _strings(value)
    return found[0] if found else None
