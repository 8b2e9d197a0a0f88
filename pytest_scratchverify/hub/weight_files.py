"""Finds the files that hold a model's weights, in a list of file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pytest_scratchverify.errors import Reason, Unavailable
from pytest_scratchverify.hub.bounds import absent, is_safe_name, malformed
from pytest_scratchverify.hub.store import FileEntry
from pytest_scratchverify.model.builtins import Json
from pytest_scratchverify.model.text import Text

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
# Never opened: unpickling runs the publisher's code, and GGUF holds requantised weights.
_OTHER_FORMATS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".gguf", ".h5", ".msgpack", ".onnx")

_TOKENIZER_NAMES = frozenset(
    {
        "added_tokens.json",
        "merges.txt",
        "qwen.tiktoken",
        "sentencepiece.bpe.model",
        "special_tokens_map.json",
        "spiece.model",
        "tekken.json",
        "tiktoken.model",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer.model.v3",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)


def index_name(listing: Mapping[str, FileEntry]) -> str | None:
    """Name the index of a sharded checkpoint, if there is exactly one to name."""
    if INDEX in listing:
        return INDEX
    if SINGLE in listing:
        return None
    others = [name for name in listing if _is_root(name, ".safetensors.index.json")]
    return others[0] if len(others) == 1 else None


def shards_of_index(
    index: Mapping[str, Json], listing: Mapping[str, FileEntry], *, repo: str, file: str
) -> dict[str, str]:
    """Read the weight map of an index: tensor name to file name, every file listed.

    Raises
    ------
    Unavailable
        Malformed, if there is no such map or it points out of the repository; absent, if it
        names a file that is not there.
    """
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise malformed(repo, file, "it has no weight_map")
    shards: dict[str, str] = {}
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or not is_safe_name(shard):
            raise malformed(repo, file, f"{shard!r:.80} is no file name")
        if shard not in listing:
            raise absent(repo, shard)
        shards[tensor] = shard
    return shards


def shards_without_index(listing: Mapping[str, FileEntry], *, repo: str) -> tuple[str, ...]:
    """Name the safetensors files of a checkpoint that has no index.

    Raises
    ------
    Unavailable
        Unsupported, if the weights are in another format; absent, if there are none.
    """
    if SINGLE in listing:
        return (SINGLE,)
    shards = tuple(name for name in sorted(listing) if _is_root(name, ".safetensors"))
    if shards:
        return shards
    others = [name for name in sorted(listing) if name.endswith(_OTHER_FORMATS)]
    if others:
        raise _unsupported(repo, others)
    raise absent(repo, SINGLE)


def tokenizer_names(listing: Mapping[str, FileEntry]) -> Sequence[str]:
    """Name the files that define a tokenizer, sorted."""
    return [
        name for name in sorted(listing) if name in _TOKENIZER_NAMES or _is_root(name, ".tiktoken")
    ]


def _is_root(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and len(PurePosixPath(name).parts) == 1


def _unsupported(repo: str, names: list[str]) -> Unavailable:
    return Unavailable(
        Reason.UNSUPPORTED,
        Text(
            "{repo} holds its weights as {file} ({n} such files), not as safetensors.",
            repo=repo,
            file=names[0],
            n=len(names),
        ),
        Text(
            "Convert them with https://huggingface.co/spaces/safetensors/convert and give the "
            "folder; pickled files are never opened here."
        ),
    )
