"""The registry of methods: what each is called, what it asks, whether it is calibrated.

A method is an area of tests: ``weights`` is that of ``weights.origin`` and ``weights.merge``. A
third party registers its own with the hook `pytest_scratchverify_methods`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.text import Text

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """An area of tests.

    Attributes
    ----------
    name : str
        The first part of ``area.statistic``, and the pytest marker that selects its tests.
    sentence : str
        What it looks at, for ``pytest --markers``.
    explanation : Text
        What it asks and cannot show, for ``scratchverify explain``.
    calibrated : bool
        Whether its tests may give p-values: then every planned one of them is in the family of
        Holm's correction, whether it arrives or not.
    suites : str, optional
        The package that holds its tests, as ``pytest --pyargs`` takes it; None for the shipped
        suites.
    """

    name: str
    sentence: str
    explanation: Text
    calibrated: bool = False
    suites: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ScratchError(f"{self.name!r} is no name of a method; write it like my_method")


SHIPPED_METHODS = (
    Method(
        name="architecture",
        sentence="design of the model: config, shapes, parameter counts",
        explanation=Text(
            "Architecture asks whose design a model has. It says which weights can be compared, and"
            " nothing about whose they are."
        ),
    ),
    Method(
        name="tokenizer",
        sentence="ancestry of the vocabulary",
        explanation=Text(
            "Tokenizer tests ask whose vocabulary a model has, by the order in which tokens were"
            " learnt. A shared vocabulary says nothing about the weights."
        ),
        calibrated=True,
    ),
    Method(
        name="weights",
        sentence="bytes and statistics of the weights",
        explanation=Text(
            "Weight tests ask whether a component's weights come from the reference's: in their"
            " places, renumbered, or in another basis. They cannot show distillation."
        ),
        calibrated=True,
    ),
    Method(
        name="behaviour",
        sentence="answers of the running model",
        explanation=Text(
            "Behaviour tests ask whether the running model answers like a descendant. They give a"
            " lead at most: data that two models share make strangers alike."
        ),
        calibrated=True,
    ),
    Method(
        name="training_log",
        sentence="plausibility of the training record",
        explanation=Text(
            "Training-log tests ask whether a log can be what it claims to be. A log is its"
            " author's claim and says nothing about the weights."
        ),
        calibrated=True,
    ),
    Method(
        name="disclosure",
        sentence="what the developer states openly",
        explanation=Text(
            "Disclosure reads what the developer states. Whether it is true is not tested, and"
            " silence means nothing."
        ),
    ),
)


def calibrated_areas(methods: Iterable[Method]) -> frozenset[str]:
    """Return the names of the methods whose planned tests are in Holm's family."""
    return frozenset(method.name for method in methods if method.calibrated)


def method_of(name: str, methods: Iterable[Method]) -> Method | None:
    """Return the method that a test called ``area.statistic`` belongs to, if it is registered."""
    area = name.partition(".")[0]
    return next((method for method in methods if method.name == area), None)
