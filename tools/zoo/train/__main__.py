"""Train the lineage zoo: small language models whose ancestry is known because we made them.

Needs torch, which the package itself never imports; make an environment for it:

    python -m venv /tmp/venv-zoo
    /tmp/venv-zoo/bin/pip install torch==2.13.0 numpy safetensors tokenizers
    /tmp/venv-zoo/bin/python -m tools.zoo.train --into .artifacts/zoo

Every model is really trained, on the sources of Python's standard library (two disjoint
halves: one to pretrain on, one for descendants) and, for the vision tower, on images drawn
by `data.py`. One process, one thread, fixed seeds: about half an hour on one core. A model
that is already there is kept. Nothing is tuned so that a method succeeds on it. Each training
leaves its log beside the weights (`training_log.jsonl`), a few also their checkpoints.
"""

from .build import main

main()
