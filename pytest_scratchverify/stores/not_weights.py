"""Refusals of what stands where weights are expected and is none: pointers and adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pytest_scratchverify.checkpoint.header import ShardHeader
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.adapter import ADAPTER_FILES, read_adapter_config, sort_tensors

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
    repo: str,
    listing: Iterable[str],
    config: Mapping[str, Json],
    headers: Callable[[list[str]], list[ShardHeader]],
) -> Unavailable | None:
    """Say that a repository holds an adapter and no model, and how much; None where it holds none.

    `headers` reads those of safetensors files, as far as they are sound.
    """
    files = sorted(name for name in listing if name.rpartition("/")[2] in ADAPTER_FILES)
    if not files:
        return None
    found = read_adapter_config(config)
    said: dict[str, int | str] = {"added": "-", "modules": "-", "rank": "-"}
    for header in headers(files[:1]) if files[0].endswith(".safetensors") else []:
        said = sort_tensors({info.name: info for info in header.tensors}).said
    base = found.base or "-"
    return Unavailable(
        Reason.UNSUPPORTED,
        Text(
            "{repo} holds an adapter ({kind}, {file}) for the base model {base}, and no weights"
            " of its own. It adds {added} parameters in {modules} modules (rank {rank}): what it"
            " adds is no model alone.",
            repo=repo,
            kind=found.kind or "-",
            file=files[0],
            base=base,
            **said,
        ),
        Text(
            "Give its base too (--against {base}), and the two are judged together; or merge the"
            " adapter into its base and give the merged model.",
            base=base,
        )
        if found.refused is None
        else Text(
            "It is not put together with its base: {why}. Merge it yourself and give the merged"
            " model.",
            why=found.refused,
        ),
    )
