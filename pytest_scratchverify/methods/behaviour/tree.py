"""Neighbour-joining tree of all models that answered: a drawing for the reader, no judgement."""

from __future__ import annotations

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Finding, Null, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers, hypothesis
from pytest_scratchverify.methods.behaviour.style import distances, embedded
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.behaviour.usable import probes_of, unusable_reason, usable_others
from pytest_scratchverify.methods.findings import statistic

HYPOTHESIS = Text("the model stands by itself in a tree of answers")
FEWEST = 4
MOST = 40  # leaves in a report
DRAWS = 200


def tree(paired: PairedAnswers, thresholds: BehaviourThresholds) -> Finding:
    """Join neighbours over wording distances, with bootstrap support over probes.

    `paired.theirs` plays no part. A tree has branches whatever it is drawn of, and some model is
    always the nearest: no direction follows from it.
    """
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import letter_groups  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour import neighbour_joining as joining  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.probe_dependence import concentration  # noqa: PLC0415

    probes = probes_of(shipped_probes(), Kind.CONTINUATION, Kind.STYLE)
    if (reason := unusable_reason(paired.mine, probes, thresholds)) is not None:
        return hypothesis("tree", HYPOTHESIS, paired.mine).undecided(reason)
    others, _ = usable_others(paired, probes, thresholds)
    everyone = (paired.mine, *others[: MOST - 1])
    tested = hypothesis("tree", HYPOTHESIS, *everyone)
    if len(everyone) < FEWEST:
        return tested.undecided(
            Text("a tree needs answers of four models; {n} have usable ones", n=len(everyone))
        )
    names = [answers.model for answers in everyone]
    rows = embedded(everyone, probes, letter_groups)
    per_probe = distances(rows)
    whole = per_probe[np.isfinite(per_probe).all((1, 2))]
    if len(whole) < thresholds.fewest_shared:
        return tested.undecided(
            Text("only {n} probes got a comparable answer of every model", n=len(whole))
        )
    try:
        found = joining.supported_tree(names, whole, draws=DRAWS)
    except ModuleNotFoundError:
        raise no_library() from None
    mean = whole.mean(0)
    nearest = int(np.argmin(np.where(np.arange(len(names)) > 0, mean[0], np.inf)))
    depends = concentration(np.abs(whole[:, 0, nearest] - mean[0, nearest]))
    sister = next((s for s in found.splits if len(s) == len(names) - 2), None)  # all but a pair
    support = found.splits[sister] if sister is not None else None
    by_size = sorted(found.splits.items(), key=lambda item: (len(item[0]), sorted(item[0])))
    return tested.finding(
        Outcome.CONSISTENT,
        Text(
            "nearest by wording is {nearest} (distance {distance}, {n} models, {probes} probes);"
            " some model always is, and a tree is no pedigree",
            nearest=names[nearest],
            distance=float(mean[0, nearest]),
            n=len(names),
            probes=len(whole),
        ),
        statistic=statistic("distance_to_nearest", float(mean[0, nearest]), len(whole)),
        effect=statistic("support_of_sister_pair", support),
        null=Null(
            kind="bootstrap",
            draws=DRAWS,
            description=Text("Probes drawn with replacement; support is no p-value"),
        ),
        details={
            "newick": found.newick,
            "support": [{"side": [*sorted(side)], "support": share} for side, share in by_size],
            "matrix": {
                "models": [*names],
                "distance": [[round(float(v), 5) for v in row] for row in mean],
            },
            "dependence": None
            if depends is None
            else {"top_two": depends.top, "effective_probes": depends.effective},
        },
    )


def no_library() -> Unavailable:
    """Return what to raise where the tree library is not installed."""
    return Unavailable(
        Reason.UNSUPPORTED,
        Text("Drawing a tree needs Biopython, which is not installed."),
        Text("pip install 'pytest-scratchverify[behaviour]'"),
    )
