"""What the hub's client and its HTTP library log, without secrets: they name whole addresses."""

from __future__ import annotations

import logging
from functools import cache

from pytest_scratchverify.core.visible import visible

LOGGERS = (  # each of its own: a filter of a logger does not see the records of its children
    "huggingface_hub.utils._http",
    "huggingface_hub.file_download",
    "httpx",
    "httpx2",
)


class _Visible(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = visible(record.getMessage()), ()
        return True


@cache
def keep_secrets_out() -> None:
    """Make visible, and free of user and password, whatever these loggers say from now on."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_Visible())
