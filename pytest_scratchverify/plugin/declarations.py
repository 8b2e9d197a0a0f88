"""What is declared of the tested model without a matrix: --declare, and a file of the lab's own.

A declaration is a statement: it makes a declared reuse of one that is found, and clears nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.matrix_file import check_predecessors, line_of, read_line
from pytest_scratchverify.core.spec import Declaration, Matrix, ModelSpec
from pytest_scratchverify.plugin.selection import select_components
from pytest_scratchverify.stores.declared_bases import is_named

PREDECESSOR = "predecessor"


def with_declarations(
    models: Sequence[ModelSpec],
    matrix: Matrix,
    *,
    declared: Sequence[str],
    file: Path | None,
    references: Iterable[str],
) -> tuple[ModelSpec, ...]:
    """Return the tested models with what the command line and a file declare of the only one.

    Parameters
    ----------
    declared
        ``COMPONENT=NAME`` of --declare; it wins over the file, and the file over the matrix.
    references
        What the model is compared with: an origin that is one of them by another path is it.

    Raises
    ------
    ScratchError
        What is wrong with either; or several models are tested.
    """
    if not declared and file is None:
        return tuple(models)
    what = "--declare" if declared else f"--declarations {file}"
    if len(models) != 1:
        raise ScratchError(
            f"{what} speaks of one model, and {len(models)} are tested; name it with --model, or "
            "declare each in its line of a --matrix"
        )
    [model] = models
    if file is not None:
        line, given = read_line(file)
        changed = {key: getattr(line, key) for key in given - {"declares", "disputed"}}
        model = replace(
            model,
            **changed,
            declares={**model.declares, **line.declares},
            disputed={**model.disputed, **line.disputed},
            predecessor=line.predecessor or model.predecessor,
        )
    if declared:
        line = line_of({"declares": _stated(declared)}, "--declare")
        model = replace(
            model,
            declares={**model.declares, **line.declares},
            predecessor=line.predecessor or model.predecessor,
        )
    check_predecessors({**matrix.models, model.name: model}, what)
    return (_named_as(model, [*references, *model.against]),)


def _stated(declared: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for entry in declared:
        component, _, origin = (part.strip() for part in entry.partition("="))
        if not origin:
            raise ScratchError(
                f"--declare {entry}: write COMPONENT=NAME, such as tokenizer=org/parent"
            )
        if component != PREDECESSOR:
            select_components([component], "--declare")
        if found.setdefault(component, origin) != origin:
            raise ScratchError(f"--declare: {component} is said to come from two models")
    return found


def _named_as(model: ModelSpec, references: Sequence[str]) -> ModelSpec:
    """Call an origin as the reference is called that it is, by another path to one folder."""

    def called(declaration: Declaration) -> Declaration:
        same = (name for name in references if is_named(name, declaration.origin))
        return replace(declaration, origin=next(same, declaration.origin))

    return replace(
        model,
        declares={part: called(stated) for part, stated in model.declares.items()},
        predecessor=called(model.predecessor) if model.predecessor else None,
    )


def declared_lines(models: Iterable[ModelSpec]) -> list[str]:
    """Return what a run was told of its models beside the matrix, a line each."""
    return [
        f"{part} of {model.name} from {stated.origin} ({stated.source})"
        for model in models
        for part, stated in model.declares.items()
        if not stated.by
    ]
