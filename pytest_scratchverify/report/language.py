"""Say a text in the reader's language: gettext catalogues, with the English template as key."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text, as_text
from pytest_scratchverify.report.particles import particles
from pytest_scratchverify.report.terms import PLACES

NAMES = {"en": "English", "ko": "한국어"}  # each as its own readers write it
DOMAIN = "scratchverify"
TERMS = ("kind", "step")  # parameters whose values are templates of the catalogue
PLACED = ("component", "components", "tower", "parts", "what")  # that may hold PLACES' identifiers
LOCALES = Path(__file__).parent / "locale"


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the message catalogue of a language; English needs none."""
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALES, languages=[language])


def translate(text: Text, language: str) -> str:
    """Return the text in `language`; a template without translation stays English.

    English keeps the identifiers of components, which its readers find in run.json.
    """
    say = catalogue(language).gettext
    places = PLACES if language != "en" else {}
    said = _said_text(text, say, places).render(say(text.template), say)
    return particles(said) if language == "ko" else said


def joined(texts: Iterable[Text], language: str) -> str:
    """Say sentences in one line, each once, with a full stop between them."""
    said = dict.fromkeys(translate(text, language).strip() for text in texts)
    whole = [one if one.endswith((".", "!", "?")) else f"{one}." for one in said if one]
    return " ".join(whole)


def _said_text(text: Text, say: Callable[[str], str], places: Mapping[str, Text]) -> Text:
    """Translate the parameters that hold terms of ours: kinds, steps, components."""
    said = {name: _said(name, value, say, places) for name, value in text.params.items()}
    return Text(text.template, **said)


def _said(name: str, value: Json, say: Callable[[str], str], places: Mapping[str, Text]) -> object:
    if isinstance(value, list):
        return [_said(name, item, say, places) for item in value]
    if nested := as_text(value):
        return _said_text(nested, say, places)
    if not isinstance(value, str) or not value:  # gettext's header is the translation of nothing
        return value
    if name in TERMS:
        return say(value)
    return say(places[value].template) if name in PLACED and value in places else value
