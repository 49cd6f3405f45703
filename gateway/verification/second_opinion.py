"""The second opinion: sigstore-python verifies the same evidence, where its engine knows the kind.

An attestation that only one of the two engines accepts does not count (CONTRACTS C.10). Whether the kind is known is
decided by `knows`, a table over what the evidence *is*, never by how the engine failed: inside a known kind every
exception is a difference. The engine is given the values that our reader found, in proto-JSON's plainest spelling,
since it refuses legal ones (numbers for int64, the other base64 alphabet); both readings of one text are the strict
reader's concern, which takes no text that has two.

What the engine does not know (measured with sigstore 4.5.1): keys instead of certificates, entries of kind intoto or
dsse 0.0.2, several entries, entries without a proof, leaf keys other than P-256, digests other than SHA-256 and
signatures without the digest beside them, roots without a log or a certificate log, with other thresholds than one of
each, or whose authorities lack a common name, timestamps that no authority of the root made.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from typing import Final

from cachetools import LRUCache
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore.hashes import Hashed
from sigstore.models import Bundle as PeerBundle
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from gateway.verification.bundle import Bundle, Content, Envelope, LogEntry, MessageSignature, SimpleSigning
from gateway.verification.certificate import Leaf
from gateway.verification.trust_root import TrustRoot

_KINDS: Final = frozenset({("hashedrekord", "0.0.1"), ("hashedrekord", "0.0.2"), ("dsse", "0.0.1")})
_MEDIA_TYPES: Final = {
    1: "application/vnd.dev.sigstore.bundle+json;version=0.1",
    2: "application/vnd.dev.sigstore.bundle+json;version=0.2",
    3: "application/vnd.dev.sigstore.bundle.v0.3+json",
}
_ROOTS_KEPT: Final = 64  # trust roots; an operator has a handful
_LOCK: Final = threading.Lock()
_VERIFIERS: Final[LRUCache[str, Verifier | None]] = LRUCache(_ROOTS_KEPT)


class _AnyIdentity:
    """The engine's policy that expects nobody: who may sign is decided elsewhere."""

    def verify(self, cert: x509.Certificate) -> None:
        """Accept every certificate."""


def knows(root: TrustRoot, leaf: Leaf | None, bundle: Bundle) -> bool:
    """Whether the other engine verifies evidence of this kind under this root."""
    if leaf is None or not isinstance(leaf.key.public, ec.EllipticCurvePublicKey) or len(bundle.entries) != 1:
        return False
    (entry,) = bundle.entries
    return (
        leaf.key.public.curve.name == "secp256r1"
        and _knows_content(bundle.content)
        and (entry.kind, entry.version) in _KINDS
        and entry.proof is not None
        and entry.proof.checkpoint is not None
        and (root.thresholds.sct, root.thresholds.log) == (1, 1)  # what it always asks for
        and (not bundle.timestamps or bool(root.timestamp_authorities))
        and _verifier(root) is not None
    )


def _knows_content(content: Content) -> bool:
    match content:
        case Envelope():
            return True
        case MessageSignature(algorithm=algorithm, digest=digest):
            return digest is not None and algorithm in {None, "SHA2_256"}
        case SimpleSigning():
            return False


def objection(root: TrustRoot, bundle: Bundle, digests: Mapping[str, bytes]) -> str:
    """Return why the other engine refuses evidence of a kind it knows, or an empty text where it accepts.

    `digests` are those of the file that a plain signature covers.
    """
    verifier = _verifier(root)
    if verifier is None:
        return "no verifier"
    try:
        peer = PeerBundle.from_json(_plain(bundle))
        if isinstance(bundle.content, Envelope):
            kind, payload = verifier.verify_dsse(peer, _AnyIdentity())
            same = (kind, payload) == (bundle.content.payload_type, bundle.content.payload)
            return "" if same else "another payload"
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digests["sha256"])
        verifier.verify_artifact(hashed, peer, _AnyIdentity())
    except Exception as error:  # noqa: BLE001 - whatever it raises inside a known kind is a difference
        return f"{type(error).__name__}: {error}"
    return ""


def _verifier(root: TrustRoot) -> Verifier | None:
    """Return the engine for a root, or None where it cannot read the root; built once per root's content."""
    with _LOCK:
        if root.digest not in _VERIFIERS:
            _VERIFIERS[root.digest] = _build(root)
        return _VERIFIERS[root.digest]


def _build(root: TrustRoot) -> Verifier | None:
    if root.kind != "sigstore" or not root.logs or not root.ct_logs:
        return None
    # The engine reads a root from a file or inside a client's configuration; the signing half of that is unused.
    document = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": json.loads(root.material),
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            **{name: [] for name in ("caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls")},
            **{name: {"selector": "ANY"} for name in ("rekorTlogConfig", "tsaConfig")},
        },
    }
    try:
        return Verifier(trusted_root=ClientTrustConfig.from_json(json.dumps(document)).trusted_root)
    except Exception:  # noqa: BLE001 - an operator's root that the engine cannot read: the kind is unknown to it
        return None


def _plain(bundle: Bundle) -> bytes:
    certificates = [{"rawBytes": _b64(der)} for der in bundle.certificates]
    signer = (
        {"certificate": certificates[0]}
        if bundle.version >= 3
        else {"x509CertificateChain": {"certificates": certificates}}
    )
    content = bundle.content
    if isinstance(content, Envelope):
        body: dict[str, object] = {
            "dsseEnvelope": {
                "payload": _b64(content.payload),
                "payloadType": content.payload_type,
                "signatures": [{"sig": _b64(signature)} for signature in content.signatures],
            }
        }
    else:
        message: dict[str, object] = {"signature": _b64(content.signature)}
        if isinstance(content, MessageSignature) and content.digest is not None:
            hint = {"algorithm": content.algorithm or "SHA2_256", "digest": _b64(content.digest)}
            message["messageDigest"] = hint
        body = {"messageSignature": message}
    document = {
        "mediaType": _MEDIA_TYPES[bundle.version],
        "verificationMaterial": signer
        | {
            "tlogEntries": [_entry(entry) for entry in bundle.entries],
            "timestampVerificationData": {
                "rfc3161Timestamps": [{"signedTimestamp": _b64(stamp)} for stamp in bundle.timestamps]
            },
        },
    }
    return json.dumps(document | body).encode()


def _entry(entry: LogEntry) -> dict[str, object]:
    proof = entry.proof
    assert proof is not None
    assert proof.checkpoint is not None
    written: dict[str, object] = {
        "logIndex": str(entry.index),
        "logId": {"keyId": _b64(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
        "inclusionProof": {
            "logIndex": str(proof.index),
            "rootHash": _b64(proof.root),
            "treeSize": str(proof.size),
            "hashes": [_b64(sibling) for sibling in proof.hashes],
            "checkpoint": {"envelope": proof.checkpoint.envelope},
        },
        "canonicalizedBody": _b64(entry.body),
    }
    if entry.time is not None:
        written["integratedTime"] = str(entry.time)
    if entry.promise is not None:
        written["inclusionPromise"] = {"signedEntryTimestamp": _b64(entry.promise)}
    return written


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
