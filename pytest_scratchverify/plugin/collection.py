"""Turn suite functions into planned hypotheses, offline and in a fixed order.

A test says with its marker which hypothesis it is and with its arguments what it is over::

    @pytest.mark.scratch("architecture.core_fields", component="architecture")
    def test_core_fields_are_its_own(pair, record): ...

`model`, `pair`, `tower`, `claim` and `declared` are given values here, and `component` beside
`pair`: every trained component. The marker's method and component may name parameters:
``"architecture.{tower}_design"``, ``component="{component}"``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Intent
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.options import DEPTHS
from pytest_scratchverify.plugin.selection import declared_components, readable_id
from pytest_scratchverify.plugin.session import KEPT_MODELS, Session
from pytest_scratchverify.verdict.serialization import to_json

INTENT = pytest.StashKey[Intent]()
PLAN_PREFIX = "plan-"
MARKER_KEYWORDS = {"component", "depth"}


class Parametrizer:
    """The collection side of the plugin."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.intents: list[Intent] = []
        self.selected: set[str] = set()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give values to the arguments of suite functions."""
        if metafunc.definition.get_closest_marker("scratch") is None:
            return
        names = metafunc.fixturenames
        if "pair" in names and "component" in names:
            trained = [component for component in Component if component.is_trained]
            parts = [(pair, component) for pair in self.session.pairs for component in trained]
            ids = [readable_id(p.model.name, p.reference.name, c.value) for p, c in parts]
            metafunc.parametrize(("pair", "component"), parts, ids=ids)
            return
        if "pair" in names:
            pairs = self.session.pairs
            ids = [readable_id(pair.model.name, pair.reference.name) for pair in pairs]
            metafunc.parametrize("pair", pairs, ids=ids)
            return
        for name, cases in (
            ("tower", self._towers),
            ("claim", self._claims),
            ("declared", self._declared),
        ):
            if name in names:
                rows = [(model, case) for model in self.session.models for case in cases(model)]
                ids = [readable_id(model.name, _label(case)) for model, case in rows]
                metafunc.parametrize(("model", name), rows, ids=ids)
                return
        if "model" in names:
            models = self.session.models
            ids = [readable_id(model.name) for model in models]
            metafunc.parametrize("model", models, ids=ids)

    @staticmethod
    def _towers(_model: ModelSpec) -> Sequence[Any]:
        from pytest_scratchverify.checkpoint.design import Tower  # noqa: PLC0415

        return tuple(Tower)

    @staticmethod
    def _claims(model: ModelSpec) -> Sequence[Any]:
        from pytest_scratchverify.catalog.claims import shipped_claims  # noqa: PLC0415

        return shipped_claims().get(model.name, ())

    @staticmethod
    def _declared(model: ModelSpec) -> Sequence[Any]:
        return declared_components(model)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Note every hypothesis before `-k`, `-m` and `--lf` narrow the selection."""
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            if _asks_nothing(item):
                dropped.append(item)
                continue
            intent = _intent(item)
            if intent is None:
                kept.append(item)
                continue
            item.stash[INTENT] = intent
            wanted = self._is_wanted(item, intent)
            (kept if wanted else dropped).append(item)
            if wanted:
                self.intents.append(intent)
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = self._in_order(kept)

    def _in_order(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Put together the tests of a model, where there are many, and of a library's fingerprint.

        So each is opened once, or few times, and what was read of it is not held to the end.
        """
        models = {spec.name: number for number, spec in enumerate(self.session.models, start=1)}
        if len(models) <= KEPT_MODELS:
            models = {}
        place = {spec.name: number for number, spec in enumerate(self.session.library, start=1)}
        if not (place or models):
            return items

        def key(item: pytest.Item) -> tuple[int, int]:
            callspec = getattr(item, "callspec", None)
            pair = callspec.params.get("pair") if callspec is not None else None
            if not isinstance(pair, Pair):
                model = callspec.params.get("model") if callspec is not None else None
                return models.get(getattr(model, "name", ""), 0), 0
            saved = pair.reference.saved is not None
            return models.get(pair.model.name, 0), place[pair.reference.name] if saved else 0

        return sorted(items, key=key)

    def _is_wanted(self, item: pytest.Item, intent: Intent) -> bool:
        chosen = self.session.settings.components
        depth = _marker(item).kwargs.get("depth", "metadata")
        deep_enough = DEPTHS.index(self.session.settings.depth) >= DEPTHS.index(depth)
        return (not chosen or intent.component in chosen) and deep_enough

    @pytest.hookimpl(tryfirst=True)  # before xdist tells the controller to start
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Leave the plan where the controller finds it even if this worker dies."""
        self.selected = {item.nodeid for item in session.items}
        if self.session.is_worker:
            worker = str(getattr(session.config, "workerinput", {})["workerid"])
            write_plan(self.session.run_path, worker, self.intents, self.selected)


def write_plan(folder: Path, worker: str, intents: list[Intent], selected: set[str]) -> None:
    """Write a worker's plan: all hypotheses, and which of them were selected."""
    lines = [
        json.dumps({"selected": intent.nodeid in selected, "intent": to_json(intent)})
        for intent in intents
    ]
    (folder / f"{PLAN_PREFIX}{worker}.jsonl").write_text("\n".join(lines), "utf-8")


def _asks_nothing(item: pytest.Item) -> bool:
    """Whether pytest made this item of an empty parameter set: no claim, no declaration."""
    callspec = getattr(item, "callspec", None)
    if item.get_closest_marker("scratch") is None or callspec is None:
        return False
    return not any(isinstance(value, (ModelSpec, Pair)) for value in callspec.params.values())


def _marker(item: pytest.Item) -> pytest.Mark:
    marker = item.get_closest_marker("scratch")
    assert marker is not None  # noqa: S101 - only called on items that have one
    return marker


def _intent(item: pytest.Item) -> Intent | None:
    if item.get_closest_marker("scratch") is None:
        return None
    marker = _marker(item)
    missing = {"component"} - set(marker.kwargs)
    if missing or set(marker.kwargs) - MARKER_KEYWORDS or len(marker.args) != 1:
        given = [*map(repr, marker.args), *(f"{k}={v!r}" for k, v in marker.kwargs.items())]
        raise _wrong(item, f"got ({', '.join(given)})")
    if marker.kwargs.get("depth", DEPTHS[0]) not in DEPTHS:
        raise _wrong(item, f"depth is one of {', '.join(DEPTHS)}")
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec is not None else {}
    pair, declared = params.get("pair"), params.get("declared")
    model = pair.model if pair is not None else params.get("model")
    if not isinstance(model, ModelSpec):
        raise _wrong(item, "the test takes none of model, pair, tower, claim and declared")
    reference = pair.reference.name if pair is not None else getattr(declared, "reference", None)
    names = {name: _label(value) for name, value in params.items()}
    try:
        return Intent(
            nodeid=item.nodeid,
            method=str(marker.args[0]).format(**names),
            component=Component(str(marker.kwargs["component"]).format(**names)),
            model=model.name,
            reference=reference,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise _wrong(item, f"{error}; components are {', '.join(Component)}") from None


def _wrong(item: pytest.Item, why: str) -> pytest.UsageError:
    """Return the error that names a test whose marker cannot be read."""
    return pytest.UsageError(
        visible(f"{item.nodeid}: scratch(method, component=...), a hypothesis: {why}")
    )


def _label(value: Any) -> str:
    """Return the word by which ids and method names know a parameter."""
    for attribute in ("id", "value", "name"):
        label = getattr(value, attribute, None)
        if isinstance(label, str):
            return label
    return str(value)
