"""Refuses runs in which a model's folder would rule pytest: its code, its settings, its tests.

A folder that is tested is untrusted input. pytest executes the conftest.py of every path that it
takes for a test path, and reads the ini file of the folder that such paths have in common; an
ini file can load any plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_scratchverify.core.spec import GGUF, split_quantisation
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.options import FOLDER_OPTIONS


def refuse_test_paths(config: pytest.Config) -> None:
    """Refuse, before any conftest.py is executed, a folder that pytest took for a test path.

    Raises
    ------
    pytest.UsageError
        With the form of the command line that means what was meant.
    """
    given = config.known_args_namespace
    named = [*_folders(given, config.invocation_params.dir)]
    base = config.invocation_params.dir
    for flag, value, folder in named:
        ini = config.inipath
        if ini is not None and _is_within(Path(ini), folder):
            raise pytest.UsageError(_said(flag, value, f"{ini} would rule this run"))
        executes = not getattr(given, "noconftest", False)
        if executes and base.is_relative_to(folder) and _has_conftest(folder, base):
            raise pytest.UsageError(_said(flag, value, "pytest would execute its conftest.py"))
        for path in getattr(given, "file_or_dir", ()) or ():
            taken = (base / str(path).partition("::")[0]).resolve()
            if _is_within(taken, folder):
                raise pytest.UsageError(_said(flag, value, "pytest would collect and execute it"))


def refuse_loaded_code(config: pytest.Config) -> None:
    """Refuse a run in which code of a model's folder has been loaded, however that came about.

    Raises
    ------
    pytest.UsageError
        Naming the file. What that code did before cannot be undone, so nothing is judged.
    """
    loaded = [
        Path(file).resolve()
        for plugin in config.pluginmanager.get_plugins()
        if isinstance(file := getattr(plugin, "__file__", None), str)
    ]
    for flag, value, folder in _folders(config.option, config.invocation_params.dir):
        for file in loaded:
            if _is_within(file, folder):
                raise pytest.UsageError(_said(flag, value, f"{file} was loaded as a plugin"))


def _folders(given: Any, base: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield flag, value and folder of every option that names a folder, or a file of weights.

    Beside such a file may lie a conftest.py too.
    """
    for option in FOLDER_OPTIONS:
        values: Iterable[Any] = getattr(given, option.dest, None) or ()
        for value in map(str, values):
            for text in {value, value.partition("=")[2], split_quantisation(value)[0]}:
                path = base / text
                if text and path.is_dir():
                    yield f"--scratch-{option.name}", value, path.resolve()
                elif text and path.suffix == GGUF and path.is_file():
                    yield f"--scratch-{option.name}", value, path.resolve().parent


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder)


def _has_conftest(folder: Path, base: Path) -> bool:
    inside = [base, *base.parents]
    return any((at / "conftest.py").exists() for at in inside if at.is_relative_to(folder))


def _said(flag: str, value: str, why: str) -> str:
    return visible(
        f"{flag}: {value} is a model, not a place to run tests from: {why}. "
        f"Start pytest outside of it, name the suites first, and write {flag}={value}"
    )
