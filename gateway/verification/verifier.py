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

Steps 1 and 2 stand in `claim`, the others here. Every step runs whose material is there, and every reason is reported.
A bundle never chooses its root: each root that claims it is tried, and the caller's policy selects. Specifications:
Sigstore's client specification (https://github.com/sigstore/architecture-docs/blob/main/client-spec.md, sections 4.1 to
4.6) for steps 2 to 9, RFC 3161 for 3, RFC 5280 section 6 for 4, RFC 6962 section 3 for 6, RFC 9162 section 2.1 and
https://c2sp.org/tlog-checkpoint for 7.

Not checked here: whether the signer is expected, whether a statement covers an upload, what its predicate is worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway import limits
from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Attestation, Evidence, Finding, Format, Subject
from gateway.reasons import Code, Reason
from gateway.verification import claim as claiming
from gateway.verification import inclusion, promise, sct, timestamp
from gateway.verification import second_opinion as peer
from gateway.verification.bundle import Envelope, MessageSignature, SimpleSigning
from gateway.verification.certificate import Issuer, Leaf
from gateway.verification.claim import HINTS, Read, Signer, claim, read_evidence, strong
from gateway.verification.cosign import read_subject
from gateway.verification.entry import difference
from gateway.verification.formats import detect, unreadable
from gateway.verification.keys import PublicKey
from gateway.verification.links import verify_links
from gateway.verification.memory import Memory
from gateway.verification.trust_root import TrustRoot, log_at

_SKEW: Final = timedelta(seconds=limits.CLOCK_SKEW_SECONDS)
# Keys hold the root's digest, so a changed root remembers nothing.
_SCTS: Final[Memory[tuple[str, bytes, bytes], frozenset[bytes]]] = Memory(4096)


def forget() -> None:
    """Forget what was proved before, so that a measurement starts cold; nothing else ever needs it."""
    claiming.forget()
    _SCTS.clear()
    inclusion.forget()


@dataclass(slots=True)
class _Trial:
    """The evidence before one root, and what the steps found so far."""

    about: str
    root: TrustRoot
    signer: Signer
    read: Read
    files: Sequence[tuple[Digest, ...]]
    now: datetime
    reasons: list[Reason] = field(default_factory=list)
    times: list[tuple[datetime, str]] = field(default_factory=list)  # proved, and by what
    promised: dict[int, datetime] = field(default_factory=dict)  # what entries state, by place; see `times`
    stamped: set[bytes] = field(default_factory=set)  # authorities of timestamps
    logged: set[bytes] = field(default_factory=set)  # logs that hold an entry
    covers: tuple[Subject, ...] = ()
    digests: Mapping[str, bytes] = field(default_factory=dict)  # of the file that a plain signature is over

    def refuse(self, code: Code, expected: str = "", got: str = "") -> None:
        self.reasons.append(Reason(code, self.about, expected, got))

    def refused(self, *codes: Code) -> bool:
        return any(reason.code in codes for reason in self.reasons)

    @property
    def moments(self) -> list[datetime]:
        """Every time at which the signer must have been good."""
        return [time for time, _ in self.times] or ([] if self.root.needs_time else [self.now])


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
    if (detect(evidence.body) if evidence.ref.format is Format.UNKNOWN else evidence.ref.format).judged_together:
        return verify_links((evidence,), roots, files, now)
    about = evidence.ref.label
    try:
        found = read_evidence(evidence)
        signers = [(root, claim(root, found, files)) for root in roots]
    except Exception as error:  # noqa: BLE001 - third parties' parsers of hostile bytes: anything else fails closed
        return (Finding(evidence.ref, None, reasons=(unreadable(about, error),)),)
    claims = [(root, signer) for root, signer in signers if signer is not None]
    if not claims:
        return tuple(Finding(evidence.ref, root.name, reasons=(_unclaimed(about, root, found),)) for root in roots)
    findings = []
    for root, signer in claims:
        trial = _Trial(about, root, signer, found, files, now)
        try:
            _hear(trial, allow_sandbox=allow_sandbox, second_opinion=second_opinion)
        except Exception as error:  # noqa: BLE001 - the same
            trial.refuse(Code.EVIDENCE_MALFORMED, got=f"a part that cannot be checked ({type(error).__name__})")
        findings.append(_finding(evidence, trial))
    return tuple(findings)


def _hear(trial: _Trial, *, allow_sandbox: bool, second_opinion: bool) -> None:
    """Run steps 3 to 10."""
    root, now = trial.root, trial.now
    if root.not_after is not None and now > root.not_after:
        trial.refuse(Code.TRUST_ROOT_EXPIRED, f"a use by {root.not_after.date()}", now.date().isoformat())
    _timestamps(trial)
    _promises(trial)
    issuing = _path(trial)
    _profile(trial, allow_sandbox=allow_sandbox)
    _scts(trial, issuing)
    _content(trial)  # step 9 comes before 7: an entry must be about the file that was signed
    _log(trial)
    _enough(trial)
    if second_opinion and not trial.reasons:
        _opinion(trial)


# --- 3. Time ------------------------------------------------------------------------------------------------------


def _timestamps(trial: _Trial) -> None:
    """Verify every timestamp token; a root without authorities has nobody who could vouch for one."""
    root, signature = trial.root, trial.read.bundle.signature
    if not root.timestamp_authorities:
        return
    for data in trial.read.bundle.timestamps:
        try:
            token = timestamp.read_token(data)
        except Malformed as error:
            trial.refuse(Code.TIMESTAMP_INVALID, "an RFC 3161 timestamp", str(error))
            continue
        signers = (authority.signer_of(token) for authority in root.timestamp_authorities)
        by = next((s for s in signers if s is not None and timestamp.verified(token, signature, s)), None)
        if by is None:
            expected = f"one for this signature, by an authority of {root.name} good at {token.time.isoformat()}"
            trial.refuse(Code.TIMESTAMP_INVALID, expected)
        elif token.time > trial.now + _SKEW:
            trial.refuse(Code.TIMESTAMP_INVALID, "a time that has come", token.time.isoformat())
        else:
            trial.stamped.add(by.der)
            trial.times.append((token.time, "timestamp authority"))


def _promises(trial: _Trial) -> None:
    """Verify every promise of inclusion by a log of the root; step 7 refuses entries of other logs."""
    for place, (entry, _) in enumerate(trial.read.entries):
        if entry.promise is None or entry.time is None or not trial.root.logs:
            continue
        if entry.time > (trial.now + _SKEW).timestamp():
            trial.refuse(Code.LOG_PROOF_INVALID, "a time that has come", str(entry.time))
            continue
        time = trial.promised[place] = datetime.fromtimestamp(entry.time, UTC)
        log = log_at(trial.root.logs, entry.log_id, [time])
        if log is None:
            continue
        if log.key.signed(entry.promise, promise.promised(entry)):
            trial.times.append((time, "log"))
        else:
            trial.refuse(Code.LOG_PROOF_INVALID, "a promise signed by the log", "another signature")


# --- 4. Path ------------------------------------------------------------------------------------------------------


def _path(trial: _Trial) -> Issuer | None:
    """Choose the authority whose windows hold at every time; return the certificate that issued the leaf."""
    leaf, named, times = trial.read.leaf, trial.signer.named, trial.moments
    if leaf is None:
        if named is not None and (outside := [time for time in times if time not in named.window]):
            trial.refuse(Code.CERTIFICATE_EXPIRED, f"a time in {named.window}", outside[0].isoformat())
        return None
    if outside := [time for time in times if not leaf.not_before <= time <= leaf.not_after]:
        expected = f"a time from {leaf.not_before.isoformat()} to {leaf.not_after.isoformat()}"
        trial.refuse(Code.CERTIFICATE_EXPIRED, expected, outside[0].isoformat())
    for authority, steps in trial.signer.paths:
        if all(time in authority.window and all(step.valid_at(time) for step in steps) for time in times):
            return steps[0]
    when = ", ".join(time.isoformat() for time in times)
    trial.refuse(Code.CERTIFICATE_UNTRUSTED, f"an authority of {trial.root.name} that was good at the time", when)
    return trial.signer.paths[0][1][0]


# --- 5. Profile ---------------------------------------------------------------------------------------------------


def _profile(trial: _Trial, *, allow_sandbox: bool) -> None:
    leaf = trial.read.leaf
    if leaf is None:
        return
    for fault in leaf.faults:
        trial.refuse(Code.CERTIFICATE_INVALID, got=fault)
    marked = leaf.sandbox or any(step.sandbox for _, steps in trial.signer.paths for step in steps)
    if marked and not allow_sandbox:
        trial.refuse(Code.CERTIFICATE_SANDBOX)


# --- 6. SCT -------------------------------------------------------------------------------------------------------


def _scts(trial: _Trial, issuing: Issuer | None) -> None:
    root, leaf, wanted = trial.root, trial.read.leaf, trial.root.thresholds.sct
    if leaf is None or issuing is None or wanted == 0:
        return
    key = (root.digest, trial.read.leaf_hash, issuing.key_hash)
    seen = _SCTS.proved(key, lambda: _sct_logs(root, leaf, issuing))
    if seen is None:
        trial.refuse(Code.SCT_INVALID, "a timestamp signed by the certificate log", "another signature")
    elif len(seen) < wanted:
        trial.refuse(Code.SCT_INVALID, f"{wanted} by certificate logs of {root.name}", f"{len(seen)}")


def _sct_logs(root: TrustRoot, leaf: Leaf, issuing: Issuer) -> frozenset[bytes] | None:
    """Return the logs of the root that saw the certificate; None where a signature does not hold."""
    seen = set[bytes]()
    for stamp in leaf.scts:
        log = log_at(root.ct_logs, stamp.log_id, [sct.time_of(stamp)])
        if log is None:
            continue  # of a log that this root does not know: not counted
        data = sct.signed_data(stamp, issuing.key_hash, leaf.certificate.tbs_precertificate_bytes)
        if data is None or not log.key.signed(stamp.signature, data):
            return None
        seen.add(log.id)
    return frozenset(seen)


# --- 7. Log -------------------------------------------------------------------------------------------------------


def _log(trial: _Trial) -> None:
    """Verify every entry; a root without logs has nobody who could vouch for one."""
    root, read = trial.root, trial.read
    for place, (entry, body) in enumerate(read.entries if root.logs else ()):
        # An entry of Rekor v2 has no time of its own: the log's key must have been good at every proved time.
        times = [trial.promised[place]] if place in trial.promised else trial.moments
        log = log_at(root.logs, entry.log_id, times)
        if log is None:
            expected, got = f"a log of {root.name} good at the time", f"log {entry.log_id.hex()[:16]}"
            trial.refuse(Code.LOG_PROOF_INVALID, expected, got)
            continue
        fault = inclusion.fault(entry, read.bundle.version, log)
        other = difference(body, read.bundle.content, trial.signer.verifier, trial.digests)
        if fault:
            trial.refuse(Code.LOG_PROOF_INVALID, got=fault)
        if other:
            trial.refuse(Code.LOG_ENTRY_MISMATCH, "an entry of this content", other)
        if not fault and not other:
            trial.logged.add(log.id)


# --- 8. Enough ----------------------------------------------------------------------------------------------------


def _enough(trial: _Trial) -> None:
    """Compare with the thresholds; what an invalid proof already explains is not said twice."""
    root, wanted = trial.root, trial.root.thresholds
    if len(trial.logged) < wanted.log and not trial.refused(Code.LOG_PROOF_INVALID, Code.LOG_ENTRY_MISMATCH):
        trial.refuse(Code.LOG_ENTRY_MISSING, f"{wanted.log} in logs of {root.name}", str(len(trial.logged)))
    if trial.refused(Code.TIMESTAMP_INVALID):
        return
    if len(trial.stamped) < wanted.timestamp:
        got = str(len(trial.stamped))
        trial.refuse(Code.TIMESTAMP_MISSING, f"{wanted.timestamp} by authorities of {root.name}", got)
    elif root.needs_time and not trial.times and not trial.refused(Code.LOG_PROOF_INVALID, Code.LOG_ENTRY_MISSING):
        trial.refuse(Code.TIMESTAMP_MISSING, "a timestamp, or a log's promise with a time", "none")


# --- 9. Content ---------------------------------------------------------------------------------------------------


def _content(trial: _Trial) -> None:
    read, key = trial.read, trial.signer.key
    match read.bundle.content:
        case MessageSignature() as message:
            _message(trial, message, key)
        case SimpleSigning() as simple:
            trial.digests = {"sha256": hashlib.sha256(simple.payload).digest()}
            if key.signed_content(simple.signature, simple.payload):
                trial.covers = (read_subject(simple.payload),)
            else:
                trial.refuse(Code.SIGNATURE_INVALID, "a signature over this payload", "another signature")
        case Envelope() as envelope:
            assert read.statement is not None
            pae = envelope.pae
            if any(key.signed_content(signature, pae) for signature in envelope.signatures):
                trial.covers = read.statement.subjects
            else:
                trial.refuse(Code.SIGNATURE_INVALID, "a signature over this statement", "another signature")


def _message(trial: _Trial, content: MessageSignature, key: PublicKey) -> None:
    """Find the file that a plain signature is over, among those that the signer's hint does not rule out."""
    hint = HINTS.get(content.algorithm or "", "sha256")
    files = [strong(file) for file in trial.files]
    hinted = [file for file in files if content.digest is None or file.get(hint) == content.digest]
    signed = next((file for file in hinted if key.signed_digest(content.signature, file) is not None), None)
    if signed is not None:
        trial.digests = signed
        trial.covers = (Subject(None, tuple(Digest(name, value.hex()) for name, value in sorted(signed.items()))),)
    elif hinted:
        trial.digests = hinted[0]
        expected = f"a signature over the file's {' or '.join(key.hashes)}"
        trial.refuse(Code.SIGNATURE_INVALID, expected, "another signature")
    else:
        trial.digests = {hint: content.digest or b""}
        ours = ", ".join(f"{hint}:{file.get(hint, b'').hex()}" for file in files)
        trial.refuse(Code.DIGEST_MISMATCH, ours, f"{hint}:{(content.digest or b'').hex()}")


# --- 10. Opinion --------------------------------------------------------------------------------------------------


def _opinion(trial: _Trial) -> None:
    """Ask the other engine about what this one would accept."""
    root, read = trial.root, trial.read
    if not peer.knows(root, read.leaf, read.bundle):
        return
    if objection := peer.objection(root, read.bundle, trial.digests):
        trial.refuse(Code.SECOND_OPINION_DIFFERS, "acceptance by both engines", objection)


# --- Findings -----------------------------------------------------------------------------------------------------


def _finding(evidence: Evidence, trial: _Trial) -> Finding:
    root, read = trial.root, trial.read
    if trial.reasons or not trial.covers:
        reasons = tuple(dict.fromkeys(trial.reasons)) or (Reason(Code.SIGNATURE_INVALID, trial.about),)
        return Finding(evidence.ref, root.name, reasons=reasons)
    time, source = max(trial.times, default=(None, "none"))
    attestation = Attestation(
        root=root.name,
        root_digest=root.digest,
        signer=None if read.leaf is None else read.leaf.identity,
        key=None if trial.signer.named is None else trial.signer.named.name,
        time=time,
        time_source=source,
        predicate_type=None if read.statement is None else read.statement.predicate_type,
        covers=trial.covers,
        provenance=read.provenance,
        summary=read.summary,
    )
    return Finding(evidence.ref, root.name, attestation)


def _unclaimed(about: str, root: TrustRoot, read: Read) -> Reason:
    if read.leaf is not None:
        issuer = read.leaf.certificate.issuer.rfc4514_string()
        return Reason(Code.CERTIFICATE_UNTRUSTED, about, f"an authority of {root.name}", issuer)
    hint = read.bundle.key_hint or "without a hint"
    return Reason(Code.CERTIFICATE_UNTRUSTED, about, f"a key of {root.name}", f"key {hint}")
