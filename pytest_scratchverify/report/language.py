"""Say a text in the reader's language: gettext catalogues, with the English template as key."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.particles import particles

NAMES = {"en": "English", "ko": "한국어"}  # each as its own readers write it
DOMAIN = "scratchverify"
TERMS = ("kind", "step")  # parameters whose values are templates of the catalogue
LOCALES = Path(__file__).parent / "locale"


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the message catalogue of a language; English needs none."""
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALES, languages=[language])


def translate(text: Text, language: str) -> str:
    """Return the text in `language`; a template without translation stays English."""
    say = catalogue(language).gettext
    said = _in_language(text, say).render(say(text.template), say)
    return particles(said) if language == "ko" else said


def _in_language(text: Text, say: Callable[[str], str]) -> Text:
    """Translate the parameters that hold terms of ours: kinds, one or several, and steps."""
    said = {name: _term(text.params[name], say) for name in TERMS if name in text.params}
    return Text(text.template, **{**text.params, **said}) if said else text


def _term(value: Json, say: Callable[[str], str]) -> Json:
    if isinstance(value, list):
        return [_term(item, say) for item in value]
    term = str(value)
    return say(term) if term else term  # gettext's header is the translation of nothing
