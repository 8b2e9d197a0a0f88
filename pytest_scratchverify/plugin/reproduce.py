"""The command that repeats a run, safe to paste: names come from files and from servers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote

import pytest

from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.behaviour.asking.locate import shown_entry
from pytest_scratchverify.methods.registry import method_of
from pytest_scratchverify.plugin import options
from pytest_scratchverify.plugin.selection import EXACT_PREFIX
from pytest_scratchverify.plugin.session import Session, suites_path
from pytest_scratchverify.stores.http.access import shown_address

PACKAGED = "pytest_scratchverify._suites"
SHORT_OPTIONS = "pytest_scratchverify.plugin.short_options"


def reproduce_command(session: Session, planned: Iterable[str], revision: str | None = None) -> str:
    """Return the canonical command of a run: its options, not its argv.

    It begins as the run did: our own command, or pytest with the options that exist there.
    `planned` are the names of the tests that were planned: suites of third parties are named
    where one of theirs is among them. `revision` is the commit that the only tested model was
    read at.
    """
    started_as = session.config.getini(options.STARTED_AS)
    short = started_as or session.config.pluginmanager.has_plugin(SHORT_OPTIONS)
    prefix = "--" if short else "--scratch-"
    methods = {method_of(name, session.extensions.methods) for name in planned}
    suites = sorted({method.suites for method in methods if method and method.suites})
    paths = [] if started_as else [*_suites(session.config)]
    packages = [*([PACKAGED] if PACKAGED in paths else []), *suites]
    parts = [started_as or "pytest", *(path for path in paths if path not in packages)]
    parts += ["--pyargs", *packages] if packages else []
    parts += [f"{prefix}{option}" for option in _options(session, revision)]
    return " ".join(parts)


def _suites(config: pytest.Config) -> Iterator[str]:
    """Yield the paths of tests that the run was started with, without ids of single tests."""
    if config.args_source is not config.ArgsSource.ARGS:
        return  # the folder, or what its ini file names
    home, at = suites_path(), config.invocation_params.dir
    named = dict.fromkeys(argument.partition("::")[0] for argument in config.args)
    ours = [name for name in named if (at / name).resolve().is_relative_to(home.resolve())]
    if ours:
        # Beyond the folder whole, so that a run says the same wherever it was started.
        shown = _shown(home, at) if home.is_relative_to(at) else quote(str(home))
        yield f"{shown}/" if home.name == "suites" else PACKAGED
    yield from (quote(name) for name in named if name not in ours)


def _shown(path: Path, at: Path) -> str:
    """Return a path as it is typed in a folder, quoted."""
    return quote(os.path.relpath(path, at))


def _options(session: Session, revision: str | None) -> Iterator[str]:
    """Yield the options of a run with their values, without prefix."""
    settings = session.settings
    folders = {
        spec.name for pair in session.pairs for spec in (pair.model, pair.reference) if spec.folder
    } | {spec.name for spec in session.models if spec.folder}
    models = [_as_given(spec, settings.models) for spec in session.models]
    named = [("model", name) for name in models] if settings.models else []
    named += [("against", name) for name in settings.against]
    # A folder is joined to its option: alone, pytest may take it for a place of tests.
    for option, name in named:
        yield f"{option}{'=' if name in folders else ' '}{quote(name)}"
    yield from (f"against-library={quote(name)}" for name in settings.libraries)
    commit = settings.revision or revision
    yield from [f"revision {quote(commit)}"] if commit else []
    yield from (f"component {component}" for component in sorted(settings.components))
    yield from _declared(session)
    yield f"depth {settings.depth}"
    budget = options.value(session.config, "byte-budget")
    yield from [f"byte-budget {quote(budget)}"] if budget else []
    for log in options.value(session.config, "training-log"):
        yield f"training-log={quote(log)}"
    yield from _asked(session)
    yield from (f"predecessor-verdict={quote(name)}" for name in settings.earlier)
    yield from ["offline"] if settings.offline else []
    chosen = settings.policies if settings.policies != ("strict",) else ()
    yield from (f"policy {quote(name)}" for name in chosen)
    yield from ["undetermined warn"] if settings.undetermined == "warn" else []


def _as_given(spec: ModelSpec, given: tuple[str, ...]) -> str:
    """Return a model's name, as an exact one where it was given so: it may look like a slip."""
    exact = f"{EXACT_PREFIX}{spec.name}"
    return exact if exact in given else spec.name


def _declared(session: Session) -> Iterator[str]:
    """Yield matrix and declarations, which say what a model is compared with and what it states."""
    matrix = Path(session.matrix.path)
    if matrix.resolve() != (suites_path() / "matrix.toml").resolve():
        yield f"matrix={_shown(matrix, session.config.invocation_params.dir)}"
    yield from (f"declare {quote(entry)}" for entry in session.settings.declared)
    file = options.value(session.config, "declarations")
    yield from [f"declarations={quote(file)}"] if file else []


def _asked(session: Session) -> Iterator[str]:
    """Yield whose answers were given, and which server was asked."""
    for entry in options.value(session.config, "answers"):
        yield f"answers={quote(shown_entry(entry))}"
    endpoint = options.value(session.config, "endpoint")
    if endpoint:
        yield f"endpoint {quote(shown_address(endpoint))}"
        for name in ("endpoint-model", "endpoint-api", "endpoint-probes", "endpoint-price"):
            given = options.value(session.config, name)
            usual = name == "endpoint-probes" and given == "all"
            yield from [f"{name} {quote(str(given))}"] if given and not usual else []
