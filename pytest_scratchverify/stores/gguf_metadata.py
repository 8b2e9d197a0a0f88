"""What GGUF weights say of their model where no other file does: configuration, vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_scratchverify.checkpoint.design import read_designs
from pytest_scratchverify.checkpoint.formats.gguf_config import config_of
from pytest_scratchverify.checkpoint.header import TensorIndex
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.bounds import absent
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact
from pytest_scratchverify.stores.weight_files import Format
from pytest_scratchverify.stores.weight_sets import WeightSets

ReadRanges = Callable[[str, Sequence[ByteRange]], list[bytes]]
ReadIndex = Callable[[], Artifact[TensorIndex]]
TABLE = "model.embed_tokens.weight"


def config_or_metadata(
    config: Callable[[], Artifact[dict[str, Json]]], files: Iterable[str], index: ReadIndex
) -> Artifact[dict[str, Json]]:
    """Read config.json, or beside weights in GGUF what their metadata says.

    Repositories of GGUF have a config.json of one line, so that downloads are counted: what it
    says stands, and the metadata says the rest.

    Raises
    ------
    Unavailable
        That of `config`, where nothing stands in for it.
    """
    written: Artifact[dict[str, Json]] | None = None
    try:
        written = config()
        if read_designs(written.value):
            return written
    except Unavailable as failure:
        if failure.reason is not Reason.ABSENT:
            raise
        refusal = failure
    try:
        stated = _stated(index()) if any(f.endswith(".gguf") for f in files) else None
    except Unavailable:
        if written is None:
            raise
        stated = None
    if stated is None:
        if written is None:
            raise refusal
        return written
    return Artifact({**stated.value, **(written.value if written else {})}, stated.record)


def _stated(found: Artifact[TensorIndex]) -> Artifact[dict[str, Json]] | None:
    table = found.value.tensors.get(TABLE)
    rows = table.shape[0] if table is not None and table.shape else None
    names = {*found.value.tensors, *found.value.undecoded}
    stated = config_of(found.value.metadata, names, rows)
    note = Text(
        "No config.json states the design: the metadata of {file} does.", file=found.record.file
    )
    return Artifact(stated, replace(found.record, note=note)) if stated else None


def best_of_several(record: ArtifactRecord, found: WeightSets) -> ArtifactRecord:
    """Note which of several quantisations was read, and how another one is chosen."""
    if len(found.sets) < 2 or found.sets[0].kind is not Format.GGUF:
        return record
    note = Text(
        "{file} was read: of {n} quantisations it has the most bits a weight. Write {repo}:LABEL,"
        " as with Q4_K_M, for another.",
        file=found.sets[0].names[0],
        n=len(found.sets),
        repo=record.repo,
    )
    return replace(record, note=note)


def head_of(repo: str, index: Artifact[TensorIndex], read: ReadRanges) -> Artifact[bytes]:
    """Read the head of the first GGUF file again, which holds the vocabulary.

    Raises
    ------
    Unavailable
        Absent, where the weights that are loaded first are of another format.
    """
    if not index.value.metadata:
        raise absent(repo, "tokenizer.json")
    file = index.value.heads[0][0]
    spans = [ByteRange(start, stop) for name, start, stop in index.value.heads if name == file]
    return Artifact(b"".join(read(file, spans)), replace(index.record, file=file))
