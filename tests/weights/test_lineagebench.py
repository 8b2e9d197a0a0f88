"""The published table is read as it was published, and its two misses are found on rebuilt kinds."""

from __future__ import annotations

import pytest

from benchmarks.lineagebench import (
    PUBLISHED,
    auroc,
    read_table,
    run,
    score,
    stand_in,
    summary,
)


def test_the_published_pairs_are_those_of_the_published_counts():
    """13 positives, two suspects outside the score, 107 pairs across families."""
    table = read_table(PUBLISHED)
    scored = [one for one in table.suspects if one.scored]
    assert (len(table.suspects), len(table.families)) == (15, 8)
    assert len(scored) == table.published["positives"] == 13
    assert len(table.negatives()) == table.published["negatives"] == 107
    assert min(one.published for one in scored) == table.published["weakest_positive"]
    assert {one.base for one in table.suspects} <= set(table.families)


def said(outcome, p, toward="none", kinds=()):
    return {"said": outcome, "p": p, "toward": toward, "kinds": kinds, "why": "x"}


def test_a_pair_that_was_not_read_is_neither_found_nor_cleared():
    unread = {"said": "not read", "why": "gated"}
    assert score(unread) is None
    assert score(said("consistent", 0.001)) == 0.0
    assert score(said("derived", 1e-40, "toward_reuse")) == pytest.approx(40)
    text = summary([said("derived", 1e-9, "toward_reuse"), unread], [said("consistent", 0.3)], {})
    assert "of 1 scored suspects read (of 2) 1 called derived" in text
    assert "of 1 unrelated pairs read (of 1) 0 accused" in text


def test_auroc_by_hand():
    assert auroc([3, 2], [1, 2]) == pytest.approx(7 / 8)
    assert auroc([], [1]) is None


@pytest.mark.slow
def test_the_two_published_misses_are_found_on_rebuilt_kinds(tmp_path, capsys):
    """A decoder deepened by repetition, and a GPTQ copy: by ranges, from a hub on loopback."""
    with stand_in() as (table, hub, _):
        made = run(table, "quick", hub.environment(tmp_path))
        for pair in table.negatives():
            assert made["answers"][" ".join(pair)]["said"] == "consistent"
        for one in table.suspects:
            assert made["answers"][f"{one.name} {one.base}"]["said"] == "derived", one
    printed = capsys.readouterr().out
    assert "STAND-IN" in printed
    assert "layers repeated" in printed
    assert "quantised copy" in printed
