"""BLAS threads: one a process, unless the user says otherwise.

The matrices that are compared are small; threads of one product wait for each other by spinning.
On two busy cores two threads made a comparison of twenty times the length that one needs. Cores are
used by `-n`, a process each. numpy and scipy read these variables when they are first imported,
which nothing of ours does before.
"""

from __future__ import annotations

import os
from collections.abc import Callable

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def one_thread() -> Callable[[], None]:
    """Ask for one thread where none of the variables is set; return what takes it back."""
    if any(name in os.environ for name in VARIABLES):
        return lambda: None
    os.environ.update(dict.fromkeys(VARIABLES, "1"))

    def take_back() -> None:
        for name in VARIABLES:
            os.environ.pop(name, None)

    return take_back
