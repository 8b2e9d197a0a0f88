"""Whether the oldest dependencies that pyproject.toml allows say what the newest ones say.

    python -m tools.floors [--python python3.12] [--into FOLDER]

Builds the wheel, installs it with all extras into two new environments, once with every floor and
once with whatever is newest, and makes the same runs with both: two folders with a known relation,
two without, a pair on a hub (on the loopback), and the catalogue alone. `scratchverify diff` compares
them: verdicts, findings and numbers have to be the same. Packages come from pip's index.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from tools.running import CLOSED_PORT, HANGS, ROOT
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY

# Not this checkout, which may be on the path: what was installed.
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
SAME_AS_SHOWN = re.compile(r": (\S+) -> \1$")
OUTLETS = ("json", "html", "md", "sarif", "cyclonedx")


def requirements(version: str) -> list[Requirement]:
    """What the package asks for on a version of Python, its extras among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += [line for line in extra if not line.startswith(project["name"])]
    found = [Requirement(line) for line in lines]
    here = {"python_version": version}
    return [one for one in found if one.marker is None or one.marker.evaluate(here)]


def floor(requirement: Requirement) -> str:
    """The oldest version that a requirement allows, as a requirement of its own."""
    versions = [part.version for part in requirement.specifier if part.operator == ">="]
    if len(versions) != 1:
        raise SystemExit(f"{requirement}: no floor, or several")
    return f"{requirement.name}=={versions[0]}"


def installed(python: str, into: Path, wheel: Path, pins: list[str]) -> Path:
    """Make an environment with the wheel, all extras and `pins`; return its folder of scripts."""
    subprocess.run([python, "-m", "venv", into], check=True)
    command = [into / "bin/python", "-m", "pip", "install", "--quiet"]
    asked = f"pytest-scratchverify[all,completion] @ {wheel.as_uri()}"
    subprocess.run([*command, asked, *pins], check=True)
    return into / "bin"


def runs(scripts: Path, into: Path) -> dict[str, int]:
    """Make all runs with one environment; return their exit codes by name."""
    into.mkdir()
    codes = {}
    with LoopbackHub() as hub:
        hub.add_repo("org/one", READY / "s0-finetune")
        hub.add_repo("org/two", READY / "s0")
        closed = {"HF_HOME": str(into / "hf"), "HF_ENDPOINT": CLOSED_PORT}
        derived, other = READY / "s0-finetune", READY / "s1"
        for name, arguments, environment in (
            ("derived", [f"--model={derived}", f"--against={READY / 's0'}"], closed),
            ("independent", [f"--model={other}", f"--against={READY / 's0'}"], closed),
            ("hub", ["--model=org/one", "--against=org/two"], hub.environment(into / "hub")),
            ("catalogue", ["--model=skt/A.X-K1", "--offline"], closed),
        ):
            outlets = [f"--verdict-{outlet}={into / name}.{outlet}" for outlet in OUTLETS]
            done = subprocess.run(
                [scripts / "scratchverify", "run", *arguments, *outlets, "-q"],
                cwd=into,
                env={**OUTSIDE, **environment},
                capture_output=True,
                text=True,
                timeout=HANGS,
                check=False,
            )
            codes[name] = done.returncode
            if not (into / f"{name}.json").is_file():
                raise SystemExit(f"{scripts}: {name}: no run\n{done.stdout}{done.stderr}")
    return codes


def differing(scripts: Path, one: Path, two: Path) -> str:
    """What `scratchverify diff` says of two runs; the empty text where they are the same.

    A p-value of 1e-68 differs in its seventh digit from one BLAS to another: a number that reads
    the same in its four digits is the same.
    """
    command = [scripts / "scratchverify", "diff", one, two]
    done = subprocess.run(command, env=OUTSIDE, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        return done.stdout + done.stderr
    changed = done.stdout.partition("The runs themselves differ in:")[0].splitlines()
    told = [line for line in changed if line.strip() and not SAME_AS_SHOWN.search(line)]
    return "\n".join(told) if done.returncode == 1 else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to use")
    parser.add_argument("--into", type=Path, help="an empty folder (default: a temporary one)")
    given = parser.parse_args()
    folder = given.into or Path(tempfile.mkdtemp(prefix="scratchverify-floors-"))
    folder = folder.resolve()
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", ROOT, "-w", folder]
    subprocess.run(build, check=True)
    [wheel] = folder.glob("*.whl")
    asking = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.check_output([given.python, "-c", asking], text=True).strip()
    floors = [floor(requirement) for requirement in requirements(version)]
    oldest = installed(given.python, folder / "floors", wheel, floors)
    newest = installed(given.python, folder / "newest", wheel, [])
    codes = [runs(scripts, folder / f"runs-{scripts.parent.name}") for scripts in (oldest, newest)]
    print(f"Python {version}: {', '.join(floors)}")
    failed = codes[0] != codes[1]
    for name, code in codes[0].items():
        pair = (folder / "runs-floors" / f"{name}.json", folder / "runs-newest" / f"{name}.json")
        difference = differing(newest, *pair)
        failed = failed or bool(difference)
        print(f"{name:<12} exit code {code}, {codes[1][name]}: {difference or 'the same'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
