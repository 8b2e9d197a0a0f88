"""Lets ``python -m pytest_scratchverify.cli`` stand for the console script."""

import sys

from pytest_scratchverify.cli import main

sys.exit(main())
