"""Make the sample report of the site and of the READMEs, and its pictures, from a real run.

    python -m tools.site.refresh_sample

A model that was trained on from another one, both of `tools/zoo/ready`; pictures need a Chromium
(CHROMIUM names it) with a font for Hangul.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.verdict.serialization import run_from_json
from tools import ROOT
from tools.running import run_suites

STATIC = ROOT / "docs" / "_static"
PAGE = STATIC / "sample-report.html"
PAIR = ("--model", "tools/zoo/ready/s0-cpt-long", "--against", "tools/zoo/ready/s0")
PICTURES = {"en": "sample-report.png", "ko": "sample-report.ko.png"}
DAY = "1790000000"  # the page is of one day, so that it changes with what it says


def main() -> None:
    """Write page and pictures."""
    os.environ["SOURCE_DATE_EPOCH"] = DAY
    with tempfile.TemporaryDirectory() as home:
        ran = run_suites(*PAIR, home=Path(home))
    if ran.json_bytes is None:
        raise SystemExit(ran.output)
    PAGE.write_text(render_html(run_from_json(ran.json_bytes.decode()), "en"), "utf-8")
    for language, name in PICTURES.items():
        command = [
            os.environ.get("CHROMIUM", "chromium"),
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--window-size=1100,900",
            f"--screenshot={STATIC / name}",
            f"{PAGE.as_uri()}#{language}",
        ]
        subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
