"""Every broken answer at every request of a store: what is read is right, or `Unavailable` says why.

Whole runs of the suites under the same faults: ``make faults``, table in docs/security-faults.md.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys

import huggingface_hub
import pytest

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http import patience
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.opening import open_store
from tools.running import HANGS, ROOT, run_suites
from tools.zoo import small_checkpoints
from tools.zoo.hub_breaks import EVER, KINDS, Break, Place
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY

SHARD = "model-00001-of-00002.safetensors"
SPANS = [ByteRange(3000, 3100), ByteRange(4000, 4050)]
TOKEN = "hf_secretofthisfaultmatrix"
PLACES = ("reach", "api", "small head", "small", "link", "header", "weights", "whole head", "whole")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The hub, with a model and another of the same shape."""
    root = tmp_path_factory.mktemp("two")
    with LoopbackHub() as hub:
        commits = {
            name: hub.add_repo(f"org/{name}", small_checkpoints.independent(root / name, seed=seed))
            for name, seed in (("model", 1), ("other", 7))
        }
        yield hub, root / "model", commits["model"]
        huggingface_hub.close_session()


@pytest.fixture
def hasty(waits, monkeypatch, request):
    """Nobody waits long; a limit that is met too early is an answer that does not come."""
    silence = [("LONGEST_SILENCE", 0.2)] if "names" in request.fixturenames else []
    for name, value in (("PAUSE", 0.0), ("GRACE", 0.5), ("SLOWEST", 2**20), *silence):
        monkeypatch.setattr(patience, name, value)
    return waits


def place(commit: str, name: str) -> Place:
    small, link = (f"/org/model/resolve/{commit}/{file}" for file in ("config.json", SHARD))
    cdn = f"/org/model/{commit}/{SHARD}"
    return {
        "reach": Place("hub", "HEAD", "/"),
        "api": Place("hub", "GET", "/api/models/org/model"),
        "small head": Place("hub", "HEAD", small),
        "small": Place("hub", "GET", small),
        "link": Place("hub", "GET", link),
        "header": Place("cdn", "GET", cdn),
        "weights": Place("cdn", "GET", cdn, 2),  # behind two requests for the header
        "whole head": Place("hub", "HEAD", link),
        "whole": Place("cdn", "GET", cdn, 4),
    }[name]


def read(hub, home, *, timeout=0.2):
    """Read all kinds of things of one model; yields name, what came, what was confirmed."""
    access = HubAccess(
        endpoint=hub.endpoint,
        token=TOKEN,
        cache_dir=home / "cache",
        assets_dir=home / "assets",
        timeout=timeout,
    )
    run = RunDirectory(home / "run", lock_timeout=HANGS)
    try:
        store = open_store("org/model", run_dir=run, access=access)
    except Unavailable as failure:
        return {"open": failure}
    found = {}
    for name, ask in (
        ("config", lambda: store.config().value),
        ("headers", lambda: sorted(store.tensor_index().value.tensors)),
        ("ranges", lambda: list(store.read_ranges(SHARD, SPANS).value)),
        ("confirmed", lambda: confirmed(store, found.get("ranges"))),
    ):
        try:
            found[name] = ask()
        except Unavailable as failure:
            found[name] = failure
    return found


def confirmed(store, bodies):
    if not isinstance(bodies, list):
        return False
    digests = [hashlib.sha256(body).digest() for body in bodies]
    return store.confirm(SHARD, dict(zip(SPANS, digests, strict=True))).value.whole


@pytest.fixture(scope="module")
def sound(two, tmp_path_factory):
    found = read(two[0], tmp_path_factory.mktemp("sound"), timeout=HANGS)
    assert found["confirmed"] is True
    return found


def cases():
    """Every kind at one request for ever; at all others, and once, where slow tests run."""
    for number, kind in enumerate(KINDS):
        name = PLACES[number % len(PLACES)]
        yield pytest.param(kind, [name], [EVER], id=kind)
        yield pytest.param(kind, PLACES, [1, EVER], id=f"{kind}, all", marks=pytest.mark.slow)


@pytest.mark.parametrize(("kind", "names", "often"), [*cases()])
@pytest.mark.usefixtures("hasty")
def test_a_broken_answer_is_overcome_or_says_why(two, sound, kind, names, often, tmp_path) -> None:
    hub, _, commit = two
    for name in names:
        for times in often:
            hub.mend()
            hub.forget()
            options = {"of": "org/other"}
            hub.arm(Break(kind, place(commit, name), times, options))
            found = read(hub, tmp_path / f"{name}-{times}")
            for what, value in found.items():
                if isinstance(value, Unavailable):
                    assert str(value.what), (name, what)
                    assert str(value.remedy), (name, what)
                    assert TOKEN not in str(value)
                elif what != "ranges" or found["confirmed"] is True:
                    assert value == sound[what] or value is False, (name, times, what)
            assert not [line for line in hub.log if line.authorization and line.origin == "cdn"]


@pytest.mark.parametrize("kind", ["reset", "closed", "status 503", "half the body", "no HTTP"])
@pytest.mark.parametrize("name", ["reach", "api"])
@pytest.mark.usefixtures("hasty")
def test_what_broke_once_is_asked_for_once_more(two, sound, kind, name, tmp_path) -> None:
    hub, _, commit = two
    hub.mend()
    hub.arm(Break(kind, place(commit, name), 1))
    assert read(hub, tmp_path, timeout=HANGS) == sound


@pytest.mark.slow
def test_two_runs_on_one_cache_and_workers_say_the_same(tmp_path) -> None:
    with LoopbackHub() as hub:
        for name in ("s0", "s1"):
            hub.add_repo(f"org/{name}", READY / name)
        given = ("--model=org/s1", "--against=org/s0", "--component=embeddings")
        env = hub.environment(tmp_path / "cache")
        found = [
            run_suites(*given, *more, home=home, env=env).verdicts("org/s1")
            for home, more in (
                (tmp_path / "one", ()),
                (tmp_path / "two", ()),
                (tmp_path / "three", ("-n", "2")),
            )
            if not home.mkdir()
        ]
    assert found[0] == found[1] == found[2]
    assert found[0]["embeddings"] == "NO_EVIDENCE_OF_REUSE"


@pytest.mark.slow
def test_whole_runs_under_faults(tmp_path) -> None:
    """The first part of the matrix; `make faults` runs all of it."""
    command = [sys.executable, "-m", "benchmarks.faults", "--faults", "80"]
    results = ["--results", str(tmp_path / "faults.jsonl")]
    ran = subprocess.run(
        [*command, *results], cwd=ROOT, capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
