"""Writes PyTorch's zip archives without torch, opcode by opcode: state dicts, good and hostile."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

STORAGES = {"float32": b"FloatStorage", "bfloat16": b"BFloat16Storage"}


def archive(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a state dict as ``torch.save`` writes it, in the format's own opcodes (protocol 2).

    Parameters
    ----------
    weights
        Arrays of float32 or bfloat16 by name; strides are kept as they are.
    """
    out = [b"\x80\x02}("]
    for key, (name, value) in enumerate(weights.items()):
        out += [text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(("]
        out += [text("storage"), b"ctorch\n", STORAGES[value.dtype.name], b"\n", text(str(key))]
        out += [text("cpu"), number(value.size), b"tQK\x00("]
        out += [*map(number, value.shape), b"t("]
        steps = [s // value.itemsize for s in value.strides]
        out += [*map(number, steps), b"t\x89ccollections\nOrderedDict\n)RtR"]
    out.append(b"u.")
    bodies = [(str(k), np.asarray(v).tobytes()) for k, v in enumerate(weights.values())]
    return zipped(b"".join(out), bodies)


def zipped(
    pickled: bytes, storages: Iterable[tuple[str, bytes]] = (), method: int = zipfile.ZIP_STORED
) -> bytes:
    """Return the zip of a pickle and its storages, named as ``torch.save`` names them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("archive/data.pkl", pickled)
        for name, body in storages:
            file.writestr(f"archive/data/{name}", body)
    return stream.getvalue()


def text(word: str) -> bytes:
    """Return the opcode that pushes a string (BINUNICODE)."""
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def number(value: int) -> bytes:
    """Return the opcode that pushes a signed integer of 32 bits (BININT)."""
    return b"J" + struct.pack("<i", value)
