"""Signatures of attestations: DSSE envelopes by a key (securesystemslib), or by sigstore.

A file that is checked comes from anywhere: it is read within bounds, and nothing in it is believed
before its signature is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.json_values import load_bounded
from pytest_scratchverify.core.untrusted import open_regular, printable
from pytest_scratchverify.report.attestation import LACKS, PAYLOAD_TYPE

PASSWORD = "SCRATCHVERIFY_KEY_PASSWORD"
MAX_KEY_BYTES = 64 * 2**10
MAX_ENVELOPE_BYTES = 16 * 2**20
MAX_ITEMS = 1_000_000
MOST_SIGNATURES = 100
NEEDS_SIGSTORE = "--sigstore needs sigstore 4 or later: pip install 'sigstore>=4'"


class SignatureError(ScratchError):
    """A signature that is none of the key or identity that was named."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature vouches for, and whose it is."""

    payload: bytes
    signer: str


def signed_by_key(payload: bytes, key: Path) -> str:
    """Return the envelope of a payload, signed by a private key in PEM (Ed25519, ECDSA or RSA).

    Raises `ScratchError` for a key that cannot be used.
    """
    try:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - an extra
            load_pem_private_key,
        )
        from securesystemslib.dsse import Envelope  # noqa: PLC0415
        from securesystemslib.signer import CryptoSigner  # noqa: PLC0415
    except ImportError as error:
        raise ScratchError(LACKS) from error
    password = os.environ.get(PASSWORD)
    raw = _read(key, MAX_KEY_BYTES)
    try:
        private = load_pem_private_key(raw, password.encode() if password else None)
        signer = CryptoSigner(private)
    except TypeError as error:  # encrypted and no password, or the other way round
        raise ScratchError(
            f"{key}: {_line(error)}; the password is read from {PASSWORD}"
        ) from error
    except Exception as error:
        raise ScratchError(f"{key}: not a private key in PEM: {_line(error)}") from error
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1, sort_keys=True) + "\n"


def signed_by_sigstore(payload: bytes) -> str:
    """Return the sigstore bundle of a payload, signed by the identity that is at hand.

    In CI that is the job's; else a browser asks. Needs a network. Raises `ScratchError`.
    """
    try:
        from sigstore.dsse import Statement  # noqa: PLC0415 - an extra
        from sigstore.models import ClientTrustConfig  # noqa: PLC0415
        from sigstore.oidc import IdentityToken, Issuer, detect_credential  # noqa: PLC0415
        from sigstore.sign import SigningContext  # noqa: PLC0415
    except ImportError as error:
        raise ScratchError(NEEDS_SIGSTORE) from error
    try:
        trust = ClientTrustConfig.production()
        found = detect_credential()
        issuer = Issuer(trust.signing_config.get_oidc_url()) if found is None else None
        token = issuer.identity_token() if issuer is not None else IdentityToken(found)
        with SigningContext.from_trust_config(trust).signer(token) as signer:
            return f"{signer.sign_dsse(Statement(payload)).to_json()}\n"
    except Exception as error:
        raise ScratchError(
            f"--sigstore could not sign: {type(error).__name__}: {_line(error)}; it needs a network"
            " that reaches sigstore.dev, --key needs none"
        ) from error


def checked_by_key(path: Path, key: Path) -> Signed:
    """Return what the envelope in a file holds, if this public key signed it.

    Raises `SignatureError` where it did not, `ScratchError` for what is no envelope or no key.
    """
    try:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - an extra
            load_pem_public_key,
        )
        from securesystemslib.dsse import Envelope  # noqa: PLC0415
        from securesystemslib.exceptions import VerificationError  # noqa: PLC0415
        from securesystemslib.signer import SSlibKey  # noqa: PLC0415
    except ImportError as error:
        raise ScratchError(LACKS) from error
    try:
        public = load_pem_public_key(_read(key, MAX_KEY_BYTES))
        named = SSlibKey.from_crypto(public)
    except ScratchError:
        raise
    except Exception as error:
        raise ScratchError(f"{key}: not a public key in PEM: {_line(error)}") from error
    for envelope in _envelopes(path, Envelope):
        [signature] = envelope.signatures.values()
        try:
            envelope.verify([SSlibKey.from_crypto(public, keyid=signature.keyid)], 1)
        except VerificationError:
            continue
        return Signed(envelope.payload, f"{named.keytype} {named.keyid[:16]}")
    raise SignatureError(f"{path}: no signature of the key {key}")


def _envelopes(path: Path, kind: Any) -> Iterator[Any]:
    """Read a DSSE envelope of an in-toto statement: once for each of its signatures.

    A key's id is a hint of whoever signed, and may be empty; the key at hand is what is trusted.
    """
    document = _document(path)
    if "dsseEnvelope" in document:
        raise ScratchError(f"{path}: a sigstore bundle; check it with --sigstore, not with --key")
    signatures = document.get("signatures")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= MOST_SIGNATURES:
        raise ScratchError(f"{path}: not a DSSE envelope: it has no list of signatures")
    for one in signatures:
        try:
            named = {**one, "keyid": one.get("keyid") or "-"}
            envelope = kind.from_dict({**document, "signatures": [named]})
        except Exception as error:
            raise ScratchError(f"{path}: not a DSSE envelope: {_line(error)}") from error
        if envelope.payload_type != PAYLOAD_TYPE:
            kind_of = str(envelope.payload_type)
            raise ScratchError(f"{path}: its payload is {kind_of!r:.80}, not in-toto's")
        yield envelope


def checked_by_sigstore(path: Path, identity: str, issuer: str | None) -> Signed:
    """Return what the sigstore bundle in a file holds, if this identity signed it.

    Raises `SignatureError` where it did not, `ScratchError` for what is no bundle.
    """
    try:
        from sigstore.errors import VerificationError  # noqa: PLC0415 - an extra
        from sigstore.models import Bundle  # noqa: PLC0415
        from sigstore.verify import Verifier  # noqa: PLC0415
        from sigstore.verify.policy import Identity  # noqa: PLC0415
    except ImportError as error:
        raise ScratchError(NEEDS_SIGSTORE) from error
    document = _document(path)
    if "dsseEnvelope" not in document:
        raise ScratchError(f"{path}: no sigstore bundle with an envelope; check it with --key")
    try:
        bundle = Bundle.from_json(json.dumps(document))
        verifier = Verifier.production()
        kind, payload = verifier.verify_dsse(bundle, Identity(identity=identity, issuer=issuer))
    except VerificationError as error:
        raise SignatureError(f"{path}: no signature of {identity}: {_line(error)}") from error
    except Exception as error:
        raise ScratchError(f"{path}: {type(error).__name__}: {_line(error)}") from error
    if kind != PAYLOAD_TYPE:
        raise ScratchError(f"{path}: its payload is {kind!r:.80}, not in-toto's")
    return Signed(payload, identity)


def _document(path: Path) -> dict[str, Any]:
    raw = _read(path, MAX_ENVELOPE_BYTES)
    try:
        document = load_bounded(raw, MAX_ITEMS)
    except (ValueError, RecursionError) as error:
        raise ScratchError(f"{path}: not an attestation: {_line(error)}") from error
    if not isinstance(document, dict):
        raise ScratchError(f"{path}: not an attestation: no JSON object")
    return document


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_regular(path) as stream:
            raw = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ScratchError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(raw) > limit:
        raise ScratchError(f"{path}: larger than {limit} bytes")
    return raw


def _line(error: BaseException) -> str:
    return printable(" ".join(str(error).split()) or type(error).__name__)[:300]
