"""What a signed statement says, read with care: models, verdicts, and the digests it is about."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.json_values import Json, load_bounded
from pytest_scratchverify.plugin.options import OPTIONS
from pytest_scratchverify.report.attestation import LACKS, PREDICATE_TYPE

MAX_ITEMS = 1_000_000
# Options of a command that are repeated; a re-run writes no reports, and asks no server that costs.
REPEATED = frozenset(
    {
        "model", "against", "against-library", "revision", "component", "declare", "declarations",
        "depth", "byte-budget", "training-log", "answers", "offline", "policy",
        "predecessor-verdict", "matrix", "undetermined",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A digest that a statement is about: of a file, of all weights, or a commit."""

    name: str
    model: str
    digest_of: str
    digest: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfModel:
    """What a statement says of one model; verdicts and references by component."""

    model: str
    revision: str | None
    policies: Mapping[str, str]
    verdicts: Mapping[str, tuple[str, str | None]]
    numbers: Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRun:
    """A statement as it is checked."""

    version: str
    calibration: str | None
    reproduce: str
    partial: bool
    models: tuple[SaidOfModel, ...]
    subjects: tuple[Attested, ...]


def read_statement(payload: bytes) -> SignedRun:
    """Read the statement that a signature vouches for.

    Raises `ScratchError` for what is no in-toto statement, or one of another kind.
    """
    try:
        from google.protobuf.json_format import ParseDict  # noqa: PLC0415 - an extra
        from in_toto_attestation.v1 import statement_pb2  # noqa: PLC0415
        from in_toto_attestation.v1.statement import Statement  # noqa: PLC0415
    except ImportError as error:
        raise ScratchError(LACKS) from error
    try:
        document = load_bounded(payload, MAX_ITEMS)
        parsed = ParseDict(document, statement_pb2.Statement(), ignore_unknown_fields=True)
        Statement.copy_from_pb(parsed).validate()
    except Exception as error:
        line = " ".join(str(error).split())
        raise ScratchError(f"the payload is no in-toto statement: {line:.300}") from error
    if not isinstance(document, dict) or document.get("predicateType") != PREDICATE_TYPE:
        kind = document.get("predicateType") if isinstance(document, dict) else None
        raise ScratchError(f"its predicate is {kind!s:.100}, not {PREDICATE_TYPE}")
    try:
        return _signed_run(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ScratchError(
            f"its predicate lacks a field or has a wrong one: {error!s:.200}"
        ) from error


def _signed_run(document: Mapping[str, Json]) -> SignedRun:
    said = _object(document["predicate"])
    calibration = _object(said["calibration"])["digest"] if "calibration" in said else {}
    return SignedRun(
        version=_text(_object(said["tool"])["version"]),
        calibration=_optional(_object(calibration).get("sha256")),
        reproduce=_text(_object(said["run"])["reproduce"]),
        partial=_object(said["run"])["partial"] is not False,
        models=tuple(_of_model(_object(one)) for one in _list(said["models"])),
        subjects=tuple(_subject(_object(one)) for one in _list(document["subject"])),
    )


def _of_model(said: Mapping[str, Json]) -> SaidOfModel:
    parts = {name: _object(one) for name, one in _object(said["components"]).items()}
    policies = _object(said["policies"]).items()
    return SaidOfModel(
        model=_text(said["model"]),
        revision=_optional(said.get("revision")),
        policies={name: _text(_object(one)["result"]) for name, one in policies},
        verdicts={
            name: (_text(one["verdict"]), _optional(one.get("reference")))
            for name, one in parts.items()
        },
        numbers={
            name: (_number(one.get("pAdjusted")), _number(one.get("effect")))
            for name, one in parts.items()
        },
    )


def _subject(said: Mapping[str, Json]) -> Attested:
    about = _object(said["annotations"])
    digests = _object(said["digest"])
    return Attested(
        name=_text(said["name"]),
        model=_text(about["model"]),
        digest_of=_text(about["digestOf"]),
        digest=_text(digests.get("sha256") or digests["gitCommit"]),
        path=_optional(about.get("path")) or "",
    )


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.60} is no object")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} is no list")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value


def _optional(value: Json) -> str | None:
    return None if value is None else _text(value)


def _number(value: Json) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise TypeError(f"{value!r:.60} is no number")
    return None if value is None else float(value)


def options_of(reproduce: str) -> list[tuple[str, str | None]]:
    """Return the options of a command that repeats a run, in their order.

    Nothing of the command is ever given to a shell. Raises `ScratchError` for a command that does
    more than these options say: suites of others, a server that is asked.
    """
    try:
        words = shlex.split(reproduce)
    except ValueError as error:
        raise ScratchError(f"the command cannot be read: {error}") from error
    first = next((n for n, word in enumerate(words) if word.startswith("--")), len(words))
    found: list[tuple[str, str | None]] = []
    rest = iter(words[first:])
    for word in rest:
        name, joined, value = word.partition("=")
        option = name.removeprefix("--scratch-").removeprefix("--")
        if option == "pyargs":
            _refuse_suites([*_until_option(words[first + 1 :])])
            continue
        if not name.startswith("--"):
            continue  # a path of tests, behind --pyargs
        if option not in REPEATED:
            raise ScratchError(f"the command has {name}, which is not repeated here")
        flag = next(one.kind == "bool" for one in OPTIONS if one.name == option)
        found.append((option, None if flag else value if joined else next(rest, "")))
    return found


def _until_option(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("--"):
            return
        yield word


def _refuse_suites(packages: list[str]) -> None:
    others = [name for name in packages if name != "pytest_scratchverify._suites"]
    if others:
        raise ScratchError(f"the command names suites of others: {', '.join(others):.200}")
