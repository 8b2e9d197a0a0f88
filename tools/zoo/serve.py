"""Serve the zoo's models on this machine, by transformers' own OpenAI-compatible server.

    python -m tools.zoo.serve --port 8411          # http://127.0.0.1:8411/v1, until Ctrl-C
    python -m tools.zoo.serve --check              # does a served model compute what was trained?

From nothing: makes a virtual environment with torch (CPU) and transformers, pinned below, and
serving copies of the checkpoints. A copy links the weights and adds what the server wants beside
them: a tokenizer class (else transformers guesses one from the architecture, and guesses wrong
for the expert models) and a chat template that passes the last message through, because base
models have none. The `model` field of a request names a copy's folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tools import ROOT

ZOO = ROOT / ".artifacts" / "zoo"
SERVED = ROOT / ".artifacts" / "served"
VENV = ROOT / ".artifacts" / "serve-venv"
PINNED = ("torch==2.13.0", "transformers[serving]==5.23.0", "accelerate==1.15.0", "numpy", "safetensors")  # fmt: skip
LANGUAGE_MODELS = (
    "s0", "s1", "s2", "s3", "w0", "w1", "t0", "t1", "moe0", "moe1",
    "s0-finetune", "s0-lora", "s0-int4", "s0-cpt-short", "s0-cpt-long", "s0-twin",
    "w0-finetune", "moe0-finetune",
)  # fmt: skip
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "clean_up_tokenization_spaces": False,
    "chat_template": "{{ messages[-1]['content'] }}",
}


def environment() -> Path:
    """Return the Python that has the server, installing it on the first call."""
    stamp = VENV / ".installed"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "--quiet", *PINNED], check=True)
        stamp.touch()
    return VENV / "bin" / "python"


def serving_copy(name: str, zoo: Path = ZOO, served: Path = SERVED) -> Path:
    """Return a folder that the server can load, made of links."""
    folder, source = served / name, zoo / name
    if not source.is_dir():
        raise SystemExit(f"{source} is not there: run tools/zoo/train first")
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        link = folder / file
        if not link.exists():
            link.symlink_to(source / file)
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    return folder


def command(port: int) -> list[str]:
    """Return the server's command line: one thread, full precision, no network."""
    environment()
    return [str(VENV / "bin" / "transformers"), "serve", "--host", "127.0.0.1", "--port", str(port),
            "--device", "cpu", "--dtype", "float32", "--model-timeout", "86400"]  # fmt: skip


def quiet_environment() -> dict[str, str]:
    """Return the server's environment: offline, one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def check() -> None:
    """Compare a served model's numbers with those of the code that trained it."""
    # In the server's environment only, hence here.
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415, TID251
    from tokenizers import Tokenizer  # noqa: PLC0415
    from torch.nn import functional as F  # noqa: N812, PLC0415, TID251
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415, TID251

    from tools.zoo import train as zoo  # noqa: PLC0415

    manifest = json.loads((ZOO / "MANIFEST.json").read_text())
    data = zoo.Data(ZOO)
    torch.set_num_threads(1)
    for name in LANGUAGE_MODELS:
        entry = manifest[name]
        shape = zoo.Shape(**entry["shape"])
        folder = serving_copy(name)
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        weights = {k: v.float() for k, v in zoo.load(folder / "model.safetensors").items()}
        ours = zoo.Model(shape, len(weights["model.embed_tokens.weight"])).eval()
        ours.load_state_dict(weights)
        half = (entry.get("training") or {"half": "a"})["half"]
        batch = torch.cat(
            [x for x, _ in zip(data.batches(shape.tokenizer, half, 4711), range(20), strict=False)]
        )
        with torch.no_grad():
            a, b = ours(batch[:, :-1]), theirs(batch[:, :-1]).logits
        loss = F.cross_entropy(b.flatten(0, 1), batch[:, 1:].flatten()).item()
        raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
        text = "def f(self, x):\n    return self.x  # 한국어 naïve\n"
        same = AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == raw.encode(text).ids
        apart = float(np.abs((a - b).numpy()).max())
        print(
            f"{name:14} largest difference of logits {apart:.1e}; loss {loss:.3f}, when trained {entry['loss'] or float('nan'):.3f}; tokenizer {'equal' if same else 'DIFFERENT'}"
        )
        assert apart < 1e-2, name
        assert same, name


def main() -> None:
    """Serve until interrupted, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8411)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    python = environment()
    if given.check:
        if Path(sys.prefix).resolve() != VENV.resolve():
            raise SystemExit(
                subprocess.call(
                    [python, "-m", "tools.zoo.serve", "--check"], cwd=ROOT, env=quiet_environment()
                )
            )
        check()
        return
    for name in LANGUAGE_MODELS:
        print(f"model: {serving_copy(name)}")
    print(f"endpoint: http://127.0.0.1:{given.port}/v1 (--endpoint-api completions)", flush=True)
    os.execve(VENV / "bin" / "transformers", command(given.port), quiet_environment())  # noqa: S606


if __name__ == "__main__":
    main()
