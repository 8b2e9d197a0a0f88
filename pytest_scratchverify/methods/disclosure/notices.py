"""Licence and notice files: copyright lines, and what a licence asks whoever builds on it to show.

What stands in LICENSE, NOTICE and README is a publisher's text: read within bounds, quoted
visibly, and evidence of nothing but itself. A licence travels with code as well as with weights,
and unrelated models share the text of one, so nothing here says that a model descends from another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.untrusted import open_regular, printable
from pytest_scratchverify.stores.store import ArtifactStore

FILES = re.compile(r"(?:licen[cs]e|notice|copying|copyright)(?:[-_.][\w.-]*)?", re.IGNORECASE)
MOST_FILES = 8
MAX_BYTES = 256 * 2**10  # of one such file; the longest licence of a model so far has 30 kB
MOST_LINES = 40  # copyright lines that are kept of a repository
LONGEST = 160  # characters of a line that is quoted
_MARKS = re.compile(r"copyright|\(c\)|\u00a9|all rights reserved", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:\.\w+)*")
_QUOTE = "\"'\u201c\u201d\u2018\u2019\u00ab\u00bb"
_COPYRIGHT = re.compile(
    r"^(?:[^\S\n]|[#*/;>_|-])*((?:\(c\)|\u00a9|copyright\b)[^\n]{0,400})",
    re.IGNORECASE | re.MULTILINE,
)
_YEARS = re.compile(r"(?:19|20)\d\d(?:\s*[-\u2013,]\s*(?:(?:19|20)?\d\d|present))*", re.IGNORECASE)
# A form to be filled in, or a sentence about copyright, is nobody's line.
_NOBODYS = re.compile(
    r"\[(?:year|yyyy|name|full)|<(?:year|name)|\{(?:year|yyyy|name)|copyright\s+(?:owner|holder"
    r"|notice|license|licence|law|statement|and\b|or\b|the\b|to\b|in\b|is\b)",
    re.IGNORECASE,
)
_BUILT_WITH = re.compile(
    rf"[{_QUOTE}]\s*((?:Built|Powered) (?:with|by) [^{_QUOTE}\n]{{1,60}}?)\s*[{_QUOTE}]"
)
_NAME = re.compile(
    rf"[{_QUOTE}]([\w. -]{{1,30}})[{_QUOTE}][^.\n]{{0,40}}?\b(?:at|to) the (?:beginning|start) of"
    r"[^.\n]{0,60}?\bname",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Notices:
    """What a repository's licence and notice files say.

    Attributes
    ----------
    files
        Their names; empty where the repository was listed and has none.
    holders
        The copyright lines without years, as they are compared, to the lines as they stand.
    shown
        What a model that builds on this one has to display: phrases such as "Built with Llama".
    name
        With what its name has to begin, where the licence says so.
    words
        All of it, as phrases are looked for (`words_of`).
    is_whole
        Whether every one of the files could be read: else nobody knows what is lacking.
    """

    files: tuple[str, ...]
    holders: dict[str, str]
    shown: tuple[str, ...]
    name: str | None
    words: str
    records: tuple[ArtifactRecord, ...]
    is_whole: bool = True


def read_notices(store: ArtifactStore) -> Notices:
    """Read a repository's licence and notice files.

    Raises `Unavailable` where the files cannot be listed; one that cannot be read says nothing.
    """
    names = [entry.path for entry in store.files().value if FILES.fullmatch(entry.path)]
    texts, records = [], []
    for name in names[:MOST_FILES]:
        try:
            found = store.file(name)
            with open_regular(found.value) as stream:
                raw = stream.read(MAX_BYTES)
        except (Unavailable, OSError):
            continue
        texts.append(printable(raw.decode("utf-8", "replace")))
        records.append(found.record)
    text = "\n".join(texts)
    named = _NAME.search(_one_line(text))
    return Notices(
        files=tuple(names[:MOST_FILES]),
        holders=_holders(text),
        shown=tuple(dict.fromkeys(_squeezed(m[1]) for m in _BUILT_WITH.finditer(text)))[:4],
        name=_squeezed(named[1]) if named else None,
        words=words_of(text),
        records=tuple(records),
        is_whole=len(texts) == len(names),
    )


def _holders(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _COPYRIGHT.finditer(text):
        line = _squeezed(match[1])
        if not _NOBODYS.search(line):
            key = holder_of(line)
            if key and len(found) < MOST_LINES:
                found.setdefault(key, line[:LONGEST])
    return found


def holder_of(line: str) -> str:
    """Return a copyright line as lines are compared: without years, marks and case."""
    bare = _YEARS.sub(" ", line)
    bare = _MARKS.sub(" ", bare)
    return " ".join(re.findall(r"\w+", bare.casefold()))[:LONGEST]


def words_of(text: str) -> str:
    """Return a text as phrases are looked for in it: its words, without case, marks and spacing."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _squeezed(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:")[:LONGEST]


def _one_line(text: str) -> str:
    """Join lines that a text editor broke; a blank line ends a clause."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)
