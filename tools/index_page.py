"""The description and the addresses that the package carries to an index: README.md, made to stand alone.

On an index page no file of this repository lies beside it. Where the repository's address is known
(SCRATCHVERIFY_REPOSITORY, which the release workflow sets), links lead there, to the tag of the
version; where it is not, their words stay and nothing is linked. Loaded by hatchling, with nothing
of ours importable.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "SCRATCHVERIFY_REPOSITORY"
ADDRESS = re.compile(r"https://[\w.-]+/[\w.-]+/[\w.-]+")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)\s]+)\)")
PICTURE = re.compile(r"\[!\[([^\]]*)\]\((?!https?:)([^)\s]+)\)\]\(([^)\s]+)\)\n*")
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def standing_alone(readme: str, address: str | None, version: str) -> str:
    """Return a README without relative links and without comments for our own tools."""

    def picture(found: re.Match[str]) -> str:
        if address is None:
            return ""
        words, source, target = found.groups()
        place = f"blob/v{version}"
        return f"[![{words}]({address}/{place}/{source}?raw=true)]({address}/{place}/{target})\n\n"

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        if address is None:
            return words
        return f"[{words}]({address}/blob/v{version}/{target})"

    return LINK.sub(link, PICTURE.sub(picture, COMMENT.sub("", readme)))


def addresses(address: str) -> dict[str, str]:
    """Return the addresses that an index shows beside a package."""
    return {
        "Documentation": f"{address}/tree/main/docs",
        "Source": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
        "Security": f"{address}/blob/main/SECURITY.md",
    }


class IndexPage(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``, which pyproject.toml calls dynamic."""

    def update(self, metadata: dict) -> None:
        """Set both. Raises `ValueError` for an address that is none of a repository."""
        address = os.environ.get(VARIABLE, "").rstrip("/") or None
        if address is not None and not ADDRESS.fullmatch(address):
            raise ValueError(f"{VARIABLE}: {address} is no https address of a repository")
        readme = (Path(self.root) / "README.md").read_text("utf-8")
        text = standing_alone(readme, address, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = addresses(address) if address is not None else {}
