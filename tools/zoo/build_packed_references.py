"""Write what the reference implementations make of packed weights: tests/checkpoint/packed/*.

    python -m venv /tmp/venv-packed
    /tmp/venv-packed/bin/pip install torch==2.13.0 numpy transformers==5.24.0 \
        bitsandbytes==0.50.2 compressed-tensors==0.20.0
    pip download --no-deps auto-gptq==0.7.1 autoawq==0.2.9     # and unpack both
    /tmp/venv-packed/bin/python -m tools.zoo.build_packed_references AUTOGPTQ AUTOAWQ

The last two do not import without a GPU's libraries: of each one file is loaded by its path.
What is decoded is random: every bit pattern is a weight. The
file is shipped, because none of these can be installed where the tests run.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import bitsandbytes
import compressed_tensors
import torch  # noqa: TID251 - the references are written in it
import transformers  # noqa: TID251
from bitsandbytes import functional as bnb
from compressed_tensors.compressors import (
    MXFP4PackedCompressor,
    NVFP4PackedCompressor,
    PackedQuantizationCompressor,
)
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors  # noqa: TID251

from tools import ROOT

OUTPUTS, INPUTS, GROUP = 24, 96, 32
TARGET = ROOT / "tests" / "weights" / "packed"
Tensors = dict[str, torch.Tensor]


def load(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(*shape: int) -> torch.Tensor:
    return torch.randint(-(2**31), 2**31 - 1, shape, dtype=torch.int32)


def halves(*shape: int) -> torch.Tensor:
    return (torch.rand(shape) * 0.02 + 0.001).to(torch.float16)


def gptq(qlinear: Any, bits: int, order: torch.Tensor | None = None) -> Tensors:
    """What AutoGPTQ multiplies an identity with; scales in float32, so that nothing is rounded."""
    layer = qlinear.QuantLinear(bits, GROUP, INPUTS, 32, bias=False)
    layer.qweight = words(*layer.qweight.shape)
    layer.qzeros = words(*layer.qzeros.shape)
    scales = halves(*layer.scales.shape)
    layer.scales = scales.float()
    if order is not None:
        layer.g_idx = order.to(torch.int32)
    decoded = layer(torch.eye(INPUTS)).T
    stored = {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": scales}
    return {**stored, "g_idx": layer.g_idx, "=": decoded.contiguous()}


def awq(packing: Any) -> Tensors:
    stored = {
        "qweight": words(INPUTS, 32 // 8),
        "qzeros": words(INPUTS // GROUP, 32 // 8),
        "scales": halves(INPUTS // GROUP, 32),
    }
    decoded = packing.dequantize_gemm(
        stored["qweight"], stored["qzeros"], stored["scales"].float(), 4, GROUP
    )
    return {**stored, "=": decoded.T.contiguous()}


def compressed(compressor: Any, args: QuantizationArgs, stored: Tensors) -> Tensors:
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    return {**stored, "=": compressor.decompress(dict(stored), scheme)["weight"].float()}


def ints(bits: int, symmetric: bool) -> Tensors:  # noqa: FBT001
    args = QuantizationArgs(num_bits=bits, symmetric=symmetric, strategy="group", group_size=GROUP)
    stored = {
        "weight_packed": words(OUTPUTS, INPUTS * bits // 32),
        "weight_scale": (torch.rand(OUTPUTS, INPUTS // GROUP) * 0.02).float(),
        "weight_shape": torch.tensor([OUTPUTS, INPUTS]),
    }
    if not symmetric:
        stored["weight_zero_point"] = words(-(-OUTPUTS * bits // 32), INPUTS // GROUP)
    return compressed(PackedQuantizationCompressor, args, stored)


def float4(compressor: Any, group: int) -> Tensors:
    stored = {"weight_packed": torch.randint(0, 256, (OUTPUTS, INPUTS // 2), dtype=torch.uint8)}
    shape = (OUTPUTS, INPUTS // group)
    if group == 32:
        stored["weight_scale"] = torch.randint(110, 130, shape, dtype=torch.uint8)
        args = QuantizationArgs(num_bits=4, type="float", strategy="group", group_size=32,
                                scale_dtype=torch.uint8, zp_dtype=torch.uint8)  # fmt: skip
    else:
        stored["weight_scale"] = (torch.rand(shape) * 400).to(torch.float8_e4m3fn)
        stored["weight_global_scale"] = torch.tensor([1234.5])
        args = QuantizationArgs(num_bits=4, type="float", strategy="tensor_group", group_size=16,
                                scale_dtype=torch.float8_e4m3fn,
                                zp_dtype=torch.float8_e4m3fn)  # fmt: skip
    return compressed(compressor, args, stored)


def gpt_oss() -> Tensors:
    blocks = torch.randint(0, 256, (3, OUTPUTS, INPUTS // 32, 16), dtype=torch.uint8)
    scales = torch.randint(110, 130, (3, OUTPUTS, INPUTS // 32), dtype=torch.uint8)
    decoded = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    return {"blocks": blocks, "scales": scales, "=": decoded.transpose(1, 2).contiguous()}


def four_bits(kind: str, nested: bool, outputs: int = OUTPUTS) -> Tensors:  # noqa: FBT001
    # 128 inputs: with rows that do not fill blocks of 64, version 0.50.2 on a CPU decodes other
    # numbers than it encoded (an error of its kernel; the plain definition is right).
    weight = torch.randn(outputs, 128)
    packed, state = bnb.quantize_4bit(
        weight, blocksize=64, compress_statistics=nested, quant_type=kind
    )
    decoded = bnb.dequantize_4bit(packed, state)
    stored = {f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}
    return {"weight": packed, **stored, "=": decoded.float()}


def int8() -> Tensors:
    stored, most, _ = bnb.int8_vectorwise_quant(torch.randn(OUTPUTS, INPUTS).half())
    return {"weight": stored, "SCB": most, "=": bnb.int8_vectorwise_dequant(stored, most)}


def main() -> None:
    torch.manual_seed(2026)
    qlinear = load(Path(sys.argv[1]) / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py", "qlinear")
    packing = load(Path(sys.argv[2]) / "awq/utils/packing_utils.py", "packing")
    shuffled = torch.randperm(INPUTS) // GROUP
    cases = {
        **{f"gptq-{bits}": gptq(qlinear, bits) for bits in (2, 3, 4, 8)},
        "gptq-act-order": gptq(qlinear, 4, shuffled),
        "awq": awq(packing),
        **{f"int-{bits}": ints(bits, True) for bits in (3, 4, 8)},
        "int-4-asymmetric": ints(4, False),
        "int-3-asymmetric": ints(3, False),
        "mxfp4": float4(MXFP4PackedCompressor, 32),
        "nvfp4": float4(NVFP4PackedCompressor, 16),
        "gpt-oss": gpt_oss(),
        "nf4": four_bits("nf4", False),
        "nf4-nested": four_bits("nf4", True, 200),
        "fp4": four_bits("fp4", False),
        "fp4-nested": four_bits("fp4", True),
        "bnb-int8": int8(),
    }
    TARGET.mkdir(exist_ok=True)
    tensors = {f"{case}/{k}": v.detach() for case, made in cases.items() for k, v in made.items()}
    versions = {
        "auto-gptq": "0.7.1", "autoawq": "0.2.9", "torch": torch.__version__,
        "transformers": transformers.__version__, "bitsandbytes": bitsandbytes.__version__,
        "compressed-tensors": compressed_tensors.__version__,
    }  # fmt: skip
    save_file(
        {name: value.contiguous().clone() for name, value in tensors.items()},
        TARGET / "references.safetensors",
        metadata={"made by": "tools/zoo/build_packed_references.py", "of": json.dumps(versions)},
    )


if __name__ == "__main__":
    main()
