"""Run the console script as a module: ``python -m pytest_scratchverify.cli``."""

from __future__ import annotations

import sys

from pytest_scratchverify.cli import main

sys.exit(main())
