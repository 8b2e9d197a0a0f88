"""One real run of a derived pair, shared by the tests of what is made of a run."""

from __future__ import annotations

import pytest

from pytest_scratchverify.verdict.serialization import run_from_json
from tools.running import run_suites

READY = "tools/zoo/ready"
PAIR = ("--model", f"{READY}/s0-cpt-long", "--against", f"{READY}/s0")


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("outlets")


@pytest.fixture(scope="session")
def ran(home):
    """One run of a real descendant as a step of Actions, with every file it writes."""
    summary = home / "summary.md"
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = run_suites(*PAIR, "--verdict-sarif", str(home / "run.sarif"), home=home, env=env)
    (home / "kept.json").write_bytes(done.json_bytes)
    return done


@pytest.fixture(scope="session")
def run(ran):
    return run_from_json(ran.json_bytes.decode())
