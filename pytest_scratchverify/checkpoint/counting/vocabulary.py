"""Keys of configs that change no parameter, and the refusal of those that nobody here knows."""

from __future__ import annotations

from pytest_scratchverify.checkpoint.counting.keys import Keys


def refuse_unknown_keys(keys: Keys) -> None:
    """Raise `UnknownLayerError` for the first key whose meaning for the count is not known."""
