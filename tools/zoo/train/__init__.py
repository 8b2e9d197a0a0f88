"""The lineage zoo: small language models whose ancestry is known because we made them."""

from safetensors.torch import load_file as load

from .build import build, main, manifest, write, write_checkpoints
from .changes import CHANGES
from .data import BATCH, Data, corpus, pictures, tokenizer
from .entries import CHECKPOINTS, STEPS, ZOO, Entry, derived, pretrained
from .journal import Journal
from .model import Model
from .shapes import COMPOSITE, CONTEXT, MOE, SMALL, WIDE, Shape, config_of
from .training import DESCENTS, RATE, Training, Weights, load_and_train, lora, partly, train

__all__ = [
    "BATCH",
    "CHANGES",
    "CHECKPOINTS",
    "COMPOSITE",
    "CONTEXT",
    "DESCENTS",
    "MOE",
    "RATE",
    "SMALL",
    "STEPS",
    "WIDE",
    "ZOO",
    "Data",
    "Entry",
    "Journal",
    "Model",
    "Shape",
    "Training",
    "Weights",
    "build",
    "config_of",
    "corpus",
    "derived",
    "load",
    "load_and_train",
    "lora",
    "main",
    "manifest",
    "partly",
    "pictures",
    "pretrained",
    "tokenizer",
    "train",
    "write",
    "write_checkpoints",
]
