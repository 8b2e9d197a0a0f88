"""Select the weight and tokenizer files of a repository from its list of files.

Safetensors win; PyTorch archives and then GGUF files are read only where there is nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

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
_NO_WEIGHT_ARCHIVE = re.compile(
    r"optim|scheduler|scaler|rng|random_states|training_args|adapter_model|trainer_state|tokenizer",
    re.IGNORECASE,
)
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
MOST_PARTS = 10_000
_NO_MODEL = re.compile(r"(?:^|[-_.])(?:mmproj|imatrix|vocab|lora)(?=[-_.])", re.IGNORECASE)
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
    return next(iter(other_sets(listing)), None)


def other_sets(listing: Mapping[str, FileEntry]) -> list[OtherWeights]:
    """Name every save in another format than safetensors that can be read.

    PyTorch archives come first, then GGUF, the largest quantisation in front.
    """
    found: list[OtherWeights] = []
    archives = [name for name in sorted(listing) if _is_archive(name)]
    usual = [name for name in archives if _BIN.fullmatch(name)]
    if BIN_INDEX in listing:
        found.append(OtherWeights(Format.PYTORCH, (), BIN_INDEX))
    elif BIN_SINGLE in archives:
        found.append(OtherWeights(Format.PYTORCH, (BIN_SINGLE,)))
    elif usual:
        found.append(OtherWeights(Format.PYTORCH, tuple(usual)))
    else:
        # A file alone of its kind: Meta's, nanoGPT's ckpt.pt, DeepSpeed's mp_rank_00. With a
        # second rank beside it, rows are divided among files.
        found += [OtherWeights(Format.PYTORCH, (name,)) for name in archives if len(archives) == 1]
    complete = [names for names in _gguf_groups(listing).values() if _is_complete(names)]

    def size(names: Sequence[str]) -> int:
        return sum(listing[name].size or 0 for name in names)

    ranked = sorted(complete, key=lambda names: (-size(names), names))
    return [*found, *(OtherWeights(Format.GGUF, tuple(names)) for names in ranked)]


def may_be_weights(name: str) -> bool:
    """Whether a file, in whatever folder, is one that a model or an adapter is loaded from."""
    last = PurePosixPath(name).name
    if last.endswith((".safetensors", ".safetensors.index.json")) or last == BIN_INDEX:
        return not _NO_WEIGHT_ARCHIVE.search(last.removeprefix("adapter_model"))
    if last.endswith(".gguf"):
        return not _NO_MODEL.search(last)
    return _is_archive(last) or last == "adapter_model.bin"


def _is_archive(name: str) -> bool:
    """Whether a file may be a PyTorch archive of weights; optimizers are pickled beside them."""
    alone = len(PurePosixPath(name).parts) == 1 and name.endswith((".bin", ".pt", ".pth", ".ckpt"))
    return alone and not _NO_WEIGHT_ARCHIVE.search(name)


def _gguf_groups(listing: Mapping[str, FileEntry]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(listing):
        if name.endswith(".gguf") and not _NO_MODEL.search(PurePosixPath(name).name):
            groups.setdefault(_PART.sub("", name), []).append(name)
    return groups


def parts_beside(file: Path) -> list[Path]:
    """Return the other parts of the set that a GGUF file belongs to, as far as they are there."""
    part = _PART.search(file.name)
    if part is None or int(part[2]) > MOST_PARTS:
        return []
    stem = file.name[: part.start()]
    names = (f"{stem}-{number:05d}-of-{part[2]}.gguf" for number in range(1, int(part[2]) + 1))
    found = (file.with_name(name) for name in names if name != file.name)
    return [path for path in found if path.is_file()]


def missing_gguf_parts(listing: Mapping[str, FileEntry]) -> tuple[str, list[str]] | None:
    """Name a part of a divided GGUF file and those that are absent beside it."""
    for names in _gguf_groups(listing).values():
        part = _PART.search(names[0])
        if part is None or _is_complete(names):
            continue
        stem, total = names[0][: part.start()], part[2]
        known = {int(found[1]) for name in names if (found := _PART.search(name))}
        lost = [n for n in range(1, min(int(total), MOST_PARTS) + 1) if n not in known]
        return names[0], [f"{stem}-{n:05d}-of-{total}.gguf" for n in lost]
    return None


def _is_complete(names: Sequence[str]) -> bool:
    """Whether a file is whole, or all of its parts are there."""
    part = _PART.search(names[0])
    return part is None or len(names) == int(part[2])


def shards_of_index(
    index: Mapping[str, Json], listing: Mapping[str, FileEntry] | None, *, repo: str, file: str
) -> dict[str, str]:
    """Read the weight map of an index: tensor name to file name, every file listed.

    Without a `listing` it is not asked whether the files are there.

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
    safe: set[str] = set()
    for tensor, shard in weight_map.items():
        if isinstance(shard, str) and shard not in safe and is_safe_name(shard):
            safe.add(shard)  # of a hundred files, which tens of thousands of tensors name
        if not isinstance(shard, str) or shard not in safe:
            raise malformed(repo, file, f"{shard!r:.80} is no file name")
        if listing is not None and shard not in listing:
            raise absent(repo, shard)
        shards[tensor] = shard
    return shards


def no_weights(listing: Mapping[str, FileEntry], *, repo: str) -> Unavailable:
    """Say why a repository has no set of weights that can be read, and where weights may lie."""
    parts = missing_gguf_parts(listing)
    if parts is not None:
        return Unavailable(
            Reason.ABSENT,
            Text(
                "{repo} holds {file}, and of the same GGUF {names} are absent.",
                repo=repo,
                file=parts[0],
                names=parts[1],
            ),
            Text("Bring the parts that are absent: a part alone is no model."),
        )
    others = [name for name in sorted(listing) if name.endswith(_OTHER_FORMATS)]
    below = sorted(
        {
            str(PurePosixPath(name).parent)
            for name in listing
            if name.endswith((".safetensors", *_OTHER_FORMATS))
            and len(PurePosixPath(name).parts) > 1
        }
    )
    if below and not any(len(PurePosixPath(name).parts) == 1 for name in others):
        return Unavailable(
            Reason.ABSENT,
            Text(
                "{repo} holds no weights itself; there are some below it, in {folders}.",
                repo=repo,
                folders=below,
            ),
            Text("Give the folder that is meant: {folder}.", folder=f"{repo}/{below[-1]}"),
        )
    if others:
        return _unsupported(repo, others)
    return absent(repo, SINGLE)


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
