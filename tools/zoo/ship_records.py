"""Copy what the tests need of the zoo's trainings: logs, and slices of checkpoints on the way.

    python -m tools.zoo.ship_records --zoo .artifacts/zoo --disguises .artifacts/disguises

Whole logs go to tests/training_log/zoo; of the checkpoints below trajectories/ only the
tensors named here, their bytes unchanged, to tests/training_log/trajectories. Of merges that
were trained on afterwards, the embedding table and one layer go to tests/weights/merges.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import struct
from pathlib import Path

from tools import ROOT

TARGET = ROOT / "tests" / "training_log"
TENSORS = re.compile(r"model\.layers\.1\.(mlp\.gate_proj|self_attn\.[qv]_proj)\.weight")
KEPT = {"s0": None, "s0-finetune": None, "s1": {100, 350}}  # None: every checkpoint

MERGES = ROOT / "tests" / "weights" / "merges"
LAYER = re.compile(
    r"model\.(embed_tokens|layers\.1\.(mlp\.(gate|up)|self_attn\.[qv])_proj)\.weight"
)
TRAINED_ON = re.compile(r"merge-.*-(cpt|prose)|s0-plain-cpt")


def cut(source: Path, target: Path, tensors: re.Pattern[str] = TENSORS) -> None:
    """Write a safetensors file with some of another's tensors."""
    raw = source.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    body, header, at = [], {"__metadata__": {"format": "pt"}}, 0
    for name, info in json.loads(raw[8 : 8 + length]).items():
        if tensors.fullmatch(name):
            start, stop = info["data_offsets"]
            body.append(raw[8 + length + start : 8 + length + stop])
            header[name] = {**info, "data_offsets": [at, at + stop - start]}
            at += stop - start
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body))


def ship_merges(zoo: Path, disguises: Path) -> None:
    """Cut merges that were trained on, and the parent that tools/zoo/ready does not have."""
    rows = json.loads((disguises / "MANIFEST.json").read_text())
    truth = {}
    for name in filter(TRAINED_ON.fullmatch, rows):
        kept = ("parents", "shares", "steps", "half")
        truth[name] = {key: rows[name][key] for key in kept if key in rows[name]}
    for folder in [zoo / "s0-cpt-short", *(disguises / name for name in truth)]:
        cut(folder / "model.safetensors", MERGES / folder.name / "model.safetensors", LAYER)
        shutil.copy(folder / "config.json", MERGES / folder.name / "config.json")
    (MERGES / "MANIFEST.json").write_text(json.dumps(truth, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=ROOT / ".artifacts" / "zoo")
    parser.add_argument("--disguises", type=Path, default=ROOT / ".artifacts" / "disguises")
    given = parser.parse_args()
    zoo = given.zoo
    (TARGET / "zoo").mkdir(exist_ok=True)
    for log in sorted(zoo.glob("*/training_log.jsonl")):
        shutil.copy(log, TARGET / "zoo" / f"{log.parent.name}.jsonl")
    for name, steps in KEPT.items():
        for path in sorted((zoo / "trajectories" / name).glob("checkpoint-*/model.safetensors")):
            if steps is None or int(path.parent.name.split("-")[1]) in steps:
                cut(path, TARGET / "trajectories" / name / path.parent.name / path.name)
    ship_merges(zoo, given.disguises)


if __name__ == "__main__":
    main()
