"""The frozen calibration is what its command builds, and it makes no false accusation."""

from __future__ import annotations

import csv
import json
from itertools import combinations

import pytest

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.methods.tokenizer.rank_order import decide
from pytest_scratchverify.methods.tokenizer.relation import (
    Calibration,
    Figures,
    Relation,
    load_calibration,
    relation_of_figures,
)
from pytest_scratchverify.tokenizer.compare import compare
from tests.tokenizer.real_tokenizers import real
from tools.calibrate import tokenizer as tool
from tools.facts.artifact_registry import TOKENIZERS


@pytest.fixture(scope="module")
def vocabularies():
    found = {}
    for name in TOKENIZERS:
        found.setdefault(real(name).digest, real(name))
    return {tokenizer.name: tokenizer for tokenizer in found.values()}


def test_the_frozen_file_is_what_the_command_builds(vocabularies):
    frozen = json.loads(tool.OUT.read_text("utf-8"))
    rows = tool.known_pairs(vocabularies)
    assert [[row[c] for c in tool.COLUMNS] for row in rows] == frozen["pairs"]
    published = tool.published_pairs()
    assert tool.thresholds(rows, published) == frozen["thresholds"]
    assert tool.error_rates(rows, published) == frozen["error_rates"]


def test_no_error_when_each_lineage_is_left_out(calibration):
    rates = calibration.error_rates
    assert rates["independent_called_related"] == 0
    assert rates["related_missed"] == 0
    assert rates["independent"] > 780
    assert rates["lineages"] > 20


def test_the_null_holds_between_real_vocabularies(calibration):
    """Neighbours of 395 independent pairs are at most fair coins: p-values are conservative."""
    null = calibration.error_rates["null"]
    assert null["pairs"] > 390
    assert null["share_with_p_below_.05_at_one_half"] <= 0.05
    assert null["share_with_p_below_.01_at_one_half"] <= 0.01


def test_the_populations_are_far_apart(calibration):
    highest = max(pair["concordance"] for pair in calibration.independent)
    lowest = min(pair["concordance"] for pair in calibration.related)
    assert highest < 0.53
    assert lowest > 0.65
    overlap = max(pair["containment"] for pair in calibration.independent)
    assert overlap > 0.96  # overlap separates nothing


def test_all_real_pairs_are_judged_without_a_false_accusation(vocabularies, calibration):
    wrong = []
    for a, b in combinations(vocabularies.values(), 2):
        truth = tool.truth(TOKENIZERS[a.name].lineage, TOKENIZERS[b.name].lineage)
        relation = decide(a, b, calibration)[1].relation
        if truth == "independent" and relation is not Relation.INDEPENDENT:
            wrong.append((a.name, b.name, relation))
        if truth == "related" and relation in (Relation.INDEPENDENT, Relation.INCONCLUSIVE):
            wrong.append((a.name, b.name, relation))
    assert wrong == []


def test_the_1431_published_pairs_are_reproduced(published_csv, calibration):
    """Every labelled pair, from the published order statistics alone.

    206 pairs have no order (WordPiece, Unigram): nothing can be said of them without files.
    The four unclear ones are GPT-NeoX's vocabulary against Aquila's.
    """
    lineage = {a.csv: a.lineage for a in TOKENIZERS.values() if a.csv}
    lineage |= {"gemma3-270m(gguf)": "gemma3", "smollm2(gguf)": "smollm2", "minilm-bert": "bert"}
    with published_csv.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 1431
    counts = {"related": 0, "independent": 0, "unclear": 0, "no order": 0}
    for row in rows:
        truth = tool.truth(lineage[row["a"]], lineage[row["b"]])
        tau = float(row["res_kendall"]) if row["res_kendall"] else None
        share = float(row["res_lis_pct"]) / 100 if row["res_lis_pct"] else None
        relation = relation_of_figures(Figures(kendall=tau, ordered_share=share), calibration)
        expected = {
            "related": Relation.DERIVED,
            "independent": Relation.INDEPENDENT,
            "unclear": Relation.INCONCLUSIVE,
        }[truth]
        if tau is None:
            counts["no order"] += 1
            assert relation is Relation.INCONCLUSIVE
            continue
        counts[truth] += 1
        assert relation is expected, row
    assert counts == {"related": 104, "independent": 1117, "unclear": 4, "no order": 206}


def test_our_numbers_are_the_published_ones_where_both_exist(published_csv):
    """Kendall's tau of whole orders, on every eighth pair whose files are both here."""
    by_csv = {a.csv: name for name, a in TOKENIZERS.items() if a.csv}
    with published_csv.open(newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if r["res_kendall"]]
    known = [r for r in rows if r["a"] in by_csv and r["b"] in by_csv]
    differences = []
    for row in known[::24]:
        pair = compare(real(by_csv[row["a"]]), real(by_csv[row["b"]]), sample=None)
        differences.append(abs(pair.order.kendall - float(row["res_kendall"])))
    assert len(differences) > 40
    assert sorted(differences)[len(differences) // 2] < 0.005
    # Exporters list merges of SentencePiece models in another order than the ids.
    assert max(differences) < 0.05


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(ScratchError, match="cannot be read"):
        load_calibration(path)
    with pytest.raises(ScratchError, match="schema"):
        Calibration.from_json({"schema": "other"})
    with pytest.raises(ScratchError, match="tools/calibrate/tokenizer"):
        Calibration.from_json({})
