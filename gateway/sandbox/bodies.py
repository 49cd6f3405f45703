"""What a log's entries say, for each kind of entry: the part of a signature that is made public."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from cryptography import x509

from gateway.sandbox import authority, keys
from gateway.sandbox.spoil import V2, Shape

_KEY_DETAILS: Final = "PKIX_ECDSA_P256_SHA_256"


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what a DSSE signature is over (the pre-authentication encoding of its specification)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _verifier(certificate: x509.Certificate) -> dict[str, object]:
    return {"keyDetails": _KEY_DETAILS, "x509Certificate": {"rawBytes": keys.b64(authority.to_der(certificate))}}


def envelope_body(
    shape: Shape, certificate: x509.Certificate, payload_type: str, payload: bytes, signature: bytes
) -> dict[str, object]:
    """Return the body of a signed statement's entry."""
    pem, sig = keys.b64(authority.to_pem(certificate)), keys.b64(signature)
    envelope = {"payload": keys.b64(payload), "payloadType": payload_type, "signatures": [{"keyid": "", "sig": sig}]}
    envelope_hash = _sha256(json.dumps(envelope, separators=(",", ":")).encode())
    match shape:
        case Shape.LOG_V1 | Shape.LOG_V1_TIMESTAMP:
            return _body(
                "dsse",
                "0.0.1",
                {
                    "envelopeHash": envelope_hash,
                    "payloadHash": _sha256(payload),
                    "signatures": [{"signature": sig, "verifier": pem}],
                },
            )
        case Shape.LOG_V1_INTOTO:  # Rekor keeps what clients sent: base64 of the base64
            signed = {"payloadType": payload_type, "signatures": [{"publicKey": pem, "sig": keys.b64(sig.encode())}]}
            content = {"envelope": signed, "hash": envelope_hash, "payloadHash": _sha256(payload)}
            return _body("intoto", "0.0.2", {"content": content})
        case Shape.LOG_V2_DSSE:
            digest = {"algorithm": "SHA2_256", "digest": keys.b64(hashlib.sha256(payload).digest())}
            signatures = [{"content": sig, "verifier": _verifier(certificate)}]
            return _body("dsse", "0.0.2", {"dsseV002": {"payloadHash": digest, "signatures": signatures}})
        case Shape.LOG_V2 | Shape.TIMESTAMP:
            return digest_body(
                Shape.LOG_V2, certificate, hashlib.sha256(pae(payload_type, payload)).digest(), signature
            )


def digest_body(shape: Shape, certificate: x509.Certificate, digest: bytes, signature: bytes) -> dict[str, object]:
    """Return the body of a plain signature's entry."""
    if shape in V2:
        record = {
            "data": {"algorithm": "SHA2_256", "digest": keys.b64(digest)},
            "signature": {"content": keys.b64(signature), "verifier": _verifier(certificate)},
        }
        return _body("hashedrekord", "0.0.2", {"hashedRekordV002": record})
    pem = keys.b64(authority.to_pem(certificate))
    return _body(
        "hashedrekord",
        "0.0.1",
        {
            "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
            "signature": {"content": keys.b64(signature), "publicKey": {"content": pem}},
        },
    )


def _body(kind: str, version: str, spec: Mapping[str, object]) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "spec": dict(spec)}
