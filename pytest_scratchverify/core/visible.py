"""Text of files, names and servers, made harmless where it is shown: one place for all outlets.

A model's card can hold an escape sequence that clears a terminal, a mark that turns the reading
direction round, a name that is no UTF-8, a line that GitHub Actions takes for a command, a
megabyte without a space, or an address with somebody's password. What is shown of it is visible
and bounded; what is compared, and what `run.json` keeps, stays as it was.

By what is passed: `visible` for one value, `visible_values` for the values of a document,
`visible_document` for a whole report (the last thing that is done to it, so that no field can be
forgotten), `visible_json` for a JSON text, which loses nothing.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

MAX_SHOWN = 2_000  # characters of one value: a page of text; the longest sentence of ours has 400

# What has no shape of its own or changes that of its neighbours. Zero-width characters are
# Unicode's default-ignorable ones; variation selectors are among them, and the fillers of Hangul.
_C0 = "\x00-\x1f\x7f"
_C1 = "\x80-\x9f"
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SURROGATES = "\ud800-\udfff"
_INVISIBLE_OR_COMMANDING = re.compile(f"[{_C0}{_C1}{_INVISIBLE}{_SURROGATES}]")
_IN_JSON = re.compile(f"[\x7f{_C1}{_INVISIBLE}]")
_SURROGATE = re.compile(f"[{_SURROGATES}]")
_CREDENTIALS = re.compile(r"(?<=//)[^/\s?#\"\\]*@")  # user and password of an address
# A line that begins with two colons is a command to a step of GitHub Actions, and its older form
# is one anywhere in a line.
_COMMANDS = re.compile(r"(?<!\S)::|##(?=\[)")
_CUT = " ... (cut off)"
_FIRST_OF_BYTES, _LAST_OF_BYTES = 0xDC80, 0xDCFF  # a byte of a name that is not UTF-8 (PEP 383)
_PICTURES = 0x2400  # Unicode's pictures of the control characters, in their order


def visible(text: str, limit: int = MAX_SHOWN) -> str:
    r"""Return one value in one line: nothing in it commands what shows it, and it has an end.

    Line ends are made visible too. The function is idempotent.

    >>> visible("\x1b[2J\u202e::error::")
    '␛[2J⟨U+202E⟩::error::'
    """
    text = _CREDENTIALS.sub("", text)
    size = len(text)
    if size > limit:
        text = text[: limit - len(_CUT)]
    text = _COMMANDS.sub(_told_apart, _INVISIBLE_OR_COMMANDING.sub(_shape, text))
    if size > limit or len(text) > limit:  # what is made visible takes more room
        text = f"{text[: limit - len(_CUT)]}{_CUT}"
    return text


def visible_values(document: Any, limit: int = MAX_SHOWN) -> Any:
    """Return a document of JSON builtins in which every text is visible and bounded.

    For documents whose readers show texts as they are.
    """
    if isinstance(document, dict):
        return {visible(k, limit): visible_values(v, limit) for k, v in document.items()}
    if isinstance(document, list):
        return [visible_values(item, limit) for item in document]
    return visible(document, limit) if isinstance(document, str) else document


def visible_document(text: str) -> str:
    """Return a whole report with every such character made visible; it keeps lines and tabs.

    No markup gives these shapes a meaning: they need no escaping in HTML, SVG or Markdown.
    """
    return _INVISIBLE_OR_COMMANDING.sub(_shape_in_lines, text)


def visible_json(document: str) -> str:
    r"""Return JSON text of the same values in which such characters are JSON's own escapes.

    Nothing is lost of them but the user and the password of an address.

    What is no character at all, a byte of a name that is not UTF-8, has no JSON form that every
    reader takes: it becomes the text ``\xff``, as in every other outlet.
    """
    document = _SURROGATE.sub(partial(_shape, backslash="\\\\"), _CREDENTIALS.sub("", document))
    return _IN_JSON.sub(_json_escape, document)


def _told_apart(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match[0] == "::" else "##\\"


def _shape(match: re.Match[str], backslash: str = "\\") -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if _FIRST_OF_BYTES <= code <= _LAST_OF_BYTES:
        return f"{backslash}x{code - 0xDC00:02x}"
    return f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{code:04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"


def _shape_in_lines(match: re.Match[str]) -> str:
    return match[0] if match[0] in "\n\t" else _shape(match)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
