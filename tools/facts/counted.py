"""Parameters counted from configurations, beside what the library builds of them.

    python -m tools.facts.counted PATH [--unseen] [--wrong]

PATH is a file of `tools.facts.instantiate`, or a JSON object: model type to ``{"config": ...,
"parameters_in_memory": ..., "of_them_beside_the_text_decoder": ...}``, tied tables twice. A line a
type says how many of its configurations are counted exactly (within .1 %), how many are not
countable and why, and how many are wrong, with the largest relative error. `--unseen` counts every
type as though nothing were known of its code; such counts are called uncertain, and never
contradict anybody. `--wrong` prints only types of which one is wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_scratchverify.checkpoint.design import Design, Tower, read_designs
from pytest_scratchverify.checkpoint.parameter_count import UncountableDesignError, count_parameters

EXACT = 1e-3


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration and the totals of the text decoder that are right for it."""

    model_type: str
    config: dict[str, Any]
    parameters: int
    untrained: int = 0


@dataclass(slots=True)
class Counted:
    """What came of the configurations of one type."""

    exact: int = 0
    errors: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of either form."""
    if path.suffix == ".gz":
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
        for row in map(json.loads, lines):
            yield Row(row["type"], row["config"], row["parameters"], row["untrained"])
        return
    for name, entry in json.loads(path.read_text("utf-8")).items():
        beside = entry["of_them_beside_the_text_decoder"]
        yield Row(name, entry["config"], entry["parameters_in_memory"] - beside)


def relative_error(row: Row, *, unseen: bool = False) -> float:
    """Return the error of a count as a share of the true number.

    The true number may hold what no gradient trains, and a tied head twice or, where the
    configuration does not say or contradicts itself, once. Raises
    `UncountableDesignError`, also where a configuration has no text part.
    """
    design = read_designs(row.config).get(Tower.TEXT)
    if design is None:
        raise UncountableDesignError("text_config")
    count = count_parameters(_of_unknown_type(design) if unseen else design)
    totals = [count.total, count.total + count.tied_head]
    if "tie_word_embeddings" in count.assumed:  # not stated, or stated twice and not alike
        totals.append(count.total - count.lm_head)
    totals += [total + count.untrained for total in totals]
    return min(((total - row.parameters) / row.parameters for total in totals), key=abs)


def _of_unknown_type(design: Design) -> Design:
    return Design(design.tower, {**design.fields, "model_type": "unseen"}, design.config)


def count_rows(rows: Iterator[Row], *, unseen: bool = False) -> dict[str, Counted]:
    """Count every configuration, by model type."""
    found: dict[str, Counted] = defaultdict(Counted)
    for row in rows:
        seen = found[row.model_type]
        try:
            error = relative_error(row, unseen=unseen)
        except UncountableDesignError as refusal:
            seen.refusals.append(str(refusal))
            continue
        if abs(error) <= EXACT:
            seen.exact += 1
        else:
            seen.errors.append(error)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a model type and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--unseen", action="store_true", help="as though no type were known")
    parser.add_argument("--wrong", action="store_true", help="only types with a wrong count")
    chosen = parser.parse_args(arguments)
    found = count_rows(read_rows(chosen.path), unseen=chosen.unseen)
    for name, seen in sorted(found.items()):
        if chosen.wrong and not seen.errors:
            continue
        worst = f"{max(seen.errors, key=abs):+.2%}" if seen.errors else ""
        why = f"  not countable: {', '.join(sorted(set(seen.refusals)))}" if seen.refusals else ""
        sums = f"{seen.exact:4} {len(seen.refusals):4} {len(seen.errors):4}"
        print(f"{name:26} {sums} {worst:>9}{why}")
    exact, wrong = (sum(f(s) for s in found.values()) for f in (_exact, _wrong))
    refused = sum(len(seen.refusals) for seen in found.values())
    print(f"{exact} exact, {refused} not countable, {wrong} wrong, of {len(found)} model types")


def _exact(seen: Counted) -> int:
    return seen.exact


def _wrong(seen: Counted) -> int:
    return len(seen.errors)


if __name__ == "__main__":
    main()
