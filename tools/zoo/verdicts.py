"""Record what the suites say of twenty pairs of the ready zoo: tests/weights/verdicts_20_pairs.json.

    python -m tools.zoo.verdicts               # runs the twenty pairs, about five minutes
    python -m tools.zoo.verdicts --runs DIR    # takes DIR/MODEL--REFERENCE.json, runs kept earlier

The record is what a change that should change no verdict is compared with. It was first written
from runs of the code before the package was rearranged. Written anew it is no proof of anything:
say in the commit which verdict changed, and why.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.running import run_suites
from tools.zoo.ready_models import READY

TARGET = ROOT / "tests" / "weights" / "verdicts_20_pairs.json"
PAIRS = tuple(
    (model, reference)
    for model, _, reference in (
        pair.partition(":")
        for pair in [
            "s0-finetune:s0",
            "s0:s0-finetune",
            "s0-cpt-long:s0",
            "s0-twin:s0",
            "s1:s0",
            "t0:s0",
            "moe0:s0",
            "vl0:s0",
            "vl0-vision-only:vl0",
            "s0:s1",
            "s0-finetune:s1",
            "s0-cpt-long:s0-finetune",
            "s0-twin:s1",
            "s1:t0",
            "vl0:vl0-vision-only",
            "moe0:s1",
            "s1:s0-cpt-long",
            "t0:s1",
            "s0-twin:s0-cpt-long",
            "s1:vl0",
        ]
    )
)
DIGITS = 6  # significant, of every number

Record = dict[str, Any]


def judge(model: str, reference: str, home: Path) -> Mapping[str, Any]:
    """Run all suites on a pair of the ready zoo, without a hub; return its run.json."""
    names = ("--model", str(READY / model), "--against", str(READY / reference))
    return run_suites(*names, "--offline", home=home).found


def record_of(run: Mapping[str, Any]) -> Record:
    """Reduce a run.json to verdicts, policies' results and the findings' words and numbers.

    Paths become names, so that the record does not depend on where the models lie. A finding is
    a list: outcome, level, relation, kind, statistic, effect, p-value, replications.
    """
    [model] = run["models"]
    return {
        "verdicts": {name: part["verdict"] for name, part in sorted(model["components"].items())},
        "policies": {name: found["result"] for name, found in model["policies"].items()},
        "findings": {
            _named(finding["id"]): _row(finding)
            for finding in sorted(run["findings"], key=lambda finding: str(finding["id"]))
        },
    }


def _named(identity: str) -> str:
    return ":".join(part.rpartition("/")[2] for part in identity.split(":"))


def _row(finding: Mapping[str, Any]) -> list[Any]:
    kind = finding["kind"]
    if isinstance(kind, list):
        kind = ", ".join(kind)
    words = [finding["outcome"], finding["level"], finding["relation"], kind]
    numbers = [_value(finding["statistic"]), _value(finding["effect"]), finding["pvalue"]]
    return [*words, *map(_rounded, numbers), finding["replications"]]


def _value(statistic: Mapping[str, Any] | None) -> float | None:
    return None if statistic is None else statistic["value"]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def dumps(records: Mapping[str, Record]) -> str:
    """Write one finding a line, so that a difference reads as what changed."""
    blocks = []
    for pair, record in records.items():
        rows = [
            f"   {json.dumps(name)}: {json.dumps(row)}" for name, row in record["findings"].items()
        ]
        parts = [f'  "{key}": {json.dumps(record[key])}' for key in ("verdicts", "policies")]
        parts.append('  "findings": {\n' + ",\n".join(rows) + "\n  }")
        blocks.append(f' "{pair}": {{\n' + ",\n".join(parts) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> None:
    """Record all pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="folder of MODEL--REFERENCE.json files")
    folder = parser.parse_args().runs
    records = {}
    for model, reference in PAIRS:
        if folder is not None:
            run = json.loads((folder / f"{model}--{reference}.json").read_text("utf-8"))
        else:
            with tempfile.TemporaryDirectory() as home:
                run = judge(model, reference, Path(home))
        records[f"{model}:{reference}"] = record_of(run)
    TARGET.write_text(dumps(records), "utf-8")


if __name__ == "__main__":
    main()
