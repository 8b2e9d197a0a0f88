"""Train the lineage zoo: small language models whose ancestry is known because we made them.

Needs torch, which the package itself never imports; make an environment for it:

    python -m venv /tmp/venv-zoo
    /tmp/venv-zoo/bin/pip install torch==2.13.0 numpy safetensors tokenizers
    /tmp/venv-zoo/bin/python tools/build_zoo.py --into .artifacts/zoo

Every model is really trained, on the sources of Python's standard library (two disjoint
halves: one to pretrain on, one for descendants) and, for the vision tower, on images drawn
by `zoo/data.py`. One process, one thread, fixed seeds: about half an hour on one core. A model
that is already there is kept. Nothing is tuned so that a method succeeds on it. Each training
leaves its log beside the weights (`training_log.jsonl`), a few also their checkpoints.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from zoo import *  # noqa: F403 - the names that other tools take from here

if __name__ == "__main__":
    main()  # noqa: F405
