"""Say what a plan reads of an 8 B Llama in each packed format: `python -m benchmarks.packed_cost`.

Computed from an index of real shapes without data; nothing is fetched. The figures stand in
docs/methods/weights.md.
"""

from __future__ import annotations

import json
from math import prod

import numpy as np

from pytest_scratchverify.checkpoint.formats.ggml import BLOCKS, PREFIX
from pytest_scratchverify.checkpoint.formats.recognise import shape_tensors, unpack
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorIndex, TensorInfo
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.inventory import take_inventory
from pytest_scratchverify.tensors.plan import BUDGETS, component_budget, plan_component

HIDDEN, INNER, LAYERS, VOCABULARY, KEYS = 4096, 14336, 32, 128_256, 1024
HEADERS = 40_000  # bytes
LINEAR = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
STATE = "quant_state.bitsandbytes__nf4"


def packed(kind: str, outputs: int, inputs: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name, dtype and shape of the tensors of one matrix, groups of 128."""
    groups = inputs // 128
    awq_like = {"qzeros": ("I32", (groups, outputs // 8)), "scales": ("F16", (groups, outputs))}
    if kind == "gptq":
        words = ("I32", (inputs // 8, outputs))
        return {"qweight": words, **awq_like, "g_idx": ("I32", (inputs,))}
    if kind == "awq":
        return {"qweight": ("I32", (inputs, outputs // 8)), **awq_like}
    if kind == "int4":
        return {
            "weight_packed": ("I32", (outputs, inputs // 8)),
            "weight_scale": ("BF16", (outputs, groups)),
            "weight_shape": ("I64", (2,)),
        }
    if kind == "nf4":
        return {
            "weight": ("U8", (outputs * inputs // 2, 1)),
            "weight.absmax": ("F32", (outputs * inputs // 64,)),
            "weight.quant_map": ("F32", (16,)),
            f"weight.{STATE}": ("U8", (len(state(outputs, inputs)),)),
        }
    return {"weight": (kind, (outputs, inputs))}


def state(outputs: int, inputs: int) -> bytes:
    """Return what bitsandbytes stores of a matrix."""
    known = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16"}
    return json.dumps({**known, "shape": [outputs, inputs]}).encode()


def nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the bytes of a tensor, also of ggml's blocks."""
    if dtype.startswith(PREFIX):
        block = BLOCKS[dtype.removeprefix(PREFIX)]
        return prod(shape) // block.elements * block.nbytes
    return prod(shape) * DTYPE_BITS[dtype] // 8


def index_of(kind: str) -> tuple[TensorIndex, dict[str, bytes]]:
    """Return the index of the whole model, and what its small tensors say of shapes."""
    plain = kind if kind.startswith(PREFIX) else "BF16"
    tables = ("model.embed_tokens.weight", "lm_head.weight")
    wanted = dict.fromkeys(tables, (plain, (VOCABULARY, HIDDEN)))
    answers = {}
    for layer in range(LAYERS):
        for module, shape in LINEAR.items():
            stem = f"model.layers.{layer}.{module}"
            made = packed(kind, *shape)
            wanted |= {f"{stem}.{word}": tensor for word, tensor in made.items()}
            answers[f"{stem}.weight_shape"] = np.array(shape).tobytes()
            answers[f"{stem}.weight.{STATE}"] = state(*shape)
    tensors, place = {}, 0
    for name, (dtype, shape) in wanted.items():
        size = nbytes(dtype, shape)
        tensors[name] = TensorInfo(name, dtype, shape, place, place + size, "model")
        place += size
    return TensorIndex(tensors), answers


def main() -> None:
    """Print a row for every format and depth."""
    print("| format | depth | bytes of the decoder | matrices | layers | kinds |")
    print("|---|---|---|---|---|---|")
    for kind in ("BF16", "gptq", "awq", "int4", "nf4", "GGML_Q8_0", "GGML_Q4_K"):
        index, answers = index_of(kind)
        asked = {info.name: answers[info.name] for info in shape_tensors(index)}
        found = unpack(index, asked)
        inventory = take_inventory(found.index, found.codecs)
        present = [c for c in Component if c.is_trained and inventory.parameters.get(c.value)]
        for depth in ("quick", "robust"):
            budget = component_budget(BUDGETS[depth], present, Component.TEXT_DECODER, HEADERS)
            whole = (budget or 0) // 2 if depth == "robust" else 0
            blocks = plan_component(
                inventory.of(Component.TEXT_DECODER), budget, whole_budget=whole
            ).blocks
            slots = [block.matrix.slot for block in blocks]
            size = sum(block.nbytes for block in blocks) / 1e6
            layers = len({slot.layer for slot in slots})
            kinds = " ".join(sorted({slot.kind for slot in slots}))
            print(f"| {kind} | {depth} | {size:.1f} MB | {len(slots)} | {layers} | {kinds} |")


if __name__ == "__main__":
    main()
