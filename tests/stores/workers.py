"""Processes of one run: each opens models and prints what it got."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from tools.running import HANGS, ROOT

WORKER = """
import json, sys
from pathlib import Path
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
lines = []
for target in sys.argv[2:]:
    try:
        store = open_store(target, run_dir=RunDirectory(Path(sys.argv[1])))
        records = [store.config().record, store.tensor_index().record, store.card().record]
        lines.append([store.revision, [repr(record) for record in records]])
    except Unavailable as failure:
        lines.append([failure.reason.value, str(failure)])
print(json.dumps(lines))
"""


def start_worker(hub, home: Path, run: RunDirectory, *targets: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(run.path), *targets],
        cwd=ROOT,
        env={**os.environ, **hub.environment(home)},
        stdout=subprocess.PIPE,
        text=True,
    )


def answers(*workers: subprocess.Popen[str]) -> list:
    return [json.loads(worker.communicate(timeout=HANGS)[0]) for worker in workers]
