"""Notices of those from whom something was found to come: which lines and duties are not kept.

A licence's lines are owed where something was taken. Whether it was, is found elsewhere; here the
two are read together, for readers: nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.verdict import ComponentVerdict

LICENCE = "disclosure.licence"


def notices_not_kept(
    components: Mapping[Component, ComponentVerdict], findings: Iterable[Finding]
) -> tuple[Text, ...]:
    """Say of every reference that weights were found to come from what it asks and is not kept."""
    tables = [_table(f) for f in findings if f.method == LICENCE]
    known = {same_name(name): row for table in tables for name, row in table.items()}
    taken: dict[str, list[Component]] = {}
    for component, verdict in components.items():
        if component.is_trained and verdict.verdict.is_reuse and verdict.reference:
            taken.setdefault(verdict.reference, []).append(component)
    found = []
    for reference, parts in taken.items():
        row = known.get(same_name(reference))
        missing = [*_texts(row, "not_kept"), *_texts(row, "duties_not_met")]
        if missing:
            found.append(
                Text(
                    "{components}: of {reference}, and of what its licence asks this was not"
                    " found here: {missing}",
                    components=parts,
                    reference=reference,
                    missing=missing,
                )
            )
    return tuple(found)


def _table(finding: Finding) -> Mapping[str, Json]:
    found = finding.details.get("notices")
    return found if isinstance(found, dict) else {}


def _texts(row: Json, key: str) -> list[str]:
    found = row.get(key) if isinstance(row, dict) else None
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
