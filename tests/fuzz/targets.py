"""What is fuzzed: every reader of a file that a stranger wrote, and what becomes of its content.

A target takes a folder in which one file is damaged, and reads it as a run would. It may return or
raise `Unavailable`; anything else is a crash, and so is a sentence that no report could hold.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytest_scratchverify.catalog.entries import Catalogue, shipped_catalogue
from pytest_scratchverify.checkpoint.header import DTYPE_BITS
from pytest_scratchverify.cli.saved_runs import UNREADABLE, diff, explain, render
from pytest_scratchverify.core.errors import ScratchError, Unavailable
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods import architecture, disclosure, training_log
from pytest_scratchverify.methods.architecture.config import Config, trained_components
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.tokenizer.config_sizes import size_consistency
from pytest_scratchverify.methods.training_log.readers import read_training_log
from pytest_scratchverify.methods.training_log.readers.tensorboard import masked_crc
from pytest_scratchverify.methods.weights.file_content import says_something
from pytest_scratchverify.stores.disk.range_cache import RangeCache
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.http.resolution import Resolution
from pytest_scratchverify.stores.library import open_entry, read_library
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import CheckpointPair, open_checkpoint
from pytest_scratchverify.tokenizer.compare import compare
from pytest_scratchverify.tokenizer.open import open_tokenizer
from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Sizes
from pytest_scratchverify.verdict.serialization import dumps
from tools import ROOT

CORPUS = Path(__file__).parent / "corpus"
READABLE = 1 << 20  # bytes of matrices that a target reads of what it opened
MODEL = ModelSpec(name="org/model")


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: the file that is damaged, what makes the damage valid again, and how it is read.

    `dress` repairs what would end every reading at once: lengths and checksums.
    """

    file: str
    read: Callable[[Path], None]
    dress: Callable[[bytes], bytes] = bytes
    beside: tuple[tuple[str, bytes], ...] = ()

    def seeds(self, name: str) -> list[bytes]:
        """Return the sound files to begin with, undressed, and what broke readers before."""
        return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]

    def run(self, body: bytes, folder: Path) -> str | None:
        """Read damaged content: None, or the sentence that refused it. Any other error is a crash."""
        for other, content in self.beside:
            (folder / other).write_bytes(content)
        (folder / self.file).write_bytes(self.dress(body))
        try:
            self.read(folder)
        except Unavailable as refused:
            text = f"{refused.what} {refused.remedy}"
            text.encode()  # with a lone surrogate no report could be written
            return text
        return None


def _store(folder: Path) -> ArtifactStore:
    return open_store(str(folder), run_dir=RunDirectory(folder / ".run"), offline=True)


def _config(folder: Path) -> None:
    found = _store(folder).config()
    config = Config(found.value, found.record)
    for tower in config.designs:
        dumps(architecture.nearest_design(MODEL, config, tower, catalogue(), limits()))
    with contextlib.suppress(Unavailable):
        dumps(architecture.parameter_count(MODEL, config, (1e9, None), None, limits()))
    dumps(architecture.config_names(MODEL, config, _store(folder)))
    dumps(architecture.core_fields(Pair(MODEL, MODEL), config, config, catalogue()))
    dumps(size_consistency("org/model", Sizes(9, 9, 9), found.value))
    trained_components(config.designs)


def _card(folder: Path) -> None:
    card = _store(folder).card()
    dumps(disclosure.base_model(MODEL, card))
    dumps(disclosure.licence(MODEL, card))


def _licence(folder: Path) -> None:
    store = _store(folder)
    dumps(disclosure.licence(MODEL, store.card(), store, {MODEL.name: store}))


def _tokenizer(folder: Path) -> None:
    found, _ = open_tokenizer(_store(folder))
    compared = compare(found, found)
    dumps([compared.jaccard, found.sizes.rows, [*found.added]])


def _gguf_tokenizer(folder: Path) -> None:
    found = read_tokenizer(folder / "model.gguf")
    dumps([compare(found, found).jaccard, found.sizes.rows, [*found.added]])


def _weights(folder: Path) -> None:
    store = _store(folder)
    checkpoint = open_checkpoint(store)
    pair = CheckpointPair(checkpoint, checkpoint)
    small = [m for m in checkpoint.inventory.matrices.values() if m.rows * m.cols < READABLE]
    blocks = [Block(matrix, 0, min(matrix.rows, 8)) for matrix in small[:40]]
    for batch in pair.batches(blocks):
        assert batch
    dumps([*checkpoint.inventory.unmapped, *checkpoint.inventory.unsupported])
    for file in {info.file for info in store.tensor_index().value.tensors.values()}:
        says_something(file, store)


def _log(folder: Path) -> None:
    [path] = [path for path in folder.iterdir() if path.name.startswith("log")]
    log = read_training_log(path)
    thresholds = log_limits()
    for judge in (
        lambda: training_log.first_loss("m", log, 50304, thresholds),
        lambda: training_log.continuity("m", log, thresholds),
        lambda: training_log.duplicates("m", log),
        lambda: training_log.smoothness("m", log, thresholds, None),
        lambda: training_log.power_law("m", log, thresholds),
        lambda: training_log.schedule("m", log, thresholds),
        lambda: training_log.gradient_norms("m", log),
        lambda: training_log.tokens("m", log, 1e9, 1e6),
    ):
        with contextlib.suppress(Unavailable):
            dumps(judge())


def _answers(folder: Path) -> None:
    [path] = [path for path in folder.iterdir() if path.name.startswith("answers")]
    found = read_answers(path, "org/model")
    dumps([found.digest, found.bytes, found.source, found.model])


def _library(folder: Path) -> None:
    with contextlib.suppress(ScratchError):  # the line of a usage error
        for entry in read_library(folder).values():
            with contextlib.suppress(Unavailable):
                open_entry(entry, run_dir=RunDirectory(folder / ".run"))


def _fingerprint(folder: Path) -> None:
    store = open_store(
        str(folder / "x.fingerprint"), run_dir=RunDirectory(folder / ".run"), offline=True
    )
    for read in (store.config, store.card, store.files, store.tensor_index):
        with contextlib.suppress(Unavailable):
            read()
    for entry in store.files().value:
        span = ByteRange(0, 64)
        if store.holds(entry.path, [span]):
            store.read_ranges(entry.path, [span])
    dumps([store.repo, store.revision])


def _run(folder: Path) -> None:
    path = str(folder / "run.json")
    pages = [f"--{name}={folder / name}" for name in ("html", "md", "sarif", "cyclonedx")]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        codes = [render([path, *pages]), diff([path, path]), explain(["weights.origin", path])]
    assert set(codes) <= {0, 1, UNREADABLE}


def _resolution(folder: Path) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        Resolution.from_json(
            json.loads((folder / "resolution.json").read_bytes())
        )  # as the cache does: what does not fit is not there


def _ranges(folder: Path) -> None:
    place = folder / hashlib.sha256(b"key").hexdigest()[:16]
    place.mkdir(exist_ok=True)
    name = (
        (folder / "entry").read_bytes()[:60].decode("latin-1").replace("/", "_").replace("\0", "")
    )
    if name in ("", ".", ".."):
        return
    (place / name).write_bytes(bytes(64))
    (place / "0-32.range").write_bytes((folder / "entry").read_bytes())
    found = RangeCache(folder).find("key", [ByteRange(0, 16), ByteRange(20, 40)])
    assert not found
    for path in place.iterdir():
        path.unlink()


def _header_of(body: bytes) -> bytes:
    """Give a JSON header its length, its tensors their places, and the file their bytes."""
    size = 0
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        table = json.loads(body)
        for entry in table.values():
            with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
                length = math.prod(entry["shape"]) * DTYPE_BITS[entry["dtype"]] // 8
                if type(length) is int and 0 <= length < READABLE:
                    entry["data_offsets"] = [size, size + length]
                    size += length
        body = json.dumps(table).encode()
    content = bytes(range(256)) * (size // 256 + 1)
    return struct.pack("<Q", len(body)) + body + content[:size]


def _records(body: bytes) -> bytes:
    """Give every 60 bytes or so the framing of a TensorBoard record."""
    found = b""
    for record in body.split(b"|||"):
        head = struct.pack("<Q", len(record))
        found += head + struct.pack("<I", masked_crc(head))
        found += record + struct.pack("<I", masked_crc(record))
    return found


def _archive(body: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fingerprint.json", body)
        archive.writestr("files/config.json", b'{"model_type": "llama"}')
        archive.writestr("files/README.md", b"---\nlicense: mit\n---\n")
        archive.writestr("parts/0", bytes(100))
        archive.writestr("parts/1", b"\x10" + bytes(63))
    return made.getvalue()


@cache
def catalogue() -> Catalogue:
    return shipped_catalogue()


@cache
def limits() -> architecture.ArchitectureThresholds:
    return architecture.ArchitectureThresholds.load(ROOT / "suites/calibration/architecture.json")


@cache
def log_limits() -> training_log.TrainingLogThresholds:
    return training_log.TrainingLogThresholds.load(ROOT / "suites/calibration/training_log.json")


_HEADER = b'{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}'
SHARD = (("a.safetensors", _header_of(_HEADER)),)
MERGES = (("merges.txt", b"#version: 0.2\na b\nab c\n"),)
TARGETS: dict[str, Target] = {
    "config": Target("config.json", _config),
    "card": Target("README.md", _card),
    "licence": Target("LICENSE", _licence, beside=(("README.md", b"---\nlicense: mit\n---\n"),)),
    "tokenizer-json": Target("tokenizer.json", _tokenizer),
    "tekken": Target("tekken.json", _tokenizer),
    "vocab-json": Target("vocab.json", _tokenizer, beside=MERGES),
    "vocab-txt": Target("vocab.txt", _tokenizer),
    "merges": Target("merges.txt", _tokenizer, beside=(("vocab.json", b'{"a":0,"b":1,"ab":2}'),)),
    "sentencepiece": Target("tokenizer.model", _tokenizer),
    "tiktoken": Target("tokenizer.model", _tokenizer),
    "gguf": Target("model.gguf", _weights),
    "gguf-tokenizer": Target("model.gguf", _gguf_tokenizer),
    "safetensors": Target("model.safetensors", _weights),
    "safetensors-header": Target("model.safetensors", _weights, dress=_header_of),
    "packed": Target("model.safetensors", _weights, dress=_header_of),
    "index": Target("model.safetensors.index.json", _weights, beside=SHARD),
    "pytorch": Target("pytorch_model.bin", _weights),
    "log-csv": Target("log.csv", _log),
    "log-jsonl": Target("log.jsonl", _log),
    "log-trainer-state": Target("log.json", _log),
    "log-text": Target("log.txt", _log),
    "log-tensorboard": Target("log.tfevents", _log, dress=_records),
    "answers": Target("answers.jsonl", _answers),
    "answers-gz": Target("answers.jsonl.gz", _answers, dress=gzip.compress),
    "fingerprint": Target("x.fingerprint", _fingerprint),
    "fingerprint-contents": Target("x.fingerprint", _fingerprint, dress=_archive),
    "library-index": Target("library.json", _library),
    "run": Target("run.json", _run),
    "resolution": Target("resolution.json", _resolution),
    "ranges": Target("entry", _ranges),
}
