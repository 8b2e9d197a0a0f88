"""What an auditor states of a training of which a part was run again.

The auditor's word is taken; a laboratory that does this for others would check a signature here.
"""

from __future__ import annotations

import json

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.store import ArtifactStore


def rerun(model: ModelSpec, store: ArtifactStore) -> Finding:
    """Read audit.json of the model's files: who ran which steps again, and whether they agreed.

    Raises `Unavailable` where there is none: it becomes a `?`, and clears nobody.
    """
    artifact = store.file("audit.json")
    audit = json.loads(artifact.value.read_text("utf-8"))
    agreed = bool(audit["checkpoints_agree"])
    return Finding(
        method="audit.rerun",
        component=Component.TEXT_DECODER,
        model=model.name,
        outcome=Outcome.CONSISTENT if agreed else Outcome.INDETERMINATE,
        headline=Text(
            "{auditor} ran steps {first} to {last} again: the checkpoints {word}",
            auditor=audit["auditor"],
            first=audit["first_step"],
            last=audit["last_step"],
            word="agree" if agreed else "do not agree",
        ),
        hypothesis=Text("the published steps lead to the published weights"),
        level=Level.E4,  # of re-execution, together with the relation below
        direction=Direction.TOWARD_INDEPENDENCE if agreed else Direction.NONE,
        relation=Relation.AUDITED if agreed else Relation.CONTRADICTED,
        artifacts=(artifact.record,),
    )
