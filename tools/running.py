"""Run the real suites as a user does: in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import ROOT

CLOSED_PORT = "http://127.0.0.1:9"  # nothing listens there: an unreachable hub, without delay
# Seconds after which a process is taken to hang. A guard, no bound: work is bounded by counts and
# bytes, so that no test depends on how fast, or how busy, a machine is.
HANGS = 1800
# Plugins of the tests that no run of the suites needs; to load hypothesis alone takes a third of
# a run's start.
GUESTS = ("hypothesispytest", "anyio")


@dataclass(frozen=True)
class Ran:
    """What a run of the suites left behind."""

    code: int
    output: str
    run: dict[str, Any] | None
    json_bytes: bytes | None

    @property
    def found(self) -> dict[str, Any]:
        """Its run.json; an error with the output if it left none."""
        if self.run is None:
            raise RuntimeError(self.output)
        return self.run

    def model(self, name: str) -> dict[str, Any]:
        """What the run says of one model."""
        return next(model for model in self.found["models"] if model["model"] == name)

    def verdicts(self, name: str) -> dict[str, str]:
        """Verdicts of one model by component."""
        return {key: value["verdict"] for key, value in self.model(name)["components"].items()}

    def finding(self, method: str, model: str | None = None) -> dict[str, Any]:
        """Return the first finding of a method, of one model if it is given."""
        return next(
            f
            for f in self.found["findings"]
            if f["method"] == method and model in (None, f["model"])
        )


def run_suites(
    *arguments: str,
    home: Path,
    env: dict[str, str] | None = None,
    cwd: Path = ROOT,
    suites: str = "suites",
) -> Ran:
    """Run ``pytest suites/`` with an empty cache under `home`; without `env`, without a hub."""
    target = home / "run.json"
    target.unlink(missing_ok=True)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "GITHUB_"))
    }
    environment |= {"HF_HOME": str(home / "hf"), "HF_ENDPOINT": CLOSED_PORT, "COLUMNS": "100"}
    environment |= {"NO_COLOR": "1", "OMP_NUM_THREADS": "1", **(env or {})}
    without = [part for name in GUESTS for part in ("-p", f"no:{name}")]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            suites,
            "--verdict-json",
            str(target),
            *("-W", "error"),  # a warning of ours, or of what we call, is a fault
            *without,
            *arguments,
        ],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    raw = target.read_bytes() if target.exists() else None
    return Ran(done.returncode, done.stdout + done.stderr, json.loads(raw) if raw else None, raw)


def scratchverify(
    *arguments: object, home: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the console script in `home`, with its cache there; without `env`, without a hub."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": CLOSED_PORT, **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "pytest_scratchverify.cli", *map(str, arguments)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )
