"""What the tests of behaviour leave for figures: a tree of answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pytest_scratchverify.core.figure import FigureData


@dataclass(frozen=True, slots=True)
class AnswerTree(FigureData):
    """A tree of models by the distance of their answers, as Newick; `model` is the tested one."""

    kind: ClassVar[str] = "tree"

    newick: str
    model: str
