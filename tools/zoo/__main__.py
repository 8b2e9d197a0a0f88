"""Run as `python -m zoo` from within tools/."""

from .build import main

main()
