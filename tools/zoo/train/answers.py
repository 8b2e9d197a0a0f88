"""What small models answer, for `benchmarks.distillation`: greedy continuations and probabilities.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.answers .artifacts/adversaries NAME...

Writes `answers.npz` into the folder. All models are asked the same: text of the half that was not
trained on. `continuations` are the tokens with which a model goes on from each prompt, `best` its
likeliest next token at every place of some texts, `next` the text's own, `probabilities` its whole
distribution at some of these places.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from safetensors.torch import load_file
from torch import Tensor  # noqa: TID251

from .data import Data
from .model import Model
from .shapes import SMALL

FILE = "answers.npz"
PROMPTS, LENGTH, GOES_ON = 1000, 24, 3
BATCHES = 6
PLACES = 512
ORDER = 10**6 + 1  # of texts that no training drew in this order


def prompts(data: Data) -> tuple[Tensor, Tensor]:
    """Return prompts (n, length) and whole texts (batches, batch, context + 1)."""
    texts = data.batches(SMALL.tokenizer, "b", ORDER)
    whole = torch.stack([next(texts) for _ in range(BATCHES)])
    asked = torch.cat([next(texts)[:, :LENGTH] for _ in range(PROMPTS // len(whole[0]) + 1)])
    return asked[:PROMPTS], whole


def answer(model: Model, asked: Tensor, texts: Tensor) -> dict[str, np.ndarray]:
    """Ask one model everything."""
    said = asked
    with torch.no_grad():
        for _ in range(GOES_ON):
            said = torch.cat([said, model(said)[:, -1:].argmax(-1)], 1)
        logits = torch.cat([model(batch[:, :-1]).flatten(0, 1) for batch in texts])
    places = np.linspace(0, len(logits) - 1, PLACES).astype(int)
    return {
        "continuations": said[:, LENGTH:].numpy().astype(np.int16),
        "best": logits.argmax(-1).numpy().astype(np.int16),
        "probabilities": logits[places].softmax(-1).numpy().astype(np.float16),
    }


def main() -> None:
    """Ask all models that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked, texts = prompts(Data(given.folder))
    found = {"next": texts[:, :, 1:].flatten().numpy().astype(np.int16)}
    for name in given.names:
        weights = load_file(given.folder / name / "model.safetensors")
        model = Model(SMALL, len(weights["lm_head.weight"]))
        model.load_state_dict({k: v.float() for k, v in weights.items()})
        answers = answer(model, asked, texts)
        found |= {f"{name}/{kind}": value for kind, value in answers.items()}
    np.savez_compressed(given.folder / FILE, **found)


if __name__ == "__main__":
    main()
