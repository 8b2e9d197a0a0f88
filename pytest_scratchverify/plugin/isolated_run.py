"""Run pytest on the suites in a process of its own, out of reach of the project around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_scratchverify.plugin.options import OPTIONS, STARTED_AS, OptionSpec
from pytest_scratchverify.plugin.session import suites_path

# Of a pytest that calls this, and of a workflow whose summary is not ours to write.
_NOT_INHERITED = ("PYTEST_", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
# What other packages bring into every pytest (the hub's client anyio), and no suite of ours asks:
# a quarter of what it takes to start.
_IDLE = ("anyio", "hypothesispytest")
_CHILD = "import sys; sys.path[:] = {path!r}; import pytest; sys.exit(pytest.main({arguments!r}))"


def run_isolated(
    values: Mapping[str, Any],
    scratch: Path,
    *,
    suites: Sequence[str] = (),
    plugins: Sequence[str] = (),
    quiet: bool = True,
) -> str:
    """Run the shipped suites, and those of `suites`; return the line that says what went wrong.

    `values` are the options by their names with underscores; `scratch` is an empty folder.
    Nothing of the surrounding project is used: no ini file, no conftest (a folder that is tested
    may hold one), no cache, and no plugin but those of `plugins`.
    """
    arguments = [*own_settings(scratch), "-p", "no:cacheprovider"]
    for plugin in ("pytest_scratchverify.plugin", *plugins):
        arguments += ["-p", plugin]
    arguments += [text for option in OPTIONS for text in _as_arguments(option, values)]
    arguments += ["--pyargs", *suites] if suites else []
    return _why(_run(arguments, quiet=quiet))


def own_settings(scratch: Path, started_as: str = "scratchverify run") -> list[str]:
    """Return arguments that name the shipped suites and keep every other setting out.

    No ini file and no conftest.py is read but the one that is written into the empty folder
    `scratch`: those of the working directory or of a model's folder could load any code.
    `started_as` is what the line that repeats the run begins with.
    """
    home = suites_path()
    ini = scratch / "pytest.ini"
    # The matrix is named so that a run without any option is one of ours, too.
    values = {
        "addopts": "--import-mode=importlib",
        "cache_dir": _cache_folder(),
        "filterwarnings": "ignore::pytest.PytestCacheWarning",  # a home may be read-only
        "scratch_matrix": home / "matrix.toml",
        STARTED_AS: started_as,
    }
    lines = ["[pytest]", *(f"{name} = {value}" for name, value in values.items())]
    ini.write_text("\n".join(lines) + "\n", "utf-8")
    return [
        str(home),
        f"-c{ini}",
        f"--rootdir={home.parent}",
        f"--confcutdir={home}",
        "--noconftest",
        *(f"-pno:{name}" for name in _IDLE),
    ]


def _cache_folder() -> Path:
    """Return where pytest keeps what --lf reads: beside no project, and not in the package."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "scratchverify" / "pytest"


def _as_arguments(option: OptionSpec, values: Mapping[str, Any]) -> Iterator[str]:
    value = values.get(option.name.replace("-", "_"))
    flag = f"--scratch-{option.name}"
    if option.kind == "bool":
        yield from [flag] if value else []
    elif option.kind == "args" and not isinstance(value, (str, Path)):
        yield from (f"{flag}={item}" for item in value or ())
    elif value is not None:  # joined by "=": a lone value would be taken for a path to collect
        yield f"{flag}={value}"


def _run(arguments: list[str], *, quiet: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own.

    Inside this one it could not be made safe: pytest replaces file descriptors, warning filters,
    import hooks and signal handlers, cannot be nested (a pytest that calls us has all of these),
    and the threads of BLAS are divided before numpy is imported, which here it may be.
    """
    path = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100 - zip files too
    here = str(Path(__file__).parents[2])
    path += [] if here in path else [here]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
    return subprocess.run(  # noqa: S603 - this interpreter, arguments made above
        [sys.executable, "-P", "-c", _CHILD.format(path=path, arguments=arguments)],
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=quiet,
        text=True,
        errors="backslashreplace",
        check=False,
    )


def _why(ended: subprocess.CompletedProcess[str]) -> str:
    """Return pytest's last error, or its last word, as one line."""
    lines = [line for line in f"{ended.stdout or ''}\n{ended.stderr or ''}".splitlines() if line]
    errors = [line for line in lines if "error:" in line.lower()]
    if errors:
        return errors[-1][errors[-1].lower().index("error:") + len("error:") :].strip()
    last = lines[-1].strip() if lines else "see what it printed"
    return f"pytest ended with exit code {ended.returncode} and without a run: {last}"
