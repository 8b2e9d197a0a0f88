"""Decision thresholds of a method, read from its frozen calibration file.

Numbers that decide stand in ``suites/calibration/<method>.json`` beside the population that they
were taken from. A method subclasses `Thresholds` with one typed field a number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pytest_scratchverify.core.errors import ScratchError

T = TypeVar("T", bound="Thresholds")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The decision thresholds of one method, one typed field a number.

    A subclass names its `method` and declares the fields; a file that lacks one, has one too many
    or one of another type is refused. Fields that are not among the file's ``thresholds`` (the
    size of a population, the numbers of a control) come from `fields_of`.
    """

    method: ClassVar[str]

    @classmethod
    def schema(cls) -> str:
        """Return the name that the file gives its layout."""
        return f"scratchverify/{cls.method.replace('_', '-')}-calibration/1"

    @classmethod
    def fields_of(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return field values by name, as the file states them: its ``thresholds``."""
        thresholds: Mapping[str, Any] = data["thresholds"]
        return thresholds

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a calibration file. Raises `ScratchError`: file, key, what is wrong."""
        return cls.from_json(read_calibration(path), str(path))

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str | None = None) -> Self:
        """Take the fields from a parsed calibration file, which `where` names in errors.

        Raises `ScratchError`, one line: file, key, what is wrong.
        """
        where = where or f"calibration/{cls.method}.json"
        if data.get("schema") != cls.schema():
            raise ScratchError(f"{where}: schema: {data.get('schema')!r}, not {cls.schema()!r}")
        try:
            given = cls.fields_of(data)
        except KeyError as error:
            raise ScratchError(f"{where}: {error.args[0]}: missing") from error
        except (TypeError, AttributeError, ValueError) as error:
            raise ScratchError(f"{where}: not laid out as {cls.schema()}: {error}") from error
        return _structured(cls, given, where)


def read_calibration(path: Path) -> Mapping[str, Any]:
    """Read a calibration file's JSON object. Raises `ScratchError`."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScratchError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ScratchError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ScratchError(f"{path}: no JSON object")
    return data


def _structured(kind: type[T], given: Mapping[str, Any], where: str) -> T:
    from cattrs import transform_error  # noqa: PLC0415 - 90 ms that collection need not pay

    try:
        found: T = _converter().structure(given, kind)
    except Exception as error:  # cattrs raises an exception group; every leaf is a fault
        faults = transform_error(error, path="$", format_exception=_fault)
        raise ScratchError(f"{where}: {'; '.join(map(_key_first, faults))}") from error
    return found


def _key_first(fault: str) -> str:
    """Put cattrs' "what @ $.key" in the order of all our errors."""
    what, _, key = fault.rpartition(" @ ")
    return f"{key.removeprefix('$').removeprefix('.') or 'thresholds'}: {what}"


def _fault(error: BaseException, kind: type | None) -> str:
    from cattrs.v import format_exception  # noqa: PLC0415 - as above

    return str(error) if type(error) is ValueError else format_exception(error, kind)


@cache
def _converter() -> Any:
    from cattrs import Converter  # noqa: PLC0415 - as above

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(float, _real)
    converter.register_structure_hook(int, _whole)
    return converter


def _real(value: object, _kind: type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _whole(value: object, _kind: type) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")  # noqa: TRY004 - cattrs names the type
    return value
