"""Whether two embedding tables agree in sign more often than coins do.

An example, and no method to trust: it has no control, so what it finds is a lead at most.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from pytest_scratchverify.checkpoint.roles import read_roles
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import (
    ArtifactRecord,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Statistic,
)
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import ArtifactStore

ALPHA = 1e-3
MOST_BYTES = 2**9  # 256 signs decide it


def sign_agreement(pair: Pair, ours: ArtifactStore, theirs: ArtifactStore) -> Finding:
    """Compare the signs of the first entries of two embedding tables.

    Raises `Unavailable` where a table cannot be read: it becomes a `?`, never a verdict.
    """
    (mine, record), (other, their_record) = _signs(ours), _signs(theirs)
    n = min(mine.size, other.size)
    agree = int((mine[:n] == other[:n]).sum())
    pvalue = binomtest(agree, n, 0.5, alternative="greater").pvalue
    found = pvalue < ALPHA
    return Finding(
        method="signs.agreement",
        component=Component.EMBEDDINGS,
        model=pair.model.name,
        reference=pair.reference.name,
        outcome=Outcome.DERIVED if found else Outcome.CONSISTENT,
        headline=Text("{share} of {n} signs agree", share=round(agree / n, 3), n=n),
        hypothesis=Text("the signs of the embedding table are as independent as coins"),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if found else Direction.NONE,
        statistic=Statistic(name="agreeing_signs", value=agree, n=n),
        effect=Statistic(name="share", value=agree / n, n=n),
        pvalue=pvalue,
        null=Null(kind="exact", description=Text("binomial, one half")),
        artifacts=(record, their_record),
    )


def _signs(store: ArtifactStore) -> tuple[np.ndarray, ArtifactRecord]:
    tensors = store.tensor_index().value.tensors
    tables = [name for name, role in read_roles(tensors).roles.items() if role.kind == "embed"]
    table = next((tensors[name] for name in tables if tensors[name].dtype == "BF16"), None)
    if table is None:
        raise Unavailable(
            Reason.UNSUPPORTED,
            Text("{repo} has no embedding table in BF16.", repo=store.repo),
            Text("Give a checkpoint in BF16."),
        )
    first = ByteRange(table.start, min(table.stop, table.start + MOST_BYTES))
    part = store.read_ranges(table.file, [first])
    return np.frombuffer(part.value[0], "<u2") >> 15, part.record
