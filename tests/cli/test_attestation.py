"""Attestations: signed, checked, run again; and what becomes of those that are not what they say."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace

import pytest

from pytest_scratchverify.cli import main
from pytest_scratchverify.cli.attested import options_of, read_statement
from pytest_scratchverify.cli.rerun import differences
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import ArtifactRecord, Outcome, Source
from pytest_scratchverify.report.attestation import PREDICATE_TYPE, predicate_of, statement_of
from pytest_scratchverify.verdict.serialization import run_from_json
from pytest_scratchverify.verdict.verdict import Verdict
from tests.report.runs import run_of
from tests.verdict.findings import finding
from tools.running import ROOT, run_suites

pytest.importorskip("in_toto_attestation", reason="attestations need it: make setup")
pytest.importorskip("securesystemslib", reason="attestations need it: make setup")

READY = ROOT / "tools" / "zoo" / "ready"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def pem_pair(folder, name):
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"of a test")
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and its reference, of which one run was made; two keys."""
    home = tmp_path_factory.mktemp("attested")
    for name in ("s0", "s0-cpt-long"):
        shutil.copytree(READY / name, home / name)
    ran = run_suites("--model", home / "s0-cpt-long", "--against", home / "s0", home=home)
    (home / "run.json").write_bytes(ran.json_bytes)
    pem_pair(home, "ours")
    pem_pair(home, "theirs")
    return home


@pytest.fixture(autouse=True)
def _password(monkeypatch):
    monkeypatch.setenv("SCRATCHVERIFY_KEY_PASSWORD", "of a test")


@pytest.fixture(scope="module")
def attested(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCRATCHVERIFY_KEY_PASSWORD", "of a test")
        out = place / "run.dsse.json"
        asked = ["attest", place / "run.json", "--key", place / "ours.pem", "-o", out]
        assert main([*map(str, asked)]) == 0
    return out


def check(file, place, *more, key="ours"):
    return main(
        ["verify-attestation", str(file), "--key", str(place / f"{key}.pub.pem"), *map(str, more)]
    )


def payload_of(file):
    return base64.b64decode(json.loads(file.read_text())["payload"])


def forged(file, tmp_path, change):
    """The envelope with its payload changed, under the signature of the one before."""
    envelope = json.loads(file.read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(envelope))
    return path


# ---- the statement -----------------------------------------------------------------------------


def test_in_totos_own_validator_and_securesystemslib_take_it(attested, place):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from google.protobuf.json_format import Parse
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    envelope = Envelope.from_dict(json.loads(attested.read_text()))
    key = SSlibKey.from_crypto(load_pem_public_key((place / "ours.pub.pem").read_bytes()))
    assert list(envelope.verify([key], 1)) == [key.keyid]
    assert envelope.payload_type == "application/vnd.in-toto+json"
    Statement.copy_from_pb(Parse(envelope.payload, statement_pb2.Statement())).validate()


def test_it_says_what_the_run_says_and_nothing_else(attested, place):
    from hashlib import sha256

    run = run_from_json((place / "run.json").read_text())
    said = json.loads(payload_of(attested))
    assert said["predicateType"] == PREDICATE_TYPE
    predicate = said["predicate"]
    [model] = predicate["models"]
    assert model["components"]["text_decoder"]["verdict"] == "DERIVED"
    assert model["policies"]["strict"]["result"] == run.models[0].policies["strict"].result.value
    assert predicate["run"]["digest"]["sha256"] == (
        sha256((place / "run.json").read_bytes()).hexdigest()
    )
    assert predicate["calibration"]["digest"]["sha256"] == run.environment["calibration"]
    assert isinstance(predicate["run"]["planned"], int)
    [reference] = predicate["comparedWith"]
    assert reference["model"] == str(place / "s0")
    assert len(reference["digest"]["sha256"]) == 64


def test_the_subjects_are_the_files_and_all_weights(attested, place):
    from hashlib import sha256

    subjects = {
        s["name"]: s["digest"]["sha256"] for s in json.loads(payload_of(attested))["subject"]
    }
    folder = place / "s0-cpt-long"
    weights = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert subjects[f"{folder}/model.safetensors"] == weights
    assert (
        subjects[f"{folder}/config.json"]
        == sha256((folder / "config.json").read_bytes()).hexdigest()
    )
    joint = sha256(f"{weights}  model.safetensors\n".encode()).hexdigest()
    assert subjects[f"{folder}: sha256sum of its weight files"] == joint


def test_the_same_run_is_the_same_statement(place):
    run = run_from_json((place / "run.json").read_text())
    assert statement_of(run) == statement_of(run)


def test_headers_are_no_digest_of_a_file_and_a_hubs_word_is_called_so():
    header = ArtifactRecord(
        repo="org/suspect", file="model.safetensors", source=Source.HUB, revision=COMMIT,
        bytes_read=100, bytes_total=9000, digest=64 * "a",
    )  # fmt: skip
    listing = replace(header, file="*", digest=64 * "b")
    listed = finding(
        Outcome.CONSISTENT, method="weights.shard_digests", artifacts=(header, listing),
        details={"digests": {"model.safetensors": 64 * "c", "other.safetensors": "no digest"}},
    )  # fmt: skip
    subjects = json.loads(statement_of(run_of(listed)))["subject"]
    found = {s["annotations"]["digestOf"]: s["digest"] for s in subjects}
    assert found == {
        "listing": {"sha256": 64 * "c"},
        "sha256sums": {"sha256": 64 * "b"},
        "commit": {"gitCommit": COMMIT},
    }
    [commit] = [s for s in subjects if s["annotations"]["digestOf"] == "commit"]
    assert commit["uri"] == f"pkg:huggingface/org/suspect@{COMMIT}"


def test_a_run_that_read_no_file_has_nothing_to_attest(place, tmp_path, capsys):
    with pytest.raises(ScratchError, match="nothing to attest"):
        statement_of(run_of(finding(Outcome.INDETERMINATE)))


# ---- checked -----------------------------------------------------------------------------------


def test_what_was_signed_holds(attested, place, capsys):
    assert check(attested, place) == 0
    said = capsys.readouterr().out
    assert "signature: good, ed25519 " in said
    assert "text_decoder: DERIVED" in said
    assert "5 of 5 digests are those attested" in said
    assert check(attested, place, "--report-lang", "ko") == 0
    assert "서명: 유효함" in capsys.readouterr().out


def test_another_key_is_no_signature(attested, place, capsys):
    assert check(attested, place, key="theirs") == 1
    captured = capsys.readouterr()
    assert captured.out == ""  # nothing of what it says is repeated
    assert captured.err.count("\n") == 1


def test_a_key_id_is_a_hint_and_another_signature_beside_does_no_harm(attested, place, tmp_path):
    envelope = json.loads(attested.read_text())
    [signature] = envelope["signatures"]
    for others in ([], [{"keyid": "", "sig": "AAAA"}], [{"sig": "AAAA"}]):
        envelope["signatures"] = [*others, {"keyid": "", "sig": signature["sig"]}]
        path = tmp_path / "hint.json"
        path.write_text(json.dumps(envelope))
        assert check(path, place) == 0


def test_a_changed_payload_is_refused(attested, place, tmp_path, capsys):
    def acquit(statement):
        statement["predicate"]["models"][0]["components"]["text_decoder"]["verdict"] = (
            "NO_EVIDENCE_OF_REUSE"
        )

    assert check(forged(attested, tmp_path, acquit), place) == 1
    assert "NO_EVIDENCE" not in capsys.readouterr().out


def test_a_signature_of_another_kind_of_payload_is_refused(attested, place, tmp_path):
    envelope = json.loads(attested.read_text())
    envelope["payloadType"] = "text/plain"
    path = tmp_path / "other.json"
    path.write_text(json.dumps(envelope))
    assert check(path, place) == 2


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_changed_file_of_the_model_is_named(file, attested, place, tmp_path, capsys):
    copy = shutil.copytree(place / "s0-cpt-long", tmp_path / "copy")
    raw = (copy / file).read_bytes()
    (copy / file).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert check(attested, place, "--model", copy) == 1
    assert f"{file}: another content" in capsys.readouterr().out
    (copy / file).unlink()
    assert check(attested, place, "--model", copy) == 1
    assert f"{file}: not there" in capsys.readouterr().out


def test_a_file_of_weights_beside_those_attested_is_seen(attested, place, tmp_path, capsys):
    """Each file by itself is as it was, and a loader would find more than was judged."""
    copy = shutil.copytree(place / "s0-cpt-long", tmp_path / "copy")
    shutil.copy(place / "s0" / "model.safetensors", copy / "more.safetensors")
    assert check(attested, place, "--model", copy) == 1
    assert "sha256sum of its weight files: another content" in capsys.readouterr().out


def test_the_same_files_elsewhere_are_the_same_model(attested, place, tmp_path):
    copy = shutil.copytree(place / "s0-cpt-long", tmp_path / "elsewhere")
    assert check(attested, place, "--model", copy) == 0
    assert check(attested, place, "--model", f"{place / 's0-cpt-long'}={copy}") == 0


def test_of_several_models_each_has_its_place(place, tmp_path, capsys):
    """One statement of two models: the same place for both would be a guess."""
    from pytest_scratchverify.cli.signing import signed_by_key

    run = run_from_json((place / "run.json").read_text())
    statement = json.loads(statement_of(run))
    name, other = str(place / "s0-cpt-long"), str(place / "s0")
    [model] = statement["predicate"]["models"]
    statement["predicate"]["models"].append({**model, "model": other})
    statement["subject"] += [
        {**s, "annotations": {**s["annotations"], "model": other}} for s in statement["subject"]
    ]
    path = tmp_path / "two.json"
    path.write_text(signed_by_key(json.dumps(statement).encode(), place / "ours.pem"))
    assert check(path, place) == 1  # the second has the first one's digests
    assert check(path, place, "--model", f"{other}={name}") == 0
    assert capsys.readouterr().out.count("5 of 5 digests") == 3
    assert check(path, place, "--model", name) == 2
    assert "write NAME=PLACE" in capsys.readouterr().err


def test_a_model_that_is_not_at_hand_is_left_open(attested, place, tmp_path, capsys):
    assert check(attested, place, "--model", tmp_path / "nowhere") == 10
    assert "5 digests not checked" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["nobody", None])
def test_what_is_attested_of_no_model_or_no_file_is_left_open(model, place, tmp_path, capsys):
    from pytest_scratchverify.cli.signing import signed_by_key

    statement = json.loads(statement_of(run_from_json((place / "run.json").read_text())))
    for subject in statement["subject"]:
        if model is None:
            subject["annotations"]["digestOf"] = "commit"
    if model is not None:
        statement["subject"][0]["annotations"]["model"] = model
    path = tmp_path / "signed.json"
    path.write_text(signed_by_key(json.dumps(statement).encode(), place / "ours.pem"))
    assert check(path, place) == 10
    said = capsys.readouterr().out
    assert ("of no model" if model else "no digest of a file is attested") in said


# ---- run again ---------------------------------------------------------------------------------


def test_run_again_the_files_contradict_who_signed_otherwise(place, tmp_path, capsys):
    """A statement that was signed and is wrong in one verdict: that one is told, and no other."""
    from pytest_scratchverify.cli.signing import signed_by_key

    statement = json.loads(statement_of(run_from_json((place / "run.json").read_text())))
    [model] = statement["predicate"]["models"]
    model["components"]["text_decoder"] |= {"verdict": "NO_EVIDENCE_OF_REUSE", "reference": None}
    path = tmp_path / "wrong.json"
    path.write_text(signed_by_key(json.dumps(statement).encode(), place / "ours.pem"))
    assert check(path, place, "--rerun") == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    told = [line for line in captured.out.splitlines() if "->" in line or "differ" in line]
    derived = f"DERIVED ({place / 's0'})"
    assert told == [f"{place / 's0-cpt-long'}, text_decoder: NO_EVIDENCE_OF_REUSE -> {derived}"]


def test_run_again_it_says_the_same_or_why_it_was_not_run(attested, place, monkeypatch, capsys):
    from pytest_scratchverify.cli import attest_command

    run = run_from_json((place / "run.json").read_text())
    monkeypatch.setattr(attest_command, "run_again", lambda *_: run)
    assert check(attested, place, "--rerun") == 0
    assert "run again: the same verdicts" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setenv("SCRATCHVERIFY_KEY_PASSWORD", "of a test")
    elsewhere = place / "run.json"  # a file is no model: the run ends at once
    assert check(attested, place, "--rerun", "--model", elsewhere) in (1, 10)
    assert "not run again: exit code 4" in capsys.readouterr().out


def test_a_run_that_finds_otherwise_is_shown(place):
    """The truth of the files against a statement that was signed and is wrong."""
    run = run_from_json((place / "run.json").read_text())
    [model] = run.models
    acquitted = {
        component: replace(verdict, verdict=Verdict.NO_EVIDENCE_OF_REUSE, reference=None)
        for component, verdict in model.components.items()
    }
    wrong = replace(run, models=(replace(model, components=acquitted),))
    said = read_statement(statement_of(wrong))
    found, beside = differences(said, run, {model.model: model.model})
    assert any("NO_EVIDENCE_OF_REUSE -> DERIVED" in str(text) for text in found)
    assert beside == []
    assert differences(read_statement(statement_of(run)), run, {}) == ([], [])


def test_other_numbers_and_versions_are_told_and_are_no_other_verdict(place):
    run = run_from_json((place / "run.json").read_text())
    [model] = run.models
    parts = {c: replace(v, effect=0.5 if v.effect else None) for c, v in model.components.items()}
    other = replace(
        run,
        version="1",
        environment={**run.environment, "calibration": 64 * "0"},
        models=(replace(model, components=parts),),
    )
    found, beside = differences(read_statement(statement_of(run)), other, {})
    assert found == []
    said = " ".join(map(str, beside))
    assert all(word in said for word in ("pytest-scratchverify", "calibration", "text_decoder"))


@pytest.mark.parametrize(
    "command",
    [
        "scratchverify run --model x --endpoint http://evil",
        "scratchverify run --model x -p evil",
        "scratchverify run --rootdir=/ --model x",
        "scratchverify run --model x --verdict-json /etc/passwd",
        "pytest --pyargs evil_suites --model x",
        "scratchverify run --model 'x",
    ],
)
def test_of_a_command_only_what_a_run_measures_is_repeated(command):
    try:
        found = options_of(command)
    except ScratchError:
        return
    assert found == [("model", "x")]


def test_a_command_is_taken_apart_as_it_was_put_together():
    command = (
        "pytest --pyargs pytest_scratchverify._suites --scratch-model='a b'"
        " --scratch-against org/c --scratch-offline --scratch-depth quick"
    )
    assert options_of(command) == [
        ("model", "a b"), ("against", "org/c"), ("offline", None), ("depth", "quick"),
    ]  # fmt: skip
    assert options_of("pytest suites/ --model ==org/a --policy strict --policy own-tokenizer") == [
        ("model", "==org/a"), ("policy", "strict"), ("policy", "own-tokenizer"),
    ]  # fmt: skip


# ---- what is none ------------------------------------------------------------------------------

MALFORMED = {
    "no-json": b"signature",
    "empty": b"",
    "list": b"[]",
    "deep": 100_000 * b"[",
    "no-signatures": b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json"}',
    "signatures-of-numbers": b'{"payload": "e30=", "payloadType": "x", "signatures": [1]}',
    "no-base64": b'{"payload": "%", "payloadType": "application/vnd.in-toto+json",'
    b' "signatures": [{"sig": "%"}]}',
    "many-signatures": json.dumps({"payload": "", "signatures": 1000 * [{}]}).encode(),
    "many-values": b'{"signatures": [' + 1_500_000 * b"1," + b"1]}",
    "huge": b'{"payload": "' + 17 * 2**20 * b"A" + b'"}',
    "surrogate": b'{"signatures": "\\ud800"}',
    "not-utf-8": b"\xff\xfe{}",
    "bundle": b'{"dsseEnvelope": {}}',
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_attestation_is_one_line(raw, place, tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    assert check(path, place) == 2
    assert capsys.readouterr().err.count("\n") == 1


def changed(statement, path, value):
    *way, last = path
    for key in way:
        statement = statement[key]
    if value is None:
        del statement[last]
    else:
        statement[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("predicateType",), "https://slsa.dev/verification_summary/v1"),
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("subject",), []),
        (("subject", 0, "digest"), None),
        (("subject", 0, "annotations"), None),
        (("subject", 0, "annotations", "model"), {"a": 1}),
        (("predicate", "models"), {}),
        (("predicate", "models", 0, "components"), []),
        (("predicate", "models", 0, "components", "text_decoder", "verdict"), 7),
        (("predicate", "models", 0, "components", "text_decoder", "pAdjusted"), "small"),
        (("predicate", "run", "reproduce"), None),
        (("predicate", "calibration", "digest"), 3),
    ],
)
def test_a_statement_of_another_shape_is_one_line(path, value, place):
    statement = json.loads(statement_of(run_from_json((place / "run.json").read_text())))
    changed(statement, path, value)
    with pytest.raises(ScratchError) as refused:
        read_statement(json.dumps(statement).encode())
    assert "\n" not in str(refused.value)


def test_keys_that_are_none_and_files_that_are_not_there_are_one_line(
    attested, place, tmp_path, monkeypatch, capsys
):
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no key")
    run, out = str(place / "run.json"), str(tmp_path / "out.json")
    asked = [
        ["attest", run, "--key", str(nothing), "-o", out],
        ["attest", run, "--key", str(place / "ours.pub.pem"), "-o", out],
        ["attest", run, "--key", str(tmp_path / "no.pem"), "-o", out],
        ["attest", str(attested), "--key", str(place / "ours.pem"), "-o", out],
        ["attest", run, "--key", str(place / "ours.pem"), "-o", str(tmp_path / "no" / "out.json")],
        ["verify-attestation", str(attested), "--key", str(nothing)],
        ["verify-attestation", str(attested), "--key", str(place / "ours.pem")],
        ["verify-attestation", str(tmp_path / "none"), "--key", str(place / "ours.pub.pem")],
        ["verify-attestation", str(tmp_path), "--key", str(place / "ours.pub.pem")],
    ]
    for words in asked:
        assert main(words) == 2, words
        said = capsys.readouterr().err
        assert said.count("\n") == 1, words
        assert "report this as a bug" not in said, words
    monkeypatch.delenv("SCRATCHVERIFY_KEY_PASSWORD")
    assert main(["attest", run, "--key", str(place / "ours.pem")]) == 2
    assert "SCRATCHVERIFY_KEY_PASSWORD" in capsys.readouterr().err


def test_without_the_libraries_it_says_what_to_install(place, attested, monkeypatch, capsys):
    for name in ("in_toto_attestation.v1.statement", "securesystemslib.dsse", "sigstore.dsse"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    assert main(["attest", str(place / "run.json"), "--key", str(place / "ours.pem")]) == 2
    assert "pip install 'pytest-scratchverify[attest]'" in capsys.readouterr().err
    assert check(attested, place) == 2
    assert "pip install 'pytest-scratchverify[attest]'" in capsys.readouterr().err
    monkeypatch.delitem(__import__("sys").modules, "in_toto_attestation.v1.statement")
    assert main(["attest", str(place / "run.json"), "--sigstore"]) == 2
    assert "pip install 'sigstore>=4'" in capsys.readouterr().err


def test_a_signature_of_nobody_in_particular_is_not_asked_for(attested):
    with pytest.raises(SystemExit):
        main(["verify-attestation", str(attested), "--sigstore"])


def test_the_attestation_is_printed_where_no_file_is_named(place, attested, capsys):
    assert main(["attest", str(place / "run.json"), "--key", str(place / "ours.pem")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["payload"] == json.loads(attested.read_text())["payload"]


def test_the_predicate_holds_builtins_only():
    assert json.loads(json.dumps(predicate_of(run_of(finding(Outcome.DERIVED)))))
