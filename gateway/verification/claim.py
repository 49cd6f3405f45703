"""Steps 1 and 2 of a verification (`verifier`): what a piece of evidence holds, and who a root says may have signed it.

Nothing here is held to a time: a claim says which authority issued the certificate, not that it was good.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import Malformed
from gateway.model.digest import STRONG, Digest
from gateway.model.evidence import Evidence, Format, Provenance, Summary
from gateway.verification.bundle import (
    IN_TOTO,
    Bundle,
    Content,
    Envelope,
    LogEntry,
    MessageSignature,
    SimpleSigning,
    UnsupportedKind,
)
from gateway.verification.certificate import Issuer, Leaf, load, path, read_issuer, read_leaf, self_issued
from gateway.verification.cosign import read_subject
from gateway.verification.entry import KINDS, EntryBody, read_body
from gateway.verification.formats import detect, read
from gateway.verification.keys import PublicKey
from gateway.verification.memory import Memory
from gateway.verification.provenance import read_provenance
from gateway.verification.statement import Statement, read_statement
from gateway.verification.summary import read_summary
from gateway.verification.trust_root import Authority, NamedKey, TrustRoot

HINTS: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}

Path = tuple[Authority, tuple[Issuer, ...]]
# A job signs many files with one certificate. Keys hold the root's digest, so a changed root remembers nothing.
_LEAVES: Final[Memory[bytes, Leaf]] = Memory(1024)
_PATHS: Final[Memory[tuple[str, bytes], tuple[Path, ...]]] = Memory(4096)


def forget() -> None:
    """Forget every certificate that was read and every path that was found."""
    _LEAVES.clear()
    _PATHS.clear()


@dataclass(frozen=True, slots=True)
class Read:
    """Evidence after step 1; what it holds is the same under every root."""

    bundle: Bundle
    leaf: Leaf | None
    leaf_hash: bytes
    entries: tuple[tuple[LogEntry, EntryBody], ...]
    statement: Statement | None
    provenance: Provenance | None = None
    summary: Summary | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """Who a root says may have signed: a certificate with its paths to authorities, or a named key."""

    key: PublicKey
    verifier: bytes  # DER of the certificate or the key, as log entries record it
    paths: tuple[Path, ...] = ()
    named: NamedKey | None = None


# --- 1. Read ------------------------------------------------------------------------------------------------------


def read_evidence(evidence: Evidence) -> Read:
    """Read everything that is the same under each root; raises `Malformed`, or whatever a third party's parser does."""
    kind = evidence.ref.format
    bundle = read(evidence.body, detect(evidence.body) if kind is Format.UNKNOWN else kind)
    leaf, leaf_hash = None, b""
    if bundle.certificates:
        first, *others = bundle.certificates
        leaf_hash = hashlib.sha256(first).digest()
        leaf = _LEAVES.proved(leaf_hash, lambda: read_leaf(first))
        if any(self_issued(load(other, "certificate chain")) for other in others):
            raise Malformed("certificate chain", "holds a root certificate")
    entries = []
    for entry in bundle.entries:
        if (entry.kind, entry.version) not in KINDS:
            raise UnsupportedKind("log entry", f"an entry of kind {entry.kind} {entry.version}")
        entries.append((entry, read_body(entry)))
    found = Read(bundle, leaf, leaf_hash, tuple(entries), None)
    match bundle.content:
        case SimpleSigning(payload=payload):
            read_subject(payload)  # malformed before any root
        case MessageSignature(algorithm=algorithm) if algorithm not in {None, *HINTS}:
            raise UnsupportedKind("messageSignature", f"a digest of kind {algorithm}")
        case Envelope(payload_type=said) if said != IN_TOTO:
            raise UnsupportedKind("envelope", f"a payload of type {said}")
        case Envelope(payload=payload):
            statement = read_statement(payload)
            facts = (read_provenance(statement), read_summary(statement))
            return Read(bundle, leaf, leaf_hash, tuple(entries), statement, *facts)
        case MessageSignature():
            pass
    return found


# --- 2. Claim -----------------------------------------------------------------------------------------------------


def claim(root: TrustRoot, read: Read, files: Sequence[tuple[Digest, ...]]) -> Signer | None:
    """Return who the root says may have signed, or None where it does not know the signer."""
    leaf = read.leaf
    if leaf is None:
        return _claim_key(root, read.bundle, files)
    if root.kind == "ca":
        # A private authority's intermediates come with the evidence; an instance of Sigstore names its own.
        about = "certificate chain"
        between = [read_issuer(load(der, about), about) for der in read.bundle.certificates[1:]]
        paths = _paths(root, leaf, between)
    else:
        paths = _PATHS.proved((root.digest, read.leaf_hash), lambda: _paths(root, leaf, []))
    return None if paths is None else Signer(leaf.key, leaf.der, paths)


def _paths(root: TrustRoot, leaf: Leaf, between: Sequence[Issuer]) -> tuple[Path, ...] | None:
    found = [(authority, path(leaf, between, authority.chain)) for authority in root.authorities]
    return tuple((authority, steps) for authority, steps in found if steps is not None) or None


def _claim_key(root: TrustRoot, bundle: Bundle, files: Sequence[tuple[Digest, ...]]) -> Signer | None:
    """Choose the key that a bundle means: by its hint, else the one that made the signature."""
    hinted = [key for key in root.keys if bundle.key_hint in _names(key)]
    named = next(iter(hinted), None) or next((k for k in root.keys if _made(k.key, bundle.content, files)), None)
    return None if named is None else Signer(named.key, named.key.der, named=named)


def _names(key: NamedKey) -> frozenset[str]:
    """Every hint that means this key: its name, and its fingerprint as base64 or hexadecimal."""
    fingerprint = key.key.fingerprint
    return frozenset({key.name, fingerprint.hex(), binascii.b2a_base64(fingerprint, newline=False).decode()})


def _made(key: PublicKey, content: Content, files: Sequence[tuple[Digest, ...]]) -> bool:
    match content:
        case Envelope():
            return any(key.signed_content(signature, content.pae) for signature in content.signatures)
        case SimpleSigning():
            return key.signed_content(content.signature, content.payload)
        case MessageSignature():
            return any(key.signed_digest(content.signature, strong(file)) is not None for file in files)


def strong(file: tuple[Digest, ...]) -> dict[str, bytes]:
    """Return a file's digests that a signature may be over, as bytes."""
    return {digest.algorithm: bytes.fromhex(digest.value) for digest in file if digest.algorithm in STRONG}
