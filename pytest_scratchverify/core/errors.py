"""The two errors that are not bugs: a user's mistake, and a world that does not answer."""

from __future__ import annotations

from enum import StrEnum

from pytest_scratchverify.core.text import Text


class ScratchError(Exception):
    """A mistake in what the user asked for; shown as one line, exit code 4."""


class Reason(StrEnum):
    """Why an artifact could not be read."""

    GATED = "gated"
    ABSENT = "absent"
    NOT_PUBLISHED = "not-published"  # listed, and no file that could hold weights
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate-limited"
    CUT_OFF = "cut-off"
    MISMATCH = "mismatch"
    OVER_BUDGET = "over-budget"
    UNSUPPORTED = "unsupported"
    MALFORMED = "malformed"
    SAME_MODEL = "same-model"  # the reference is the model itself


class Unavailable(Exception):  # noqa: N818 - an outcome rather than an error
    """Something outside could not be read: never a verdict, always a sentence.

    `what` says what is wrong and where; `remedy` says what the user can do about it.
    """

    def __init__(self, reason: Reason, what: Text, remedy: Text) -> None:
        super().__init__(f"{what} {remedy}")
        self.reason = reason
        self.what = what
        self.remedy = remedy
