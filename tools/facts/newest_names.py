"""Tensor names of every model type that the installed transformers knows, in the hub's layout.

    python -m tools.facts.newest_names OUT.json[.gz] [--types TYPE ...] [--check]

Needs transformers and torch (requirements/names.txt), which nothing else here needs: model
classes are built from their default configurations on the meta device, where tensors have shapes
and no numbers, and their names are turned into those of checkpoints by the library's own reverse
conversion. Nothing is downloaded. Checkpoints of a type differ from the defaults in sizes, not in
names. `--check` prints what no table of names knows, as `tools.facts.unmapped` does, and ends
with 1 where a type would lose the clearance of a component.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_scratchverify.methods.weights.thresholds import UNPLACED as WITHHELD
from tools.facts.unmapped import table, unmapped_of

MISSING = (
    "tools.facts.newest_names needs transformers and torch: pip install -r requirements/names.txt"
)
# Automatic classes in the order in which they are tried (a causal one may be half of a model), and
# the library's lists of their types.
CLASSES: Mapping[str, str] = {
    "AutoModelForSpeechSeq2Seq": "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "AutoModelForSeq2SeqLM": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "AutoModelForImageTextToText": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "AutoModelForMultimodalLM": "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
}


def patterns_of(model_type: str) -> Iterator[tuple[str, list[int], int]]:
    """Yield an example, the shape and the number of each pattern of one model type's names."""
    torch, transformers = _libraries()
    config = transformers.CONFIG_MAPPING[model_type]()
    with torch.device("meta"):
        model = _model(transformers, config)
    loading = importlib.import_module("transformers.core_model_loading")
    state = loading.revert_weight_conversion(model, model.state_dict())
    # A checkpoint holds one of two tensors that are tied.
    tied = {*(getattr(model, "all_tied_weights_keys", None) or {})}
    yield from grouped((name, [*t.shape]) for name, t in state.items() if name not in tied)


def grouped(tensors: Iterable[tuple[str, list[int]]]) -> Iterator[tuple[str, list[int], int]]:
    """Bring together tensors of one shape whose names differ in the numbers between their dots."""
    counts: dict[tuple[str, tuple[int, ...]], list[Any]] = {}
    for name, shape in tensors:
        key = re.sub(r"(?<=\.)\d+(?=\.|$)", "#", name), tuple(shape)
        counts.setdefault(key, [name, shape, 0])[2] += 1
    yield from ((name, shape, count) for name, shape, count in counts.values())


def _model(transformers: Any, config: Any) -> Any:
    last: Exception | None = None
    for name in CLASSES:
        try:
            return getattr(transformers, name).from_config(config)
        except (ValueError, AttributeError, KeyError) as error:  # no such head for this type
            last = error
    raise ValueError(str(last))


def _libraries() -> tuple[Any, Any]:
    try:
        return importlib.import_module("torch"), importlib.import_module("transformers")
    except ImportError:
        sys.exit(MISSING)


def _language_models() -> list[str]:
    """Return the types that generate text, of whatever input."""
    lists = importlib.import_module("transformers.models.auto.modeling_auto")
    return sorted({key for name in CLASSES.values() for key in getattr(lists, name, {})})


def read_newest(types: Sequence[str]) -> dict[str, Any]:
    """Return the patterns of many model types; what cannot be built is said and left out."""
    _, transformers = _libraries()
    found: dict[str, Any] = {"_source": f"transformers {transformers.__version__}, class defaults"}
    for model_type in types or _language_models():
        try:
            patterns = [*patterns_of(model_type)]
        except Exception as error:  # noqa: BLE001 - hundreds of foreign classes
            print(f"{model_type}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
            continue
        if patterns:
            found[model_type] = {"tensors": patterns}
    return found


def check(types: Mapping[str, Any]) -> int:
    """Print what no table knows; return 1 where a type would lose a clearance."""
    found = [unmapped_of(n, e["tensors"]) for n, e in types.items() if not n.startswith("_")]
    print(table(found))
    return int(any(share > WITHHELD for item in found for share in item.withheld.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the names of model types, and check the tables against them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--types", nargs="*", default=())
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    found = read_newest(chosen.types)
    raw = json.dumps(found, separators=(",", ":")).encode()
    chosen.out.write_bytes(gzip.compress(raw, mtime=0) if chosen.out.suffix == ".gz" else raw)
    return check(found) if chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
