"""A badge that says what a policy made of the claim: SVG, or JSON for an endpoint of shields.io."""

from __future__ import annotations

import json
from collections import Counter
from html import escape

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.headline import judged_first
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import Result

# Dark enough for white text: a contrast of 4.5 and more.
COLOURS = {Result.PASS: "#14713d", Result.FAIL: "#b3261e", Result.UNDETERMINED: "#8a5a00"}
_GRAVEST = (Result.FAIL, Result.UNDETERMINED, Result.PASS)
WORDS = {
    Result.PASS: Text("not contradicted"),
    Result.FAIL: Text("contradicted"),
    Result.UNDETERMINED: Text("undecided"),
}


def badge(run: Run, language: str) -> tuple[str, str, str]:
    """Return label, message and colour; of several models, the counts and the gravest."""
    results = []
    policies = []
    for model in run.models:
        name = judged_first(run, model)
        if name is not None:
            results.append(model.policies[name].result)
            policies.append(name)
    counts = Counter(results)
    gravest = next((r for r in _GRAVEST if r in counts), Result.UNDETERMINED)
    words = [translate(WORDS[result], language) for result in _GRAVEST if result in counts]
    if len(results) > 1:
        numbers = [counts[result] for result in _GRAVEST if result in counts]
        words = [f"{number} {word}" for number, word in zip(numbers, words, strict=True)]
    said = ", ".join(words) or translate(WORDS[Result.UNDETERMINED], language)
    if run.partial:
        said = translate(Text("{said} (partial run)", said=said), language)
    label = translate(Text("claim of own training"), language)
    names = ", ".join(dict.fromkeys(policies))
    return label, visible(f"{said} ({names})" if names else said), COLOURS[gravest]


def render_badge_json(run: Run, language: str) -> str:
    """Return the document of a shields.io endpoint badge."""
    label, message, colour = badge(run, language)
    document = {"schemaVersion": 1, "label": label, "message": message, "color": colour}
    return json.dumps(document, ensure_ascii=False) + "\n"


def render_badge_svg(run: Run, language: str) -> str:
    """Return the badge as SVG."""
    label, message, colour = badge(run, language)
    left, right = _width(label), _width(message)
    total = left + right
    title = escape(f"{label}: {message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" text-anchor="middle" font-size="11" '
        'font-family="Verdana,DejaVu Sans,Noto Sans KR,sans-serif">'
        f'<text x="{left / 2:g}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(message)}</text></g></svg>\n'
    )


def _width(text: str) -> int:
    """Return room for a text at 11 pixels: Hangul takes about 11, Latin 7."""
    return 12 + sum(11 if ord(character) > 0x1100 else 7 for character in text)
