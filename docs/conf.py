"""Sphinx: one site in English and Korean, made of the pages and docstrings that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sphinx import addnodes

from pytest_scratchverify.plugin.options import OPTIONS

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "pytest-scratchverify"
author = "the authors of pytest-scratchverify"
version = release = installed_version(project)
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = [
    "api/generated/modules.rst",
    "api/generated/pytest_scratchverify.rst",
    "tutorial/questions",  # what the tutorial's pages are made of
]
highlight_language = "none"  # commands and what they print; neither is Python
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["korean.css"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/language.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_title = "pytest-scratchverify"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

# GitHub's anchors, so that a link into a page works there and here.
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]

# The floors whose functions somebody imports; the rest is wiring (ARCHITECTURE.md).
LAYERS = ("core", "stats", "verdict", "methods")
apidoc_modules = [
    {
        "path": "../pytest_scratchverify",
        "destination": "api/generated",
        "exclude_patterns": [
            f"../pytest_scratchverify/{path.name}"
            for path in sorted((ROOT / "pytest_scratchverify").iterdir())
            if path.name not in {*LAYERS, "__init__.py"}
        ],
        "automodule_options": {"members"},
        "separate_modules": True,
    }
]
# Every page draws the whole tree, and with an entry for each function that is half of the time.
toc_object_entries = False
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False

# Nitpicky about what the site has: inventories of other projects would need the network, other
# layers have no page, and private names and type variables none either.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", rf"(?!pytest_scratchverify\.({'|'.join(LAYERS)})\.).*"),
    (r"py:class", r".*\.(_\w+|K|Key)"),
]
suppress_warnings = [
    "ref.python"
]  # several methods have a class `Judgement`; an annotation means its own

_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)(?=[)#])")
# What a page of the repository root links to, where the site has a page for it.
_PAGES = {
    "README.md": "index.md",
    "README.ko.md": "ko/index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security-policy.md",
    "SECURITY.ko.md": "ko/security-policy.md",
    "docs/methods": "methods/index.md",
    "docs/adr": "adr/index.md",
}


def _relink(app: Any, _path: Path, _parent: str, content: list[str]) -> None:
    """Make links of an included file of the repository root hold in the page that includes it."""
    up = "../" * app.env.docname.count("/")

    def mend(match: re.Match[str]) -> str:
        target = match[1]
        if target in _PAGES:
            return up + _PAGES[target]
        if target.startswith("docs/"):
            return up + target.removeprefix("docs/")
        return f"{up}../{target}" if (ROOT / target).exists() else target

    content[0] = _LINK.sub(mend, content[0])


def _shorten(_app: Any, page: str, content: list[str]) -> None:
    """Title a page of the reference by its module's own name: the tree shows where it belongs.

    A package's page says the package's sentence; what it lifts out of its modules stands on theirs.
    """
    if page.startswith("api/generated/"):
        content[0] = re.sub(
            r"^pytest\S*\.(\S+) (?:module|package)$", r"\1", content[0], flags=re.MULTILINE
        ).replace("   :undoc-members:\n", "   :ignore-module-all:\n")


def _tabulate(_app: Any, _page: str, content: list[str]) -> None:
    """Put a table made of the sources where a page asks for it: `<!-- table: options -->`."""
    for name, rows in {"options": _options, "fixtures": _fixtures, "modules": _modules}.items():
        mark = f"<!-- table: {name} -->"
        if mark in content[0]:
            content[0] = content[0].replace(mark, "\n".join(rows()))


def _options() -> list[str]:
    rows = ["| option | what it does |", "|---|---|"]
    for option in OPTIONS:
        said = option.help
        if option.choices is not None:
            said = said.replace("%(choices)s", ", ".join(f"`{c}`" for c in option.choices))
        value = "" if option.kind == "bool" else f" {option.metavar or 'VALUE'}"
        rows.append(f"| `--{option.name}{value}` | {said} |")
    return rows


def _fixtures() -> list[str]:
    tree = ast.parse((ROOT / "pytest_scratchverify/plugin/fixtures.py").read_text("utf-8"))
    made = [n for n in tree.body if isinstance(n, ast.FunctionDef) and "fixture" in _decorated(n)]
    rows = ["| fixture | what it is |", "|---|---|"]
    return [*rows, *(f"| `{n.name}` | {_first_line(n)} |" for n in made)]


def _decorated(node: ast.FunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def _first_line(node: ast.FunctionDef | ast.Module) -> str:
    said = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
    return said.replace("|", "\\|").replace("<", "&lt;")


def _modules() -> list[str]:
    rows = []
    for layer in LAYERS:
        rows += [f"\n## {layer}\n", "| module | what it is |", "|---|---|"]
        for path in sorted((ROOT / "pytest_scratchverify" / layer).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            said = _first_line(ast.parse(path.read_text("utf-8")))
            if (said and not path.name.startswith("_")) or (path.name == "__init__.py" and said):
                short = name.removeprefix("pytest_scratchverify.")
                rows.append(f"| [{short}](generated/{name}.rst) | {said} |")
    return rows


KOREAN_HOME = "ko/index"
# The theme's own words, where a Korean reader needs them to find the way.
_WORDS = {"Next": "다음", "Previous": "이전", "Search": "검색", "On this page": "이 문서의 차례"}


def _speak(app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Give a page its language: in the HTML, in the sidebar, and a way to the other language."""
    if "body" in context:  # the sample report is opened, not saved
        context["body"] = context["body"].replace(
            'class="reference download internal" download="" href',
            'class="reference internal" href',
        )
    korean = page.startswith("ko/")
    sister = page.removeprefix("ko/") if korean else f"ko/{page}"
    if sister not in app.env.found_docs:
        sister = "index" if korean else KOREAN_HOME
    context["sister"] = sister
    if korean:
        context["language"] = "ko"
        context["master_doc"] = KOREAN_HOME  # where the site's name leads
        context["toctree"] = _tree(app, page)
        context["_"] = lambda text: _WORDS.get(text, text)


def _tree(app: Any, page: str) -> Callable[..., str]:
    """Return what a theme calls for the site's tree: the Korean home's, not the whole site's."""

    def render(**options: Any) -> str:
        found = app.env.get_doctree(KOREAN_HOME).findall(addnodes.toctree)
        trees = (app.env.resolve_toctree(page, app.builder, node, **options) for node in found)
        return "".join(app.builder.render_partial(tree)["fragment"] for tree in trees if tree)

    return render


def setup(app: Any) -> dict[str, bool]:
    """Register the hooks above."""
    connect: Callable[[str, Any], int] = app.connect
    connect("include-read", _relink)
    connect("source-read", _shorten)
    connect("source-read", _tabulate)
    connect("html-page-context", _speak)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
