"""Claims of identity in answers: names of vendors, negations left out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytest_scratchverify.methods.behaviour.asking.answers import Answers
from pytest_scratchverify.methods.behaviour.asking.probes import Kind, Probe
from pytest_scratchverify.methods.behaviour.grading import LONGEST_GRADED, is_usable

_NOT = re.compile(
    r"\bnot\b|n't\b|\bnor\b|\bunlike\b|\blike\b|\bsimilar\b|\bsuch as\b|\bother\b|\bcompetit"
    r"|\bdifferent from\b|아니|아닙|않|다른|달리|처럼|같은"
    r"|不是|并非|并不|不同|类似|ではな|ではあり|違"
    r"|\bpas\b|\bkein|\bnicht\b|\bwie\b|\bno soy\b|\bcomme\b|\bcomo\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.!?。!?;\n]+(?:\s+|$)|[。!?]|\bbut\b|하지만|그러나|而是|,\s*(?=I am|I'm)")


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who makes models: a key, a name, owners of repositories, names in answers."""

    key: str
    name: str
    orgs: frozenset[str]
    says: re.Pattern[str]


@cache
def vendors() -> tuple[Vendor, ...]:
    """Return the shipped table of vendors."""
    path = Path(__file__).parent / "asking" / "probes" / "vendors.toml"
    rows = tomllib.loads(path.read_text("utf-8"))
    return tuple(
        Vendor(
            key,
            row["name"],
            frozenset(org.lower() for org in row["orgs"]),
            _any_of(row["says"]),
        )
        for key, row in rows.items()
    )


def _any_of(names: list[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(_word, longest_first)), re.IGNORECASE)


def _word(name: str) -> str:
    # A Korean particle follows its noun without a space, so only Latin names end at a boundary.
    after = r"(?![A-Za-z0-9])" if name[-1].isascii() else ""
    before = r"(?<![A-Za-z0-9-])" if name[0].isascii() else ""
    return before + re.escape(name).replace(r"\ ", r"[ -]?") + after


def own_vendors(*names: str) -> frozenset[str]:
    """Return the keys of the vendors that the owners of these repositories are."""
    owners = {name.split("/")[0].lower() for name in names if "/" in name}
    return frozenset(vendor.key for vendor in vendors() if vendor.orgs & owners)


def claimed(text: str) -> frozenset[str]:
    """Return the keys of the vendors that an answer claims to come from.

    Clauses with a negation or a comparison claim nothing: "I am not ChatGPT" is no claim, and
    neither is "a model like Llama". Coarse in both directions; so the finding is a lead at most.
    """
    found = set()
    for clause in _CLAUSE.split(text[:LONGEST_GRADED].replace("\u2019", "'")):
        if clause and not _NOT.search(clause):
            found |= {vendor.key for vendor in vendors() if vendor.says.search(clause)}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Claims:
    """Over how many usable answers, how many claim a foreign vendor, and which how often."""

    n: int
    foreign: int
    own: int
    by_vendor: dict[str, int]
    examples: tuple[tuple[str, str], ...]  # probe id, answer


def identity_claims(answers: Answers, probes: Iterable[Probe], own: frozenset[str]) -> Claims:
    """Count claims over the identity probes. A claim in a cut answer counts, silence does not."""
    n = foreign = mine = 0
    by_vendor: dict[str, int] = {}
    examples: list[tuple[str, str]] = []
    for probe in probes:
        answer = answers.by_probe.get(probe.id)
        if probe.kind is not Kind.IDENTITY or answer is None or not answer.text:
            continue
        found = claimed(answer.text)
        if not found and not is_usable(probe.kind, answer):
            continue
        n += 1
        mine += bool(found & own)
        if others := sorted(found - own):
            foreign += 1
            examples.append((probe.id, answer.text[:160]))
            for key in others:
                by_vendor[key] = by_vendor.get(key, 0) + 1
    return Claims(n, foreign, mine, dict(sorted(by_vendor.items())), tuple(examples[:3]))
