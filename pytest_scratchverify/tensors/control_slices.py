"""Control slices: shipped rows of models whose ancestry is known.

A safetensors file of BF16 rows, named by slot and first row, with the seed and the identity of
the model in its metadata. Because places do not depend on the model, two files of one seed
hold the same places of both. What a user saves of a model is `stores.fingerprint`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.header import parse_header
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import SEED

Array = NDArray[np.float32]
Piece = tuple[Slot, int]


@dataclass(frozen=True, slots=True)
class ControlSlices:
    """Slices by place, and whose they are."""

    model: str
    slices: Mapping[Piece, Array]
    metadata: Mapping[str, str]

    def beside(self, other: ControlSlices, component: str) -> dict[Piece, tuple[Array, Array]]:
        """Return the places of one component that both fingerprints hold in equal shape."""
        return {
            piece: (values, other.slices[piece])
            for piece, values in self.slices.items()
            if piece[0].component == component
            and piece in other.slices
            and other.slices[piece].shape == values.shape
        }


def save_control_slices(
    path: Path, model: str, slices: Mapping[Piece, Array], **metadata: str
) -> None:
    """Write slices as BF16; the same slices give the same bytes."""
    header: dict[str, object] = {
        "__metadata__": {"model": model, "seed": SEED, "format": "scratchverify/1", **metadata}
    }
    body = b""
    for slot, start in sorted(slices):
        values = slices[slot, start]
        raw = np.ascontiguousarray(values.astype(ml_dtypes.bfloat16)).tobytes()
        header[f"{slot}#{start}"] = {
            "dtype": "BF16",
            "shape": list(values.shape),
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def load_control_slices(path: Path) -> ControlSlices:
    """Read a fingerprint. Raises `HeaderError` if it is not well-formed."""
    raw = path.read_bytes()
    header = parse_header(raw, file=path.name, size=len(raw))
    slices = {}
    for info in header.tensors:
        slot, _, start = info.name.partition("#")
        values = decode(raw[info.start : info.stop], info.dtype, info.shape)
        slices[Slot.parse(slot), int(start)] = values
    return ControlSlices(header.metadata.get("model", path.stem), slices, header.metadata)
