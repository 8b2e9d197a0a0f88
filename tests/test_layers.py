"""Nothing imports upwards, nothing heavy is imported at plugin load, names say something."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.running import ROOT

PACKAGE = ROOT / "pytest_scratchverify"
# From the bottom to the top; a layer may import itself and what stands before it.
LAYERS = [
    "core",
    "stats",
    "verdict",
    "checkpoint",
    "tokenizer",
    "stores",
    "tensors",
    "catalog",
    "methods",
    "report",
    "plugin",
    "cli",
    "api",
]
PLUGIN_LAYER = LAYERS.index("plugin")


def layer_of(module: str) -> int:
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in LAYERS:
        return LAYERS.index(parts[1])
    return len(LAYERS)


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names]
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_suites" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_imports_upwards(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    here = layer_of(name)
    for module in imports(path):
        if (
            module.startswith("pytest_scratchverify.")
            and module != "pytest_scratchverify.core.errors"
        ):
            allowed = layer_of(module) <= here
            if name.startswith("pytest_scratchverify.core.") and module.endswith(".errors"):
                allowed = True
            assert allowed, f"{name} imports {module}"
        top = module.split(".")[0]
        assert top not in {"torch", "transformers", "pandas", "pickle"}, f"{name} imports {module}"
        if here < PLUGIN_LAYER:
            assert top not in {"pytest", "_pytest"}, f"{name} imports {module}"
        if name.startswith("pytest_scratchverify.stats"):
            assert top not in {"pathlib", "os", "json", "huggingface_hub"}, f"{name} does I/O"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_are_short_and_names_say_something(path):
    assert len(path.read_text("utf-8").splitlines()) <= 400
    assert not re.search(r"utils?|helpers?|manager|common", path.stem)


def test_the_plugin_loads_nothing_heavy():
    code = (
        "import sys, pytest_scratchverify.plugin; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'numpy', 'scipy', 'huggingface_hub', 'tokenizers', 'cattrs', 'jinja2', 'torch'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_function_has_a_docstring_that_is_a_sentence():
    for path in MODULES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                text = ast.get_docstring(node)
                assert text, f"{path}:{node.lineno} {node.name}"
                assert text.splitlines()[0].rstrip().endswith((".", "?", ":")), (
                    f"{path} {node.name}"
                )
