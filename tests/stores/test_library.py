"""A reference library: its index is read within bounds, and what is damaged is named."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.methods.weights.fingerprint import EXTENTS, save_fingerprint
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fingerprint import SCHEMA as FINGERPRINT_SCHEMA
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.library import (
    INDEX,
    MAX_ENTRIES,
    SCHEMA,
    LibraryEntry,
    file_name,
    made_entry,
    open_entry,
    read_index,
    read_library,
    write_index,
)
from pytest_scratchverify.stores.opening import open_store
from tools import ROOT
from tools.zoo import small_checkpoints as checkpoints

# Made once, in November 2026, and never made again: what was saved then is read for ever.
KEPT = ROOT / "tests" / "stores" / "data" / "library-1"


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def made(tmp_path, run):
    """A library of one model."""
    folder = checkpoints.independent(tmp_path / "model")
    path = tmp_path / "library" / file_name("org/one")
    save_fingerprint(open_store(str(folder), run_dir=run), path, "small")
    entry = made_entry("org/one", path, "abc", "small")
    lost = LibraryEntry(
        model="org/two",
        path=path.with_name(file_name("org/two")),
        reason=Reason.GATED,
        failure="no",
    )
    write_index(path.parent, [entry, lost])
    return path.parent


def test_a_library_of_the_first_version_is_read(run):
    entries = read_library(KEPT)
    assert {name: entry.depth for name, entry in entries.items()} == {"org/kept": "small"}
    store = open_entry(entries["org/kept"], run_dir=run)
    assert store.config().value["hidden_size"] > 0
    index = store.tensor_index().value
    assert index.tensors
    info = index.tensors["model.embed_tokens.weight"]
    span = ByteRange(info.start, info.start + 8)
    assert store.holds(info.file, [span])
    assert len(store.read_ranges(info.file, [span]).value[0]) == 8
    assert json.loads((KEPT / INDEX).read_text("utf-8"))["schema"] == SCHEMA
    assert FINGERPRINT_SCHEMA == "scratchverify/fingerprint/1"


def test_the_index_says_what_was_made_and_what_was_not(made, run):
    entries = read_library(made)
    assert entries["org/one"].is_made
    assert entries["org/one"].is_sound()
    assert open_entry(entries["org/one"], run_dir=run).files().value
    assert not entries["org/two"].is_made
    with pytest.raises(Unavailable, match="no fingerprint of org/two: no") as lost:
        open_entry(entries["org/two"], run_dir=run)
    assert lost.value.reason is Reason.GATED


def test_a_file_that_changed_since_is_not_compared_with(made, run):
    entry = read_library(made)["org/one"]
    body = bytearray(entry.path.read_bytes())
    body[len(body) // 2] ^= 1
    entry.path.write_bytes(body)
    assert not entry.is_sound()
    with pytest.raises(Unavailable, match="sha256"):
        open_entry(entry, run_dir=run)
    entry.path.unlink()
    with pytest.raises(Unavailable, match="the file is gone"):
        open_entry(entry, run_dir=run)


def test_a_fingerprint_without_an_index_says_itself_whose_it_is(made, run):
    [known] = [entry for entry in read_library(made).values() if entry.is_made]
    shutil.copy(known.path, made / "stray.fingerprint")
    (made / "broken.fingerprint").write_bytes(b"no archive")
    entries = read_library(made)
    model = next(name for name in entries if name.endswith("model"))
    assert entries[model].path.name == "stray.fingerprint"
    assert open_entry(entries[model], run_dir=run).files().value
    with pytest.raises(Unavailable, match="malformed"):
        open_entry(entries["broken"], run_dir=run)
    (made / INDEX).unlink()
    assert len(read_library(made)) == 3


@pytest.mark.parametrize(
    "document",
    [
        b"\xff\xfe",
        b"[]",
        b'{"schema": "scratchverify/library/9", "models": {}}',
        {"models": []},
        {"models": {"a/b": {"file": "../../etc/passwd"}}},
        {"models": {"a/b": {"file": "/tmp/x.fingerprint"}}},
        {"models": {"a/b": {"file": "x.fingerprint", "size": "large"}}},
        {"models": {"a/b": {"file": "x.fingerprint", "reason": "mood"}}},
        {"models": {"a/b": {"file": "x.fingerprint", "failure": {"a": 1}}}},
        {"models": {"": {"file": "x.fingerprint"}}},
        {"models": {"a" * 1000: {"file": "x.fingerprint"}}},
        {"models": {f"a/{n}": {"file": "x.fingerprint"} for n in range(MAX_ENTRIES + 1)}},
        b'{"schema": "scratchverify/library/1", "models": ' + b'{"a":' * 9000 + b"}" * 9001,
    ],
)
def test_a_damaged_index_is_one_sentence(tmp_path, document):
    if isinstance(document, dict):
        document = json.dumps({"schema": SCHEMA, **document}).encode()
    (tmp_path / INDEX).write_bytes(document)
    with pytest.raises(ScratchError, match="library"):
        read_index(tmp_path)


def test_an_empty_or_absent_folder_is_a_mistake(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ScratchError):
            read_library(folder)


def test_two_models_never_share_a_file():
    names = ["a/b", "a--b", "a/b@c", "A/b", "./a/b", "../a/b", "a/" + "b" * 500]
    files = {file_name(name) for name in names} | {file_name("a/b", "c")}
    assert len({name.lower() for name in files}) == len(names)  # a/b@c is the same by either way
    assert all(len(name) < 160 and "/" not in name and name[0] != "." for name in files)


def test_small_is_a_part_of_quick(tmp_path, run):
    """What is read at small is read at quick, so that libraries of either agree."""
    folder = checkpoints.independent(tmp_path / "model")
    spans = {}
    for depth in ("small", "quick"):
        kept = save_fingerprint(
            open_store(str(folder), run_dir=run), tmp_path / f"{depth}.x", depth
        )
        spans[depth] = [(file, span) for file, span, _ in kept.parts]
    assert set(EXTENTS) == {"small", "quick", "robust"}
    for file, span in spans["small"]:
        assert any(f == file and other.holds(span) for f, other in spans["quick"])
