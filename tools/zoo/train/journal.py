"""What a training leaves behind beside its weights: a log, and checkpoints on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn  # noqa: TID251 - types only

LOG = "training_log.jsonl"


class Journal:
    """The log of one training, and its weights after chosen numbers of updates.

    It only looks: no random number is drawn and no weight touched, so that a model is the
    same bit for bit with and without it. Step 0 is the untrained model's first batch.
    """

    def __init__(self, keep: Sequence[int] = ()) -> None:
        self.keep = frozenset(keep)
        self.rows: list[dict[str, float]] = []
        self.checkpoints: dict[int, dict[str, Tensor]] = {}

    def note(
        self, step: int, loss: float, *, learning_rate: float, grad_norm: float, tokens: int
    ) -> None:
        """Add a row: the loss before this step's update, the gradient's norm before clipping."""
        self.rows.append(
            {
                "step": step,
                "loss": round(loss, 5),
                "lr": float(f"{learning_rate:.5g}"),
                "grad_norm": float(f"{grad_norm:.5g}"),
                "tokens": tokens,
            }
        )

    def pass_by(self, step: int, model: nn.Module) -> None:
        """Keep the weights as they are after `step` updates, if that step was chosen."""
        if step in self.keep:
            self.checkpoints[step] = {
                name: value.detach().clone() for name, value in model.state_dict().items()
            }

    def write(self, folder: Path) -> None:
        """Write the log; a model that was never trained leaves none."""
        if self.rows:
            lines = (json.dumps(row, separators=(",", ":")) for row in self.rows)
            (folder / LOG).write_text("\n".join(lines) + "\n")
