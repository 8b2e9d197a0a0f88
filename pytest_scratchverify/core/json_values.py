"""What may cross a process border: JSON's own types, with no NaN.

pytest-xdist ends the whole session on a numpy scalar in a report, and JSON has no NaN, so
values are made plain where they are constructed, never at the edge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:  # cattrs resolves annotations at run time and takes Any as it is; the type is recursive
    Json = Any


def to_builtin(value: object) -> Json:
    """Turn numpy scalars, arrays, tuples, sets and enums into JSON builtins.

    Non-finite floats become None: "not a number" is a missing measurement, never a value.
    The function is idempotent. Raises TypeError for anything that has no JSON form.
    """
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return to_builtin(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_builtin(item) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return [to_builtin(item) for item in sorted(value, key=str)]
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [to_builtin(item) for item in value]
    tolist = getattr(value, "tolist", None)  # numpy arrays and scalars, without importing numpy
    if callable(tolist):
        return to_builtin(tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r:.80}")
