"""Ten million steps stay below 500 MB, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.running import ROOT

CODE = """
import json, sys, time
from pathlib import Path
from pytest_scratchverify.methods import training_log as m
from pytest_scratchverify.methods.training_log.readers import read_training_log
from tests.peak_memory import peak_kilobytes
limits = m.TrainingLogThresholds.load(Path("suites/calibration/training_log.json"))
began = time.perf_counter()
log = read_training_log(Path(sys.argv[1]))
read = time.perf_counter() - began
found = [m.first_loss("m", log, 50304, limits), m.continuity("m", log, limits),
         m.duplicates("m", log), m.smoothness("m", log, limits, None),
         m.power_law("m", log, limits), m.schedule("m", log, limits)]
peak = peak_kilobytes() / 1024
print(json.dumps({"rows": len(log), "peak_mb": round(peak), "read_s": round(read, 1),
                  "all_s": round(time.perf_counter() - began, 1),
                  "outcomes": [f.outcome for f in found],
                  "gaps": found[1].details["gaps"]}))
"""


def write(path, n):
    with path.open("w") as out:
        out.write("step,loss\n")
        block = []
        state = 12345
        for i in range(n):
            state = (1103515245 * state + 12345) % 2**31
            step = i if i < n // 2 else i + 5000  # one gap
            block.append(f"{step},{2.5 + 8.3 * (1 + i / 300) ** -0.5 + state / 2**36:.6f}\n")
            if len(block) == 100_000:
                out.writelines(block)
                block.clear()
        out.writelines(block)


def measure(tmp_path, n):
    path = tmp_path / "log.csv"
    write(path, n)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print(done.stdout)  # noqa: T201 - the figure that docs/methods/training-log.md quotes
    import json

    return json.loads(done.stdout)


def test_three_hundred_thousand_steps(tmp_path):
    found = measure(tmp_path, 300_000)
    assert found["rows"] == 300_000
    assert found["peak_mb"] < 250
    assert found["gaps"] == [[149_999, 155_000]]


@pytest.mark.slow
def test_ten_million_steps(tmp_path):
    found = measure(tmp_path, 10_000_000)
    assert found["rows"] == 10_000_000
    assert found["peak_mb"] < 500
    assert found["gaps"] == [[4_999_999, 5_005_000]]
