"""Short names of the options: ``--model`` beside ``--scratch-model``, for projects that want them.

An installed plugin must not claim ``--model`` in foreign projects; a project that owns its command
line loads this plugin in its ini file (``addopts = -p pytest_scratchverify.plugin.short_options``),
as this checkout does. A conftest.py would be too late: until it is read, pytest takes the folder
in ``--model FOLDER`` for a path to collect, and executes the conftest.py of that folder.
"""

from __future__ import annotations

import pytest

from pytest_scratchverify.plugin.options import add_options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --model, --against ... beside --scratch-model, --scratch-against ..."""
    add_options(parser.getgroup("scratchverify").addoption, "--")
