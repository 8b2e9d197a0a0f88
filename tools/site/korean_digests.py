"""Digests by which a Korean page says which state of its English original it translates.

    python -m tools.site.korean_digests                     name the pages that are stale
    python -m tools.site.korean_digests docs/ko/adding.md   put today's digest into a page

The second form is for after the translation was mended, and says so: a page must be named.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.running import ROOT

KOREAN = ROOT / "docs" / "ko"
MARK = re.compile(r"(% A (?:translation|summary) of (\S+) at sha256 )(\w{12})(?=; )")
GENERATED = frozenset({"models", "tutorial"})  # tools write them, in both languages at once
# Made of README.ko.md and SECURITY.ko.md.
INCLUDED = frozenset({"index.md", "getting-started.md", "security-policy.md"})


class UnmarkedPageError(ValueError):
    """A Korean page whose first line does not say of which page it is."""


def korean_pages() -> Iterator[Path]:
    """Yield the hand-written Korean pages that have an English original."""
    for page in sorted(KOREAN.rglob("*.md")):
        inside = page.relative_to(KOREAN)
        if inside.parts[0] not in GENERATED and page.name not in INCLUDED:
            yield page


def digests(page: Path) -> tuple[str, str]:
    """Return the digest that a Korean page states, and that of its original today.

    Raises
    ------
    UnmarkedPageError
        If the page does not begin with the mark.
    """
    marked = MARK.match(page.read_text("utf-8"))
    if marked is None:
        raise UnmarkedPageError(f"{page} does not say of which page it is")
    original = (page.parent / marked[2]).resolve()
    return marked[3], hashlib.sha256(original.read_bytes()).hexdigest()[:12]


def refresh(page: Path) -> bool:
    """Put today's digest of the original into a page; whether that changed it.

    Raises
    ------
    UnmarkedPageError
        If the page does not begin with the mark.
    """
    stated, today = digests(page)
    if stated != today:
        page.write_text(MARK.sub(rf"\g<1>{today}", page.read_text("utf-8"), count=1), "utf-8")
    return stated != today


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the named pages, or name the stale ones: 1 if there are any."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.site.korean_digests", description=__doc__.splitlines()[0]
    )
    parser.add_argument("page", nargs="*", type=Path, help="a page whose translation was mended")
    given = parser.parse_args(arguments)
    if given.page:
        for page in given.page:
            sys.stdout.write(f"{page}: {'refreshed' if refresh(page) else 'as it was'}\n")
        return 0
    stale = [page for page in korean_pages() if len({*digests(page)}) > 1]
    for page in stale:
        sys.stdout.write(f"{page.relative_to(ROOT)}: its original has changed\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
