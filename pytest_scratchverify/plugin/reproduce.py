"""The command that repeats a run, safe to paste: names come from files and from servers."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from pytest_scratchverify.methods.behaviour.asking.locate import shown_entry
from pytest_scratchverify.methods.registry import method_of
from pytest_scratchverify.plugin import options
from pytest_scratchverify.plugin.session import Session
from pytest_scratchverify.stores.http.access import shown_address


def reproduce_command(session: Session, planned: Iterable[str]) -> str:
    """Return the canonical command of a run: its options, not its argv.

    `planned` are the names of the tests that were planned: suites of third parties are named
    where one of theirs is among them.
    """
    settings = session.settings
    parts = ["pytest suites/"]
    methods = {method_of(name, session.extensions.methods) for name in planned}
    suites = sorted({method.suites for method in methods if method and method.suites})
    parts += [f"--pyargs {' '.join(suites)}"] if suites else []
    folders = {
        spec.name for pair in session.pairs for spec in (pair.model, pair.reference) if spec.folder
    } | {spec.name for spec in session.models if spec.folder}
    named = [("model", spec.name) for spec in session.models] if settings.models else []
    named += [("against", name) for name in settings.against]
    # A folder is joined to its option: alone, pytest may take it for a place of tests.
    parts += [f"--{option}{'=' if name in folders else ' '}{quote(name)}" for option, name in named]
    parts += [f"--against-library={quote(name)}" for name in settings.libraries]
    parts += [f"--revision {quote(settings.revision)}"] if settings.revision else []
    parts += [f"--component {component}" for component in sorted(settings.components)]
    parts += [f"--depth {settings.depth}"]
    logs = options.value(session.config, "training-log")
    parts += [f"--training-log={quote(name)}" for name in logs]
    answers = options.value(session.config, "answers")
    parts += [f"--answers={quote(shown_entry(entry))}" for entry in answers]
    endpoint = options.value(session.config, "endpoint")
    parts += [f"--endpoint {quote(shown_address(endpoint))}"] if endpoint else []
    for name in ("endpoint-model", "endpoint-api", "endpoint-price"):
        given = options.value(session.config, name)
        parts += [f"--{name} {quote(str(given))}"] if endpoint and given else []
    parts += [f"--predecessor-verdict={quote(name)}" for name in settings.earlier]
    parts += ["--offline"] if settings.offline else []
    parts += [
        f"--policy {quote(name)}" for name in settings.policies if settings.policies != ("strict",)
    ]
    return " ".join(parts)
