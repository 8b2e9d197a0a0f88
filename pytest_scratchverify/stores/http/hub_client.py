"""The HTTP library of huggingface_hub, whichever it is: httpx2 since 1.30, httpx before.

huggingface_hub names it since then; its older releases only use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    try:
        from huggingface_hub.utils import httpx
    except ImportError:
        import httpx  # noqa: TID251 - huggingface_hub's own, whose errors have to be recognised

__all__ = ["httpx"]
