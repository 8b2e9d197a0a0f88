"""Accused, leads and cleared among hard null pairs, kind by kind.

    python -m benchmarks.hard_nulls [--pairs 180] [--kind NAME] [--seed 0]

Every pair (`tools/zoo/hard_nulls.py`) goes through the statistics and the judge of the weights
method: aligned neurons and channels, matching, angles, and one pair in twenty matching in any
basis and residual frames too. For these, gate and up rows of every second layer stand for what
keys and values read: a frame of rows that are as hard as those that are asked.
Prints Markdown, as docs/methods/weights-nulls.md shows it.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from pytest_scratchverify.methods.weights.angles import compare_angles
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.formulas import blocks_of_formulas
from pytest_scratchverify.methods.weights.framed_basis import FramedBasis
from pytest_scratchverify.methods.weights.judge import judge
from pytest_scratchverify.methods.weights.judgement import Judgement
from pytest_scratchverify.methods.weights.measure import measure
from pytest_scratchverify.methods.weights.rotation_invariant import RotationInvariantMatch
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_search import Key, anchored_match
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.exchangeable_rows import distinct_rows
from pytest_scratchverify.stats.weights.framed_recognition import (
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.matched_channels import matched_channels
from pytest_scratchverify.tensors.inventory import Slot
from tools import ROOT
from tools.zoo.hard_nulls import KINDS, Array, Batch, HardNull

Blocks = dict[Key, list[Array]]
THRESHOLDS = WeightsThresholds.load(ROOT / "suites" / "calibration" / "weights.json")
ANY_BASIS = (2, 6)  # blocks that are matched in any basis: fewer cannot be, more take minutes
HEAD = 16  # rows
EVERY = 20  # of the pairs, one in so many is matched in any basis too


def judged(kind: HardNull, rng: np.random.Generator, *, any_basis: bool) -> Judgement:
    """Make one pair of a kind and judge it."""
    batch = kind.make(rng)
    measured = measure(kind.component, [batch])
    sample = {
        piece: pair for piece, pair in batch.items() if str(piece[0]) not in measured.formulas
    }
    blocks = _blocks(batch) if any_basis else None
    return judge(
        Compared(
            measured=measured,
            angles=compare_angles(sample, kind.component),
            rotated=_rotated(blocks) if blocks else None,
            framed=_framed(blocks) if blocks else None,
        ),
        None,
        THRESHOLDS,
    )


def _blocks(batch: Batch) -> tuple[Blocks, Blocks]:
    """Return gate and up of every block of either model, without those of a common formula."""
    sides: tuple[Blocks, Blocks] = ({}, {})
    for (slot, start), gates in batch.items():
        ups = batch.get((Slot(slot.component, "up", slot.layer, slot.expert), start))
        if slot.kind == "gate" and ups is not None:
            for side in (0, 1):
                sides[side][slot.layer, slot.expert] = [gates[side], ups[side]]
    for side, placed in zip(sides, blocks_of_formulas(*sides), strict=True):
        for key in placed:
            del side[key]
    return sides


def _framed(sides: tuple[Blocks, Blocks]) -> FramedBasis | None:
    ours, theirs = map(_network, sides)
    match = recognise_by_frames(ours, theirs)
    return None if match is None else FramedBasis(match, ours, len(ours.heads))


def _network(blocks: Blocks) -> Network:
    """Take every second layer's blocks for what heads read, the others for neurons."""
    heads, neurons = {}, {}
    for (layer, expert), views in blocks.items():
        if layer % 2 == 0 and len(views[0]) % HEAD == 0:
            heads[layer] = [HeadReads(v.reshape(-1, HEAD, v.shape[1])) for v in views]
        elif not any(map(is_degenerate, views)):
            kept = distinct_rows(views)
            neurons[layer, expert] = Sampled([v[kept] for v in views], len(views[0]))
    return Network(heads, neurons)


def _rotated(sides: tuple[Blocks, Blocks]) -> RotationInvariantMatch | None:
    if not ANY_BASIS[0] <= len(sides[0]) <= ANY_BASIS[1]:
        return None
    match = anchored_match(*sides)
    if match is None:
        return None
    channels = matched_channels(match.anchors)
    return RotationInvariantMatch(match, channels, upcycled=False, widths=False, zeros=(0.0, 0.0))


def word(found: Judgement) -> str:
    """Say what a judgement means for the model under test."""
    if found.relation is None:
        return "none"
    if not found.accuses:
        return "lead"
    return "accused"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=180)
    parser.add_argument("--kind", choices=[*KINDS], default=None)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    total: Counter[str] = Counter()
    print("| kind | pairs | accused | leads | smallest p |\n|---|---|---|---|---|")
    for number, (name, kind) in enumerate(KINDS.items()):
        if given.kind not in (None, name):
            continue
        said: Counter[str] = Counter()
        smallest = 1.0
        for pair in range(given.pairs):
            rng = np.random.default_rng([given.seed, number, pair])
            found = judged(kind, rng, any_basis=pair % EVERY == 0)
            said[word(found)] += 1
            smallest = min(smallest, found.pvalue)
        total += said
        print(
            f"| {name} | {given.pairs} | {said['accused']} | {said['lead']} | {smallest:.1g} |",
            flush=True,
        )
    pairs = sum(total.values())
    print(f"| all | {pairs} | {total['accused']} | {total['lead']} | |")


if __name__ == "__main__":
    main()
