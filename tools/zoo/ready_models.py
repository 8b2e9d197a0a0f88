"""The zoo's models that the repository holds, ready to be read: `READY` and their tensors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tools.zoo.disguises import Model
from tools.zoo.packing import read

READY = Path(__file__).parent / "ready"


def read_model(name: str) -> Model:
    """Read a ready model as float32 arrays; the mapping is the caller's own, the arrays shared."""
    return _read_once(name).copy()


@cache
def _read_once(name: str) -> Model:
    tensors = read(READY / name)
    for value in tensors.values():
        value.flags.writeable = False  # shared by all who ask: a change would reach them
    return Model(tensors, json.loads((READY / name / "config.json").read_text("utf-8")))
