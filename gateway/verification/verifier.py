"""The algorithm: one piece of evidence under each trust root, to findings.

    1. Read      the evidence into a bundle; its certificate, entries, tokens and statement into values.
    2. Claim     the roots whose authority issued the certificate, or whose key the bundle may mean.
    3. Time      each inclusion promise and each timestamp token gives a proved time; nothing else does.
    4. Path      certificate, chain and the authority's window hold at every proved time.
    5. Profile   the certificate may sign code, names one subject, and bears no mark of the sandbox.
    6. SCT       logs of the root saw the certificate.
    7. Log       each entry is in a log of the root, whose key was good at that time, and is about this content.
    8. Enough    the root's thresholds are met.
    9. Content   the signature is over this file, or over this statement.
    10. Opinion  a second engine agrees, where it knows the kind (`second_opinion`).

Every step runs whose material is there, and every reason is reported. Specifications: Sigstore's client specification
(https://github.com/sigstore/architecture-docs/blob/main/client-spec.md, sections 4.1 to 4.6) for steps 2 to 9,
RFC 5280 section 6 for 4, RFC 6962 section 3 for 6, RFC 9162 section 2.1 and https://c2sp.org/tlog-checkpoint for 7,
RFC 3161 for 3. A bundle never chooses its root: each root that claims it is tried, and the caller's policy selects.

Not checked here: whether the signer is expected, whether a statement covers an upload, what its predicate is worth.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import STRONG, Digest
from gateway.model.evidence import Attestation, Evidence, Finding, Format, Provenance, Subject
from gateway.reasons import Code, Reason
from gateway.verification import merkle, promise, sct, timestamp
from gateway.verification.bundle import IN_TOTO, Bundle, Envelope, InclusionProof, LogEntry, MessageSignature
from gateway.verification.certificate import Issuer, Leaf, issued, load, path, read_leaf, self_issued
from gateway.verification.entry import KINDS, EntryBody, difference, read_body
from gateway.verification.formats import detect, read
from gateway.verification.keys import PublicKey
from gateway.verification.provenance import read_provenance
from gateway.verification.statement import Statement, read_statement
from gateway.verification.timestamp import Signer, Token
from gateway.verification.trust_root import Authority, Log, NamedKey, TimestampAuthority, TrustRoot

_SKEW: Final = timedelta(seconds=limits.CLOCK_SKEW_SECONDS)
_HINTS: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}


class _Unsupported(Malformed):
    """Well-formed evidence of a kind that is not verified here."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Evidence after step 1; what it holds is the same under every root."""

    bundle: Bundle
    leaf: Leaf | None
    entries: tuple[tuple[LogEntry, EntryBody], ...]
    statement: Statement | None
    provenance: Provenance | None


@dataclass(frozen=True, slots=True)
class _Signer:
    """Who a root says may have signed: an authority with the path to it, or a key."""

    key: PublicKey
    verifier: bytes  # DER of the certificate or the key, as log entries record it
    paths: tuple[tuple[Authority, tuple[Issuer, ...]], ...] = ()
    named: NamedKey | None = None


@dataclass(slots=True)
class _Ledger:
    """What the steps found so far under one root."""

    about: str
    reasons: list[Reason] = field(default_factory=list)
    times: list[tuple[datetime, str]] = field(default_factory=list)

    def refuse(self, code: Code, expected: str = "", got: str = "") -> None:
        self.reasons.append(Reason(code, self.about, expected, got))


def verify(
    evidence: Evidence,
    roots: Sequence[TrustRoot],
    files: Sequence[tuple[Digest, ...]],
    now: datetime,
    *,
    allow_sandbox: bool = False,
    second_opinion: bool = True,
) -> tuple[Finding, ...]:
    """Verify one piece of evidence under each root that claims it; never raises for what the evidence holds.

    `files` are the measured digests of the uploaded files: a plain signature names no file, so it covers the one whose
    digest it was made over. Where no root claims the evidence, each gives `certificate-untrusted`; where it cannot be
    read, one finding without a root says so.
    """
    about = evidence.ref.label
    # 1. Read.
    try:
        material = _step_read(evidence)
    except Exception as error:  # noqa: BLE001 - third parties' parsers of hostile bytes: anything else fails closed
        return (Finding(evidence.ref, None, reasons=(_unreadable(about, error),)),)
    # 2. Claim.
    claims = [(root, _step_claim(root, material, files)) for root in roots]
    if not any(signer is not None for _, signer in claims):
        return tuple(Finding(evidence.ref, root.name, reasons=(_unclaimed(about, root, material),)) for root in roots)
    findings = []
    for root, signer in claims:
        if signer is None:
            continue
        ledger = _Ledger(about)
        covers: tuple[Subject, ...] = ()
        try:
            covers = _under(root, signer, material, files, now, ledger, allow_sandbox=allow_sandbox)
        except Exception:  # noqa: BLE001 - the same
            ledger.refuse(Code.EVIDENCE_MALFORMED, got="a part that cannot be checked")
        findings.append(_finding(evidence, root, signer, material, covers, ledger))
    return tuple(findings)


def _under(
    root: TrustRoot,
    signer: _Signer,
    material: _Read,
    files: Sequence[tuple[Digest, ...]],
    now: datetime,
    ledger: _Ledger,
    *,
    allow_sandbox: bool,
) -> tuple[Subject, ...]:
    """Run steps 3 to 9; return what the signature covers."""
    if root.not_after is not None and now > root.not_after:
        ledger.refuse(Code.TRUST_ROOT_EXPIRED, f"a use by {root.not_after.date()}", now.date().isoformat())
    # 3. Time.
    stamped = _step_timestamps(root, material.bundle, now, ledger)
    promised = _step_promises(root, material.bundle, now, ledger)
    times = [time for time, _ in ledger.times] or ([] if _needs_time(root) else [now])
    # 4. and 5. Path and profile.
    if material.leaf is not None:
        issuing = _step_path(root, signer, material.leaf, times, ledger)
        _step_profile(material.leaf, signer, ledger, allow_sandbox=allow_sandbox)
        # 6. SCT.
        _step_scts(root, material.leaf, issuing, ledger)
    elif signer.named is not None and any(time not in signer.named.window for time in times):
        ledger.refuse(Code.CERTIFICATE_EXPIRED, f"a time in {signer.named.window}", f"key {signer.named.name}")
    # 9. Content: before the log, since an entry must be about the same file.
    covers, digests = _step_content(signer, material, files, ledger)
    # 7. Log.
    logged = _step_log(root, signer, material, digests, promised, ledger) if root.logs else set[bytes]()
    # 8. Enough.
    wanted = root.thresholds
    if len(logged) < wanted.log and not _has(ledger, Code.LOG_PROOF_INVALID, Code.LOG_ENTRY_MISMATCH):
        ledger.refuse(Code.LOG_ENTRY_MISSING, f"{wanted.log} in logs of {root.name}", str(len(logged)))
    if len(stamped) < wanted.timestamp and not _has(ledger, Code.TIMESTAMP_INVALID):
        ledger.refuse(Code.TIMESTAMP_MISSING, f"{wanted.timestamp} by authorities of {root.name}", str(len(stamped)))
    elif not ledger.times and _needs_time(root) and not _has(ledger, Code.TIMESTAMP_INVALID, Code.LOG_PROOF_INVALID):
        ledger.refuse(Code.TIMESTAMP_MISSING, "a timestamp, or a log's promise with a time", "none")
    return covers


# --- 1. Read ------------------------------------------------------------------------------------------------------


def _step_read(evidence: Evidence) -> _Read:
    kind = evidence.ref.format
    bundle = read(evidence.body, detect(evidence.body) if kind is Format.UNKNOWN else kind)
    leaf = None
    if bundle.certificates:
        leaf = read_leaf(bundle.certificates[0])
        if any(self_issued(load(other, "certificate chain")) for other in bundle.certificates):
            raise Malformed("certificate chain", "holds a root certificate")
    entries = []
    for entry in bundle.entries:
        if (entry.kind, entry.version) not in KINDS:
            raise _Unsupported("log entry", f"an entry of kind {entry.kind} {entry.version}")
        entries.append((entry, read_body(entry)))
    statement = provenance = None
    if isinstance(bundle.content, Envelope):
        if bundle.content.payload_type != IN_TOTO:
            raise _Unsupported("envelope", f"a payload of type {bundle.content.payload_type}")
        statement = read_statement(bundle.content.payload)
        provenance = read_provenance(statement)
    elif bundle.content.algorithm not in {None, *_HINTS}:
        raise _Unsupported("messageSignature", f"a digest of kind {bundle.content.algorithm}")
    return _Read(bundle, leaf, tuple(entries), statement, provenance)


# --- 2. Claim -----------------------------------------------------------------------------------------------------


def _step_claim(root: TrustRoot, material: _Read, files: Sequence[tuple[Digest, ...]]) -> _Signer | None:
    leaf = material.leaf
    if leaf is None:
        return _claim_key(root, material.bundle, files)
    # A public root names every certificate between; only a private authority's come with the evidence.
    between = [load(der, "certificate chain") for der in material.bundle.certificates[1:]] if root.kind == "ca" else []
    found = [(authority, path(leaf.certificate, between, authority.chain)) for authority in root.authorities]
    paths = tuple((authority, steps) for authority, steps in found if steps is not None)
    return _Signer(leaf.key, leaf.der, paths) if paths else None


def _claim_key(root: TrustRoot, bundle: Bundle, files: Sequence[tuple[Digest, ...]]) -> _Signer | None:
    """Choose the key a bundle means: by its hint, or the only one that made the signature."""
    hint = bundle.key_hint or ""
    candidates = [key for key in root.keys if hint in _names(key)] or [
        key for key in root.keys if _made(key.key, bundle.content, files)
    ]
    if not candidates:
        return None
    named = candidates[0]
    return _Signer(named.key, named.key.der, named=named)


def _unclaimed(about: str, root: TrustRoot, material: _Read) -> Reason:
    if material.leaf is not None:
        issuer = material.leaf.certificate.issuer.rfc4514_string()
        return Reason(Code.CERTIFICATE_UNTRUSTED, about, f"an authority of {root.name}", issuer)
    hint = material.bundle.key_hint or "one without a hint"
    return Reason(Code.CERTIFICATE_UNTRUSTED, about, f"a key of {root.name}", f"key {hint}")


# --- 3. Time ------------------------------------------------------------------------------------------------------


def _needs_time(root: TrustRoot) -> bool:
    """Whether signatures under the root must prove when they were made; if not, the time is now."""
    return root.kind == "sigstore" or root.thresholds.log + root.thresholds.timestamp > 0


def _step_timestamps(root: TrustRoot, bundle: Bundle, now: datetime, ledger: _Ledger) -> set[bytes]:
    """Verify each token by an authority of the root; return the distinct authorities' certificates."""
    seen = set[bytes]()
    if not root.timestamp_authorities:
        return seen  # nobody here could vouch for one
    content = bundle.content
    signature = content.signature if isinstance(content, MessageSignature) else content.signatures[0]
    for data in bundle.timestamps:
        try:
            token = timestamp.read_token(data)
        except Malformed as error:
            ledger.refuse(Code.TIMESTAMP_INVALID, "an RFC 3161 timestamp", str(error))
            continue
        by = next(_stamped(token, signature, root.timestamp_authorities), None)
        if by is None:
            ledger.refuse(Code.TIMESTAMP_INVALID, f"an authority of {root.name}, good at {token.time.isoformat()}")
        elif token.time > now + _SKEW:
            ledger.refuse(Code.TIMESTAMP_INVALID, "a time that has come", token.time.isoformat())
        else:
            seen.add(by.der)
            ledger.times.append((token.time, "timestamp authority"))
    return seen


def _stamped(token: Token, signature: bytes, authorities: Iterable[TimestampAuthority]) -> Iterator[Signer]:
    """Give the certificate that made the token, for each authority whose windows hold at its time."""
    for authority in authorities:
        if token.time not in authority.window or not all(step.valid_at(token.time) for step in authority.issuers):
            continue
        own = [authority.signer] if authority.signer is not None else _embedded(token, authority)
        for by in own:
            certificate = by.certificate
            valid = certificate.not_valid_before_utc <= token.time <= certificate.not_valid_after_utc
            if valid and by.named_by(token) and timestamp.verified(token, signature, by):
                yield by


def _embedded(token: Token, authority: TimestampAuthority) -> list[Signer]:
    found = []
    for data in token.certificates:
        certificate = load(data, "timestamp certificate")
        if authority.issuers and issued(certificate, authority.issuers[0].certificate):
            found.append(timestamp.signer(certificate, "timestamp certificate"))
    return found


def _step_promises(root: TrustRoot, bundle: Bundle, now: datetime, ledger: _Ledger) -> Mapping[int, datetime]:
    """Verify each entry's promise; return the promised times by the entry's place."""
    found: dict[int, datetime] = {}
    for place, entry in enumerate(bundle.entries):
        if entry.promise is None or entry.time is None or not root.logs:
            continue
        try:
            time = datetime.fromtimestamp(entry.time, now.tzinfo)
        except (ValueError, OverflowError, OSError):
            ledger.refuse(Code.LOG_PROOF_INVALID, "a time", str(entry.time))
            continue
        log = _log(root.logs, entry.log_id, [time])
        if log is None:
            continue  # step 7 refuses the entry
        if not log.key.signed(entry.promise, promise.promised(entry)):
            ledger.refuse(Code.LOG_PROOF_INVALID, "a promise signed by the log", "another signature")
        elif time > now + _SKEW:
            ledger.refuse(Code.LOG_PROOF_INVALID, "a time that has come", time.isoformat())
        else:
            found[place] = time
            ledger.times.append((time, "log"))
    return found


# --- 4. Path, 5. Profile, 6. SCT ----------------------------------------------------------------------------------


def _step_path(
    root: TrustRoot, signer: _Signer, leaf: Leaf, times: Sequence[datetime], ledger: _Ledger
) -> Issuer | None:
    """Choose the authority whose windows hold at every time; return the certificate that issued the leaf."""
    outside = [time for time in times if not leaf.not_before <= time <= leaf.not_after]
    if outside:
        expected = f"a time from {leaf.not_before.isoformat()} to {leaf.not_after.isoformat()}"
        ledger.refuse(Code.CERTIFICATE_EXPIRED, expected, outside[0].isoformat())
    for authority, steps in signer.paths:
        if all(time in authority.window and all(step.valid_at(time) for step in steps) for time in times):
            return steps[0]
    ledger.refuse(
        Code.CERTIFICATE_UNTRUSTED,
        f"an authority of {root.name} that was good at the time",
        f"signed at {', '.join(time.isoformat() for time in times)}",
    )
    return signer.paths[0][1][0]


def _step_profile(leaf: Leaf, signer: _Signer, ledger: _Ledger, *, allow_sandbox: bool) -> None:
    for fault in leaf.faults:
        ledger.refuse(Code.CERTIFICATE_INVALID, got=fault)
    sandbox = leaf.sandbox or any(step.sandbox for _, steps in signer.paths for step in steps)
    if sandbox and not allow_sandbox:
        ledger.refuse(Code.CERTIFICATE_SANDBOX)


def _step_scts(root: TrustRoot, leaf: Leaf, issuing: Issuer | None, ledger: _Ledger) -> None:
    seen = set[bytes]()
    if root.thresholds.sct == 0 or issuing is None:
        return
    for stamp in leaf.scts:
        time = sct.time_of(stamp)
        log = _log(root.ct_logs, stamp.log_id, [time])
        if log is None:
            continue  # a log this root does not know: not counted
        data = sct.signed_data(stamp, issuing.key_hash, leaf.certificate.tbs_precertificate_bytes)
        if data is None or not log.key.signed(stamp.signature, data):
            ledger.refuse(Code.SCT_INVALID, "a timestamp signed by the certificate log", "another signature")
            return
        seen.add(log.id)
    if len(seen) < root.thresholds.sct:
        expected = f"{root.thresholds.sct} by certificate logs of {root.name}"
        ledger.refuse(Code.SCT_INVALID, expected, f"{len(seen)} of {len(leaf.scts)}")


# --- 7. Log -------------------------------------------------------------------------------------------------------


def _step_log(
    root: TrustRoot,
    signer: _Signer,
    material: _Read,
    digests: Mapping[str, bytes],
    promised: Mapping[int, datetime],
    ledger: _Ledger,
) -> set[bytes]:
    """Verify every entry; return the distinct logs that hold one."""
    seen = set[bytes]()
    for place, (entry, body) in enumerate(material.entries):
        # An entry of Rekor v2 has no time of its own: its log's key must have been good at every proved time.
        times = [promised[place]] if place in promised else [time for time, _ in ledger.times]
        log = _log(root.logs, entry.log_id, times)
        if log is None:
            ledger.refuse(
                Code.LOG_PROOF_INVALID, f"a log of {root.name}, good at the time", f"log {entry.log_id.hex()[:16]}"
            )
            continue
        fault = _inclusion_fault(entry, material.bundle.version, log)
        if fault:
            ledger.refuse(Code.LOG_PROOF_INVALID, got=fault)
        elif other := difference(body, material.bundle.content, signer.verifier, digests):
            ledger.refuse(Code.LOG_ENTRY_MISMATCH, "an entry of this content", other)
        else:
            seen.add(log.id)
    return seen


def _inclusion_fault(entry: LogEntry, version: int, log: Log) -> str:
    """Say why the entry is not shown to be in the log, or return an empty text."""
    if version == 1:
        # Only v0.1 may do with the promise, which step 3 verified; a proof that comes beside it must hold too.
        if entry.promise is None or entry.time is None:
            return "no promise, which a bundle of version 0.1 must have"
        if entry.proof is None or entry.proof.checkpoint is None:
            return ""
    if entry.proof is None or entry.proof.checkpoint is None:
        return "no inclusion proof with a checkpoint"
    return _proof_fault(entry, entry.proof, log)


def _proof_fault(entry: LogEntry, proof: InclusionProof, log: Log) -> str:
    checkpoint = proof.checkpoint
    assert checkpoint is not None
    if entry.time is None and entry.index != proof.index:
        return "two places for one entry"  # Rekor v1's shards count from their own start
    if (checkpoint.root, checkpoint.size) != (proof.root, proof.size):
        return "a checkpoint of another tree"
    if merkle.root_of(merkle.leaf_hash(entry.body), proof.index, proof.size, proof.hashes) != proof.root:
        return "a proof that leads to another tree"
    signed = (
        line.name == checkpoint.signer and line.hint == log.hint and log.key.signed(line.signature, checkpoint.note)
        for line in checkpoint.signatures
    )
    return "" if any(signed) else "a checkpoint that the log did not sign"


# --- 9. Content ---------------------------------------------------------------------------------------------------


def _step_content(
    signer: _Signer, material: _Read, files: Sequence[tuple[Digest, ...]], ledger: _Ledger
) -> tuple[tuple[Subject, ...], Mapping[str, bytes]]:
    """Verify the signature; return what it covers, and the digests a log entry of a plain signature may record."""
    content = material.bundle.content
    if isinstance(content, Envelope):
        pae = content.pae
        if not all(signer.key.signed(signature, pae) for signature in content.signatures):
            ledger.refuse(Code.SIGNATURE_INVALID, "a signature over this statement", "another signature")
        return (material.statement.subjects if material.statement else ()), {}
    hinted = [file for file in files if _hinted(content, file)]
    if not hinted:
        expected = ", ".join(str(digest) for file in files for digest in file if digest.algorithm == "sha256")
        ledger.refuse(Code.DIGEST_MISMATCH, expected, f"{content.algorithm} {(content.digest or b'').hex()}")
    for file in hinted:
        digests = _strong(file)
        if signer.key.signed_digest(content.signature, digests) is not None:
            return (Subject(None, tuple(d for d in file if d.algorithm in STRONG)),), digests
    if hinted:
        ledger.refuse(Code.SIGNATURE_INVALID, "a signature over the file", "another signature")
        return (), _strong(hinted[0])
    # Of other bytes: whether the entry fits those is still worth saying.
    name = _HINTS.get(content.algorithm or "", "sha256")
    return (), {name: content.digest or b""}


def _hinted(content: MessageSignature, file: tuple[Digest, ...]) -> bool:
    """Whether the signer's hint at the digest is this file's; no hint hints at every file."""
    if content.digest is None:
        return True
    wanted = _HINTS.get(content.algorithm or "", "sha256")
    return any(d.algorithm == wanted and bytes.fromhex(d.value) == content.digest for d in file)


# --- Findings -----------------------------------------------------------------------------------------------------


def _finding(
    evidence: Evidence,
    root: TrustRoot,
    signer: _Signer,
    material: _Read,
    covers: tuple[Subject, ...],
    ledger: _Ledger,
) -> Finding:
    if ledger.reasons or not covers:
        reasons = tuple(dict.fromkeys(ledger.reasons)) or (Reason(Code.SIGNATURE_INVALID, ledger.about),)
        return Finding(evidence.ref, root.name, reasons=reasons)
    time, source = max(ledger.times, default=(None, "none"))
    attestation = Attestation(
        root.name,
        root.digest,
        None if material.leaf is None else material.leaf.identity,
        None if signer.named is None else signer.named.name,
        time,
        source,
        None if material.statement is None else material.statement.predicate_type,
        covers,
        material.provenance,
    )
    return Finding(evidence.ref, root.name, attestation)


def _unreadable(about: str, error: Exception) -> Reason:
    match error:
        case _Unsupported():
            return Reason(Code.EVIDENCE_UNSUPPORTED, about, got=str(error))
        case TooLarge():
            return Reason(Code.EVIDENCE_LIMIT, about, error.limit, error.about)
        case Malformed():
            return Reason(Code.EVIDENCE_MALFORMED, about, got=str(error))
        case _:
            return Reason(Code.EVIDENCE_MALFORMED, about, got=type(error).__name__)


def _has(ledger: _Ledger, *codes: Code) -> bool:
    return any(reason.code in codes for reason in ledger.reasons)


def _log(logs: Iterable[Log], identifier: bytes, times: Sequence[datetime]) -> Log | None:
    """Return the log's key whose window holds at every one of the times."""
    return next((log for log in logs if log.id == identifier and all(time in log.window for time in times)), None)


def _names(key: NamedKey) -> frozenset[str]:
    """Every hint that means this key: its name, and its fingerprint as base64 or hexadecimal."""
    fingerprint = key.key.fingerprint
    return frozenset({key.name, fingerprint.hex(), binascii.b2a_base64(fingerprint, newline=False).decode()})


def _made(key: PublicKey, content: MessageSignature | Envelope, files: Sequence[tuple[Digest, ...]]) -> bool:
    if isinstance(content, Envelope):
        return all(key.signed(signature, content.pae) for signature in content.signatures)
    return any(key.signed_digest(content.signature, _strong(file)) is not None for file in files)


def _strong(file: tuple[Digest, ...]) -> dict[str, bytes]:
    return {digest.algorithm: bytes.fromhex(digest.value) for digest in file if digest.algorithm in STRONG}
