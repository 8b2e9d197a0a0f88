"""A run whose full depth is done by a cluster: what --cluster asks for, and how long it is held.

It loads nothing of Dask before tests are about to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.session import Session

if TYPE_CHECKING:
    from pytest_scratchverify.plugin.cluster import ClusterRunner


def cluster_run(session: Session) -> ClusterRun:
    """Return the hooks of a run on a cluster. Raises `ScratchError` where none is of use."""
    if session.settings.depth != "full":
        raise ScratchError(
            f"--cluster is for --depth full: {session.settings.depth} reads a few megabytes"
        )
    if getattr(session.config.option, "numprocesses", None):
        raise ScratchError("--cluster and -n do not go together: the cluster distributes the work")
    return ClusterRun(session)


class ClusterRun:
    """Connects before the first test and leaves after the last."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.runner: ClusterRunner | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Connect; a mistake in the address is a usage error."""
        if self.session.config.option.collectonly:
            return
        from pytest_scratchverify.methods.weights.tensor_groups import use_runner  # noqa: PLC0415
        from pytest_scratchverify.plugin.cluster import ClusterRunner  # noqa: PLC0415 - numpy
        from pytest_scratchverify.plugin.model_stores import line_above  # noqa: PLC0415

        try:
            self.runner = ClusterRunner(
                str(self.session.settings.cluster), line_above(self.session)
            )
        except ScratchError as error:
            raise pytest.UsageError(visible(str(error))) from None
        use_runner(self.runner)

    def pytest_unconfigure(self) -> None:
        """Leave the cluster."""
        if self.runner is not None:
            from pytest_scratchverify.methods.weights.tensor_groups import use_runner  # noqa: PLC0415

            use_runner(None)
            self.runner.close()
