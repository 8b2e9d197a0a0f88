"""Select the weight and tokenizer files of a repository from its list of files.

Safetensors win; PyTorch archives and then GGUF files are read only where there is nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.bounds import absent, is_safe_name, malformed
from pytest_scratchverify.stores.store import FileEntry

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
BIN_INDEX = "pytorch_model.bin.index.json"
BIN_SINGLE = "pytorch_model.bin"
# Weights by the habits of their names; optimizers and schedulers are pickled beside them.
_BIN = re.compile(r"(?:pytorch_model|model)(?:[-.]\d+-of-\d+)?\.(?:bin|pt|pth)")
_ALONE = "consolidated.00.pth"  # Meta's; with a 01 beside it, rows are divided among files
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_NO_MODEL = re.compile(r"mmproj|imatrix|vocab|lora", re.IGNORECASE)
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


# What surely holds no weights: documents, code, settings, tokenizers, pictures. A list of what
# does hold them would call every format that it does not know unpublished.
_NO_WEIGHTS = re.compile(
    r"\.(?:md|txt|rst|pdf|html|csv|tsv|jsonl?|ya?ml|toml|ini|cfg|py|ipynb|sh|jinja2?|j2"
    r"|tiktoken|png|jpe?g|gif|svg|webp|gitattributes|gitignore)$"
    r"|(?:^|/)(?:LICEN[CS]E|NOTICE|USE_POLICY|README|CITATION|Makefile|Dockerfile)[^/.]*$",
    re.IGNORECASE,
)
_WEIGHT_INDEX = re.compile(r"\.index\.json$", re.IGNORECASE)  # names files of weights


class Format(Enum):
    """What holds the weights, where it is not safetensors."""

    PYTORCH = "PyTorch"
    GGUF = "GGUF"


@dataclass(frozen=True, slots=True)
class OtherWeights:
    """The files of a checkpoint that has no safetensors."""

    kind: Format
    names: tuple[str, ...]
    index: str | None = None


def other_weights(listing: Mapping[str, FileEntry]) -> OtherWeights | None:
    """Name the weight files of a model without safetensors; None if there are none to read.

    Of several quantisations as GGUF the largest is taken, because it rounds least.
    """
    if any(_is_root(name, ".safetensors") or name == INDEX for name in listing):
        return None
    if BIN_INDEX in listing:
        return OtherWeights(Format.PYTORCH, (), BIN_INDEX)
    archives = [name for name in sorted(listing) if _BIN.fullmatch(name)]
    if BIN_SINGLE in archives:
        archives = [BIN_SINGLE]
    elif not archives and _ALONE in listing and "consolidated.01.pth" not in listing:
        archives = [_ALONE]
    if archives:
        return OtherWeights(Format.PYTORCH, tuple(archives))
    groups: dict[str, list[str]] = {}
    for name in sorted(listing):
        if name.endswith(".gguf") and not _NO_MODEL.search(PurePosixPath(name).name):
            groups.setdefault(_PART.sub("", name), []).append(name)
    complete = {stem: names for stem, names in groups.items() if _is_complete(names)}
    if not complete:
        return None

    def size(stem: str) -> int:
        return sum(listing[name].size or 0 for name in complete[stem])

    largest = min(complete, key=lambda stem: (-size(stem), stem))
    return OtherWeights(Format.GGUF, tuple(complete[largest]))


def _is_complete(names: Sequence[str]) -> bool:
    """Whether a file is whole, or all of its parts are there."""
    part = _PART.search(names[0])
    return part is None or len(names) == int(part[2])


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


def holds_no_weights(listing: Iterable[str]) -> bool:
    """Whether no file of a listing, in whatever folder, can hold weights.

    True only if every name is known for something else: a file of an unknown kind may be weights
    in a format that is not read here, and an index of weights says that there are some.
    """
    return all(
        PurePosixPath(name).name in _TOKENIZER_NAMES
        or (_NO_WEIGHTS.search(name) and not _WEIGHT_INDEX.search(name))
        for name in listing
    )


def not_published(repo: str, files: int) -> Unavailable:
    """Say that a repository was listed and publishes no weights."""
    return Unavailable(
        Reason.NOT_PUBLISHED,
        Text(
            "{repo} publishes no weights: none of its {n} files at this revision can hold any.",
            repo=repo,
            n=files,
        ),
        Text("Ask the publisher for the weights, or name a revision that holds them."),
    )


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
            "folder; of pickled files only plain state dicts are read, and none is unpickled."
        ),
    )
