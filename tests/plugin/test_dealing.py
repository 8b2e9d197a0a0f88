"""With `-n`, the tests of one model go to one worker; of many models few stay open at once."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Intent
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.plugin import model_stores
from pytest_scratchverify.plugin.dealing import units
from pytest_scratchverify.plugin.session import KEPT_MODELS, store_key
from tools.running import run_suites
from tools.zoo.ready_models import READY


def intents(models, references):
    return [
        Intent(
            nodeid=f"{test}[{m}:{r}]",
            method=f"weights.{test}",
            component=Component.TEXT_DECODER,
            model=f"m{m}",
            reference=f"r{r}",
        )
        for test in ("a", "b")
        for m in range(models)
        for r in range(references)
    ]


@pytest.mark.parametrize(
    ("models", "references", "workers", "together"),
    [(100, 100, 8, 200), (4, 3, 2, 6), (1, 100, 8, 2), (3, 2, 2, 2), (1, 1, 2, 1), (2, 1, 4, 1)],
)
def test_the_coarsest_deal_that_keeps_all_workers_busy(models, references, workers, together):
    dealt = units(intents(models, references), workers)
    sizes = {}
    for unit in dealt.values():
        sizes[unit] = sizes.get(unit, 0) + 1
    assert set(sizes.values()) == {together}
    assert len(dealt) == 2 * models * references


def test_tests_that_kill_their_workers_cost_one_model_and_no_more(suite, run, pytester):
    """Dealt by model: a dead worker's model goes on with another, without the test it died of."""
    suite(text_decoder="crash")
    lines = [f'"org/m{n}" = {{ against = ["org/r1", "org/r2"] }}' for n in range(5)]
    (pytester.path / "matrix.toml").write_text("\n".join(["[models]", *lines]))
    path = pytester.path / "test_suite.py"
    only = 'if wanted == "crash" and pair.model.name == "org/m1":'
    text = path.read_text().replace('if wanted == "crash":', only)
    path.write_text(
        text.replace("Outcome(wanted)", 'Outcome(wanted.replace("crash", "consistent"))')
    )
    result, found = run("-n", "2")
    assert result.ret == 10, result.stdout.str()
    assert found["plan"]["planned"] - found["plan"]["arrived"] == 2  # its two references
    assert all("org/m1" in nodeid for nodeid in found["plan"]["missing"])


def test_few_models_stay_open_and_failures_are_remembered(monkeypatch):
    models = tuple(ModelSpec(name=f"org/m{n}") for n in range(3 * KEPT_MODELS))
    bad = store_key(models[0])
    opened = []

    def found(_, spec):
        opened.append(spec.name)
        gone = Unavailable(Reason.ABSENT, Text("gone"), Text("none"))
        return gone if store_key(spec) == bad else SimpleNamespace(spec=spec)

    monkeypatch.setattr(model_stores, "_open", found)
    session = SimpleNamespace(
        stores={}, library_keys=frozenset(), model_keys=frozenset(map(store_key, models))
    )
    for spec in models:
        for _ in range(3):
            if store_key(spec) == bad:
                with pytest.raises(Unavailable):
                    model_stores.open_model(session, spec)
            else:
                assert model_stores.open_model(session, spec).spec is spec
    assert len(session.stores) <= KEPT_MODELS + 1
    assert bad in session.stores
    assert len(opened) == len(models)  # asked model by model, each is opened once


@pytest.mark.slow
def test_a_worker_reads_all_of_its_models_and_the_run_is_the_serial_one(tmp_path):
    models = [f"--model={READY / name}" for name in ("s0-finetune", "s1", "t0", "moe0")]
    asked = [*models, f"--against={READY / 's0'}", "-m", "weights", "-p", "no:cacheprovider"]
    homes = [tmp_path / name for name in ("alone", "dealt")]
    for home in homes:
        home.mkdir()
    alone = run_suites(*asked, "--component", "lm_head", home=homes[0])
    dealt = run_suites(*asked, "--component", "lm_head", "-n", "2", "-v", home=homes[1])
    assert dealt.json_bytes == alone.json_bytes
    where = {}
    for line in dealt.output.splitlines():
        if line.startswith("[gw") and "[" in line[5:]:
            model = next((m for m in models if f"[{m.removeprefix('--model=')}" in line), None)
            where.setdefault(model, set()).add(line[:5])
    assert {m: len(w) for m, w in where.items() if m} == dict.fromkeys(models, 1), json.dumps(
        {str(m): sorted(w) for m, w in where.items()}
    )
