"""Runs of the suites in forks of one warm process: a second each instead of ten.

    python -m benchmarks.fault_runs     # reads a line of JSON a run, answers with one

Nothing of the product is patched. What waits is told to wait less: huggingface_hub sleeps nothing
between its tries, and our own limits for slow bodies are seconds instead of minutes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest


def main() -> None:
    """Warm up, then run what is asked for, one fork a line."""
    wires = os.dup(1)
    _hasten()
    order = json.loads(sys.stdin.readline())
    _run(order, keep=True)  # in this process: what is loaded now, every fork has
    _say(wires, {"warm": True})
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            os._exit(_run(order))
        _say(wires, {"pid": child})
        _say(wires, _waited(child, order["limit"]))


def _hasten() -> None:
    from huggingface_hub import file_download  # noqa: PLC0415
    from huggingface_hub.utils import _http  # noqa: PLC0415

    from pytest_scratchverify.stores.http import patience  # noqa: PLC0415

    clock = SimpleNamespace(sleep=lambda _: None, time=time.time)
    for module in (_http, file_download):
        module.time = clock
    patience.LONGEST_SILENCE = 2.0
    patience.PAUSE, patience.GRACE, patience.SLOWEST = 0.0, 2.0, 2**20


def _run(order: dict[str, Any], *, keep: bool = False) -> int:
    """Run pytest with the order's arguments; its output goes to the order's file."""
    streams = (os.dup(1), os.dup(2))
    log = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 99
    try:
        code = int(pytest.main(order["arguments"]))
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        os.write(2, f"{type(error).__name__}: {error}".encode())
    if keep:
        import huggingface_hub  # noqa: PLC0415

        huggingface_hub.close_session()
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
    return code


def _waited(child: int, limit: float) -> dict[str, Any]:
    started = time.monotonic()
    while time.monotonic() - started < limit:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return {"code": code, "seconds": time.monotonic() - started}
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"code": None, "seconds": limit}


def _say(wires: int, what: dict[str, Any]) -> None:
    os.write(wires, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
