"""Full depth on a cluster of Dask: tensor groups are tasks, and workers read their own ranges.

Dask schedules, retries what a lost worker had, and shows what goes on; none of that is made here. A
task carries one group and the places of both models, and no token: a worker opens the places by its
own rules (`stores.reopening`). What came of groups is small and comes back one by one; sums over
channels are larger, and are joined on the workers before they come.

Whoever runs the scheduler runs code in this process: use clusters of your own.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import numpy as np

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.group_measured import GroupMeasured, Sums
from pytest_scratchverify.methods.weights.roles_in_place import RoleSums
from pytest_scratchverify.methods.weights.tensor_groups import (
    GroupRunner,
    GroupsLost,
    TensorGroup,
    measured_group,
)
from pytest_scratchverify.report.wording import size as size_of
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.accounting import METER, Traffic, traffic
from pytest_scratchverify.stores.reopening import Place, open_place, place_of
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.reading import CheckpointPair, open_checkpoint

FORMS = "local, local:WORKERS, tcp://HOST:PORT or tls://HOST:PORT"
_ADDRESS = re.compile(r"(?:tcp|tls)://[^\s/]+:\d{1,5}/?")
_LOCAL = re.compile(r"local(?::([1-9]\d{0,3}))?")
CONNECT = 15.0  # seconds for a scheduler to answer
PATIENCE = "scratchverify.patience"  # in Dask's configuration: seconds without any worker
DEFAULT_PATIENCE = 60.0
JOINED = 4  # sums that one task joins: so many are in a worker's memory at once
EVERY = 10.0  # seconds between two lines of progress
PAUSE = 0.05

Say: TypeAlias = Callable[[str], None]
Failed: TypeAlias = tuple[str, Text, Text]  # of an `Unavailable`, which does not travel itself


@dataclass(frozen=True, slots=True)
class _Models:
    """Where both models are; `digests` are of their headers. Sent to each worker once."""

    run: str
    places: tuple[Place, Place]
    digests: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class _Done:
    """What a worker gives back: what it measured, or why it could not read."""

    measured: GroupMeasured | None
    failed: Failed | None = None
    received: Traffic = field(default_factory=Traffic)


class ClusterRunner(GroupRunner):
    """Lets a cluster measure groups; what only this process can read is measured here.

    Raises
    ------
    ScratchError
        If the address is none, Dask is not installed, or no scheduler answers.
    """

    def __init__(self, address: str, say: Say) -> None:
        local = _LOCAL.fullmatch(address)
        if local is None and not _ADDRESS.fullmatch(address):
            raise ScratchError(f"--cluster {address!r} is no cluster; write {FORMS}")
        if find_spec("distributed") is None:
            raise ScratchError("--cluster needs Dask: pip install 'pytest-scratchverify[cluster]'")
        self._say, self._run, self._deserted = say, uuid4().hex, False
        self._cluster, self._client = _opened(address, local)
        try:
            self._say_where(address)
        except ScratchError:
            self.close()
            raise

    def _say_where(self, address: str) -> None:
        """Name the cluster, its workers and the page on which it shows what it does."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT)
            found = {*self._client.run(_version).values()}
        except TimeoutError:
            raise ScratchError(f"--cluster {address}: the scheduler has no workers") from None
        except (ImportError, AttributeError) as error:
            raise ScratchError(
                f"--cluster {address}: its workers lack pytest-scratchverify {_version()}"
            ) from error
        if found != {_version()}:
            raise ScratchError(
                f"--cluster {address}: its workers have pytest-scratchverify "
                f"{', '.join(sorted(found))}; install {_version()} on all of them"
            )
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [worker["memory_limit"] for worker in workers if worker["memory_limit"]]
        limit = f", {size_of(min(limits))} of memory each" if limits else ""
        shown = self._client.dashboard_link
        lacks = "" if find_spec("bokeh") else " (its pages need bokeh)"
        self._say(
            f"cluster: {len(workers)} workers{limit}"
            + (f", dashboard {shown}{lacks}" if shown else "")
        )

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def measured(
        self, checkpoints: CheckpointPair, groups: Sequence[TensorGroup]
    ) -> Iterator[GroupMeasured]:
        """Yield what workers left of each group, in order; raises `GroupsLost` without workers."""
        sides = checkpoints.ours, checkpoints.theirs
        places = place_of(sides[0].store), place_of(sides[1].store)
        if places[0] is None or places[1] is None:
            self._say("cluster: what is compared next can be read by this process only")
            yield from super().measured(checkpoints, groups)
            return
        digests = sides[0].index_record.digest, sides[1].index_record.digest
        models = _Models(self._run, (places[0], places[1]), digests)
        yield from self._gathered(models, groups)

    def _gathered(self, models: _Models, groups: Sequence[TensorGroup]) -> Iterator[GroupMeasured]:
        awaited, shown = 0, _Progress(self._say, groups)
        if self._client.status != "running":
            raise shown.lost(Text("the scheduler is gone"))
        small, sums = _graph(models, groups)
        with warnings.catch_warnings():  # the places of a hundred thousand rows are megabytes
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            futures = self._client.compute([*small, *([sums] if sums is not None else [])])
        order = {future.key: number for number, future in enumerate(futures)}
        waiting: dict[int, Any] = {}
        try:
            for future in self._completed(futures, shown):
                number = order[future.key]
                waiting[number] = self._result(future, shown)
                if number < len(groups):
                    shown.done(number)
                while awaited in waiting and awaited < len(groups) - 1:
                    yield _measured(waiting.pop(awaited))
                    awaited += 1
            last = _measured(waiting.pop(awaited))
            yield replace(last, sums=waiting[len(groups)])
        finally:
            self._client.cancel(futures)

    def _completed(self, futures: Sequence[Any], shown: _Progress) -> Iterator[Any]:
        """Yield futures as they end. Raises `GroupsLost` where no worker is left to end them."""
        import dask  # noqa: PLC0415 - an extra
        from distributed import as_completed  # noqa: PLC0415

        # Once: what no worker came back for is not waited for component by component.
        patience = 0.0 if self._deserted else float(dask.config.get(PATIENCE, DEFAULT_PATIENCE))
        left, seen = len(futures), time.monotonic()
        ended = as_completed(futures, raise_errors=False)
        while left:
            batch = ended.next_batch(block=False) if ended.has_ready() else []
            left -= len(batch)
            yield from batch
            if batch or self._has_workers():
                seen = time.monotonic()
            elif time.monotonic() - seen > patience:
                self._deserted = True
                raise shown.lost(Text("no worker is left"))
            if not batch:
                time.sleep(PAUSE)

    def _has_workers(self) -> bool:
        running = self._client.status == "running"
        return running and bool(self._client.scheduler_info(n_workers=-1)["workers"])

    def _result(self, future: Any, shown: _Progress) -> Any:
        from distributed import KilledWorker  # noqa: PLC0415 - an extra

        if future.status in ("lost", "cancelled"):
            raise shown.lost(Text("the scheduler is gone"))
        if future.status != "error":
            return future.result()
        error = future.exception()
        if isinstance(error, KilledWorker):
            raise shown.lost(Text("workers were lost again and again")) from error
        raise error


def _measured(done: _Done) -> GroupMeasured:
    """Return what a worker measured, or raise what it met; its traffic is the run's."""
    METER.count(done.received)
    if done.measured is None:
        reason, what, remedy = done.failed or (Reason.MALFORMED.value, Text(""), Text(""))
        raise Unavailable(Reason(reason), what, remedy)
    return done.measured


def _other_model(repo: str) -> Unavailable:
    return Unavailable(
        Reason.MISMATCH,
        Text(
            "A worker of the cluster sees other headers under {repo} than this process.", repo=repo
        ),
        Text("Give a folder that all machines share, or a repository."),
    )


class _Progress:
    """Says how much of a component is measured, a line at a time."""

    def __init__(self, say: Say, groups: Sequence[TensorGroup]) -> None:
        self._say = say
        self._sizes = [group.nbytes for group in groups]
        self._component = groups[0].component.value if groups else ""
        self._count = self._bytes = 0
        self._said = time.monotonic()

    def done(self, number: int) -> None:
        """Count a group, and say so where a while has passed, or at the end."""
        self._count += 1
        self._bytes += self._sizes[number]
        now = time.monotonic()
        if now - self._said >= EVERY or (self._count == len(self._sizes) and self._count > 1):
            self._said = now
            self._say(
                f"cluster: {self._component}, {self._count} of {len(self._sizes)} tensor groups, "
                f"{size_of(self._bytes)} of {size_of(sum(self._sizes))}"
            )

    def lost(self, why: Text) -> GroupsLost:
        """Say what is lost with the workers."""
        return GroupsLost(
            Text(
                "The cluster lost its workers ({why}): {done} of {planned} tensor groups of"
                " {component} were measured, and a part decides nothing.",
                why=why,
                done=self._count,
                planned=len(self._sizes),
                component=self._component,
            ),
            Text("Start workers again and repeat the run: what was fetched is cached."),
        )


def _opened(address: str, local: re.Match[str] | None) -> tuple[Any, Any]:
    """Start a local cluster, or find the one at an address."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra

    logging.getLogger("distributed").setLevel(logging.ERROR)  # what is lost is said by us, once
    try:
        if local is not None:
            count = int(local[1]) if local[1] else None
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.ERROR,
            )
            return cluster, Client(cluster)
        return None, Client(address, timeout=CONNECT)
    except (OSError, TimeoutError, ValueError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ScratchError(f"--cluster {address}: no scheduler answers there ({said})") from error


def _graph(models: _Models, groups: Sequence[TensorGroup]) -> tuple[list[Any], Any]:
    """Return the small part of every group, and the tree that joins their sums."""
    from dask import delayed  # noqa: PLC0415 - an extra

    token = uuid4().hex

    def made(function: Callable[..., Any], step: str, number: int, *given: Any) -> Any:
        task = delayed(function, pure=False, traverse=False)
        return task(*given, dask_key_name=(f"{step}-{token}", number))

    # A group is bound to its function: arguments would be searched for other tasks, row by row.
    where = delayed(models, traverse=False, name=f"models-{token}")
    measured = [made(partial(_measure, one), "measure", n, where) for n, one in enumerate(groups)]
    small = [made(_without_sums, "strip", n, one) for n, one in enumerate(measured)]
    level = [made(_sums_of, "sums", n, one) for n, one in enumerate(measured)]
    depth = 0
    while len(level) > 1:
        parts = [level[n : n + JOINED] for n in range(0, len(level), JOINED)]
        level = [made(_joined, f"join{depth}", n, *part) for n, part in enumerate(parts)]
        depth += 1
    return small, level[0] if level else None


# What workers run. A worker has one directory a run, and opens each model once in it.


def _measure(group: TensorGroup, models: _Models) -> _Done:
    before = traffic()
    try:
        stores = [_store(models.run, place) for place in models.places]
        sides = [open_checkpoint(store) for store in stores]
        for side, digest, store in zip(sides, models.digests, stores, strict=True):
            if side.index_record.digest != digest:
                raise _other_model(store.repo)
        ours, theirs = (
            side.limited_to(places) for side, places in zip(sides, group.matrices(), strict=True)
        )
        pair = CheckpointPair(ours, theirs)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # bytes may be anything
            found = measured_group(pair, group)
    except Unavailable as failure:
        return _Done(None, (failure.reason.value, failure.what, failure.remedy))
    after = traffic()
    received = Traffic(after.requests - before.requests, after.received - before.received)
    broken = pair.ours.broken, pair.theirs.broken
    files = frozenset(pair.files)
    return _Done(replace(found, logs=pair.logs, broken=broken, files=files), None, received)


def _store(run: str, place: Place) -> ArtifactStore:
    from distributed import get_worker  # noqa: PLC0415 - an extra

    worker = get_worker()
    kept: dict[tuple[str, str], ArtifactStore] = vars(worker).setdefault("scratchverify", {})
    for old in [key for key in [*kept] if key[0] != run]:
        kept.pop(old, None)  # a worker may have several threads
    key = (run, repr(place))
    if key not in kept:
        kept[key] = open_place(place, RunDirectory(Path(worker.local_directory) / run))
    return kept[key]


def _without_sums(done: _Done) -> _Done:
    measured = done.measured
    return done if measured is None else replace(done, measured=replace(measured, sums=None))


def _sums_of(done: _Done) -> Sums | None:
    return None if done.measured is None else done.measured.sums


def _joined(*parts: Sums | None) -> Sums:
    found = Sums([None, None], RoleSums())
    for part in parts:
        if part is not None:
            found.join(part)  # copies: what a worker holds is not changed
    return found


def _version() -> str:
    return version("pytest-scratchverify")
