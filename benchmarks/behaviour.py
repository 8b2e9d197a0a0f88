"""How well the null of output agreement holds, and what it finds, on recorded answers of the zoo.

    python -m benchmarks.behaviour          # about half a minute

Every figure of docs/methods/behaviour.md on the zoo comes from here.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import stats

from pytest_scratchverify.methods.behaviour import features
from pytest_scratchverify.methods.behaviour.agreement import openings
from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.usable import probes_of
from pytest_scratchverify.stats.behaviour.round_robin import excess, share_equal, sign_test
from tools import ROOT

UNRELATED = ("s0", "s1", "s2", "s3", "w0", "w1", "t0", "t1", "moe0", "moe1")
RELATED = (("s0-lora", "s0"), ("s0-int4", "s0"), ("s0-finetune", "s0"), ("w0-finetune", "w0"),
       ("moe0-finetune", "moe0"), ("s0-cpt-short", "s0"), ("s0-cpt-long", "s0"),
       ("s0-twin", "s0"))  # fmt: skip
NAMES = (*UNRELATED, *(child for child, _ in RELATED))
PROBES = probes_of(shipped_probes(), Kind.CONTINUATION)
ALPHA, LEAST = 1e-3, 0.1


def codes() -> tuple[np.ndarray, np.ndarray]:
    """Return numbered openings of all recorded models."""
    folder = ROOT / "tests/behaviour/answers"
    rows = [openings(read_answers(folder / f"{n}.jsonl.gz", n), PROBES) for n in NAMES]
    return features.openings(rows)


def by_prompt(c: np.ndarray, u: np.ndarray, rows: list[int]) -> float:
    """The test over prompts: agreement with 1 against the best of the controls, sign test."""
    one, two = rows[:2]
    out = 0.0
    for k in rows[2:]:
        there = u[one] & u[two] & u[k]
        agree = [c[one, there] == c[j, there] for j in (two, k)]
        out = max(out, sign_test(*agree))
    return out


def recipe(name: str) -> str:
    """Return what models of one shape, tokenizer and training text have in common."""
    return name.split("-", maxsplit=1)[0].rstrip("0123456789")


def main() -> None:
    """Print the figures."""
    c, u = codes()
    whole = share_equal(c, u)
    every = list(range(len(UNRELATED)))

    def test(rows: list[int]) -> object:
        return excess(whole[np.ix_(rows, rows)], 0, 1)

    print("independent pairs, all other eight as controls")
    found = [
        test([i, j, *(k for k in every if k not in (i, j))]) for i, j in combinations(every, 2)
    ]
    p = np.array([f.pvalue for f in found])
    print(f"  45 pairs: KS p {stats.kstest(p, 'uniform').pvalue:.2f};"
          f" p < .05 {np.mean(p < 0.05):.3f}; smallest {p.min():.4f};"
          f" largest excess {max(f.effect for f in found):.3f}")  # fmt: skip
    blocks = []
    for b in range(5):
        part = share_equal(c[: len(every), b::5], u[: len(every), b::5])
        blocks += [excess(part, i, j).pvalue for i, j in combinations(every, 2)]
    print(f"  five blocks of 200 probes: KS p {stats.kstest(blocks, 'uniform').pvalue:.2f};"
          f" p < .05 {np.mean(np.array(blocks) < 0.05):.3f}")  # fmt: skip
    print("independent pairs, k random controls, 3,000 draws")
    rng = np.random.default_rng(0)
    for k in (3, 4, 5, 6, 8):
        draws = [list(rng.choice(every, k + 2, replace=False)) for _ in range(3000)]
        found = [test(rows) for rows in draws]
        p = np.array([f.pvalue for f in found])
        accused = np.mean([f.pvalue < ALPHA and f.effect >= LEAST for f in found])
        prompt = np.mean([by_prompt(c, u, rows) < ALPHA for rows in draws[:400]])
        print(f"  k={k}: p < .05 {np.mean(p < 0.05):.3f}, < .01 {np.mean(p < 0.01):.3f},"
              f" < .001 {np.mean(p < 0.001):.4f}; accused {accused:.4f};"
              f" test over prompts < .001: {prompt:.3f}")  # fmt: skip
    print("pairs of one recipe, controls of other recipes only")
    for i, j in combinations(every, 2):
        if recipe(NAMES[i]) == recipe(NAMES[j]):
            rows = [i, j, *(k for k in every if recipe(NAMES[k]) != recipe(NAMES[i]))]
            f = test(rows)
            print(f"  {NAMES[i]} {NAMES[j]}: excess {f.effect:.3f}, p {f.pvalue:.4f};"
                  f" test over prompts {by_prompt(c, u, rows):.1e}")  # fmt: skip
    print("descendants")
    for child, parent in RELATED:
        rows = [NAMES.index(child), NAMES.index(parent)]
        controls = [k for k in every if k not in rows]
        f = test([*rows, *controls])
        line = f"  {child}: {f.observed:.3f}, expected {f.expected:.3f}, p {f.pvalue:.1e}; k"
        for k in (3, 4, 5, 6, 8):
            tries = [test([*rows, *rng.choice(controls, k, replace=False)]) for _ in range(200)]
            line += f" {k}: {np.mean([t.pvalue < ALPHA and t.effect >= LEAST for t in tries]):.2f}"
        print(line)


if __name__ == "__main__":
    main()
