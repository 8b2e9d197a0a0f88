"""What is shown of untrusted text commands nothing, is bounded, and says what it was."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.core.text import MAX_ITEMS, Text
from pytest_scratchverify.core.visible import MAX_SHOWN, visible, visible_document, visible_json

SHOWN = {
    "\x1b[2J": "␛[2J",
    "\x1b]0;title\x07": "␛]0;title␇",
    "\x9b31m": "⟨U+009B⟩31m",
    "a\nb\rc\td": "a␊b␍c␉d",
    "\x7f": "␡",
    "\x00": "␀",
    "abc\u202egnp.exe": "abc⟨U+202E⟩gnp.exe",
    "\u2066x\u2069": "⟨U+2066⟩x⟨U+2069⟩",
    "ad\u200bmin": "ad⟨U+200B⟩min",
    "\ufeff\u2028\u00ad\u3164": "⟨U+FEFF⟩⟨U+2028⟩⟨U+00AD⟩⟨U+3164⟩",
    "\U000e0041": "⟨U+E0041⟩",
    "caf\udce9": "caf\\xe9",
    "\ud800": "⟨U+D800⟩",
    "::error::x": "\\::error::x",
    "x ::set-output name=a::b": "x \\::set-output name=a::b",
    "a##[add-mask]b": "a##\\[add-mask]b",
    "suites/test_x.py::test_y": "suites/test_x.py::test_y",
    "https://user:secret@host/path": "https://host/path",
    "https://user:se@cret@host/path": "https://host/path",
    "한국어 A.X-K1 é 日本 🙂": "한국어 A.X-K1 é 日本 🙂",
}


@pytest.mark.parametrize("text", SHOWN, ids=ascii)
def test_every_kind_has_a_visible_form(text):
    assert visible(text) == SHOWN[text]


def test_no_control_and_no_format_character_of_unicode_is_left():
    kinds = {"Cc", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in kinds or unicodedata.bidirectional(character) in {
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"
        }:  # fmt: skip
            if 0x13430 <= code <= 0x1345F or 0xE000 <= code <= 0xF8FF:
                continue  # joiners of hieroglyphs; private use
            assert visible(character) != character, hex(code)
            assert visible_document(character) != character or character in "\n\t", hex(code)


ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\u202e\udcff:#[/@\n "))


@given(ANY)
def test_a_second_time_changes_nothing(text):
    once = visible(text)
    assert visible(once) == once
    assert visible_document(once) == once
    once.encode()


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=5))
def test_json_keeps_the_value(value):
    written = visible_json(json.dumps(value, ensure_ascii=False))
    assert visible_document(written) == written
    assert json.loads(written.encode()) == json.loads(_expected(json.dumps(value)))


def _expected(ascii_json: str) -> str:
    """The value without credentials, and with visible halves of characters."""
    import re

    def half(match):
        code = int(match[1], 16)
        low = 0xDC80 <= code <= 0xDCFF
        return f"\\\\x{code - 0xDC00:02x}" if low else f"⟨U+{code:04X}⟩"

    loaded = json.dumps(json.loads(ascii_json), ensure_ascii=False)
    loaded = re.sub(r'(?<=//)[^/\s?#"\\]*@', "", loaded)
    escaped = re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", loaded)
    return re.sub(r"\\u(d[89a-f][0-9a-f]{2})", half, escaped)


def test_a_value_is_bounded_and_says_so():
    long = visible("x" * 10**6)
    assert len(long) == MAX_SHOWN
    assert long.endswith("... (cut off)")
    assert len(visible("\u202e" * MAX_SHOWN)) <= MAX_SHOWN
    assert visible(long) == long


def test_a_sentence_shows_its_parameters_visibly_and_keeps_them():
    text = Text("the card says {said}", said="\x1b[2J\u202e")
    assert str(text) == "the card says ␛[2J⟨U+202E⟩"
    assert text.params["said"] == "\x1b[2J\u202e"
    outer = Text("why: {inner}", inner=text)
    assert str(outer) == "why: the card says ␛[2J⟨U+202E⟩"


def test_a_list_in_a_sentence_is_bounded():
    shown = str(Text("{names}", names=[f"n{i}" for i in range(10**5)]))
    assert shown.endswith(", ... (100,000)")
    assert shown.count(",") == MAX_ITEMS + 1


@pytest.mark.parametrize("template", ["{x:>999999999}", "{x!r:>99}", "{x}"])
def test_a_foreign_template_commands_no_formatting(template):
    assert str(Text(template, x="v")) == "v"


@pytest.mark.parametrize(
    "like",
    [
        {"template": "{y}", "params": {}},
        {"template": "{x.__class__}", "params": {"x": 1}},
        {"template": "{", "params": {"x": 1}},
        {"template": "x", "params": 5},
    ],
)
def test_an_object_of_a_file_that_looks_like_a_sentence_is_none(like):
    assert "template" in str(Text("the config says {value}", value=like))
