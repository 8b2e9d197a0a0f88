"""The options: declared once, with the plugin's prefix and as the root conftest's aliases.

`--scratch-model` never collides with a foreign project's options, so an installed plugin
declares only prefixed ones. A project that owns its command line (this checkout does) adds the
short forms from its root conftest.py; both write to the same place.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEPTHS = ("metadata", "quick", "robust", "full")
LANGUAGES = ("en", "ko")
STARTED_AS = "scratch_started_as"  # the ini value by which our own commands name themselves
# What a run is written as: the option verdict-NAME, and its help. report.writing renders them.
REPORTS = {
    "json": "write the run as JSON",
    "md": "write the verdict as Markdown",
    "html": "write the verdict as one self-contained HTML page",
    "sarif": "write the findings as SARIF 2.1.0",
    "newick": "write the family tree of the run's models as Newick",
    "graphml": "write the family of the run's models as GraphML, merges with two parents",
    "cyclonedx": "write the run as CycloneDX 1.7 ML-BOM, with declarations",
    "spdx": "write the run as SPDX 3.0.1 with the AI profile",
    "eval-results": "write the policies' results as a file of .eval_results on the hub",
    "inspect": "write the run as a log that `inspect view` opens",
}
# What a format needs beyond the package: the module, and our extra that brings it.
REPORT_EXTRAS = {
    "cyclonedx": ("cyclonedx", "bom"),
}


class _PolicyNames(Collection[str]):
    """The policies that the package ships, for the help: read when it is shown, and not before.

    It refuses no name: others register policies too, and the run knows them all.
    """

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        from pytest_scratchverify.plugin.extensions import Shipped  # noqa: PLC0415 - only for --help

        return (policy.name for policy in Shipped.pytest_scratchverify_policies())

    def __len__(self) -> int:
        return sum(1 for _ in self)


POLICIES = _PolicyNames()


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """One option: its name without prefix, its ini twin's type, its help."""

    name: str
    help: str
    kind: str = "string"  # string, args (repeatable), bool
    metavar: str | None = None
    default: str | None = None
    choices: Collection[str] | None = None
    check: Callable[[str], str] | None = None

    @property
    def dest(self) -> str:
        """Return the attribute that holds the value, shared by both spellings."""
        return f"scratch_{self.name.replace('-', '_')}"


def _size(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?\s*([kKmMgGtT]i?)?[bB]?", text.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 16MB, 256MiB or bytes")
    return text


def _price(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?/\d+(\.\d+)?", text.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is no price; write IN/OUT, such as 0.15/0.60")
    return text


OPTIONS = (
    OptionSpec(
        "model",
        "model to test: repository id, glob over the matrix, or local folder (repeatable; "
        "default: the whole matrix)",
        kind="args",
        metavar="NAME",
    ),
    OptionSpec(
        "against",
        "reference to compare with, instead of the matrix's (repeatable)",
        kind="args",
        metavar="NAME",
    ),
    OptionSpec(
        "against-library",
        "folder of fingerprints to compare with, all of them, nearest first; made by "
        "`scratchverify fingerprint --library` (repeatable; beside --against)",
        kind="args",
        metavar="FOLDER",
    ),
    OptionSpec("revision", "branch, tag or commit of the tested model", metavar="REV"),
    OptionSpec(
        "component",
        "test only this component, such as vision_encoder (repeatable)",
        kind="args",
        metavar="NAME",
    ),
    OptionSpec(
        "declare",
        "reuse that the tested model's developer states: COMPONENT=NAME of the model or vocabulary "
        "that it comes from, such as tokenizer=org/parent (repeatable)",
        kind="args",
        metavar="COMPONENT=NAME",
    ),
    OptionSpec(
        "declarations",
        "file of declarations: the table [scratchverify] of a TOML file, or [tool.scratchverify] "
        "of a pyproject.toml",
        metavar="FILE",
    ),
    OptionSpec(
        "depth",
        "how much to read: %(choices)s (default: quick)",
        default="quick",
        choices=DEPTHS,
    ),
    OptionSpec(
        "byte-budget",
        "most bytes to read per model, such as 16MB (default: the depth's)",
        metavar="SIZE",
        check=_size,
    ),
    OptionSpec(
        "training-log",
        "training log of the model: a file, or one of its repository; MODEL=PATH for one of "
        "several (repeatable)",
        kind="args",
        metavar="PATH",
    ),
    OptionSpec(
        "answers",
        "recorded answers of the model (JSON lines): FILE, or NAME=FILE and NAME=URL for "
        "references and unrelated models (repeatable); with --endpoint, where answers are kept",
        kind="args",
        metavar="FILE",
    ),
    OptionSpec(
        "endpoint",
        "ask the running model: base URL of an OpenAI-compatible server, ending in /v1; its key "
        "is read from SCRATCHVERIFY_API_KEY",
        metavar="URL",
    ),
    OptionSpec(
        "endpoint-model", "the model's name on the endpoint (default: --model's)", metavar="NAME"
    ),
    OptionSpec(
        "endpoint-api",
        "interface of the endpoint: %(choices)s (default: chat; base models have no chat)",
        default="chat",
        choices=("chat", "completions"),
    ),
    OptionSpec(
        "endpoint-probes",
        "what to ask the endpoint: %(choices)s (default: all, about 1,290 requests; next-token: "
        "100 single tokens)",
        default="all",
        choices=("all", "next-token"),
    ),
    OptionSpec(
        "endpoint-price",
        "price of a million tokens, prompt/completion, such as 0.15/0.60: adds the cost",
        metavar="IN/OUT",
        check=_price,
    ),
    OptionSpec(
        "cluster",
        "with --depth full: let a Dask cluster read and compare; local, local:WORKERS or the "
        "scheduler's address, tcp://HOST:PORT",
        metavar="ADDRESS",
    ),
    OptionSpec("offline", "use no network: folders, cache and catalogue only", kind="bool"),
    OptionSpec(
        "policy",
        "policy to judge by: %(choices)s (repeatable; default: strict)",
        kind="args",
        metavar="NAME",
        choices=POLICIES,
    ),
    OptionSpec(
        "predecessor-verdict",
        "run.json in which an earlier model of the same developer was judged (repeatable)",
        kind="args",
        metavar="FILE",
    ),
    *(OptionSpec(f"verdict-{name}", help_, metavar="FILE") for name, help_ in REPORTS.items()),
    OptionSpec(
        "report-lang",
        "language of terminal and reports: %(choices)s (default: en)",
        default="en",
        choices=LANGUAGES,
    ),
    OptionSpec("matrix", "matrix file (default: suites/matrix.toml)", metavar="FILE"),
    OptionSpec(
        "undetermined",
        "what an undetermined run exits with: exit (code 10) or warn (code 0)",
        default="exit",
        choices=("exit", "warn"),
    ),
    OptionSpec(
        "junit",
        "whether verdict scalars are written as JUnit properties: yes or no",
        default="yes",
        choices=("yes", "no"),
    ),
)


def add_options(addoption: Callable[..., Any], prefix: str) -> None:
    """Declare every option under `prefix`; `addoption` is a parser's or a group's."""
    for option in OPTIONS:
        flag = f"{prefix}{option.name}"
        if option.kind == "bool":
            addoption(flag, action="store_true", default=None, dest=option.dest, help=option.help)
            continue
        keywords: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {}
        if option.choices is not None:
            keywords["choices"] = option.choices
        if option.check is not None:
            keywords["type"] = option.check
        action = "append" if option.kind == "args" else "store"
        addoption(flag, action=action, default=None, dest=option.dest, help=option.help, **keywords)


def add_ini_twins(addini: Callable[..., Any]) -> None:
    """Declare the ini twin of every option, ``scratch_`` and its name."""
    for option in OPTIONS:
        named = isinstance(option.choices, tuple)  # the policies would have to be read
        choices = ", ".join(option.choices or ()) if named else f"see --scratch-{option.name}"
        help_text = option.help.replace("%(choices)s", choices)
        addini(option.dest, help_text, type=option.kind, default=None)
    addini(STARTED_AS, "how our own commands were started; for the line that repeats a run")


def value(config: Any, name: str) -> Any:
    """Return an option's value: command line, then ini file, then default."""
    option = next(option for option in OPTIONS if option.name == name)
    given = config.getoption(option.dest, default=None)
    if given is not None:
        return given
    from_ini = config.getini(option.dest)
    if from_ini not in (None, "", []):
        if (
            option.choices is not None
            and option.kind == "string"
            and from_ini not in option.choices
        ):
            raise argparse.ArgumentTypeError(
                f"{option.dest} = {from_ini!r} in the ini file: choose from "
                f"{', '.join(option.choices)}"
            )
        return from_ini
    return [] if option.kind == "args" else option.default


FOLDER_OPTIONS = tuple(
    option
    for option in OPTIONS
    if option.name in ("model", "against", "training-log", "answers")  # may name a folder
)


def names_folders(given: Any) -> bool:
    """Whether a parsed command line sets an option that may name an untrusted folder."""
    return any(getattr(given, option.dest, None) for option in FOLDER_OPTIONS)


def is_used(config: Any) -> bool:
    """Whether this session has anything to do with us: an option or an ini value is set."""
    return any(
        config.getoption(option.dest, default=None) is not None
        or config.getini(option.dest) not in (None, "", [], False)
        for option in OPTIONS
    )


def as_path(config: Any, name: str) -> Path | None:
    """Return a path option, relative to where pytest was started."""
    given = value(config, name)
    if given in (None, "-"):  # the standard output
        return None if given is None else Path("-")
    return Path(config.invocation_params.dir) / str(given)
