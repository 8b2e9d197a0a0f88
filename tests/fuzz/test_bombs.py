"""No file of any size costs more than 1 GB, and work is bounded by bytes and counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.bombs import BOMBS, MOST_MEMORY
from tools.running import HANGS, ROOT

AT_ONCE = {
    "answers-of-empty-lines",
    "card-of-a-long-list",
    "card-of-merge-keys",
    "config-of-lists",
    "fingerprint-of-a-large-part",
    "sparse-weights",
    "stack-of-experts",
}
# Sound as far as anybody can tell, and read.
READ = {
    "answers-of-lists",
    "card-at-its-limit",
    "card-of-a-long-number",
    "config-of-many-layers",
    "header-at-its-limit",
    "log-of-lists",
    "rows-of-many-heads",
    "sparse-weights",
    "stack-of-experts",
    "stacks-at-their-limit",
    "tokenizer-at-its-limit",
}


@pytest.mark.parametrize(
    "name",
    [name if name in AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in BOMBS],
)
def test_a_bomb_is_cheap(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.bombs", str(tmp_path), name],
        cwd=ROOT, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["peak"] < MOST_MEMORY
    assert (found["said"] is None) == (name in READ), found["said"]
    assert "could not be read: " not in (found["said"] or "")  # foreseen, not caught by chance
