"""What one pytest session knows: options, matrix, models, and the directory the run shares."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.matrix_file import read_matrix
from pytest_scratchverify.core.spec import Matrix, ModelSpec, Pair
from pytest_scratchverify.methods.behaviour.asking.locate import Given, given_answers
from pytest_scratchverify.methods.thresholds import read_calibration
from pytest_scratchverify.plugin import options
from pytest_scratchverify.plugin.declarations import with_declarations
from pytest_scratchverify.plugin.earlier_runs import judged_earlier
from pytest_scratchverify.plugin.extensions import Extensions
from pytest_scratchverify.plugin.given_inputs import check_answers, check_logs, check_reports
from pytest_scratchverify.plugin.selection import (
    library_entries,
    library_specs,
    pairs,
    select_components,
    select_models,
)
from pytest_scratchverify.verdict.predecessor import Judged

if TYPE_CHECKING:
    from pytest_scratchverify.stores.budget import ByteBudget
    from pytest_scratchverify.stores.library import LibraryEntry

SESSION = pytest.StashKey["Session"]()
RUN_DIRECTORY = "scratch_run_directory"  # the key in xdist's workerinput
KEPT_MODELS = 8  # tested models that stay open; of more, tests come model by model
DEPTH_BUDGETS = {"metadata": "64MiB", "quick": "80MiB", "robust": "320MiB", "full": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of one run, read once."""

    models: tuple[str, ...]
    against: tuple[str, ...]
    libraries: tuple[str, ...]
    declared: tuple[str, ...]
    revision: str | None
    components: frozenset[Component]
    depth: str
    byte_budget: str | None
    cluster: str | None
    offline: bool
    policies: tuple[str, ...]
    earlier: tuple[str, ...]  # stored runs that judged predecessors
    language: str
    undetermined: str
    junit: bool


def read_settings(config: pytest.Config, extensions: Extensions) -> Settings:
    """Read all options. Raises `ScratchError` on values that argparse cannot judge."""

    def get(name: str) -> Any:
        return options.value(config, name)

    policies = tuple(dict.fromkeys(get("policy"))) or ("strict",)
    extensions.policies_called(policies)
    return Settings(
        models=tuple(get("model")),
        against=tuple(get("against")),
        libraries=tuple(get("against-library")),
        declared=tuple(get("declare")),
        revision=get("revision"),
        components=select_components(get("component")),
        depth=get("depth"),
        byte_budget=get("byte-budget") or DEPTH_BUDGETS[get("depth")],
        cluster=get("cluster"),
        offline=bool(get("offline")),
        policies=policies,
        earlier=tuple(get("predecessor-verdict")),
        language=get("report-lang"),
        undetermined=get("undetermined"),
        junit=get("junit") == "yes",
    )


@dataclass
class Session:
    """The shared state of the plugin's parts in one process."""

    config: pytest.Config
    settings: Settings
    extensions: Extensions
    matrix: Matrix
    models: tuple[ModelSpec, ...]
    is_worker: bool
    run_path: Path
    owns_run_path: bool
    stores: dict[str, Any] = field(default_factory=dict)
    budgets: dict[str, ByteBudget] = field(default_factory=dict)  # of models, by name
    answers: Mapping[str, Given] = field(default_factory=dict)
    earlier: Mapping[str, Judged] = field(default_factory=dict)

    @cached_property
    def entries(self) -> Mapping[str, LibraryEntry]:
        """Return the entries of the run's libraries by model."""
        return library_entries(self.settings.libraries)

    @cached_property
    def library(self) -> tuple[ModelSpec, ...]:
        """Return what the libraries hold, as references."""
        return tuple(library_specs(self.entries, self.matrix))

    @cached_property
    def library_keys(self) -> frozenset[str]:
        """Return under which keys the stores of the libraries' fingerprints are open."""
        return frozenset(map(store_key, self.library))

    @cached_property
    def model_keys(self) -> frozenset[str]:
        """Return under which keys the stores of the tested models are open."""
        return frozenset(map(store_key, self.models))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Return every pair of the run."""
        return tuple(pairs(self.models, self.matrix, self.settings.against, self.library))

    def calibration(self, name: str) -> Mapping[str, Any]:
        """Return a frozen calibration file of the shipped suites, wherever the matrix lies.

        Raises `ScratchError`.
        """
        return read_calibration(suites_path() / "calibration" / f"{name}.json")

    def calibration_digest(self) -> str:
        """Return the sha256 of what `sha256sum` prints of all calibration files, sorted by name."""
        found = hashlib.sha256()
        for path in sorted((suites_path() / "calibration").glob("*.json")):
            found.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n".encode())
        return found.hexdigest()

    def close(self) -> None:
        """Remove the run's shared directory, in the process that made it."""
        if self.owns_run_path:
            shutil.rmtree(self.run_path, ignore_errors=True)


def store_key(spec: ModelSpec) -> str:
    """Name the store of a model among those that are open."""
    return spec.saved or f"{spec.name}@{spec.revision}"


def open_session(config: pytest.Config, extensions: Extensions) -> Session:
    """Read options and matrix. Raises `ScratchError` that the plugin turns into exit code 4."""
    settings = read_settings(config, extensions)
    matrix = read_matrix(matrix_path(config))
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        share_threads(int(worker_input.get("workercount", 1)))
    given = worker_input.get(RUN_DIRECTORY) if worker_input is not None else None
    models = with_declarations(
        select_models(settings.models, matrix, settings.revision),
        matrix,
        declared=settings.declared,
        file=options.as_path(config, "declarations"),
        references=settings.against,
    )
    session = Session(
        config=config,
        settings=settings,
        extensions=extensions,
        matrix=matrix,
        models=models,
        is_worker=worker_input is not None,
        run_path=Path(given) if given else Path(tempfile.mkdtemp(prefix="scratchverify-")),
        owns_run_path=given is None,
        earlier={} if worker_input is not None else judged_earlier(config, settings.earlier),
        answers=given_answers(
            options.value(config, "answers"),
            [model.name for model in models],
            options.value(config, "endpoint"),
            options.value(config, "endpoint-model"),
        ),
    )
    others = [
        pair.reference.name for pair in session.pairs
    ]  # mistakes of libraries and references are those of the command line
    if not session.is_worker:
        check_reports(config)
        check_logs(options.value(config, "training-log"), models, others)
        check_answers(session.answers.values(), offline=settings.offline)
    return session


def share_threads(workers: int) -> None:
    """Give every worker its share of threads, before numpy is imported.

    BLAS starts a thread per core in each process, and n workers with n threads each spin against
    one another: 721 s became 38 s in a project that capped them (ross#1389).
    """
    threads = str(max(1, (os.cpu_count() or 1) // max(1, workers)))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, threads)


def matrix_path(config: pytest.Config) -> Path:
    """Return the matrix file: the option, the ini value, or the one beside the suites."""
    given = config.getoption("scratch_matrix", default=None)
    if given is not None:
        return Path(config.invocation_params.dir) / str(given)
    from_ini = config.getini("scratch_matrix")
    if from_ini:
        return config.rootpath / str(from_ini)
    return suites_path() / "matrix.toml"


def suites_path() -> Path:
    """Return the folder of the shipped suites: in the checkout, or inside the wheel."""
    package = Path(__file__).parents[1]
    packaged = package / "_suites"
    return packaged if packaged.is_dir() else package.parent / "suites"
