"""What the package carries to an index: a page that stands alone, and addresses that are known."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from tools.running import ROOT

HOOK = "hatchling.metadata.plugin.interface"


@pytest.fixture
def page(monkeypatch):
    """The hook, with a stand-in for the interface that hatchling brings when it builds."""
    interface = ModuleType(HOOK)
    interface.MetadataHookInterface = type("Interface", (), {"root": str(ROOT)})
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, HOOK, interface)
    spec = importlib.util.spec_from_file_location("index_page", ROOT / "tools" / "index_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(page) -> dict:
    metadata = {"version": "2026.11.0"}
    page.IndexPage().update(metadata)
    return metadata


def test_no_link_of_the_page_leads_nowhere(page, monkeypatch):
    monkeypatch.delenv(page.VARIABLE, raising=False)
    metadata = made(page)
    text = metadata["readme"]["text"]
    assert re.findall(r"\]\((?!https)", text) == []
    assert "scratchverify run --model=./checkpoint" in text
    assert "<!--" not in text
    assert metadata["urls"] == {}


def test_links_lead_to_the_versions_tag_where_the_repository_is_known(page, monkeypatch):
    monkeypatch.setenv(page.VARIABLE, "https://git.example/lab/scratchverify/")
    metadata = made(page)
    found = re.findall(r"\]\(([^)]+)\)", metadata["readme"]["text"])
    ours = [link for link in found if link.startswith("https://git.example/")]
    assert len(ours) > 20
    for link in ours:
        tag = "https://git.example/lab/scratchverify/blob/v2026.11.0/"
        assert (ROOT / link.removeprefix(tag).removesuffix("?raw=true")).exists(), link
    assert metadata["urls"]["Issues"] == "https://git.example/lab/scratchverify/issues"


def test_an_address_of_no_repository_is_refused(page, monkeypatch):
    monkeypatch.setenv(page.VARIABLE, "git@example:lab/scratchverify")
    with pytest.raises(ValueError, match="no https address"):
        made(page)
