"""Tests the claim that an open-weight model was trained from scratch.

`verify`, `compare_weights` and `open_model` are the library's face. They are brought when they
are asked for: pytest loads this package's plugin in every project, and that must cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_scratchverify.api import compare_weights, open_model, verify

__all__ = ["compare_weights", "open_model", "verify"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_scratchverify import api  # noqa: PLC0415 - see above

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
