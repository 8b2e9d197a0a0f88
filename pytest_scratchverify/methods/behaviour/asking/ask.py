"""Ask a server all probes, keep every answer at once, and ask only what is missing.

A run that was cut off is resumed from its file. A server that has died is not asked a thousand
times: after a few requests in a row without connection the asking stops, and what is there stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.asking.answers import Answer, read_answers
from pytest_scratchverify.methods.behaviour.asking.endpoint import Client, Endpoint
from pytest_scratchverify.methods.behaviour.asking.probes import Probe
from pytest_scratchverify.methods.behaviour.asking.request import Request, request_for

LOCK_TIMEOUT = 3600.0
GIVE_UP_AFTER = 6  # failures in a row, of whatever kind, retries included
Progress = Callable[[int, int], None]  # answered so far, of how many


@dataclass(frozen=True, slots=True)
class Asked:
    """What a round of asking did: how many were there, were asked, and failed."""

    kept: int
    asked: int
    failed: int
    gave_up: str | None


def ask_missing(
    endpoint: Endpoint,
    probes: Sequence[Probe],
    path: Path,
    progress: Progress | None = None,
) -> Asked:
    """Append to `path` an answer for every probe that has none there yet.

    Raises
    ------
    Unavailable
        If the file belongs to another model or cannot be written, or nothing at all was
        answered.
    """
    if path.suffix == ".gz":
        raise Unavailable(
            Reason.UNSUPPORTED,
            Text("{path} is packed, and answers cannot be added to it.", path=str(path)),
            Text("Unpack it, or leave out --endpoint."),
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            return _ask(endpoint, probes, path, progress)
    except OSError as error:
        raise Unavailable(
            Reason.UNREACHABLE,
            Text("{path} cannot be written: {error}.", path=str(path), error=str(error)[:200]),
            Text("Name another file with --answers."),
        ) from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep another run from asking the same into the same file."""
    import filelock  # noqa: PLC0415 - 40 ms that a run without an endpoint need not pay

    try:
        with filelock.FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT):
            yield
    except filelock.Timeout:
        raise Unavailable(
            Reason.UNREACHABLE,
            Text("Another run has been asking into {path} for an hour.", path=str(path)),
            Text("Wait for it, or name another file with --answers."),
        ) from None


def _ask(
    endpoint: Endpoint, probes: Sequence[Probe], path: Path, progress: Progress | None
) -> Asked:
    there = _answered(path, endpoint)
    wanted = [request_for(probe, endpoint.api) for probe in probes]
    missing = [request for request in wanted if request.key not in there]
    if not missing:
        return Asked(len(wanted), 0, 0, None)
    client = Client(endpoint)
    with path.open("a", encoding="utf-8") as stream:
        if path.stat().st_size and not _ends_with_newline(path):
            stream.write("\n")  # a killed run may have left half a line

        def keep(answer: Answer) -> None:
            stream.write(answer.to_line() + "\n")
            stream.flush()

        round_ = _Round(client, keep, progress, len(missing))
        try:
            round_.run(missing)
        finally:
            client.close()
    kept = len(wanted) - len(missing)
    if kept + round_.asked == round_.failed:
        raise _nothing(endpoint, round_.last_error)
    return Asked(kept, round_.asked, round_.failed, round_.gave_up)


class _Round:
    """One pass over the missing requests, in several threads, written by one."""

    def __init__(
        self,
        client: Client,
        keep: Callable[[Answer], None],
        progress: Progress | None,
        total: int,
    ) -> None:
        self.client, self.keep, self.progress, self.total = client, keep, progress, total
        self.asked = self.failed = 0
        self.in_a_row = 0
        self.last_error: str | None = None
        self.gave_up: str | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def run(self, requests: Iterable[Request]) -> None:
        with ThreadPoolExecutor(self.client.endpoint.concurrency) as pool:
            waiting: list[Future[Answer | None]] = [pool.submit(self._one, r) for r in requests]
            try:
                for done in as_completed(waiting):
                    self._note(done.result())
            except BaseException:
                self._stop.set()
                for future in waiting:
                    future.cancel()
                raise

    def _one(self, request: Request) -> Answer | None:
        if self._stop.is_set():
            return None
        answer = self.client.ask(request)
        with self._lock:
            self.in_a_row = 0 if answer.error is None else self.in_a_row + 1
            if self.in_a_row >= GIVE_UP_AFTER and self.gave_up is None:
                self.gave_up = answer.error
                self._stop.set()
        return answer

    def _note(self, answer: Answer | None) -> None:
        if answer is None:
            return
        self.asked += 1
        self.keep(answer)
        if answer.error is not None:
            self.failed += 1
            self.last_error = answer.error
        if self.progress is not None:
            self.progress(self.asked, self.total)


def _answered(path: Path, endpoint: Endpoint) -> set[str]:
    if not path.exists() or path.stat().st_size == 0:
        return set()
    found = read_answers(path, endpoint.model)
    answers = found.by_probe.values()
    other = {a.model for a in answers} - {endpoint.model}
    if other:
        raise Unavailable(
            Reason.MALFORMED,
            Text(
                "{path} holds answers of {other}, not of {model}.",
                path=str(path),
                other=sorted(other),
                model=endpoint.model,
            ),
            Text("Give every model a file of its own with --answers."),
        )
    return {answer.key for answer in answers if answer.text is not None}


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"


def _nothing(endpoint: Endpoint, error: str | None) -> Unavailable:
    reason = Reason.RATE_LIMITED if error and "429" in error else Reason.UNREACHABLE
    return Unavailable(
        reason,
        Text(
            "{url} answered nothing for {model} ({error}).",
            url=endpoint.shown,
            model=endpoint.model,
            error=error or "-",
        ),
        Text("Check --endpoint, --endpoint-model, --endpoint-api and SCRATCHVERIFY_API_KEY."),
    )
