"""Put the terminal summary of a real run into the READMEs, between their markers.

python -m tools.site.refresh_readme
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tools import ROOT
from tools.running import run_suites

LANGUAGES = {"README.md": "en", "README.ko.md": "ko"}
BLOCK = re.compile(r"(<!-- excerpt:begin[^>]*-->\n```\n).*?(```\n<!-- excerpt:end -->)", re.DOTALL)


def excerpt(language: str) -> str:
    """Return the summary of the main job, as it is printed without a hub."""
    with tempfile.TemporaryDirectory() as home:
        ran = run_suites("--model", "skt/A.X-K1", "--report-lang", language, home=Path(home))
    body = ran.output.split(" verdict =", 1)[1].split("\n", 1)[1]
    lines = body.splitlines()
    end = next(index for index, line in enumerate(lines) if "--model skt/A.X-K1" in line)
    return "\n".join(line.rstrip() for line in lines[: end + 1]) + "\n"


def main() -> None:
    """Refresh both files."""
    for name, language in LANGUAGES.items():
        path = ROOT / name
        text = excerpt(language)
        path.write_text(
            BLOCK.sub(lambda match, text=text: match[1] + text + match[2], path.read_text("utf-8")),
            "utf-8",
        )
        print(f"{name}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
