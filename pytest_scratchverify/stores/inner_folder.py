"""Which folder below a local one is the model, where the folder itself holds no weights.

Nothing below is loaded unasked, so it is chosen only where there is nothing to choose: one folder
alone holds weights, or all that do are checkpoints of one series, of which the last is meant.
Several different ones stay refused, and are named (docs/adr/0009-which-bytes-are-the-model.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_scratchverify.checkpoint.step_names import longest_series
from pytest_scratchverify.stores.weight_files import may_be_weights

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class InnerFolder:
    """The folder that is meant, and those beside it that are not judged, by their steps."""

    folder: str
    others: tuple[str, ...] = ()


def inner_folder(names: Iterable[str]) -> InnerFolder | None:
    """Choose among the folders below a root; None where its own files count, or none is meant.

    Parameters
    ----------
    names
        All files, by their paths from the root.
    """
    folders = {PurePosixPath(name).parent for name in names if may_be_weights(name)}
    if PurePosixPath() in folders:
        return None
    # What lies inside of a save, such as the states of its optimizer, is no save beside it.
    outer = sorted(str(one) for one in folders if not folders & {*one.parents})
    if len(outer) == 1:
        return InnerFolder(outer[0])
    steps, _ = longest_series(outer)
    alike = {_DIGITS.sub("#", PurePosixPath(name).name) for name in outer}
    if len(alike) != 1 or len(steps) < len(outer):
        return None
    return InnerFolder(steps[-1].name, tuple(step.name for step in steps[:-1]))
