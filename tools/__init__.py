"""What makes, measures and publishes: the zoo, calibrations, facts, the site.

Tests and benchmarks import from here; nothing here imports them.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]  # of the repository
