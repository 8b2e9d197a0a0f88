"""Tensor index of GGUF files and PyTorch archives, the formats beside safetensors.

Both are read by ranges, through a function that the store brings; nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_scratchverify.checkpoint.formats.gguf_file import read_gguf
from pytest_scratchverify.checkpoint.formats.gguf_names import restore_names
from pytest_scratchverify.checkpoint.formats.pytorch_file import read_pytorch
from pytest_scratchverify.checkpoint.header import (
    HeaderError,
    ShardHeader,
    TensorIndex,
    TensorInfo,
    join_headers,
)
from pytest_scratchverify.stores.bounds import malformed
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import FileEntry
from pytest_scratchverify.stores.weight_files import Format

ReadRanges = Callable[[str, Sequence[ByteRange]], list[bytes]]


@dataclass(slots=True)
class OtherIndex:
    """The tensors of such a checkpoint, and the bytes that were read to know them."""

    repo: str
    read: ReadRanges
    heads: list[tuple[str, int, int]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def tensors(
        self, kind: Format, shards: Sequence[FileEntry], weight_map: Mapping[str, str]
    ) -> TensorIndex:
        """Read all shards. Raises `Unavailable` for what is malformed."""
        file = shards[0].path
        if any(shard.size is None for shard in shards):
            raise malformed(self.repo, file, "its size is unknown")
        try:
            if kind is Format.GGUF:
                return self._gguf(shards)
            return self._pytorch(shards, weight_map)
        except HeaderError as error:
            raise malformed(self.repo, file, f"{error!s:.300}") from error

    def _fetch(self, file: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        found = self.read(file, [ByteRange(start, stop) for start, stop in spans])
        self.heads += [(file, start, stop) for start, stop in spans]
        self.bodies += found
        return found

    def _gguf(self, shards: Sequence[FileEntry]) -> TensorIndex:
        tensors: list[TensorInfo] = []
        undecoded: list[TensorInfo] = []
        keys: dict[str, object] = {}
        for shard in shards:

            def fetch(start: int, stop: int, file: str = shard.path) -> bytes:
                return self._fetch(file, [(start, stop)])[0]

            found = read_gguf(fetch, shard.size or 0, shard.path)
            tensors += found.tensors
            undecoded += found.undecoded
            keys = {**found.keys, **keys}
        renamed = restore_names(tensors, keys)
        index = _joined(renamed.tensors, {})
        without = restore_names(undecoded, keys)
        excluded = {info.name: info for info in (*tensors, *undecoded)}
        lost = [excluded[name] for name in (*renamed.excluded, *without.excluded)]
        return TensorIndex(
            index.tensors,
            tuple(self.heads),
            tuple(sorted({*(info.name for info in undecoded), *renamed.excluded})),
            renamed.rotary,
            undecoded={info.name: info.parameters for info in (*without.tensors, *lost)},
            metadata=keys,
        )

    def _pytorch(self, shards: Sequence[FileEntry], weight_map: Mapping[str, str]) -> TensorIndex:
        tensors: list[TensorInfo] = []
        unreadable: list[str] = []
        for shard in shards:

            def fetch(spans: Sequence[tuple[int, int]], file: str = shard.path) -> list[bytes]:
                return self._fetch(file, spans)

            found = read_pytorch(fetch, shard.size or 0, shard.path)
            tensors += found.tensors
            unreadable += found.unreadable
        index = _joined(tensors, weight_map)
        lacking = sorted(weight_map.keys() - index.tensors.keys() - {*unreadable})
        if lacking:
            raise HeaderError(f"{weight_map[lacking[0]]} lacks {lacking[0]!r:.100}")
        if not index.tensors:
            raise HeaderError("it holds no tensors")
        return TensorIndex(index.tensors, tuple(self.heads), tuple(unreadable))


def _joined(tensors: Sequence[TensorInfo], weight_map: Mapping[str, str]) -> TensorIndex:
    files = sorted({info.file for info in tensors})
    headers = [
        ShardHeader(file, tuple(info for info in tensors if info.file == file), {})
        for file in files
    ]
    return join_headers(headers, weight_map)
