"""What real signers send to the sandbox: certificate requests, log entries, time-stamp queries, read and checked.

A log takes in only what its own key signed and a certificate authority only keys whose holder shows up, as the real
ones do; everything else is a `RefusedError` with a sentence for the client.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from gateway.sandbox import der
from gateway.sandbox.bodies import digest_body, envelope_body, pae
from gateway.sandbox.spoil import Shape

_SHA256_OID: Final = der.oid("2.16.840.1.101.3.4.2.1")
_PREHASHED: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


class RefusedError(ValueError):
    """A request that the real service would refuse as well."""


def token(document: Mapping[str, Any]) -> str:
    """Return the identity token of a certificate request that carries it in its body."""
    try:
        return str(document["credentials"]["oidcIdentityToken"])
    except (KeyError, TypeError) as error:
        raise RefusedError("a certificate needs an identity token") from error


def public_key(document: Mapping[str, Any], claimed: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate request whose holder proved to have it; `claimed` is what proofs are over."""
    try:
        if "certificateSigningRequest" in document:
            request = x509.load_pem_x509_csr(_unb64(document["certificateSigningRequest"]))
            if not request.is_signature_valid:
                raise RefusedError("the certificate request is not signed by its key")
            return _p256(request.public_key())
        asked = document["publicKeyRequest"]
        key = _p256(serialization.load_pem_public_key(asked["publicKey"]["content"].encode()))
        key.verify(_unb64(asked["proofOfPossession"]), claimed.encode(), ec.ECDSA(hashes.SHA256()))
    except (KeyError, TypeError, AttributeError, ValueError, InvalidSignature) as error:
        raise _refused(error, "not a certificate request with proof of its key") from error
    return key


def log_v1_body(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the body of the entry that a Rekor v1 request proposes."""
    try:
        kind, spec = document["kind"], document["spec"]
        if kind == "hashedrekord":
            return _hashedrekord(spec)
        if kind == "dsse":
            proposed = spec["proposedContent"]
            envelope = json.loads(proposed["envelope"])
            (signature,) = envelope["signatures"]
            (verifier,) = proposed["verifiers"]
            certificate = x509.load_pem_x509_certificate(_unb64(verifier))
            return _envelope(Shape.LOG_V1, certificate, envelope, _unb64(envelope["payload"]), signature["sig"])
        if kind == "intoto":  # payload and signature come as base64 of base64
            envelope = spec["content"]["envelope"]
            (signature,) = envelope["signatures"]
            certificate = x509.load_pem_x509_certificate(_unb64(signature["publicKey"]))
            payload = _unb64(_unb64(envelope["payload"]).decode())
            return _envelope(Shape.LOG_V1_INTOTO, certificate, envelope, payload, _unb64(signature["sig"]).decode())
    except (KeyError, TypeError, AttributeError, ValueError, InvalidSignature) as error:
        raise _refused(error, "not an entry with a signature that verifies") from error
    raise RefusedError("this log takes hashedrekord, dsse and intoto")


def log_v2_body(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the body of the entry that a Rekor v2 request proposes."""
    try:
        if (asked := document.get("hashedRekordRequestV002")) is not None:
            signature = _unb64(asked["signature"]["content"])
            certificate = _der_certificate(asked["signature"]["verifier"])
            digest = _unb64(asked["digest"])
            _p256(certificate.public_key()).verify(signature, digest, _PREHASHED)
            return digest_body(Shape.LOG_V2, certificate, digest, signature)
        asked = document["dsseRequestV002"]
        envelope = asked["envelope"]
        (verifier,), (given,) = asked["verifiers"], envelope["signatures"]
        payload = _unb64(envelope["payload"])
        return _envelope(Shape.LOG_V2_DSSE, _der_certificate(verifier), envelope, payload, given["sig"])
    except (KeyError, TypeError, AttributeError, ValueError, InvalidSignature) as error:
        raise _refused(error, "not an entry with a signature that verifies") from error


def timestamp_query(data: bytes) -> tuple[bytes, int | None]:
    """Return digest and nonce of an RFC 3161 request."""
    try:
        tag, content, rest = der.read(data)
        _, _, content = der.read(content)  # the version
        _, imprint, content = der.read(content)
        _, algorithm, hashed = der.read(imprint)
        _, digest, _ = der.read(hashed)
        nonce = None
        while content:
            kind, value, content = der.read(content)
            if kind == 0x02:
                nonce = int.from_bytes(value, "big")
    except ValueError as error:
        raise RefusedError("not a time-stamp query") from error
    if tag != 0x30 or rest or len(digest) != 32 or not algorithm.startswith(_SHA256_OID):
        raise RefusedError("this authority stamps SHA-256 values")
    return digest, nonce


def timestamp_json(document: Mapping[str, Any]) -> tuple[bytes, int | None]:
    """Return digest and nonce of the same request as JSON, in which npm's signers ask."""
    nonce = document.get("nonce")
    if document.get("hashAlgorithm") != "sha256" or not isinstance(nonce, int | None) or (nonce or 0) < 0:
        raise RefusedError("this authority stamps SHA-256 values")
    digest = _unb64(str(document.get("artifactHash", "")))
    if len(digest) != 32:
        raise RefusedError("this authority stamps SHA-256 values")
    return digest, nonce


def _hashedrekord(spec: Mapping[str, Any]) -> dict[str, object]:
    if spec["data"]["hash"]["algorithm"] != "sha256":
        raise RefusedError("this log takes SHA-256 values")
    digest = bytes.fromhex(spec["data"]["hash"]["value"])
    signature = _unb64(spec["signature"]["content"])
    certificate = x509.load_pem_x509_certificate(_unb64(spec["signature"]["publicKey"]["content"]))
    _p256(certificate.public_key()).verify(signature, digest, _PREHASHED)
    return digest_body(Shape.LOG_V1, certificate, digest, signature)


def _envelope(
    shape: Shape, certificate: x509.Certificate, envelope: Mapping[str, Any], payload: bytes, sig: str
) -> dict[str, object]:
    signature, message = _unb64(sig), pae(envelope["payloadType"], payload)
    _p256(certificate.public_key()).verify(signature, hashlib.sha256(message).digest(), _PREHASHED)
    return envelope_body(shape, certificate, envelope["payloadType"], payload, signature)


def _der_certificate(verifier: Mapping[str, Any]) -> x509.Certificate:
    return x509.load_der_x509_certificate(_unb64(verifier["x509Certificate"]["rawBytes"]))


def _p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError("this sandbox knows signing keys on P-256 alone")
    return key


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RefusedError("not base64") from error


def _refused(error: Exception, sentence: str) -> RefusedError:
    return error if isinstance(error, RefusedError) else RefusedError(sentence)
