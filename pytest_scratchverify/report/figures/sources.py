"""Figure data that findings hold without saying so: read from their details and controls.

Methods that measure layers, controls and shares keep them as plain details. Nothing is
computed here beyond picking them out, so a report made later shows what the run measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pytest_scratchverify.core.evidence import Finding, Outcome

Data = dict[str, Any]
DECIDED = (Outcome.DERIVED, Outcome.DECLARED)
IN_PLACE = ("aligned numbering", "all steps")  # steps whose effect is the cosine in place
SERIES = ("raw", "shuffled", "centred")
ANY_BASIS = "matching in any basis"
DISGUISED = ", disguised"  # of control pairs that are recognised in any basis, on another scale


def picked(finding: Finding) -> Iterator[tuple[str, Data]]:
    """Yield (kind, data) of every figure that the finding's own numbers make."""
    for kind, pick in _SOURCES.items():
        try:
            data = pick(finding)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            continue  # details of a foreign run.json may hold anything
        if data is not None:
            yield kind, data


def _layers(finding: Finding) -> Data | None:
    if finding.method != "weights.origin":
        return None
    found: Any = finding.details["by_layer"]
    values = {int(layer): float(value) for layer, value in found.items() if int(layer) >= 0}
    if len(values) < 2:
        return None
    layers = sorted(values)
    in_place = finding.effect is not None and finding.effect.name == "aligned_centred_cosine"
    elements = finding.effect.n if finding.effect is not None and in_place else None
    known = _known(finding)
    return {
        "layers": layers,
        "values": [values[layer] for layer in layers],
        "per_layer": elements // len(layers) if elements else None,
        "positive": next(iter(known["positive"]), None),
        "negative": next(iter(known["negative"]), None),
    }


def _known(finding: Finding) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"positive": [], "negative": [], "self_permuted": []}
    for control in finding.controls:
        if control.value is not None and not control.pair[1].endswith(DISGUISED):
            found.setdefault(control.kind, []).append(float(control.value))
    return found


_SHOWN = {"weights.origin", "tokenizer.rank_order"}
_COMPARABLE = {"aligned_centred_cosine", "inherited_order_share"}  # as their controls are


def _controls(finding: Finding) -> Data | None:
    """The effect beside the same number on pairs of known truth."""
    if finding.details.get("step") == ANY_BASIS:
        return _controls_in_any_basis(finding)
    known = _known(finding)
    effect = finding.effect
    if finding.method == "weights.origin" and finding.details.get("step") not in IN_PLACE:
        return None  # its effect is of another kind than its controls' values
    if finding.method not in _SHOWN or effect is None or effect.name not in _COMPARABLE:
        return None
    if effect.value is None or not (known["positive"] and known["negative"]):
        return None
    data: Data = {"name": effect.name, "observed": effect.value, **known}
    if effect.low is not None and effect.high is not None:
        data["interval"] = [effect.low, effect.high]
    return data


def _controls_in_any_basis(finding: Finding) -> Data | None:
    """The share of neurons recognised whatever the basis, beside disguised pairs."""
    basis: Any = finding.details["any_basis"]
    data: Data = {"name": "neurons_recognised", "observed": float(basis["share"]),
                  "positive": [], "negative": [], "self_permuted": []}  # fmt: skip
    for control in finding.controls:
        if control.value is not None and control.pair[1].endswith(DISGUISED):
            data[control.kind].append(float(control.value))
    return data if data["positive"] and data["negative"] else None


def _null(finding: Finding) -> Data | None:
    """Neurons that keep their number: under the null a Poisson count, one a group expected."""
    statistic, null = finding.statistic, finding.null
    if statistic is None or null is None or statistic.name != "neurons_that_keep_their_number":
        return None
    groups = int(str(null.description.params["groups"]))
    if statistic.value is None or not 0 < groups <= 1000:
        return None
    return {"groups": groups, "observed": int(statistic.value), "n": statistic.n}


def _gains(finding: Finding) -> Data | None:
    if finding.method != "weights.layernorm":
        return None
    found: Any = finding.details["norm_gains"]
    names = ("raw_cosine", "raw_null", "centred_cosine", "p", "z", "vectors")
    return {name: found[name] for name in names}


def _series(finding: Finding) -> Data | None:
    """What was published of a pair's norms by layer: raw, raw after shuffling, centred."""
    if finding.method != "weights.layernorm_published":
        return None
    found: Any = finding.details["published"]
    layers = [int(layer) for layer in found["layers"]]
    data: Data = {name: [float(value) for value in found[name]] for name in SERIES}
    same = all(len(data[name]) == len(layers) for name in SERIES)
    return {"layers": layers, **data} if same and len(layers) > 1 else None


def _map(finding: Finding) -> Data | None:
    if finding.method != "weights.origin" or finding.outcome not in DECIDED:
        return None
    basis: Any = finding.details.get("any_basis")
    if isinstance(basis, dict) and basis.get("layers"):
        rows = basis["layers"]
        found = [(int(row[0]), int(row[2]), float(row[4])) for row in rows if row[0] and row[2]]
    else:
        table: Any = finding.details["layer_map"]
        found = [(ours, theirs, 1.0) for ours, theirs in enumerate(table["pairs"]) if theirs >= 0]
    if len(found) < 2:
        return None
    return {name: [row[i] for row in found] for i, name in enumerate(("ours", "theirs", "share"))}


def _table(finding: Finding) -> Data | None:
    """Every layer against every layer, where such a table was measured."""
    if finding.method != "weights.origin":
        return None
    found: Any = finding.details["layer_map"]
    rows = [str(row) for row in found["thousandths"]]
    return {"rows": rows} if len(rows) > 1 else None


def _merge(finding: Finding) -> Data | None:
    if finding.method != "weights.merge" or finding.relation != "merge":
        return None
    found: Any = finding.details
    layers = sorted(int(layer) for layer in found["by_layer"] if int(layer) >= 0)
    return {
        "parents": [str(name) for name in found["parents"]],
        "layers": layers,
        "shares": [[float(v) for v in found["by_layer"][str(layer)]] for layer in layers],
        "explained": float(found["explained"]),
        "trained_on": _trained_on(found),
    }


def _trained_on(found: Any) -> bool:
    """Whether training after the merge moved the layers away from its shares."""
    rows = found.get("rows_left_alone")
    if rows is None or not rows["taken"]:
        return False
    both = zip(found["shares"], found["shares_of_all_weights"], strict=True)
    return any(abs(a - b) > 0.05 for a, b in both)


def _tree(finding: Finding) -> Data | None:
    newick = finding.details["newick"]
    return {"newick": newick, "model": finding.model} if isinstance(newick, str) else None


_SOURCES: dict[str, Callable[[Finding], Data | None]] = {
    "similarity_by_layer": _layers,
    "null_and_observed": _null,
    "known_pairs": _controls,
    "norm_gains": _gains,
    "norm_series": _series,
    "layer_map": _map,
    "layer_table": _table,
    "merge_shares": _merge,
    "tree": _tree,
}
