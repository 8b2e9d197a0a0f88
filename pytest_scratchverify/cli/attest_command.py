"""`scratchverify attest` signs what a run says; `verify-attestation` checks it, runs it again."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_scratchverify.cli.attested import Attested, SignedRun, read_statement
from pytest_scratchverify.cli.printing import Arguments, complain, say
from pytest_scratchverify.cli.rerun import differences, run_again
from pytest_scratchverify.cli.saved_runs import RUN, UnreadableError, read_run
from pytest_scratchverify.cli.signing import (
    PASSWORD,
    SignatureError,
    Signed,
    checked_by_key,
    checked_by_sigstore,
    signed_by_key,
    signed_by_sigstore,
)
from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import reading
from pytest_scratchverify.plugin.options import LANGUAGES
from pytest_scratchverify.report.attestation import COMMIT, SUMS, statement_of
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.store import ArtifactStore, weights_digest

OTHER, UNREADABLE, UNDETERMINED = 1, 2, 10
STANDARD_OUTPUT = Path("-")


def attest_arguments() -> Arguments:
    """Return the parser of ``scratchverify attest``."""
    parser = Arguments(prog="scratchverify attest", description=attest.__doc__)
    parser.add_argument("run", type=Path, help=RUN)
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument(
        "--key", type=Path, metavar="KEY.pem",
        help=f"private key (Ed25519, ECDSA, RSA); its password is read from {PASSWORD}",
    )  # fmt: skip
    by.add_argument("--sigstore", action="store_true", help="sign by sigstore; needs a network")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", default=STANDARD_OUTPUT,
        help="where the attestation is written (default: -, the standard output)",
    )  # fmt: skip
    return parser


def attest(arguments: list[str]) -> int:
    """Sign what a stored run says as an in-toto statement in a DSSE envelope."""
    given = attest_arguments().parse_args(arguments)
    try:
        run = read_run(given.run)
        with reading(str(given.run)):
            statement = statement_of(run)
        signed = signed_by_key(statement, given.key) if given.key else signed_by_sigstore(statement)
        if given.out == STANDARD_OUTPUT:
            sys.stdout.write(signed)
        else:
            given.out.write_text(signed, "utf-8")
    except (UnreadableError, ScratchError, Unavailable) as failure:
        complain(str(failure))
        return UNREADABLE
    except OSError as error:
        complain(f"{given.out} could not be written: {error.strerror or error}")
        return UNREADABLE
    return 0


def verify_arguments() -> Arguments:
    """Return the parser of ``scratchverify verify-attestation``."""
    parser = Arguments(prog="scratchverify verify-attestation", description=verify.__doc__)
    parser.add_argument("file", type=Path, help="an attestation that `scratchverify attest` wrote")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument("--key", type=Path, metavar="PUB.pem", help="public key of whoever signed")
    by.add_argument("--sigstore", action="store_true", help="signed by sigstore; needs a network")
    parser.add_argument("--identity", help="with --sigstore: whose signature is trusted")
    parser.add_argument("--issuer", metavar="URL", help="with --sigstore: who vouches for it")
    parser.add_argument(
        "--model", action="append", default=[], metavar="PLACE",
        help="folder or repository in which the attested model lies now (default: as it was named"
        " then); NAME=PLACE for one of several (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--rerun", action="store_true", help="run the tests again and compare the verdicts"
    )
    parser.add_argument(
        "--report-lang", choices=LANGUAGES, default="en",
        help="language of what is said (default: en)",
    )  # fmt: skip
    return parser


def verify(arguments: list[str]) -> int:
    """Check an attestation: signature, digests of the files at hand, with --rerun the verdicts.

    Exit code 0: all of it holds; 1: something does not; 2: no attestation, or a wrong option; 10:
    nothing speaks against it, but not all could be checked.
    """
    parser = verify_arguments()
    given = parser.parse_args(arguments)
    if given.sigstore and not given.identity:
        parser.error("--sigstore needs --identity: a signature of anybody says nothing")
    try:
        signed = _signed(given)
        said = read_statement(signed.payload)
        places = _places(given.model, [one.model for one in said.models])
    except SignatureError as failure:
        complain(str(failure))
        return OTHER
    except ScratchError as failure:
        complain(str(failure))
        return UNREADABLE
    checked = _Check(said, places, given.report_lang)
    checked.tell(Text("signature: good, {signer}", signer=signed.signer))
    checked.tell_verdicts()
    checked.check_digests()
    if given.rerun:
        checked.check_verdicts()
    return checked.code


def _signed(given: Namespace) -> Signed:
    if given.sigstore:
        return checked_by_sigstore(given.file, given.identity, given.issuer)
    return checked_by_key(given.file, given.key)


def _places(given: Sequence[str], models: Sequence[str]) -> dict[str, str]:
    """Return where each attested model lies now. Raises `ScratchError` for a name that is none."""
    places = {name: name for name in models}
    for entry in given:
        name, joined, place = entry.partition("=")
        if joined and name in places:
            places[name] = place
        elif len(models) == 1:
            places[models[0]] = entry
        else:
            raise ScratchError(f"--model {entry}: write NAME=PLACE; attested: {', '.join(models)}")
    return places


@dataclass
class _Check:
    """One attestation under check: what it says, where its models lie, and what was found."""

    said: SignedRun
    places: Mapping[str, str]
    language: str
    code: int = field(default=0)

    def tell(self, text: Text) -> None:
        """Print a line."""
        say(translate(text, self.language))

    def differs(self, lines: Iterable[Text]) -> None:
        """Print what does not hold."""
        for line in lines:
            self.code = OTHER
            self.tell(line)

    def open(self, line: Text) -> None:
        """Print what could not be checked; it takes back no difference."""
        self.code = self.code or UNDETERMINED
        self.tell(line)

    def tell_verdicts(self) -> None:
        """Print what is attested."""
        self.tell(Text("attested by: pytest-scratchverify {version}", version=self.said.version))
        if self.said.partial:
            self.tell(Text("the run was partial"))
        for model in self.said.models:
            for name, result in model.policies.items():
                self.tell(
                    Text("  {model}, {policy}: {result}",
                         model=model.model, policy=name, result=result)
                )  # fmt: skip
            for name, (verdict, reference) in model.verdicts.items():
                said = f"{verdict} ({reference})" if reference else verdict
                self.tell(Text("    {component}: {verdict}", component=name, verdict=said))

    def check_digests(self) -> None:
        """Compare the digests attested with those of what lies at hand."""
        named = {model.model for model in self.said.models}
        for subject in self.said.subjects:
            if subject.model not in named:
                self.open(
                    Text("  {name}: of no model that the statement judges", name=subject.name)
                )
        for model in self.said.models:
            place = self.places[model.model]
            revision = model.revision if place == model.model else None
            # A commit pins what is read of a hub, and the files' digests are compared all the same.
            about = [one for one in self.said.subjects if one.model == model.model]
            mine = [one for one in about if one.digest_of != COMMIT]
            if not mine:
                self.open(Text("{model}: no digest of a file is attested", model=model.model))
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    with reading(place):
                        store = open_store(place, revision, run_dir=RunDirectory(Path(folder)))
                        store.files()
                except Unavailable as failure:
                    self.open(
                        Text(
                            "{model}: {n} digests not checked: {why}",
                            model=place,
                            n=len(mine),
                            why=failure.what,
                        )
                    )
                    continue
                self._compare(place, store, mine)

    def _compare(self, place: str, store: ArtifactStore, mine: Sequence[Attested]) -> None:
        same = 0
        for subject in mine:
            try:
                with reading(subject.path or place, place):
                    found = _digest(store, subject)
            except Unavailable as failure:
                self.open(Text("  {name}: not checked: {why}", name=subject.name, why=failure.what))
                continue
            if found == subject.digest:
                same += 1
            elif found is None:
                self.differs([Text("  {name}: not there", name=subject.name)])
            else:
                self.differs([Text("  {name}: another content", name=subject.name)])
        self.tell(
            Text(
                "{model}: {same} of {n} digests are those attested",
                model=place,
                same=same,
                n=len(mine),
            )
        )

    def check_verdicts(self) -> None:
        """Run the tests again and compare."""
        try:
            again = run_again(self.said, self.places)
        except ScratchError as failure:
            self.open(Text("not run again: {why}", why=str(failure)))
            return
        found, beside = differences(self.said, again, self.places)
        self.differs(found)
        for line in beside:
            self.tell(line)
        if not found:
            self.tell(Text("run again: the same verdicts"))


def _digest(store: ArtifactStore, subject: Attested) -> str | None:
    """Return the digest of what lies at hand; None for a file that is not there.

    Raises `Unavailable` where it cannot be told.
    """
    listed = {entry.path: entry for entry in store.files().value}
    if subject.digest_of == SUMS:
        found = weights_digest(listed.values())
        if found is None:
            raise Unavailable(
                Reason.OVER_BUDGET,
                Text("not every weight file has a digest here"),
                Text("Check the weight files by their own digests."),
            )
        return found
    entry = listed.get(subject.path)
    if entry is None:
        return None
    return entry.sha256 or store.file(subject.path).record.digest


COMMANDS = {"attest": attest, "verify-attestation": verify}
