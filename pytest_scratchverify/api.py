"""The library's face: run the suites on a model, compare two models' weights, open one model.

``from pytest_scratchverify import verify, compare_weights, open_model``. There is one engine:
`verify` runs pytest on the shipped suites, and returns what ``--verdict-json`` writes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

from pytest_scratchverify.catalog.store import catalogue_store
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.matrix_file import read_matrix
from pytest_scratchverify.core.spec import Pair, Role
from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.plugin.isolated_run import run_isolated
from pytest_scratchverify.plugin.options import DEPTHS, OPTIONS
from pytest_scratchverify.plugin.selection import is_itself, resolve_name, select_components
from pytest_scratchverify.plugin.session import DEPTH_BUDGETS, suites_path
from pytest_scratchverify.stores.budget import ByteBudget, parse_size
from pytest_scratchverify.stores.declared_bases import is_named
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.adapted import with_base
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.serialization import run_from_json

Name: TypeAlias = str | Path
Names: TypeAlias = Name | Sequence[Name]


class Options(TypedDict, total=False):
    """The plugin's other options, as ``pytest --help`` describes them."""

    against_library: Names
    declare: str | Sequence[str]
    declarations: Name
    cluster: str
    byte_budget: str
    training_log: Names
    answers: Names
    endpoint: str
    endpoint_model: str
    endpoint_api: str
    endpoint_price: str
    endpoint_probes: str
    offline: bool
    policy: str | Sequence[str]
    predecessor_verdict: Names
    verdict_json: Name
    verdict_md: Name
    verdict_html: Name
    verdict_sarif: Name
    verdict_newick: Name
    verdict_graphml: Name
    verdict_cyclonedx: Name
    verdict_spdx: Name
    verdict_eval_results: Name
    verdict_inspect: Name
    report_lang: str
    matrix: Name
    undetermined: str
    junit: str


def verify(  # noqa: PLR0913 - what a command line would say
    model: Names,
    *,
    against: Names = (),
    revision: str | None = None,
    component: str | Sequence[str] = (),
    depth: str = "quick",
    suites: Sequence[str] = (),
    plugins: Sequence[str] = (),
    quiet: bool = True,
    **options: Unpack[Options],
) -> Run:
    """Run the shipped suites on one or several models, and return the finished run.

    Parameters
    ----------
    model, against : name or names
        Repository ids, folders, fingerprints; see the options of the same names.
    revision : str, optional
        Branch, tag or commit of the tested model.
    component : str or names
        Only these components; all of them by default.
    depth : str
        How much is read: metadata, quick, robust, full.
    suites, plugins : sequence of str
        Packages of tests and plugin modules of third parties (docs/extending.md). No plugin is
        loaded that is not named here.
    quiet : bool
        Print nothing; False lets pytest print as it does.
    **options
        Every other option of the plugin, with underscores: ``byte_budget="16MB"``.

    Raises
    ------
    ScratchError
        What would have ended the command with exit code 4, as one line.
    """
    named = {"model": model, "against": against, "revision": revision, "component": component}
    given: dict[str, Any] = {**named, "depth": depth, **options}
    unknown = sorted(given.keys() - {option.name.replace("-", "_") for option in OPTIONS})
    if unknown:
        raise TypeError(f"verify() got an unexpected keyword argument {unknown[0]!r}")
    with tempfile.TemporaryDirectory(prefix="scratchverify-") as folder:
        target = Path(given.setdefault("verdict_json", Path(folder) / "run.json"))
        target.unlink(missing_ok=True)
        failure = run_isolated(given, Path(folder), suites=suites, plugins=plugins, quiet=quiet)
        if not target.is_file():
            raise ScratchError(failure)
        return run_from_json(target.read_text("utf-8"))


def compare_weights(  # noqa: PLR0913 - what a command line would say
    model: Name,
    reference: Name,
    *,
    component: str = "text_decoder",
    depth: str = "quick",
    byte_budget: str | None = None,
    offline: bool = False,
) -> Finding:
    """Compare one component's weights of two models, as the test ``weights.origin`` does.

    One finding is no verdict: a verdict also weighs what else was tested (`verify`). Tensor names
    that other packages register are not asked here; `verify` asks those of its `plugins`.

    Raises
    ------
    ScratchError
        A name, a component or a depth that does not exist, as one line.
    Unavailable
        Where the weights of either cannot be read, or both are one model.
    """
    if depth not in DEPTHS[1:]:
        raise ScratchError(f"depth {depth!r} reads no weights; choose from {', '.join(DEPTHS[1:])}")
    matrix = read_matrix(suites_path() / "matrix.toml")
    ours = resolve_name(str(model), matrix)
    theirs = resolve_name(str(reference), matrix, role=Role.REFERENCE)
    pair = Pair(ours, theirs, is_itself(ours, theirs))
    if pair.itself:
        raise pair.same_model()
    part = Component(min(select_components([component])))
    size = byte_budget or DEPTH_BUDGETS[depth]
    mine, other = (
        open_model(spec.name, spec.revision, byte_budget=size, offline=offline)
        for spec in (ours, theirs)
    )

    def find(base: str) -> ArtifactStore | None:
        if not is_named(theirs.name, base):
            return None
        return open_model(theirs.name, theirs.revision, byte_budget=size, offline=offline)

    mine = with_base(mine, find)
    hypothesis = ComponentHypothesis(
        pair=pair,
        component=part,
        depth=depth,
        limit=parse_size(size) if size else None,
        declared=names_base_model(pair, mine, part),
    )
    thresholds = json.loads((suites_path() / "calibration" / "weights.json").read_text("utf-8"))
    return weights_origin(hypothesis, mine, other, thresholds)


def open_model(
    name: Name,
    revision: str | None = None,
    *,
    byte_budget: str | None = None,
    offline: bool = False,
) -> ArtifactStore:
    """Open a model wherever it can be read: folder, fingerprint, hub, cache, catalogue.

    `byte_budget` is the most that may be read of it, such as ``"16MB"``.

    Raises
    ------
    Unavailable
        Where no place knows the model; what is missing of a known one is said when it is read.
    """
    scratch = tempfile.mkdtemp(prefix="scratchverify-")
    try:
        store = open_store(
            str(name),
            revision,
            run_dir=RunDirectory(Path(scratch)),
            offline=offline,
            budget=ByteBudget.parse(byte_budget),
            catalogue=catalogue_store,
        )
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    weakref.finalize(store, shutil.rmtree, scratch, ignore_errors=True)
    return store
