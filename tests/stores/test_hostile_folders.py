"""Folders that strangers made: links, pipes, holes, names; and the boundary around what is in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.untrusted import file_name, open_regular, printable, reading
from pytest_scratchverify.stores import folder as folders
from pytest_scratchverify.stores.folder import FolderStore

HEAD = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}'


def shard(size: int = 64, body: bytes | None = None) -> bytes:
    head = HEAD % (size, size)
    return len(head).to_bytes(8, "little") + head + (bytes(size) if body is None else body)


def refusal(call) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        call()
    return caught.value


def test_a_link_that_leaves_the_folder_is_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"password": 1}')
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").symlink_to(tmp_path / "secret.json")
    (model / "model.safetensors").symlink_to(tmp_path / "secret.json")
    store = FolderStore(model)
    for read in (store.config, store.tensor_index):
        found = refusal(read)
        assert found.reason is Reason.UNSUPPORTED
        assert "is a link that leaves the folder" in str(found.what)
    assert [(entry.path, entry.size, entry.sha256) for entry in store.files().value] == [
        ("config.json", None, None),
        ("model.safetensors", None, None),
    ]


def test_links_within_the_folder_and_of_a_snapshot_are_followed(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "real.json").write_text('{"model_type": "llama"}')
    (model / "config.json").symlink_to("real.json")
    assert FolderStore(model).config().value == {"model_type": "llama"}
    snapshot = tmp_path / "models--org--m" / "snapshots" / "0"
    blobs = tmp_path / "models--org--m" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "abc").write_text('{"model_type": "bert"}')
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    assert FolderStore(snapshot).config().value == {"model_type": "bert"}
    linked = tmp_path / "linked"  # the folder itself may be a link: its user gave it
    linked.symlink_to(model)
    assert FolderStore(linked).config().value == {"model_type": "llama"}


@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_no_files(tmp_path: Path, made) -> None:
    made(tmp_path / "config.json")
    assert refusal(FolderStore(tmp_path).config).reason is Reason.ABSENT
    with pytest.raises(OSError, match="no plain file"):
        open_regular(tmp_path / "config.json")


def test_holes_are_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    whole = folders.hashlib.file_digest
    monkeypatch.setattr(
        folders.hashlib,
        "file_digest",
        lambda stream, name: hashed.append(stream.name) or whole(stream, name),
    )
    (tmp_path / "sound.safetensors").write_bytes(shard())
    for name, size in (("sparse", 2**33), ("huge", 2**40)):
        with (tmp_path / f"{name}.safetensors").open("wb") as out:
            out.write(shard()[:80])
            out.truncate(size)
    found = FolderStore(tmp_path, hash_limit=2**50).files().value
    assert [entry.path for entry in found if entry.sha256] == ["sound.safetensors"]
    assert len(hashed) == 1
    assert FolderStore(tmp_path).files().record.note is not None  # 64 GiB in all: said


def test_a_name_that_is_not_utf8_loses_nothing(tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + b"/m\xff"
    Path(os.fsdecode(place)).mkdir()
    with Path(os.fsdecode(place + b"/\xfe.safetensors")).open("wb") as out:
        out.write(shard())
    store = FolderStore(Path(os.fsdecode(place)))
    assert store.repo.endswith("m%FF")
    [entry] = store.files().value
    assert entry.path == "%FE.safetensors"
    assert entry.sha256 is not None
    assert store.tensor_index().value.tensors["a"].file == "%FE.safetensors"
    assert file_name("a\udcff\udc80") == "a%FF%80"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TypeError("a bug"), Reason.MALFORMED),
        (OverflowError("1e308"), Reason.MALFORMED),
        (RuntimeWarning("overflow"), Reason.MALFORMED),
        (RecursionError(), Reason.MALFORMED),
        (MemoryError(), Reason.OVER_BUDGET),
        (OSError(36, "File name too long"), Reason.UNREACHABLE),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), Reason.MALFORMED),
    ],
)
def test_the_boundary_keeps_the_cause_and_never_says_absent(error, reason) -> None:
    def read() -> None:
        with reading("x\ud800.json", "org/model"):
            raise error

    found = refusal(read)
    assert found.reason is reason
    assert found.__cause__ is error
    assert "x\N{REPLACEMENT CHARACTER}.json of org/model" in str(found.what)
    f"{found.what} {found.remedy}".encode()
    assert printable("a\ud800") == "a\N{REPLACEMENT CHARACTER}"


def test_a_bug_in_a_reader_is_named_with_its_place(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("pytest_scratchverify.stores.base.parse_object", lambda *_, **__: 1 / 0)
    store = FolderStore(tmp_path)
    for _ in range(2):  # an answer that is kept keeps its cause
        found = refusal(store.config)
        assert found.reason is Reason.MALFORMED
        assert isinstance(found.__cause__, ZeroDivisionError)
        assert "ZeroDivisionError at stores/base.py:" in str(found.what)
