"""Metrics that are no cross-entropy in nats per token, by the name of their column."""

from __future__ import annotations

import re

# of text, but in another unit or a divergence from a teacher; the start of none of them is ln(V)
OTHER_METRIC = re.compile(
    r"(^|[/_. ])(bits?|bpb|bpc|bpt|bpd|kl|kld|kl_?div(ergence)?|jsd?|distill(ation)?|kd"
    r"|perplexity|ppl|(bits|nats)_per_(byte|char(acter)?|token|dim|word))([/_. ]|$)"
)


def plain_name(name: str) -> str:
    """Return a column's name in lower case, words joined by underscores, without W&B's run."""
    plain = re.sub(r"[\s-]+", "_", name.rsplit(" - ", 1)[-1].strip().lower())
    return plain.replace("step/max_steps", "step")


def is_other_metric(name: str) -> bool:
    """Whether a name says that its values are no cross-entropy in nats per token."""
    return bool(OTHER_METRIC.search(plain_name(name)))
