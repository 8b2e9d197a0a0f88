"""Answers for the suites: recorded or asked, once per run however many processes there are."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.methods.behaviour.asking import Answers, Probe, probe_set
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.asking.ask import Progress, ask_missing
from pytest_scratchverify.methods.behaviour.asking.endpoint import Endpoint
from pytest_scratchverify.methods.behaviour.asking.locate import Given, is_loopback, no_answers
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.usable import FEWEST_UNRELATED
from pytest_scratchverify.plugin import options
from pytest_scratchverify.plugin.session import Session
from pytest_scratchverify.stores.disk.run_directory import RunDirectory

A_DAY = 86_400.0  # a slow server may take hours while the other workers wait


class RunAnswers:
    """What every model of the run answered."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._read: dict[str, Answers | Unavailable] = {}

    def of(self, model: str) -> Answers:
        """Return a model's answers. Raises `Unavailable`, each time anew."""
        if model not in self._read:
            try:
                self._read[model] = self._find(model)
            except Unavailable as failure:
                self._read[model] = failure
        found = self._read[model]
        if isinstance(found, Unavailable):
            raise Unavailable(found.reason, found.what, found.remedy)
        return found

    def paired(self, pair: Pair) -> PairedAnswers:
        """Return a pair's answers beside those of the models that serve as unrelated ones.

        These are models that were given with --answers and are no reference of the tested
        model; where they are fewer than three, its other references join them.
        """
        tested = [p.reference.name for p in self.session.pairs if p.model == pair.model]
        given = [m for m in sorted(self.session.answers) if m not in self._pair_names(pair)]
        unrelated = [model for model in given if model not in tested]
        if len(unrelated) < FEWEST_UNRELATED:
            unrelated = given
        mine, theirs = self.of(pair.model.name), self.of(pair.reference.name)
        return PairedAnswers(mine, theirs, self._all(unrelated), max(1, len(tested)))

    def beside(self, model: ModelSpec) -> PairedAnswers:
        """Return a model's answers beside everybody's, for the tree."""
        mine = self.of(model.name)
        others = [name for name in sorted(self.session.answers) if name != model.name]
        return PairedAnswers(mine, mine, self._all(others))

    @staticmethod
    def record(answers: Answers) -> ArtifactRecord:
        """Return the record of what was read of a model's answers, equal in every process."""
        live = answers.source.startswith("http")
        return ArtifactRecord(
            repo=answers.model,
            file=answers.source,
            source=Source.ENDPOINT if live else Source.FOLDER,
            bytes_read=answers.bytes,
            bytes_total=answers.bytes,
            digest=answers.digest,
        )

    def price(self) -> tuple[float, float] | None:
        """Return the price per million tokens that was given."""
        text = options.value(self.session.config, "endpoint-price")
        if text is None:
            return None
        prompt, completion = str(text).split("/")
        return float(prompt), float(completion)

    @property
    def _probes(self) -> tuple[Probe, ...]:
        """What a server is asked."""
        return probe_set(options.value(self.session.config, "endpoint-probes"))

    @staticmethod
    def _pair_names(pair: Pair) -> tuple[str, str]:
        return pair.model.name, pair.reference.name

    def _all(self, names: list[str]) -> tuple[Answers, ...]:
        found = []
        for name in names:
            try:
                found.append(self.of(name))
            except Unavailable:  # an unrelated model less; the finding counts those it has
                continue
        return tuple(found)

    def _find(self, model: str) -> Answers:
        given = self.session.answers.get(model)
        if given is None:
            raise no_answers(model)
        if given.url is None:
            assert given.path is not None  # noqa: S101 - locate gives one or the other
            return read_answers(given.path, model)
        if self.session.settings.offline and not is_loopback(given.url):
            raise Unavailable(
                Reason.OFFLINE,
                Text("The run is offline, and {model}'s endpoint is not on this machine.",
                     model=model),
                Text("Give recorded answers with --answers, or leave out --offline."),
            )  # fmt: skip
        shared = RunDirectory(self.session.run_path / "answers", lock_timeout=A_DAY)
        done: Any = shared.once("asked", model, lambda: self._ask(given))
        answers = read_answers(Path(done["path"]), model)
        stopped = Text(
            "{model}'s server failed while it was asked ({error}): nothing is concluded; a later"
            " run goes on where this one stopped.",
            model=model,
            error=done["gave_up"],
        )
        notes = (stopped,) if done["gave_up"] else ()
        return replace(answers, source=done["url"], notes=notes)

    def _ask(self, given: Given) -> dict[str, Any]:
        assert given.url is not None  # noqa: S101 - only called with one
        endpoint = Endpoint(
            url=given.url,
            model=given.served_as or given.model,
            api=options.value(self.session.config, "endpoint-api"),
        )
        path = given.path or cached_answers_path(endpoint)
        with progress_bar(self.session, given.model, len(self._probes)) as progress:
            done = ask_missing(endpoint, self._probes, path, progress)
        return {"path": str(path), "url": endpoint.shown, "gave_up": done.gave_up}


def cached_answers_path(endpoint: Endpoint) -> Path:
    """Return the file where answers of an endpoint are kept between runs."""
    import huggingface_hub  # noqa: PLC0415 - its cache is where everything of ours is kept

    digest = hashlib.sha256(f"{endpoint.shown}\n{endpoint.model}".encode()).hexdigest()[:24]
    folder = huggingface_hub.cached_assets_path(
        library_name="scratchverify", namespace="answers", subfolder=endpoint.api
    )
    return folder / f"{digest}.jsonl"


@contextmanager
def progress_bar(session: Session, model: str, probes: int) -> Iterator[Progress | None]:
    """Show a bar on a terminal, above pytest's dots; elsewhere a line, and from workers nothing."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = session.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        if session.is_worker or reporter is None:
            yield None
            return
        reporter.ensure_newline()
        model = visible(model)
        if not sys.stderr.isatty():
            reporter.write_line(f"asking {model}: {probes} probes")
            yield None
            return
        from tqdm import tqdm  # noqa: PLC0415 - comes with huggingface_hub

        with tqdm(desc=f"asking {model}", unit="probe", leave=False, file=sys.stderr) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield show
