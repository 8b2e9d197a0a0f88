"""Whatever a comparison finds rests on bytes that were confirmed: a mixed-up cache accuses nobody.

The CDN sends another model's file with a sound status, length and range, and says nothing of it.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import huggingface_hub
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights import confirmation
from pytest_scratchverify.methods.weights.file_digests import shard_digests
from pytest_scratchverify.methods.weights.fingerprint import save_fingerprint
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.norm_gains import norm_control
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores import hub as hub_store
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.opening import open_store
from tests.weights.shipped import CALIBRATION
from tools.running import HANGS
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY

WEIGHTS = "model.safetensors"
DECODER_STARTS = 266192  # in s0 and in s1: before it lie the two tables
REFERENCE = "org/s0"
DECODER, TABLE = Component.TEXT_DECODER, Component.EMBEDDINGS


@pytest.fixture(scope="module")
def served():
    s0, s1 = ((READY / name / WEIGHTS).read_bytes() for name in ("s0", "s1"))
    (length,) = struct.unpack("<Q", s0[:8])
    header = json.dumps({"__metadata__": {"format": "np"}, **json.loads(s0[8 : 8 + length])})
    renamed = struct.pack("<Q", len(header)) + header.encode() + s0[8 + length :]
    rest = {"config.json": READY / "s0" / "config.json"}
    with LoopbackHub() as hub:
        for name in ("s0", "s1", "s0-finetune"):
            hub.add_repo(f"org/{name}", READY / name)
        hub.add_repo("org/frozen", {**rest, WEIGHTS: s0[:DECODER_STARTS] + s1[DECODER_STARTS:]})
        hub.add_repo("org/saved-again", {**rest, WEIGHTS: renamed})
        hub.add_repo("org/copy", {**rest, WEIGHTS: s0})
        yield hub
        huggingface_hub.close_session()


@pytest.fixture
def hub(served):
    served.mend()
    return served


@pytest.fixture
def large(monkeypatch):
    """Take every file for one that is too large to be read whole."""
    for module in (confirmation, hub_store):
        monkeypatch.setattr(module, "CONFIRMED_WHOLE", 1000)


class Asked:
    """Questions about models on the hub: one cache, and a directory a run."""

    def __init__(self, hub: LoopbackHub, home: Path) -> None:
        self.hub, self.home, self.runs = hub, home, 0

    def store(self, name, **options):
        access = HubAccess(
            endpoint=self.hub.endpoint,
            token=False,
            cache_dir=self.home / "cache",
            assets_dir=self.home / "assets",
            timeout=HANGS,
        )
        run = RunDirectory(self.home / f"run-{self.runs}", lock_timeout=HANGS)
        return open_store(name, run_dir=run, access=access, **options)

    def __call__(self, model, component=TABLE, *, depth="quick", **options):
        self.runs += 1
        ours, theirs = self.store(model, **options), self.store(REFERENCE, **options)
        hypothesis = ComponentHypothesis(pair=pair(model), component=component, depth=depth)
        return weights_origin(hypothesis, ours, theirs, CALIBRATION)


def pair(model):
    return Pair(ModelSpec(name=model), ModelSpec(name=REFERENCE))


@pytest.fixture
def ask(hub, tmp_path):
    return Asked(hub, tmp_path)


def is_open(finding) -> bool:
    blamed = "publisher" in f"{finding.headline} {finding.remedy}"
    says = (finding.relation, finding.pvalue, finding.kinds) != (None, None, ())
    return finding.outcome is Outcome.INDETERMINATE and not blamed and not says


@pytest.mark.parametrize(
    ("depth", "component"),
    [
        ("quick", TABLE),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("quick", DECODER), ("robust", TABLE), ("robust", DECODER))
        ),
    ],
)
@pytest.mark.parametrize(
    ("model", "mixed", "of"),
    [
        ("org/s1", "org/s1", REFERENCE),  # an identity that is none
        ("org/s1", REFERENCE, "org/s1"),
        ("org/s1", "org/s1", "org/s0-finetune"),  # a descent that is none
        ("org/s0-finetune", "org/s0-finetune", "org/s1"),  # a clearance that is none
    ],
)
def test_a_cache_that_mixed_files_up_decides_nothing(
    hub, ask, model, mixed, of, depth, component
) -> None:
    hub.fault(mixed, WEIGHTS, "mixed-up", of=of)
    finding = ask(model, component, depth=depth)
    assert is_open(finding), finding.headline
    assert "not the listed file" in str(finding.headline)


def test_norm_gains_are_confirmed_too(hub, ask) -> None:
    hub.fault("org/s1", WEIGHTS, "mixed-up", of="org/s0-finetune")
    found = norm_control(pair("org/s1"), ask.store("org/s1"), ask.store(REFERENCE), CALIBRATION)
    assert is_open(found)


@pytest.mark.usefixtures("large")
def test_large_files_that_cannot_be_told_apart_are_not_sustained(hub, ask) -> None:
    hub.fault("org/s1", WEIGHTS, "mixed-up", of=REFERENCE)
    finding = ask("org/s1")
    assert is_open(finding), finding.headline
    assert "--depth full" in str(finding.remedy)


@pytest.mark.parametrize("size", ["small", "large"])
def test_what_was_mixed_up_for_a_while_is_read_again_and_forgotten(hub, ask, request, size) -> None:
    if size == "large":
        request.getfixturevalue("large")
    hub.fault("org/s1", WEIGHTS, "mixed-up", of=REFERENCE, times=3)  # two of the header
    assert is_open(ask("org/s1"))
    hub.mend()
    assert ask("org/s1").outcome is Outcome.CONSISTENT


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(
    ("model", "component", "relation"),
    [
        ("org/copy", TABLE, Relation.VERBATIM),
        ("org/saved-again", TABLE, Relation.VERBATIM),
        ("org/frozen", TABLE, Relation.VERBATIM),
        ("org/s0-finetune", TABLE, Relation.DERIVED),
        ("org/s1", TABLE, None),
        pytest.param("org/saved-again", DECODER, Relation.VERBATIM, marks=pytest.mark.slow),
        pytest.param("org/s0-finetune", DECODER, Relation.DERIVED, marks=pytest.mark.slow),
        pytest.param("org/s1", DECODER, None, marks=pytest.mark.slow),
    ],
)
def test_what_is_true_stays_found(ask, request, model, component, relation, size) -> None:
    if size == "large":
        request.getfixturevalue("large")
    found = ask(model, component)
    assert found.relation is relation, found.headline
    assert found.outcome is (Outcome.DERIVED if relation else Outcome.CONSISTENT)


def test_bytes_of_confirmation_are_recorded(ask) -> None:
    size = (READY / "s1" / WEIGHTS).stat().st_size
    records = [r for r in ask("org/s1").artifacts if r.digest and r.bytes_read == size]
    assert {r.repo for r in records} == {"org/s1", REFERENCE}


def test_without_a_hub_a_whole_cached_file_confirms(ask) -> None:
    assert ask("org/saved-again").relation is Relation.VERBATIM
    assert ask("org/saved-again", offline=True).relation is Relation.VERBATIM


def test_without_a_hub_cached_ranges_confirm_nothing(ask) -> None:
    assert ask("org/saved-again").relation is Relation.VERBATIM
    for path in ask.home.glob(f"cache/*/snapshots/*/{WEIGHTS}"):
        path.unlink()
    finding = ask("org/saved-again", offline=True)
    assert is_open(finding)
    assert "cannot be confirmed" in str(finding.headline)


def test_a_fingerprint_that_tells_no_difference_sustains_no_identity(ask, hub, tmp_path) -> None:
    hub.fault("org/s1", WEIGHTS, "mixed-up", of=REFERENCE)
    for model, relation in (("org/s1", None), ("org/saved-again", Relation.VERBATIM)):
        path = tmp_path / f"{model[4:]}.fingerprint"
        save_fingerprint(ask.store(model), path)
        finding = ask(str(path))
        assert finding.relation is relation, finding.headline


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_word_of_a_listing_is_confirmed(hub, ask, request, size) -> None:
    if size == "large":
        request.getfixturevalue("large")
    asked = pair("org/copy")
    ours, theirs = ask.store("org/copy"), ask.store(REFERENCE)
    assert shard_digests(asked, ours, theirs, declared=False).relation is Relation.VERBATIM
    hub.fault("org/copy", WEIGHTS, "stale-link" if size == "large" else "mixed-up", of="org/s1")
    fresh = Asked(hub, ask.home / "fresh")
    with pytest.raises(Unavailable) as caught:
        shard_digests(asked, fresh.store("org/copy"), fresh.store(REFERENCE), declared=False)
    assert caught.value.reason is Reason.MISMATCH
