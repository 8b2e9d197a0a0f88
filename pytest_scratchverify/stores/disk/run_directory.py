"""Compute-once results and locks in a directory that all processes of a run share.

The controller makes it and names it to the workers. A model is resolved once, to one commit,
and a branch that moves meanwhile changes nothing; a hub that cannot be reached is asked once,
because a failing name server costs 24 seconds a file otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.disk.atomic import write_atomically

LOCK_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Answers that are computed once per run, successes and failures alike.

    Attributes
    ----------
    path : Path
        An existing or new directory, fresh for every run.
    lock_timeout : float
        Seconds to wait for another process before giving up with a sentence.
    """

    path: Path
    lock_timeout: float = LOCK_TIMEOUT

    def once(self, kind: str, key: str, compute: Callable[[], Json]) -> Json:
        """Return what `compute` returned, or raise the `Unavailable` it raised, in any process.

        Parameters
        ----------
        kind, key : str
            What is computed, and of what; any characters.
        compute : callable
            Called in one process at most, with the others waiting. Exceptions other than
            `Unavailable` are bugs and are not remembered.

        Raises
        ------
        Unavailable
            If `compute` did, in this process or another; or if the wait was too long.
        """
        place = self._place(kind, key)
        if not place.exists():
            with self.lock(f"{kind} {key}"):
                if not place.exists():
                    write_atomically(place, _outcome(compute))
        return _replay(json.loads(place.read_bytes()))

    def settle(self, kind: str, key: str, failure: Unavailable) -> None:
        """Make `failure` the answer from now on, whatever `once` has returned before."""
        write_atomically(self._place(kind, key), _failure_line(failure))

    @contextmanager
    def lock(self, what: str) -> Iterator[None]:
        """Keep other processes of the run out while `what` is being done.

        Raises
        ------
        Unavailable
            If another process does not let go within `lock_timeout` seconds.
        """
        import filelock  # noqa: PLC0415 - 40 ms that a run without models need not pay

        place = self._place("locks", what).with_suffix(".lock")
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place, timeout=self.lock_timeout)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise _stuck(what, place, self.lock_timeout) from None
        try:
            yield
        finally:
            lock.release()

    def _place(self, kind: str, key: str) -> Path:
        # Readable for people, and a digest because readable names collide.
        readable = re.sub(r"[^A-Za-z0-9._-]+", "--", key)[:80]
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return self.path / kind / f"{readable}-{digest}.json"


def _stuck(what: str, place: Path, seconds: float) -> Unavailable:
    return Unavailable(
        Reason.UNREACHABLE,
        Text("Another process has been busy with {what} for {n} seconds.", what=what, n=seconds),
        Text("If no other run is active, delete {path} and start again.", path=str(place)),
    )


def _outcome(compute: Callable[[], Json]) -> bytes:
    try:
        return json.dumps({"value": compute()}, allow_nan=False).encode()
    except Unavailable as failure:
        return _failure_line(failure)


def _failure_line(failure: Unavailable) -> bytes:
    return json.dumps(
        {
            "reason": failure.reason.value,
            "what": [failure.what.template, dict(failure.what.params)],
            "remedy": [failure.remedy.template, dict(failure.remedy.params)],
        }
    ).encode()


def _replay(outcome: dict[str, Any]) -> Json:
    if "value" in outcome:
        value: Json = outcome["value"]
        return value
    (what, what_params), (remedy, remedy_params) = outcome["what"], outcome["remedy"]
    raise Unavailable(
        Reason(outcome["reason"]), Text(what, **what_params), Text(remedy, **remedy_params)
    )
