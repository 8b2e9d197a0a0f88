"""Copy what the tests need of the zoo's trainings: logs, and slices of checkpoints on the way.

    python tools/ship_zoo_records.py --zoo .artifacts/zoo

Whole logs go to tests/training_log/zoo; of the checkpoints below trajectories/ only the
tensors named here, their bytes unchanged, to tests/training_log/trajectories.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import struct
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "tests" / "training_log"
TENSORS = re.compile(r"model\.layers\.1\.(mlp\.gate_proj|self_attn\.[qv]_proj)\.weight")
KEPT = {"s0": None, "s0-finetune": None, "s1": {100, 350}}  # None: every checkpoint


def cut(source: Path, target: Path) -> None:
    """Write a safetensors file with some of another's tensors."""
    raw = source.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    body, header, at = [], {"__metadata__": {"format": "pt"}}, 0
    for name, info in json.loads(raw[8 : 8 + length]).items():
        if TENSORS.fullmatch(name):
            start, stop = info["data_offsets"]
            body.append(raw[8 + length + start : 8 + length + stop])
            header[name] = {**info, "data_offsets": [at, at + stop - start]}
            at += stop - start
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=ROOT / ".artifacts" / "zoo")
    zoo = parser.parse_args().zoo
    (TARGET / "zoo").mkdir(exist_ok=True)
    for log in sorted(zoo.glob("*/training_log.jsonl")):
        shutil.copy(log, TARGET / "zoo" / f"{log.parent.name}.jsonl")
    for name, steps in KEPT.items():
        for path in sorted((zoo / "trajectories" / name).glob("checkpoint-*/model.safetensors")):
            if steps is None or int(path.parent.name.split("-")[1]) in steps:
                cut(path, TARGET / "trajectories" / name / path.parent.name / path.name)


if __name__ == "__main__":
    main()
