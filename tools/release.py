"""Builds what goes to a package index, twice, and looks it over.

    python -m tools.release [--into build/release]

Two builds, from two copies of the tree under different names and times, have to be equal byte for byte.
`twine check --strict` reads the page, and the wheel holds the suites and nothing that was left lying
about. The tools come from pip's index into an environment of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tools.running import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv*",
    ".artifacts",
    "build",
    "dist",
    "__pycache__",
    "node_modules",
    ".*_cache",
    ".hypothesis",
)
TIME = "315532800"  # 1980-01-01, the first day that a zip file knows


def built(python: Path, tree: Path, into: Path) -> list[Path]:
    """Build a source distribution and, out of it, a wheel; return both."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", TIME)}
    command = [python, "-m", "build", "--outdir", into, tree]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return sorted(into.iterdir())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def strange(wheel: Path) -> list[str]:
    """Names in a wheel that are neither the package, nor the start-up hook, nor metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    ours = ("pytest_scratchverify/", "pytest_scratchverify-", "scratchverify_startup.")
    return [n for n in names if not n.startswith(ours) or "__pycache__" in n or n.endswith(".pyc")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "release")
    into = parser.parse_args().into.resolve()
    shutil.rmtree(into, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", into / "tools"], check=True)
    python = into / "tools/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "build", "twine"], check=True)
    trees = [shutil.copytree(ROOT, into / name, ignore=LEFT_OUT) for name in ("one", "another")]
    for path in trees[1].rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    first = built(python, trees[0], into / "dist")
    second = built(python, trees[1], into / "again")
    failed = False
    for one, two in zip(first, second, strict=True):
        same = one.name == two.name and digest(one) == digest(two)
        failed = failed or not same
        print(f"{digest(one)}  {one.name}  {one.stat().st_size / 1e6:.1f} MB  "
              f"{'the same twice' if same else f'and {digest(two)}'}")  # fmt: skip
    [wheel] = [path for path in first if path.suffix == ".whl"]
    left = strange(wheel)
    print("in the wheel besides:", ", ".join(left) or "nothing")
    checked = subprocess.run([python, "-m", "twine", "check", "--strict", *first], check=False)
    return 1 if failed or left or checked.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
