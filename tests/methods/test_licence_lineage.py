"""Licence files, copyright lines and display duties: facts that accuse nobody of descent."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.core.spec import Declaration, ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.disclosure import licence
from pytest_scratchverify.methods.disclosure.notices import MAX_BYTES, holder_of, read_notices
from pytest_scratchverify.stores.folder import FolderStore

MIT = "MIT License\n\nCopyright (c) {who}\n\nPermission is hereby granted ...\n"
DUTY = (
    "1. Redistribution. You shall prominently display \u201cBuilt with Camelid\u201d on a related\n"
    "website. If you use it to create an AI model, you shall also include \u201cCamelid\u201d at the\n"
    "beginning of any such AI model name.\n"
)


def repository(folder, card="license: mit\n", text="", **files):
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(f"---\n{card}---\n{text}\n", "utf-8")
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, "utf-8")
    return FolderStore(folder)


@pytest.fixture
def ask(tmp_path):
    reference = repository(
        tmp_path / "reference", LICENSE=MIT.format(who="2025 Elsewhere Labs") + DUTY
    )

    def ask(*, name="lab/model", named=True, **given):
        store = repository(tmp_path / "ours", **given)
        declared = Declaration(origin="elsewhere/camelid", by="lab", source="card")
        spec = ModelSpec(name=name, declares={Component.TEXT_DECODER: declared} if named else {})
        return licence(spec, store.card(), store, {"elsewhere/camelid": reference})

    return ask


def test_a_missing_licence_file_is_said(tmp_path):
    store = repository(tmp_path / "bare")
    found = licence(ModelSpec(name="lab/bare"), store.card(), store, {})
    assert found.outcome is Outcome.CONSISTENT
    assert str(found.headline) == (
        "the model card states the licence mit; no licence file stands in the repository"
    )
    with_file = repository(tmp_path / "whole", LICENSE_txt=MIT.format(who="2026 Lab"))
    said = licence(ModelSpec(name="lab/whole"), with_file.card(), with_file, {})
    assert str(said.headline) == "the model card states the licence mit"
    assert said.details["copyright"] == ["Copyright (c) 2026 Lab"]


def test_lines_of_a_named_origin_that_are_gone_leave_it_open(ask):
    found = ask(LICENSE=MIT.format(who="2026 Lab"))
    assert found.outcome is Outcome.INDETERMINATE
    assert "of its copyright lines these are not kept: Copyright (c) 2025 Elsewhere Labs" in str(
        found.headline
    )
    assert "asks for what is not found here: Built with Camelid, name: Camelid..." in str(
        found.headline
    )
    assert found.direction is Direction.NONE
    assert not found.derived
    assert "no descent" in str(found.remedy)


def test_what_is_kept_and_displayed_is_enough(ask):
    notice = "This product includes Camelid.\n(c) 2025-2026 Elsewhere Labs. All rights reserved."
    found = ask(
        name="lab/Camelid-Big", text="**Built  with camelid**", NOTICE=notice,
        LICENSE=MIT.format(who="2026 Lab"),
    )  # fmt: skip
    assert found.outcome is Outcome.CONSISTENT, found.headline
    assert "its copyright lines are kept" in str(found.headline)


def test_the_licence_itself_displays_nothing(ask):
    found = ask(name="lab/Camelid-Big", LICENSE=MIT.format(who="2025 Elsewhere Labs") + DUTY)
    assert found.outcome is Outcome.INDETERMINATE
    assert found.details["notices"]["elsewhere/camelid"]["duties_not_met"] == ["Built with Camelid"]


def test_whoever_names_no_origin_owes_nothing_and_is_accused_of_nothing(ask):
    stranger = ask(named=False, LICENSE=MIT.format(who="2026 Lab"))
    assert stranger.outcome is Outcome.CONSISTENT
    assert "camelid" not in str(stranger.headline).casefold()
    table = stranger.details["notices"]["elsewhere/camelid"]
    assert (table["named"], table["kept"]) == (False, [])


def test_a_line_of_another_is_a_fact_of_code_as_well_as_of_weights(ask):
    found = ask(named=False, LICENSE=MIT.format(who="2026 Lab\nCopyright 2025 Elsewhere Labs"))
    assert found.outcome is Outcome.CONSISTENT
    assert "which code brings along as weights do" in str(found.headline)
    assert found.direction is Direction.NONE


@pytest.mark.parametrize(
    ("line", "holder"),
    [
        ("Copyright (c) 2024-2026 Lab, Inc. All rights reserved.", "lab inc"),
        ("\u00a9 2025, 2026 Lab Inc", "lab inc"),
        ("Copyright 2025 \uc5c5\uc2a4\ud14c\uc774\uc9c0", "\uc5c5\uc2a4\ud14c\uc774\uc9c0"),
    ],
)
def test_holders_are_compared_without_years_and_marks(line, holder):
    assert holder_of(line) == holder


def test_forms_and_sentences_about_copyright_are_nobodys_lines(tmp_path):
    text = (
        "Copyright [yyyy] [name of copyright owner]\nCopyright <year> <name>\n"
        "copyright notice that is included in\nCopyright License. Subject to\n"
    )
    assert read_notices(repository(tmp_path / "a", LICENSE=text)).holders == {}


def test_hostile_files_are_bounded_and_visible(tmp_path):
    huge = "Copyright 2026 A\x1b[2J\u202eB\n" + "x" * (2 * MAX_BYTES)
    many = "".join(f"Copyright 2026 Holder {n}\n" for n in range(10_000))
    store = repository(tmp_path / "a", LICENSE=huge, NOTICE=many + '"' * 50_000)
    found = licence(ModelSpec(name="lab/a"), store.card(), store, {"lab/b": store})
    assert len(found.details["copyright"]) <= 40
    assert "\x1b" not in str(found.headline)
    assert len(str(found.headline)) < 20_000


def test_a_file_that_could_not_be_read_lacks_nothing(tmp_path, monkeypatch):
    reference = repository(tmp_path / "r", LICENSE=MIT.format(who="2025 Elsewhere Labs") + DUTY)
    store = repository(tmp_path / "ours", LICENSE=MIT.format(who="2025 Elsewhere Labs"))
    card = store.card()

    def limited(name):
        raise Unavailable(Reason.RATE_LIMITED, Text("too many requests"), Text("wait"))

    monkeypatch.setattr(store, "file", limited)
    declared = Declaration(origin="a/b", by="lab", source="card")
    spec = ModelSpec(name="lab/model", declares={Component.TEXT_DECODER: declared})
    found = licence(spec, card, store, {"a/b": reference})
    assert found.outcome is Outcome.CONSISTENT
    assert found.details["notices"]["a/b"]["not_kept"] == []


def test_a_reference_that_cannot_be_opened_takes_no_finding_of_the_others(tmp_path):
    class Damaged(dict):
        def __getitem__(self, name):
            if name == "a/damaged":
                raise Unavailable(Reason.MISMATCH, Text("damaged"), Text("make it again"))
            return super().__getitem__(name)

    store = repository(tmp_path / "ours", LICENSE=MIT.format(who="2026 Lab"))
    found = licence(
        ModelSpec(name="lab/model"),
        store.card(),
        store,
        Damaged({"a/damaged": store, "b/sound": store}),
    )
    assert [*found.details["notices"]] == ["b/sound"]


def test_blank_lines_are_read_once(tmp_path):
    """A quadratic pattern spends hours on so many."""
    store = repository(tmp_path / "a", LICENSE="\n" * MAX_BYTES)
    assert read_notices(store).holders == {}
