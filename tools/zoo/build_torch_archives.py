"""Write small files with torch.save, for tests of what reads them: tests/checkpoint/archives/*.

    /tmp/venv-zoo/bin/python -m tools.zoo.build_torch_archives

They are shipped, because torch is not installed where the tests run. Beside each stands, as
safetensors, what torch itself loads from it. The zoo model s0 in this format is made by the test,
from the description of the format.
"""

from __future__ import annotations

from collections import OrderedDict

import torch  # noqa: TID251 - the files are its own
from safetensors.torch import save_file

from tools import ROOT

TARGET = ROOT / "tests" / "weights" / "archives"


def state() -> OrderedDict[str, torch.Tensor]:
    """Shared storages, a view into the middle of one, parameters, every common dtype."""
    torch.manual_seed(2026)
    table = torch.randn(12, 8)
    made = OrderedDict()
    made["model.embed_tokens.weight"] = table
    made["lm_head.weight"] = table  # tied
    made["model.layers.0.mlp.up_proj.weight"] = table[3:7]  # a view
    made["model.layers.0.mlp.down_proj.weight"] = torch.randn(8, 4).t()  # not contiguous
    for kind in ("float64", "float16", "bfloat16", "int8", "uint8", "int64", "float8_e4m3fn"):
        made[f"model.{kind}"] = torch.arange(6).reshape(2, 3).to(getattr(torch, kind))
    made["model.norm.weight"] = torch.nn.Parameter(torch.randn(8).bfloat16())
    made["model.scalar"] = torch.tensor(3.0)
    return made


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    made = state()
    torch.save(made, TARGET / "plain.bin")
    torch.save({"state_dict": made, "epoch": 3, "names": ["a", "b"]}, TARGET / "wrapped.bin")
    older = OrderedDict((k, v) for k, v in made.items() if "float8" not in k)
    torch.save(older, TARGET / "legacy.bin", _use_new_zipfile_serialization=False)
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
    torch.save(module.state_dict(), TARGET / "module.bin")
    torch.save(module, TARGET / "whole-module.bin")  # names classes: must be refused
    for name in ("plain", "legacy", "module"):
        loaded = torch.load(TARGET / f"{name}.bin", weights_only=True)
        save_file({k: v.contiguous().clone() for k, v in loaded.items()},
                  TARGET / f"{name}.safetensors")  # fmt: skip


if __name__ == "__main__":
    main()
