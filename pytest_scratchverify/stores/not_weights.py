"""Refusals of what stands where weights are expected and is none: pointers and adapters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the first line, and at most so long.
POINTER: Final = b"version https://git-lfs.github.com/spec/"
LONGEST_POINTER: Final = 1024


def pointer(repo: str, file: str) -> Unavailable:
    """Say that a file is what git keeps in place of one that git-lfs has."""
    return Unavailable(
        Reason.ABSENT,
        Text(
            "{file} of {repo} is a pointer file of git-lfs, not the file itself.",
            file=file,
            repo=repo,
        ),
        Text("Fetch the files with git lfs pull, or download them from the hub."),
    )


def adapter_instead(
    repo: str, listing: Iterable[str], config: Mapping[str, Json]
) -> Unavailable | None:
    """Say that a repository holds an adapter and no model; None where it holds none."""
    files = sorted(name for name in listing if name.rpartition("/")[2].startswith("adapter_model."))
    if not files:
        return None
    base, kind = config.get("base_model_name_or_path"), config.get("peft_type")
    return Unavailable(
        Reason.UNSUPPORTED,
        Text(
            "{repo} holds an adapter ({kind}, {file}) for the base model {base}, and no weights"
            " of its own: what it adds to them is no model.",
            repo=repo,
            kind=kind if isinstance(kind, str) else "-",
            file=files[0],
            base=base if isinstance(base, str) else "-",
        ),
        Text("Judge the base model, or merge the adapter into it and give the merged model."),
    )
