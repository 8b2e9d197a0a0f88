"""The floor plan: who may import whom, what stands where, and that names say something."""

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
        if isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
            if node.module == "pytest_scratchverify":
                found += [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names]
    return found


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def trees(*folders: str) -> list[Path]:
    """Every module below folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_suites" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_imports_upwards(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    here = layer_of(name)
    for module in imports(path):
        assert not module.startswith("."), f"{name} imports {module}: a floor has a name"
        if module.startswith("pytest_scratchverify."):
            assert layer_of(module) <= here, f"{name} imports {module}"
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


def test_the_root_of_the_package_holds_its_faces_and_nothing_else():
    loose = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert loose <= {"__init__.py", "api.py", "py.typed"}
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms - {"_suites"} <= set(LAYERS)


def test_methods_hardly_know_each_other():
    """Weights need what a config trains, checkpoints on the way need the weights' measure."""
    crossing = {
        (path.relative_to(PACKAGE).as_posix(), module.split(".")[2])
        for path in (PACKAGE / "methods").rglob("*/*.py")
        for module in imports(path)
        if module.startswith("pytest_scratchverify.methods.")
        and (PACKAGE / "methods" / module.split(".")[2]).is_dir()
        and module.split(".")[2] != path.relative_to(PACKAGE / "methods").parts[0]
    }
    assert len(crossing) <= 2, crossing


@pytest.mark.parametrize("path", trees("tools", "benchmarks"), ids=place)
def test_tools_and_benchmarks_import_no_tests(path):
    assert not [module for module in imports(path) if module.split(".")[0] == "tests"]


@pytest.mark.parametrize("path", trees("tests"), ids=place)
def test_no_test_imports_another(path):
    """What two modules need is a module of its own, or a fixture of a conftest."""
    found = [module for module in imports(path) if module.split(".")[0] == "tests"]
    assert not [module for module in found if module.split(".")[-1].startswith("test_")]
    assert not [module for module in found if module.split(".")[-1] == "conftest"]


def test_nobody_edits_the_search_path():
    needle = f"sys.{'path'}.insert"  # so that this line is none
    trees_of_all = trees("pytest_scratchverify", "suites", "tests", "tools", "benchmarks", "docs")
    assert not [path for path in trees_of_all if needle in path.read_text("utf-8")]


def test_a_folder_stands_where_a_prefix_did():
    """`weights_merge.py` is `weights/merge.py`; a module is named by what it adds to its folder."""
    methods = [path.name for path in (PACKAGE / "methods").iterdir() if path.is_dir()]
    prefixed = re.compile(rf"({'|'.join(methods)})_|cli_")
    assert not [path for path in MODULES if prefixed.match(path.stem)]
    assert not [path for path in PACKAGE.glob("_*.py") if path.name != "__init__.py"]
    assert not [path for path in trees("tools") if path.stem.startswith("calibrate_")]


def test_tests_stand_on_the_packages_floors():
    rooms = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    methods = {path.name for path in (PACKAGE / "methods").iterdir() if path.is_dir()}
    assert rooms <= {*LAYERS, *methods, "docs", "fuzz", "suites"}
    statistics = {path.name for path in (PACKAGE / "stats").iterdir() if path.is_dir()}
    tested = {path.parent.name for path in (ROOT / "tests" / "stats").glob("*/test_*.py")}
    assert tested <= statistics


def test_nothing_tracked_is_a_link():
    """A link to a folder of one machine would be another machine's missing artifacts."""
    listed = subprocess.run(
        ["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line for line in listed.splitlines() if line.startswith("120000")] == []
