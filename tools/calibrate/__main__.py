"""Run every calibration, one after another: ``make calibrate``.

Architecture, behaviour and training log measure what the repository holds, the tokenizer's what
``tools.facts.fetch_artifacts`` fetches, and the weights' what ``tools.zoo.train`` trains. What
lacks its material says so in one line; the others run all the same. The exit code is 1 then.
"""

from __future__ import annotations

import subprocess
import sys

from tools import ROOT

CALIBRATIONS = ("architecture", "behaviour", "tokenizer", "training_log", "weights", "direction")


def main() -> int:
    """Run all; return the largest exit code."""
    codes = [
        subprocess.call([sys.executable, "-m", f"tools.calibrate.{name}"], cwd=ROOT)
        for name in CALIBRATIONS
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
