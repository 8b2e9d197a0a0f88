"""Numbers as trainers write them: ``'2.34'``, ``1.57G``, ``1,048,576``, ``tensor(2.34)``."""

from __future__ import annotations

import re

_SCALES = {"K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d*)?|\.\d+"
# A number that no word runs into: not the 1 of mtp_1, the 0 of group0 or the 64 of float64.
NUMBER = re.compile(
    rf"(?<![\w.])([-+]?(?:(?:{_DIGITS})(?:[eE][-+]?\d+)?|nan\b|inf(?:inity)?\b))"
    r"(?:\s?([kKMGBT])(?![A-Za-z]))?",
    re.IGNORECASE,
)
_WRAPPED = re.compile(
    r"\s*['\"]?(?:[A-Za-z_][\w.]{0,40}\(\[{0,2}|\[{1,2}|\$)?\s*" + NUMBER.pattern, re.IGNORECASE
)
_AFTER = re.compile(r"\s*(?:/\s*\d[\d,]*|[\])]{0,3}(?:,\s*\w+=.{0,80}\))?)?\s*['\"]?\s*$")
LONGEST = 200  # characters of a cell that is looked at for a number


def number(cell: object) -> float | None:
    """Return a cell as a number, or None where it is empty or a word."""
    if isinstance(cell, float):
        return cell
    if isinstance(cell, bool) or not isinstance(cell, (str, int)):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return _written(cell) if isinstance(cell, str) else None


def _written(cell: str) -> float | None:
    if not cell or len(cell) > LONGEST:
        return None
    found = _WRAPPED.match(cell)
    if found is None or not _AFTER.match(cell, found.end()):
        return None
    return scaled(found[1], found[2])


def scaled(digits: str, suffix: str | None) -> float:
    """Return the value of digits that may be grouped by commas, times K, M, G (B) or T."""
    try:
        value = float(digits.replace(",", ""))
    except (ValueError, OverflowError):
        return float("nan")
    return value * _SCALES[suffix.upper()] if suffix else value
