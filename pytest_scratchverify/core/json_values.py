"""What may cross a process border: JSON's own types, with no NaN.

pytest-xdist ends the whole session on a numpy scalar in a report, and JSON has no NaN, so
values are made plain where they are constructed, never at the edge.
"""

from __future__ import annotations

import json
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


class TooManyItems(ValueError):  # noqa: N818 - a refusal, told apart from what is no JSON
    """A JSON text that could hold more values than any sound file of its kind."""


def count_at_most(raw: bytes) -> int:
    """Return a bound on how many values a JSON text holds, without building one of them.

    Every value but the first follows a comma or an opening bracket; commas inside of texts are
    counted too, which errs towards refusal.
    """
    return 1 + raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def load_bounded(raw: bytes, items: int) -> Json:
    """Parse JSON of at most about `items` values, in memory proportional to that.

    What no measurement can hold becomes None: NaN, Infinity, floats beyond float64, integers
    beyond 64 bits. A lone surrogate, with which no report could be written, is a ValueError, as is
    a text that is too large (`TooManyItems`); too deep a nesting is Python's RecursionError.
    """
    count = count_at_most(raw)
    if count > items:
        raise TooManyItems(f"about {count} values, and {items} are the limit")
    found: Json = json.loads(
        # utf-8-sig: some files begin with a byte order mark.
        raw.decode("utf-8-sig"),
        parse_constant=lambda _: None,
        parse_float=_finite,
        parse_int=_of_64_bits,
    )
    if b"\\u" in raw:  # nothing else can spell a lone surrogate in UTF-8
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _of_64_bits(digits: str) -> int | None:
    if len(digits) > 20:
        return None
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else None
