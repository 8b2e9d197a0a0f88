"""The words of pytest-html's page, and those of a test's outcome as the terminal counts them.

pytest-html knows passed, failed and skipped; an outcome of ours is one of these to it, and keeps
its own word in the row, in the numbers and in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.language import translate

# How many tests ended so, by pytest's category or by ours, in the order of the terminal.
COUNT_HEADLINES: Mapping[str, str] = {
    "failed": "{n} failed",
    "passed": "{n} passed",
    "skipped": "{n} skipped",
    "deselected": "{n} deselected",
    "xfailed": "{n} expected failures",
    "xpassed": "{n} unexpected passes",
    "error": "{n} errors",
    "rerun": "{n} reruns",
    "retried": "{n} retried",
    "declared": "{n} declared",
    "inconclusive": "{n} inconclusive",
    "reported": "{n} reported",
}
WORD_HEADLINES: Mapping[str, str] = {
    "failed": "failed",
    "passed": "passed",
    "skipped": "skipped",
    "xfailed": "failed as expected",
    "xpassed": "passed unexpectedly",
    "error": "error",
    "rerun": "rerun",
    "retried": "retried",
    "declared": "declared",
    "inconclusive": "inconclusive",
    "reported": "reported",
}
# What its page says in English only; said in another language by templates/pytest_html.js.
PAGE_HEADLINES: Mapping[str, str] = {
    "Environment": "Environment",
    "Summary": "Summary",
    "Show all details": "Show all details",
    "Hide all details": "Hide all details",
    "(Un)check the boxes to filter the results.": "(Un)check the boxes to filter the results.",
    "No results found. Check the filters.": "No results found. Check the filters.",
    "Result": "Result",
    "Test": "Test",
    "Duration": "Duration",
    "Links": "Links",
    "Component": "Component",
    "Finding": "Finding",
}


def count_text(category: str, number: int) -> Text:
    """Return how many tests ended in a category; one of another plugin keeps its name."""
    if category not in COUNT_HEADLINES:
        return Text("{n} {what}", n=number, what=category)
    return Text(COUNT_HEADLINES[category], n=number)


def outcome_text(category: str) -> Text:
    """Return the word of a category."""
    if category not in WORD_HEADLINES:
        return Text("{what}", what=category)
    return Text(WORD_HEADLINES[category])


def counts(numbers: Mapping[str, int], language: str) -> str:
    """Say all numbers in one line, in the order of the terminal."""
    order = [*COUNT_HEADLINES]
    known = sorted(numbers, key=lambda c: order.index(c) if c in order else len(order))
    return ", ".join(translate(count_text(c, numbers[c]), language) for c in known if numbers[c])


def page_words(language: str) -> dict[str, str]:
    """Return what pytest-html's page says, with what to say instead; nothing in English."""
    if language == "en":
        return {}
    return {word: translate(Text(PAGE_HEADLINES[word]), language) for word in PAGE_HEADLINES}
