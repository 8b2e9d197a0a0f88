"""Roles that were taken while others were drawn anew, and roles of models that share nothing."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from pytest_scratchverify import compare_weights
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.methods.weights.measure import measure
from pytest_scratchverify.methods.weights.roles_in_place import (
    ALIKE,
    RoleInPlace,
    RoleSums,
    inherited_share,
    roles_in_place,
    shared_roles,
)
from pytest_scratchverify.tensors.inventory import Slot
from tools.zoo.ready_models import READY, read_model

ATTENTION = ("self_attn",)


@pytest.fixture
def taken(tmp_path):
    """Return s1 with some tensors of a descendant of s0, as a finding against s0."""

    def compared(parts, layers=range(4), ours="s1", theirs="s0-finetune"):
        own, others = read_model(ours).tensors, read_model(theirs).tensors
        weights = {}
        for name in own:
            inside = ".layers." in name and int(name.split(".")[2]) in layers
            take = inside and any(part in name for part in parts)
            weights[name] = np.ascontiguousarray(
                (others if take else own)[name].astype(ml_dtypes.bfloat16)
            )
        for file in ("config.json", "tokenizer.json", "README.md"):
            if (READY / ours / file).exists():
                (tmp_path / file).write_bytes((READY / ours / file).read_bytes())
        save_file(weights, str(tmp_path / "model.safetensors"))
        return compare_weights(str(tmp_path), str(READY / "s0"), component="text_decoder")

    return compared


@pytest.mark.parametrize(
    ("parts", "layers", "roles", "share"),
    [
        (ATTENTION, range(4), {"q", "k", "v", "o"}, 0.266),
        pytest.param(("v_proj", "o_proj"), range(4), {"v", "o"}, 0.133, marks=pytest.mark.slow),
        pytest.param(("down_proj",), range(4), {"down"}, 0.244, marks=pytest.mark.slow),
        (("k_proj",), (1, 3), {"k"}, 0.022),
        (("gate_proj", "up_proj"), (0, 1), {"gate", "up"}, 0.244),
    ],
)
def test_roles_that_were_taken_are_named_with_their_share(taken, parts, layers, roles, share):
    found = taken(parts, layers)
    assert (found.outcome, found.relation) == (Outcome.DERIVED, Relation.DERIVED), found.headline
    assert found.pvalue < 1e-6
    assert found.details["inherited_share"] == pytest.approx(share, abs=0.002)
    table = found.details["roles"]
    alike = {
        kind
        for kind, row in table.items()
        if all(row["by_layer"][str(layer)] > 0.9 for layer in layers)
    }
    assert alike == roles
    others = [v for kind in table.keys() - roles for v in table[kind]["by_layer"].values()]
    assert max(map(abs, others)) < 0.05


@pytest.mark.parametrize("name", ["s0-twin", pytest.param("t0", marks=pytest.mark.slow)])
def test_a_twin_and_strangers_have_no_role_of_their_own_kind(name):
    found = compare_weights(str(READY / name), str(READY / "s0"), component="text_decoder")
    assert found.relation in (None, Relation.SHARED_INITIALISATION)
    assert "roles in their places" not in str(found.headline)


def independent(rng, size=48, layers=3):
    """Two draws of unequal rows and columns: heavy channels, heavy rows, one common mean."""
    batch = {}
    scales = [np.exp(rng.normal(size=size)) for _ in range(2)]
    for layer in range(layers):
        for kind, shape in (("q", (size, size)), ("gate", (2 * size, size)),
                            ("o", (size, size)), ("down", (size, 2 * size))):  # fmt: skip
            pair = []
            for scale in scales:
                values = rng.standard_t(3, size=shape) + 0.3
                by_channel = scale[:, None] if kind in ("o", "down") else scale[None]
                pair.append((values * by_channel).astype(np.float32))
            batch[Slot("text_decoder", kind, layer), 0] = tuple(pair)
    return batch


def roles_of(batch):
    sums = RoleSums()
    sums.add(batch)
    return roles_in_place(measure(Component.TEXT_DECODER, [batch]).similar, sums.pvalues())


def test_pvalues_of_roles_are_uniform_between_independent_draws():
    rng = np.random.default_rng(11)
    found = [roles_of(independent(rng)) for _ in range(60)]
    for kind in ("q", "gate", "o", "down"):
        values = np.sort([role.pvalue for roles in found for role in roles if role.kind == kind])
        grid = np.arange(1, len(values) + 1) / len(values)
        # Conservative is allowed, the contrary is not: Dvoretzky-Kiefer-Wolfowitz at 1e-4.
        assert float(np.max(grid - values)) < np.sqrt(np.log(1e4) / (2 * len(values))), kind
    bars = {"derived": 0.63, "shared": 0.05, "alpha": 2e-7, "undecided": 1e-4}
    assert not any(shared_roles(roles, **bars) for roles in found)


def test_a_seed_in_common_shares_every_role_and_so_none_was_taken():
    bars = {"derived": 0.63, "shared": 0.05, "alpha": 2e-7, "undecided": 1e-4}
    twin = [RoleInPlace(kind, {0: value, 1: value}, 1e-30)
            for kind, value in (("q", 0.95), ("gate", 0.2))]  # fmt: skip
    assert shared_roles(twin, **bars) is None
    part = [twin[0], RoleInPlace("gate", {0: 0.01, 1: -0.02}, 0.4)]
    found = shared_roles(part, **bars)
    assert [role.kind for role in found.inherited] == ["q"]
    assert found.layers == (0, 1)
    elsewhere = [twin[0], RoleInPlace("gate", {5: 0.01}, 0.4)]  # not in the layers of the other
    assert shared_roles(elsewhere, **bars) is None


def test_a_share_counts_whole_matrices_of_what_was_read():
    class Whole:
        rows, cols = 4, 8

    matrices = {Slot("text_decoder", kind, layer): Whole() for kind in "qk" for layer in (0, 1)}
    roles = [RoleInPlace("q", {0: 0.9, 1: ALIKE - 0.01}, 0.0), RoleInPlace("k", {0: 0.0}, 1.0)]
    assert inherited_share(roles, matrices, 128) == 0.25
    assert inherited_share(roles, matrices, 0) == 0.0
