"""Small files that would cost much: what they are, and what reading them costs.

``python -m tests.fuzz.bombs FOLDER NAME...`` writes each, reads it as a run would, and prints how it
was refused and the most memory that the process ever held.
"""

from __future__ import annotations

import json
import math
import os
import resource
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.methods.training_log.readers.tensorboard import CHECKED, masked_crc
from tests.fuzz.targets import TARGETS
from tests.peak_memory import peak_kilobytes

MIB = 2**20
MOST_MEMORY = 1000 * MIB
CPU_SECONDS = 600  # a guard against hangs, ten times what is promised, for busy machines


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    with path.open("wb") as out:
        for piece in pieces:
            out.write(piece)


def _repeated(head: bytes, unit: bytes, size: int, tail: bytes = b"") -> Iterator[bytes]:
    block = unit * max(1, MIB // len(unit))
    yield head
    for _ in range(size // len(block)):
        yield block
    yield tail


def card_of_merge_keys(folder: Path) -> None:
    rows = ["a0: &a0 {k: v}"]
    rows += [f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 11)]
    (folder / "README.md").write_text("---\n" + "\n".join(rows) + "\n---\n")


def card_of_a_long_list(folder: Path) -> None:
    _write(folder / "README.md", _repeated(b"---\nx:\n", b"- a\n", 7 * MIB, b"---\n"))


def card_at_its_limit(folder: Path) -> None:
    _write(folder / "README.md", iter([b"---\nx: [" + b"a," * 190_000 + b"]\n---\n"]))


def card_of_a_long_number(folder: Path) -> None:
    (folder / "README.md").write_text("---\nx: " + "1:" * 400_000 + "1\n---\n")


def log_of_many_keys(folder: Path) -> None:
    with (folder / "log.jsonl").open("w") as out:
        out.write('{"loss":1,"step":1}\n')
        for line in range(60):
            keys = ",".join(f'"{i + line * 80_000:x}":1' for i in range(80_000))
            out.write('{"loss":1,"step":1,' + keys + "}\n")


def log_of_lists(folder: Path) -> None:
    line = b'{"loss":1,"step":1,"x":[' + b"[]," * 340_000 + b"1]}\n"
    _write(folder / "log.jsonl", _repeated(b'{"loss":1,"step":1}\n', line, 60 * MIB))


def log_of_empty_entries(folder: Path) -> None:
    _write(folder / "log.json", _repeated(b'{"log_history":[', b"{},", 60 * MIB, b"1]}"))


def log_of_empty_records(folder: Path) -> None:
    head = struct.pack("<Q", 0)
    record = head + struct.pack("<II", masked_crc(head), masked_crc(b""))
    _write(folder / "log.tfevents", _repeated(b"", record, 60 * MIB))


def log_of_one_record(folder: Path) -> None:
    """Millions of values in a record that comes after those whose checksums are looked at."""
    value = b"\x0a\x05\x15\x00\x00\x80\x3f"
    body = value * (56 * MIB // len(value))
    framed = []
    for size, content in ((CHECKED, b"\x09" + bytes(8)), (len(body), b"\x2a")):
        field = content * (size // 9 + 1) if size == CHECKED else content + _varint(size) + body
        head = struct.pack("<Q", len(field))
        crc = masked_crc(field) if size == CHECKED else 0
        framed += [head + struct.pack("<I", masked_crc(head)), field, struct.pack("<I", crc)]
    _write(folder / "log.tfevents", iter(framed))


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def fingerprint_of_lists(folder: Path) -> None:
    with zipfile.ZipFile(folder / "x.fingerprint", "w", zipfile.ZIP_DEFLATED) as archive:
        body = b'{"schema":"x","a":[' + b"[]," * (80 * MIB) + b"[]]}"
        archive.writestr("fingerprint.json", body)


def fingerprint_of_a_large_part(folder: Path) -> None:
    index = {"schema": "scratchverify/fingerprint/1", "model": "m", "revision": None,
             "depth": "quick", "files": [{"path": "model.safetensors", "size": 2**31, "sha256": None}],
             "parts": [["model.safetensors", 0, 100]]}  # fmt: skip
    with zipfile.ZipFile(folder / "x.fingerprint", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fingerprint.json", json.dumps(index))
        with archive.open("parts/0", "w", force_zip64=True) as part:
            for _ in range(300):
                part.write(bytes(MIB))


def sparse_weights(folder: Path) -> None:
    head = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (2**40, 2**40)
    with (folder / "model.safetensors").open("wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        out.truncate(8 + len(head) + 2**40)


def _sparse(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Write a header for tensors of U8, and behind it as many bytes that occupy nothing."""
    entries, place = {}, 0
    for name, shape in shapes.items():
        end = place + math.prod(shape)
        entries[name] = {"dtype": "F8_E4M3", "shape": shape, "data_offsets": [place, end]}
        place = end
    head = json.dumps(entries).encode()
    with (folder / "model.safetensors").open("wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        out.truncate(8 + len(head) + place)


def stack_of_experts(folder: Path) -> None:
    _sparse(folder, {"model.layers.0.mlp.experts.down_proj": (2**40, 1, 1)})


def stacks_at_their_limit(folder: Path) -> None:
    names = [f"model.layers.{layer}.mlp.experts.gate_up_proj" for layer in range(64)]
    _sparse(folder, dict.fromkeys(names, (2**13, 2, 2)))


def rows_of_many_heads(folder: Path) -> None:
    config = {"model_type": "llama", "num_attention_heads": 2**15, "head_dim": 2**15}
    (folder / "config.json").write_text(json.dumps(config))
    names = [
        f"layers.{layer}.attention.{word}.weight" for layer in range(8) for word in ("wq", "wk")
    ]
    _sparse(folder, dict.fromkeys(names, (2**30, 8)))


def config_of_many_layers(folder: Path) -> None:
    config = {"model_type": "llama", "num_hidden_layers": 2**39, "hidden_size": 8, "vocab_size": 8,
              "num_attention_heads": 2, "intermediate_size": 8}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


def header_of_lists(folder: Path) -> None:
    size = 99_000_000
    body = b'{"a":[' + b"[]," * ((size - 10) // 3)
    body += b"1]}" + b" " * (size - len(body) - 3)
    _write(folder / "model.safetensors", iter([struct.pack("<Q", len(body)), body]))


def header_at_its_limit(folder: Path) -> None:
    entry = '"%x":{"dtype":"U8","shape":[0,0],"data_offsets":[0,0]}'
    body = "{" + ",".join(entry % number for number in range(440_000)) + "}"
    _write(folder / "model.safetensors", iter([struct.pack("<Q", len(body)), body.encode()]))


def index_of_lists(folder: Path) -> None:
    name = "model.safetensors.index.json"
    _write(folder / name, _repeated(b'{"weight_map":[', b"[],", 62 * MIB, b"1]}"))


def config_of_lists(folder: Path) -> None:
    _write(folder / "config.json", _repeated(b'{"a":[', b"[],", 3 * MIB, b"1]}"))


def tokenizer_of_lists(folder: Path) -> None:
    _write(folder / "tokenizer.json", _repeated(b'{"model":[', b"[],", 62 * MIB, b"1]}"))


def tokenizer_at_its_limit(folder: Path) -> None:
    entry = (f'"\U0001f600{number:x}":{number},' for number in range(900_000))
    text = '{"model":{"type":"BPE","merges":[],"vocab":{' + "".join(entry) + '"a":999999}}}'
    (folder / "tokenizer.json").write_text(text)


def vocabulary_of_empty_lines(folder: Path) -> None:
    _write(folder / "vocab.txt", _repeated(b"", b"\r", 62 * MIB))


def pieces_of_nothing(folder: Path) -> None:
    _write(folder / "tokenizer.model", _repeated(b"", b"\x50\x00", 62 * MIB))


def answers_of_empty_lines(folder: Path) -> None:
    _write(folder / "answers.jsonl", _repeated(b"", b"\n", 120 * MIB))


def answers_of_lists(folder: Path) -> None:
    line = b'{"api":"chat","model":"m","answer":"a","request":{"x":[' + b"[]," * 80_000 + b"1]}}\n"
    _write(folder / "answers.jsonl", _repeated(b"", line, 120 * MIB))


def gguf_of_numbers(folder: Path) -> None:
    key = struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 3, 4096) + b"\x39\x30" * 4096
    _write(
        folder / "model.gguf", _repeated(b"GGUF" + struct.pack("<IQQ", 3, 0, 9000), key, 60 * MIB)
    )


def pickle_of_numbers(folder: Path) -> None:
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02(" + b"M\x39\x30" * (5 * MIB) + b"t.")


Make = Callable[[Path], None]
BOMBS: dict[str, tuple[Make, str]] = {
    make.__name__.replace("_", "-"): (make, target)
    for make, target in (
        (card_of_merge_keys, "card"),
        (card_of_a_long_list, "card"),
        (card_at_its_limit, "card"),
        (card_of_a_long_number, "card"),
        (log_of_many_keys, "log-jsonl"),
        (log_of_lists, "log-jsonl"),
        (log_of_empty_entries, "log-trainer-state"),
        (log_of_empty_records, "log-tensorboard"),
        (log_of_one_record, "log-tensorboard"),
        (fingerprint_of_lists, "fingerprint"),
        (fingerprint_of_a_large_part, "fingerprint"),
        (sparse_weights, "safetensors"),
        (stack_of_experts, "safetensors"),
        (stacks_at_their_limit, "safetensors"),
        (rows_of_many_heads, "safetensors"),
        (config_of_many_layers, "config"),
        (header_of_lists, "safetensors"),
        (header_at_its_limit, "safetensors"),
        (index_of_lists, "index"),
        (config_of_lists, "config"),
        (tokenizer_of_lists, "tokenizer-json"),
        (tokenizer_at_its_limit, "tokenizer-json"),
        (vocabulary_of_empty_lines, "vocab-txt"),
        (pieces_of_nothing, "sentencepiece"),
        (answers_of_empty_lines, "answers"),
        (answers_of_lists, "answers"),
        (gguf_of_numbers, "gguf"),
        (pickle_of_numbers, "pytorch"),
    )
}


def main() -> None:
    """Read one bomb in this process, whose making was another's."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    make, target = BOMBS[name]
    child = os.fork()  # what making it costs is not what reading it costs
    if not child:
        make(folder)
        os._exit(0)
    os.waitpid(child, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    said = None
    try:
        TARGETS[target].read(folder)
    except Unavailable as refused:
        said = str(refused)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"said": said, "peak": peak_kilobytes() * 1024, "cpu": used.ru_utime + used.ru_stime}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
