"""Methods, policies and tensor names: what the package ships and what third parties bring."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pytest

from pytest_scratchverify.checkpoint.roles import TensorNames
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.methods.registry import SHIPPED_METHODS, Method
from pytest_scratchverify.plugin import hookspecs
from pytest_scratchverify.verdict.korea_2026 import PublishedRules
from pytest_scratchverify.verdict.policy import Policy, shipped_policies
from pytest_scratchverify.verdict.programme import PROGRAMME


class Shipped:
    """What this package registers, by the hooks that are everybody's."""

    @staticmethod
    def pytest_scratchverify_methods() -> Sequence[Method]:
        """Return the methods of the shipped suites."""
        return SHIPPED_METHODS

    @staticmethod
    def pytest_scratchverify_policies() -> Sequence[Policy]:
        """Return the tables of policies.toml, the programme's conditions, the public rules."""
        return (*shipped_policies().values(), *PROGRAMME.values(), PublishedRules(_published))


def _published() -> Mapping[str, Json]:
    from pytest_scratchverify.catalog.entries import DATA  # noqa: PLC0415 - numpy

    found: Mapping[str, Json] = json.loads((DATA / "korea_2026.json").read_text("utf-8"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """Everything that was registered, the shipped first."""

    methods: tuple[Method, ...]
    policies: Mapping[str, Policy]
    tensor_names: tuple[TensorNames, ...]

    def policies_called(self, names: Iterable[str]) -> list[Policy]:
        """Return policies by name. Raises `ScratchError` on a name that nobody registered."""
        found = []
        for name in names:
            if name not in self.policies:
                known = ", ".join(self.policies)
                raise ScratchError(
                    f"argument --policy: invalid choice: {name!r} (choose from {known})"
                )
            found.append(self.policies[name])
        return found


def registered(manager: pytest.PytestPluginManager) -> Extensions:
    """Ask the hooks of all plugins. Raises `ScratchError` where two use one name."""
    manager.register(Shipped(), "scratchverify-shipped")
    hook = manager.hook
    # The last registered answers first, and the shipped are registered last.
    methods = _by_name("method", hook.pytest_scratchverify_methods())
    policies = _by_name("policy", hook.pytest_scratchverify_policies())
    names = [line for lines in hook.pytest_scratchverify_tensor_names() for line in lines]
    return Extensions(methods=tuple(methods.values()), policies=policies, tensor_names=tuple(names))


def installed() -> Extensions:
    """Ask all installed packages, outside of a pytest run. Raises `ScratchError`."""
    manager = pytest.PytestPluginManager()
    manager.add_hookspecs(hookspecs)
    manager.set_blocked("scratchverify")  # this package's own entry point
    manager.load_setuptools_entrypoints("pytest11")
    return registered(manager)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def _by_name(what: str, answers: list[Sequence[N]]) -> dict[str, N]:
    found: dict[str, N] = {}
    for item in (item for answer in answers for item in answer):
        if item.name in found:
            raise ScratchError(f"two plugins register a {what} called {item.name!r}")
        found[item.name] = item
    return found
