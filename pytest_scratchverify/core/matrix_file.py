"""Read the matrix: TOML in, validated specs out, every mistake named at once.

A model is one line::

    [models]
    "org/name" = { role = "candidate", against = ["org/reference"] }

`declares` names where components come from, and under ``predecessor`` an earlier model of the same
developer that parts were started from, whichever they are.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.spec import Declaration, Matrix, ModelLine, ModelSpec

MAX_MATRIX_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    models: dict[str, ModelLine] = field(default_factory=dict)
    default_against: tuple[str, ...] = ()


def read_matrix(path: Path) -> Matrix:
    """Read and validate a matrix file.

    Raises `ScratchError` that lists every unknown key, role or component with its place.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_MATRIX_BYTES:
            raise ScratchError(f"{path}: larger than {MAX_MATRIX_BYTES} bytes")
        return parse_matrix(raw.decode("utf-8"), str(path))
    except OSError as error:
        raise ScratchError(f"{path}: cannot read the matrix: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScratchError(f"{path}: the matrix is not UTF-8") from error


def parse_matrix(text: str, where: str = "matrix") -> Matrix:
    """Parse matrix TOML; `where` names it in errors. Raises `ScratchError`."""
    # cattrs: the validator that refuses unknown keys, reports all errors and names the key.
    from cattrs import transform_error  # noqa: PLC0415 - 90 ms that foreign projects need not pay

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScratchError(f"{where}: not valid TOML: {error}") from error
    _take_predecessors_out(data.get("models"), where)
    try:
        lines: _File = _converter().structure(data, _File)
    except Exception as error:  # cattrs raises an exception group; every leaf becomes a line
        faults = "; ".join(transform_error(error, path="$", format_exception=_fault))
        raise ScratchError(f"{where}: {faults}") from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    models = {name: _spec(name, line) for name, line in lines.models.items()}
    _check_predecessors(models, where)
    return Matrix(models=models, default_against=lines.default_against, path=where, digest=digest)


def _take_predecessors_out(lines: object, where: str) -> None:
    """Move ``declares.predecessor``, which is no component, to where a line holds it."""
    for name, line in lines.items() if isinstance(lines, dict) else ():
        if not isinstance(line, dict):
            continue
        if "predecessor" in line:
            raise ScratchError(f"{where}: {name}: predecessor stands in declares")
        declares = line.get("declares")
        if isinstance(declares, dict) and "predecessor" in declares:
            line["predecessor"] = declares.pop("predecessor")


def _check_predecessors(models: Mapping[str, ModelSpec], where: str) -> None:
    """Refuse a predecessor that is another developer's, the model itself, or younger than it."""
    for name, model in models.items():
        if model.predecessor is None:
            continue
        origin = model.predecessor.origin
        other = models.get(origin) or ModelSpec(name=origin)
        fault = None
        if origin.casefold() == name.casefold():
            fault = "is the model itself"
        elif not model.is_of_the_developer_of(other):
            fault = "is not of the same developer, neither by developer nor by owner"
        elif model.released and other.released and other.released > model.released:
            fault = "was released later than the model"
        if fault:
            raise ScratchError(f"{where}: {name}: the predecessor {origin} {fault}")


def _fault(error: BaseException, kind: type | None) -> str:
    """Name the wrong value where cattrs names only the type."""
    from cattrs.v import format_exception  # noqa: PLC0415 - as above

    return str(error) if type(error) is ValueError else format_exception(error, kind)


def _spec(name: str, line: ModelLine) -> ModelSpec:
    given = {field.name: getattr(line, field.name) for field in fields(ModelLine)}
    return ModelSpec(name=name, **given)


@cache
def _converter() -> Any:
    from cattrs import Converter  # noqa: PLC0415 - as above
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(
        Declaration,
        make_dict_structure_fn(
            Declaration,
            converter,
            origin=override(rename="from"),
            _cattrs_forbid_extra_keys=True,
        ),
    )
    return converter
