"""A hundred single tokens: what they tell of the families' models, on recorded answers.

    python -m benchmarks.one_token          # seconds

Nine families of five (`tools/zoo/train/families.py`), asked over HTTP by the product's own client
(`tools/zoo/record_next_tokens.py`). The bar of an excess is calibrated on one half of the families
and its errors are stated on the other. Every figure of docs/methods/behaviour.md on next tokens
comes from here; the published ones stand beside them. Prints Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pytest_scratchverify.core.evidence import Direction
from pytest_scratchverify.methods.behaviour.asking import Answers, probe_set
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.next_tokens import (
    TOKEN,
    TOP,
    beginning,
    next_token_agreement,
    next_tokens,
)
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.stats.behaviour.next_token import (
    affinity,
    from_tokens,
    from_top,
    mean_affinity,
    telling_prompts,
)
from pytest_scratchverify.stats.behaviour.round_robin import Excess, excess
from tools import ROOT

Float = NDArray[np.float64]
RECORDED = ROOT / "tests" / "behaviour" / "next_tokens"
HALVES = {
    # Both families of the second tokenizer: strangers that alone share one are the worst pairs.
    "calibrated on": ("s0", "s1", "w0", "t0", "t1"),
    "stated on": ("s2", "s3", "moe0", "moe1"),
}
BASES = tuple(base for half in HALVES.values() for base in half)
CHANGES = ("int4", "lora", "finetune", "cpt-short")
PROBES = probe_set("next-token")
ALPHA, SAME = 1e-3, 0.9
PUBLISHED = "One Token Is Enough (arXiv 2607.10252): 165 models behind APIs, AUC .971, EER 7.3 %"


@dataclass(frozen=True)
class Tested:
    """A pair of models, what they are to each other, and its excess beside unrelated bases."""

    one: str
    two: str
    kind: str  # a change of the base, "siblings", or "unrelated"
    raw: float
    found: Excess


def family(name: str) -> str:
    """Return the base that a model descends from, or is."""
    return name.split("-", maxsplit=1)[0]


def kind(one: str, two: str) -> str:
    """Return what two models are to each other, by their names."""
    if family(one) != family(two):
        return "unrelated"
    changes = [name.partition("-")[2] for name in (one, two) if "-" in name]
    return changes[0] if len(changes) == 1 else "siblings"


def recorded(bases: Sequence[str]) -> list[Answers]:
    """Read the answers of some families, bases and descendants."""
    names = [name for base in bases for name in (base, *(f"{base}-{c}" for c in CHANGES))]
    return [read_answers(RECORDED / f"{name}.jsonl.gz", name) for name in names]


def likeness(known: str) -> tuple[list[str], Float]:
    """Return the models, and their likeness (m, m, n) at every prompt."""
    answers = recorded(BASES)
    return [a.model for a in answers], affinity(next_tokens(known, answers, PROBES))


def tested(names: Sequence[str], each: Float, half: Sequence[str]) -> Iterator[Tested]:
    """Test every pair within a half of the families; the bases of all others are controls."""
    place = {name: row for row, name in enumerate(names)}
    ours = [name for name in names if family(name) in half]
    for one, two in combinations(ours, 2):
        controls = [b for b in BASES if b not in (family(one), family(two))]
        rows = [place[name] for name in (two, one, *controls)]
        panel = each[np.ix_(rows, rows)]
        similarity = mean_affinity(panel[:, :, telling_prompts(panel, SAME)])
        found = excess(similarity, 0, 1)
        yield Tested(one, two, kind(one, two), float(similarity[0, 1]), found)


def auc(related: Sequence[float], unrelated: Sequence[float]) -> float:
    """Return the share of pairs of pairs in which the related one scores higher."""
    rank = stats.mannwhitneyu(related, unrelated).statistic
    return float(rank / (len(related) * len(unrelated)))


def equal_error(related: Sequence[float], unrelated: Sequence[float]) -> float:
    """Return the error rate at the bar where both errors are most nearly equal."""
    bars = sorted({*related, *unrelated})
    errors = [
        (np.mean(np.array(unrelated) >= bar), np.mean(np.array(related) < bar)) for bar in bars
    ]
    false, missed = min(errors, key=lambda e: abs(e[0] - e[1]))
    return float((false + missed) / 2)


def bar_of(rows: Sequence[Tested]) -> float:
    """Return the bar: a tenth above the largest excess of an unrelated pair, to two digits."""
    largest = max(row.found.effect for row in rows if row.kind == "unrelated")
    return float(np.ceil(largest * 1.1 * 100) / 100)


def is_lead(row: Tested, bar: float) -> bool:
    """Whether the method would call a pair a lead, its other controls apart."""
    return row.found.pvalue < ALPHA and row.found.effect >= bar


def describe(rows: Sequence[Tested], bar: float) -> None:
    """Print what the bar does on some pairs."""
    unrelated = [row for row in rows if row.kind == "unrelated"]
    parents = [row for row in rows if row.kind in CHANGES]
    for name, score in (("likeness itself", lambda r: r.raw), ("excess", lambda r: r.found.effect)):
        one, two = [score(r) for r in parents], [score(r) for r in unrelated]
        print(f"  by {name}: AUC {auc(one, two):.3f}, EER {equal_error(one, two):.1%}")
    wrong = sum(is_lead(row, bar) for row in unrelated)
    above = stats.beta.ppf(0.95, wrong + 1, len(unrelated) - wrong)
    print(f"  unrelated: {wrong} of {len(unrelated)} are leads (95 %: below {above:.1%} if pairs")
    print(f"  were independent), p < .001 {sum(r.found.pvalue < ALPHA for r in unrelated)}, p < .01"
          f" {np.mean([r.found.pvalue < 0.01 for r in unrelated]):.1%}, largest excess"
          f" {max(r.found.effect for r in unrelated):.3f}")  # fmt: skip
    strangers = [r for r in unrelated if "-" not in r.one + r.two]
    p = [r.found.pvalue for r in strangers]
    print(f"  of {len(p)} pairs of bases: smallest p {min(p):.4f},"
          f" uniform by Kolmogorov-Smirnov p {stats.kstest(p, 'uniform').pvalue:.2f}")  # fmt: skip
    for change in (*CHANGES, "siblings"):
        some = [row for row in rows if row.kind == change]
        print(f"  {change}: {sum(is_lead(r, bar) for r in some)} of {len(some)} found,"
              f" excess {min(r.found.effect for r in some):.3f} to"
              f" {max(r.found.effect for r in some):.3f}")  # fmt: skip


def whole_tokens(names: Sequence[str]) -> str:
    """Return how alike t0's and t1's families are where tokens are compared as they are."""
    tops = [[a.by_probe[probe.id].top for probe in PROBES] for a in recorded(BASES)]
    whole = [[{t: float(np.exp(v)) for t, v in (top or {}).items()} for top in row] for row in tops]
    rows = [r for r in tested(names, affinity(from_top(whole, 5)), ("t0", "t1"))
            if r.kind == "unrelated"]  # fmt: skip
    excesses = [row.found.effect for row in rows]
    return (
        f"{min(excesses):.2f} to {max(excesses):.2f}, p from"
        f" {min(row.found.pvalue for row in rows):.0e}, {len(rows)} pairs"
    )


def sampled(seed: int) -> Float:
    """Return the likeness had every model sampled one of its five rivals at every prompt."""
    rng = np.random.default_rng(seed)
    rows = []
    for answers in recorded(BASES):
        tops = [answers.by_probe[probe.id].top or {} for probe in PROBES]
        weights = [np.exp(np.array([*top.values()])) for top in tops]
        drawn = [rng.choice(len(w), p=w / w.sum()) for w in weights]
        rows.append([beginning([*t][place]) for t, place in zip(tops, drawn, strict=True)])
    return affinity(from_tokens(rows))


def of_samples(names: Sequence[str], half: Sequence[str], draws: int = 5) -> str:
    """Return the AUC of one sample a prompt, over several draws."""
    found = []
    for seed in range(draws):
        rows = [*tested(names, sampled(seed), half)]
        parents = [row.found.effect for row in rows if row.kind in CHANGES]
        found.append(auc(parents, [r.found.effect for r in rows if r.kind == "unrelated"]))
    return f"{min(found):.2f} to {max(found):.2f}"


def findings(half: Sequence[str]) -> str:
    """Return how many descendants the whole finding calls a lead: with its controls, by change."""
    thresholds = BehaviourThresholds.load(ROOT / "suites" / "calibration" / "behaviour.json")
    answers = {a.model: a for a in recorded(BASES)}
    counts = dict.fromkeys(CHANGES, 0)
    for base in half:
        others = tuple(answers[b] for b in BASES if b != base)
        for change in CHANGES:
            paired = PairedAnswers(answers[f"{base}-{change}"], answers[base], others)
            found = next_token_agreement(paired, thresholds)
            counts[change] += found.direction is Direction.TOWARD_REUSE
    return ", ".join(f"{change} {n} of {len(half)}" for change, n in counts.items())


def cost(answers: Sequence[Answers]) -> str:
    """Return what a model was asked: queries and tokens."""
    asked = [[a.by_probe[p.id] for p in PROBES if p.id in a.by_probe] for a in answers]
    tokens = [sum((q.prompt_tokens or 0) + (q.completion_tokens or 0) for q in a) for a in asked]
    return (
        f"{np.mean([len(a) for a in asked]):.0f} queries and {np.mean(tokens):.0f} tokens a model"
    )


def main() -> None:
    """Print the tables."""
    print(f"{PUBLISHED}, about 100 queries. Ours, on small models of another kind:")
    print(f"{len(BASES) * (1 + len(CHANGES))} models, {cost(recorded(BASES))}.")
    for known in (TOP, TOKEN):
        names, each = likeness(known)
        tells = int(telling_prompts(each, SAME).sum())
        what = "five rivals" if known == TOP else "the token alone"
        print(f"\n{what}: {tells} of {len(PROBES)} prompts tell models apart")
        bar = None
        for half, families in HALVES.items():
            rows = [*tested(names, each, families)]
            bar = bar_of(rows) if bar is None else bar
            print(f" {half} {', '.join(families)}; bar {bar:.2f}")
            describe(rows, bar)
            if known == TOP:
                print(f"  leads with all controls: {findings(families)}")
                if half == "calibrated on":
                    print(f"  t0 and t1 by whole tokens: excess {whole_tokens(names)}")
                print(f"  one sample of the rivals a prompt: AUC {of_samples(names, families)}")


if __name__ == "__main__":
    main()
