"""One signature from end to end: key, certificate, signature, log entry, timestamp, bundle; one part of it spoiled.

The steps are numbered as a signer takes them. Each looks at `spoil` for the faults that are its own, so that a
bundle differs from a good one in that part alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from gateway.model.identity import Identity
from gateway.sandbox import authority, keys
from gateway.sandbox.authority import Profile
from gateway.sandbox.bodies import digest_body, envelope_body, pae
from gateway.sandbox.generation import Generation
from gateway.sandbox.log import Log, LogEntry
from gateway.sandbox.spoil import LOGGED, STAMPED, V2, Shape, Spoil

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO: Final = "application/vnd.in-toto+json"
_OTHER_PAYLOAD_TYPE: Final = "application/vnd.acme.example+json"
_EARLY: Final = timedelta(hours=1)
_PREHASHED: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class Generations:
    """Whose keys sign: those trusted now, those whose time is over, those of another sandbox."""

    current: Generation
    retired: Generation
    stranger: Generation


@dataclass(frozen=True, slots=True)
class Signing:
    """One signature to be made by `signer` at `at`; `changes` are those of `identities.extensions`."""

    generations: Generations
    signer: Identity
    at: datetime
    shape: Shape
    spoil: Spoil | None
    changes: Mapping[int, str | None] | None

    def envelope(self, payload: bytes, payload_type: str = IN_TOTO) -> bytes:
        """Sign a payload in a DSSE envelope and return the bundle."""
        if self.spoil is Spoil.PAYLOAD_TYPE_OTHER:
            payload_type = _OTHER_PAYLOAD_TYPE
        key = keys.p256()  # (1) a key for this one signature
        certificate = self._certificate(key)  # (2)
        message = pae(payload_type, payload)
        signature = keys.sign(self._hand(key), message)  # (3)
        logged, logged_signature = payload, signature  # (4) what the log is told
        if self.spoil is Spoil.ENTRY_OF_ANOTHER:
            logged = payload + b"\n"
            logged_signature = keys.sign(key, pae(payload_type, logged))
        body = envelope_body(self.shape, certificate, payload_type, logged, logged_signature)
        if self.spoil is Spoil.PAYLOAD_ALTERED:  # (5) what the bundle holds
            payload += b" "
        if self.spoil is Spoil.PAYLOAD_TYPE_ALTERED:
            payload_type = _OTHER_PAYLOAD_TYPE
        shown = b"" if self.spoil is Spoil.SIGNATURE_MISSING else signature
        envelope = {
            "payload": keys.b64(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": keys.b64(shown)}],
        }
        return self._bundle(certificate, body, signature, {"dsseEnvelope": envelope})

    def digest(self, digest: bytes) -> bytes:
        """Sign what has this SHA-256 and return the bundle."""
        key = keys.p256()
        certificate = self._certificate(key)
        signature = self._hand(key).sign(digest, _PREHASHED)
        logged, logged_signature = digest, signature
        if self.spoil is Spoil.ENTRY_OF_ANOTHER:
            logged = hashlib.sha256(digest).digest()
            logged_signature = key.sign(logged, _PREHASHED)
        body = digest_body(self.shape, certificate, logged, logged_signature)
        shown = b"" if self.spoil is Spoil.SIGNATURE_MISSING else signature
        hint = hashlib.sha256(digest).digest() if self.spoil is Spoil.DIGEST_OTHER else digest
        message = {
            "messageDigest": {"algorithm": "SHA2_256", "digest": keys.b64(hint)},
            "signature": keys.b64(shown),
        }
        return self._bundle(certificate, body, signature, {"messageSignature": message})

    def _hand(self, key: ec.EllipticCurvePrivateKey) -> ec.EllipticCurvePrivateKey:
        return keys.p256() if self.spoil is Spoil.SIGNATURE_WRONG else key

    def _whose(self, unknown: Spoil, retired: Spoil) -> Generation:
        if self.spoil is unknown:
            return self.generations.stranger
        return self.generations.retired if self.spoil is retired else self.generations.current

    def _certificate(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        starts = self.at
        if self.spoil is Spoil.CERTIFICATE_EXPIRED:
            starts -= 2 * authority.LIFETIME
        if self.spoil is Spoil.CERTIFICATE_NOT_YET_VALID:
            starts += authority.LIFETIME
        profile = Profile(
            starts,
            starts + authority.LIFETIME,
            code_signing=self.spoil is not Spoil.CODE_SIGNING_MISSING,
            digital_signature=self.spoil is not Spoil.DIGITAL_SIGNATURE_MISSING,
            subject_name=self.spoil is not Spoil.SUBJECT_NAME_MISSING,
            sct_of_other_bytes=self.spoil is Spoil.SCT_WRONG,
            changes=self.changes,
        )
        promised = self.shape in LOGGED and self.spoil is not Spoil.SCT_MISSING
        log = self._whose(Spoil.CT_KEY_UNKNOWN, Spoil.CT_KEY_RETIRED).certificates
        issuer = self._whose(Spoil.AUTHORITY_UNKNOWN, Spoil.AUTHORITY_RETIRED).authority
        return issuer.issue(key.public_key(), self.signer, profile, log if promised else None)

    def _bundle(
        self, certificate: x509.Certificate, body: dict[str, object], signature: bytes, content: dict[str, object]
    ) -> bytes:
        material: dict[str, object] = {"certificate": {"rawBytes": keys.b64(authority.to_der(certificate))}}
        material["tlogEntries"] = [self._entry(body).to_json()] if self.shape in LOGGED else []
        material["timestampVerificationData"] = {"rfc3161Timestamps": self._timestamps(signature)}
        return json.dumps({"mediaType": BUNDLE_TYPE, "verificationMaterial": material, **content}).encode()

    def _timestamps(self, signature: bytes) -> list[dict[str, str]]:
        if self.shape not in STAMPED or self.spoil is Spoil.TIMESTAMP_MISSING:
            return []
        whose = self._whose(Spoil.TIMESTAMP_AUTHORITY_UNKNOWN, Spoil.TIMESTAMP_AUTHORITY_RETIRED).timestamps
        response = whose.stamp(
            signature + b"\x00" if self.spoil is Spoil.TIMESTAMP_OF_OTHER_BYTES else signature,
            self.at - _EARLY if self.spoil is Spoil.TIMESTAMP_OUTSIDE else self.at,
            signature_of=signature if self.spoil is Spoil.TIMESTAMP_WRONG else None,
        )
        return [{"signedTimestamp": keys.b64(response)}]

    def _entry(self, body: dict[str, object]) -> LogEntry:
        whose = self._whose(Spoil.LOG_UNKNOWN, Spoil.LOG_RETIRED)
        log = whose.log_v2 if self.shape in V2 else whose.log_v1
        entry = log.append(body, self.at - _EARLY if self.spoil is Spoil.TIME_OUTSIDE else self.at)
        return self._spoiled_proof(log, self._spoiled_promise(log, entry))

    def _spoiled_promise(self, log: Log, entry: LogEntry) -> LogEntry:
        match self.spoil:
            case Spoil.PROMISE_MISSING:
                return replace(entry, promise=None)
            case Spoil.PROMISE_WRONG:
                return self.generations.stranger.log_v1.promised(entry, self.at)
            case Spoil.PROMISE_OF_OTHER_BYTES:
                return replace(log.promised(replace(entry, body=entry.body + b" "), self.at), body=entry.body)
            case Spoil.TIME_ALTERED:
                return replace(entry, integrated=int(self.at.timestamp()) + 1)
            case Spoil.ENTRY_KIND_WRONG:
                return replace(entry, kind="hashedrekord" if entry.kind != "hashedrekord" else "dsse")
            case _:
                return entry

    def _spoiled_proof(self, log: Log, entry: LogEntry) -> LogEntry:
        match self.spoil:
            case Spoil.PROOF_MISSING:
                return replace(entry, proof=False)
            case Spoil.PROOF_WRONG:
                return replace(entry, hashes=(_flipped(entry.hashes[0]), *entry.hashes[1:]))
            case Spoil.PROOF_TOO_SHORT:
                return replace(entry, hashes=entry.hashes[:-1])
            case Spoil.PROOF_INDEX_WRONG:
                return replace(entry, proof_index=entry.proof_index - 1)
            case Spoil.PROOF_OF_OTHER_BYTES:
                other = log.append({"apiVersion": entry.version, "kind": entry.kind, "spec": {}}, self.at)
                return replace(other, body=entry.body, log_index=entry.log_index, promise=entry.promise)
            case Spoil.ROOT_OTHER:
                return replace(entry, checkpoint=log.checkpoint(entry.tree_size, _flipped(entry.root)))
            case Spoil.CHECKPOINT_MISSING:
                return replace(entry, checkpoint=None)
            case Spoil.CHECKPOINT_WRONG:
                return replace(entry, checkpoint=log.checkpoint(entry.tree_size, entry.root, signature_of=entry.root))
            case Spoil.CHECKPOINT_KEY_UNKNOWN:
                stranger = self.generations.stranger
                their_log = stranger.log_v2 if self.shape in V2 else stranger.log_v1
                return replace(entry, checkpoint=their_log.checkpoint(entry.tree_size, entry.root))
            case _:
                return entry


def _flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]
