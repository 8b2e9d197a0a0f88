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
# What a file of its own may say of the tested model; its role and its truth are a matrix's.
TABLE_KEYS = frozenset(
    {"declares", "disputed", "developer", "released", "against", "components", "note"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    models: dict[str, ModelLine] = field(default_factory=dict)
    default_against: tuple[str, ...] = ()


def read_matrix(path: Path) -> Matrix:
    """Read and validate a matrix file.

    Raises `ScratchError` that lists every unknown key, role or component with its place.
    """
    return parse_matrix(_text_of(path, "the matrix"), str(path))


def _text_of(path: Path, what: str = "it") -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_MATRIX_BYTES + 1)
        if len(raw) > MAX_MATRIX_BYTES:
            raise ScratchError(f"{path}: larger than {MAX_MATRIX_BYTES} bytes")
        return raw.decode("utf-8")
    except OSError as error:
        raise ScratchError(f"{path}: cannot read {what}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScratchError(f"{path}: {what} is not UTF-8") from error


def parse_matrix(text: str, where: str = "matrix") -> Matrix:
    """Parse matrix TOML; `where` names it in errors. Raises `ScratchError`."""
    data = _parsed(text, where)
    _take_predecessors_out(data.get("models"), where)
    lines = _structured(data, where)
    digest = hashlib.sha256(text.encode()).hexdigest()
    models = {name: _spec(name, line) for name, line in lines.models.items()}
    check_predecessors(models, where)
    return Matrix(models=models, default_against=lines.default_against, path=where, digest=digest)


def read_line(path: Path) -> tuple[ModelLine, frozenset[str]]:
    """Read what a file says of the tested model, as a line of the matrix does, and which keys.

    It is the table ``[scratchverify]`` of a TOML file, or ``[tool.scratchverify]`` of a
    pyproject.toml, with the keys of `TABLE_KEYS`. Raises `ScratchError`.
    """
    data = _parsed(_text_of(path), str(path))
    tool = data.get("tool")
    inside = tool if isinstance(tool, dict) and path.name == "pyproject.toml" else data
    table = inside.get("scratchverify")
    if not isinstance(table, dict):
        where = "[tool.scratchverify]" if inside is tool else "[scratchverify]"
        raise ScratchError(f"{path}: no table {where}")
    if unknown := sorted(table.keys() - TABLE_KEYS):
        raise ScratchError(f"{path}: {unknown[0]}: known are {', '.join(sorted(TABLE_KEYS))}")
    return line_of(table, str(path)), frozenset(table)


def line_of(table: Mapping[str, Any], where: str) -> ModelLine:
    """Return a line of the matrix from its table; a declaration may be the origin's name alone.

    Who declares is the table's developer, or nobody by name: whoever runs the tests. Raises
    `ScratchError`, which names `where`.
    """
    line = dict(table)
    usual = {"by": line.get("developer", ""), "source": Path(where).name}
    if isinstance(line.get("declares"), dict):
        line["declares"] = {
            component: {"from": stated, **usual}
            if isinstance(stated, str)
            else {**usual, **stated}
            if isinstance(stated, dict)
            else stated
            for component, stated in line["declares"].items()
        }
    lines = {"it": line}
    _take_predecessors_out(lines, where)
    try:
        return _structured({"models": lines}, where).models["it"]
    except ScratchError as error:  # a place in the table, not in the matrix that it stands in for
        raise ScratchError(str(error).replace("$.models['it']", "$")) from error


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


def check_predecessors(models: Mapping[str, ModelSpec], where: str) -> None:
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


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ScratchError(f"{where}: not valid TOML: {error}") from error


def _structured(data: object, where: str) -> _File:
    # cattrs: the validator that refuses unknown keys, reports all errors and names the key.
    from cattrs import transform_error  # noqa: PLC0415 - 90 ms that foreign projects need not pay

    try:
        lines: _File = _converter().structure(data, _File)
    except Exception as error:  # cattrs raises an exception group; every leaf becomes a line
        faults = "; ".join(transform_error(error, path="$", format_exception=_fault))
        faults = faults.replace("].origin", "].from")  # as the file spells it
        raise ScratchError(f"{where}: {faults}") from error
    return lines


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
