"""Say a text in the reader's language: gettext catalogues, with the English template as key."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

from pytest_scratchverify.model.text import Text

DOMAIN = "scratchverify"
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
    return text.render(say(text.template), say)
