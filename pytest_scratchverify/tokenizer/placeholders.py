"""Reserved and padding tokens, which stand for nothing yet.

They raise a vocabulary's size without a text ever having asked for them.
"""

from __future__ import annotations

import re

OPENING = ("<", "[", "|")
_PLACEHOLDER = re.compile(
    r"<?\[?\|?(?:"
    r"unused|pad|extra(?:_id)?|reserved(?:_special)?(?:_token)?|placeholder|dummy|special"
    r"|▁?place▁?holder▁?no▁?|extratoken|fim_pad|SPECIAL|UNUSED|PAD|EXTRA|control"
    r")_?[▁_\s]*\d+\|?\]?>?"
)


def is_placeholder(token: str) -> bool:
    """Whether a token is a numbered reserve. Examples: ``<unused12>``, ``[PAD151936]``."""
    return token[:1] in OPENING and _PLACEHOLDER.fullmatch(token) is not None
