"""Collect the messages of the package and compile their translations.

    python -m tools.messages            # update report/locale/*.po, compile *.mo
    python -m tools.messages --missing  # list templates without translation

A message is the literal first argument of ``Text(...)``, or of ``say(...)`` in reports and
templates, a value of a table whose name ends in ``HEADLINES``, or of an enum below ``Term``.
gettext's own extractor reads neither jinja2 nor our keyword, hence these 60 lines.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tools import ROOT

PACKAGE = ROOT / "pytest_scratchverify"
LOCALES = PACKAGE / "report" / "locale"
LANGUAGES = ("ko",)
TABLE = "HEADLINES"  # how a table of templates is named, chosen from by key
TERM = "Term"  # the base of enums whose values are templates
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_IN_TEMPLATE = re.compile(r"""\bsay\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")


def messages() -> dict[str, list[str]]:
    """Return every template with the files that use it."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in {"Text", "say"} and node.args:
                keys = _texts([node.args[0]])
            elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
                named = _name(node.targets[0] if isinstance(node, ast.Assign) else node.target)
                keys = _texts(node.value.values) if named.endswith(TABLE) else []
            elif isinstance(node, ast.ClassDef) and TERM in map(_name, node.bases):
                keys = _texts([part.value for part in node.body if isinstance(part, ast.Assign)])
            else:
                keys = []
            for key in keys:
                found.setdefault(key, []).append(path.relative_to(PACKAGE).as_posix())
    for path in sorted(PACKAGE.rglob("*.j2")):
        for match in _IN_TEMPLATE.finditer(path.read_text("utf-8")):
            text = match.group(1) or match.group(2)
            found.setdefault(text, []).append(path.relative_to(PACKAGE).as_posix())
    return found


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def po_path(language: str) -> Path:
    """Return the source of a language's messages."""
    return LOCALES / language / "LC_MESSAGES" / "scratchverify.po"


def read_catalog(language: str) -> Catalog:
    """Read a language's messages; an absent file is an empty catalogue."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def untranslated(language: str) -> list[str]:
    """Return the templates that `language` has no translation for."""
    known = {message.id for message in read_catalog(language) if message.string}
    return [text for text in sorted(messages()) if text and text not in known]


def updated(language: str) -> Catalog:
    """Return the language's catalogue with today's templates, translations kept."""
    old = {message.id: message.string for message in read_catalog(language)}
    catalog = Catalog(
        locale=language,
        project="pytest-scratchverify",
        charset="utf-8",
        creation_date=EPOCH,  # equal messages compile to equal bytes on every day
        revision_date=EPOCH,
    )
    for text, files in sorted(messages().items()):
        if text:
            catalog.add(text, old.get(text, ""), locations=[(f, 0) for f in sorted(set(files))])
    return catalog


def compiled(catalog: Catalog) -> bytes:
    """Return the binary form that gettext reads."""
    buffer = BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def main() -> int:
    """Update and compile every language, or list what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", action="store_true")
    if parser.parse_args().missing:
        for language in LANGUAGES:
            for text in untranslated(language):
                print(f"{language}: {text}")
        return 0
    for language in LANGUAGES:
        catalog = updated(language)
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(
                file, catalog, width=0, sort_output=True, include_lineno=False, omit_header=False
            )
        path.with_suffix(".mo").write_bytes(compiled(catalog))
        print(f"{language}: {len(catalog)} messages, {len(untranslated(language))} untranslated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
