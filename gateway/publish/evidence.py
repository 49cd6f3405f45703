"""Gathering evidence for an upload and having it verified, within a time budget, the publisher's own first.

Junk crowds nothing out: what the request carries is bounded by its protocol, what the locker holds is bounded per
credential and digest, and when the budget is spent what is left becomes a finding that says so (CONTRACTS C.12).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import BinaryIO

from gateway import limits
from gateway.credentials import covers
from gateway.model.case import Action
from gateway.model.digest import ALGORITHMS, STRONG, Digest, measure
from gateway.model.evidence import Evidence, Finding
from gateway.model.upload import File, Upload
from gateway.publish.served import Trust
from gateway.publish.verifying import in_turn
from gateway.reasons import Code, Reason
from gateway.store import Store
from gateway.verification import is_plain_signature, unverified, verify, verify_links

log = logging.getLogger(__name__)


async def gather(store: Store, upload: Upload, sent: Sequence[Evidence], grant: str) -> tuple[Evidence, ...]:
    """The request's evidence, then the locker's: what a credential that may attach to this package has sent.

    What the publisher's own `grant` has put there comes first; the others take turns, so that whoever put much there
    does not spend the time of whoever put little.
    """
    digests = [digest for file in upload.files for digest in file.digests]
    by_sender: dict[str, list[Evidence]] = {}
    for evidence, sender in await store.evidence_for(digests):
        by_sender.setdefault(sender, []).append(evidence)
    for sender in tuple(by_sender):
        found = await store.grant_by_id(sender)
        if found is None or not covers(found[0], upload.registry.name, upload.purl, Action.ATTACH):
            del by_sender[sender]
    own = by_sender.pop(grant, [])
    others = [piece for turn in zip_longest(*by_sender.values()) for piece in turn if piece is not None]
    known = {evidence.ref.id for evidence in sent}
    kept: list[Evidence] = []
    for piece in (*own, *others):
        if piece.ref.id not in known:
            known.add(piece.ref.id)
            kept.append(replace(piece, ref=replace(piece.ref, position=len(kept))))
    return (*sent, *kept)


async def verify_all(evidence: Sequence[Evidence], upload: Upload, trust: Trust, at: datetime) -> tuple[Finding, ...]:
    """Every piece under every root, until the budget is spent; waiting for other uploads' pieces spends nothing.

    Links are judged together, so last; they have a budget of their own, which other evidence cannot spend.
    """
    left = limits.EVIDENCE_SECONDS
    findings: list[Finding] = []
    links: list[Evidence] = []
    for piece in evidence:
        if piece.ref.format.judged_together:
            links.append(piece)
        elif left <= 0:
            findings.append(Finding(piece.ref, None, reasons=(unverified(piece.ref),)))
        else:
            found, took = await in_turn(partial(_timed, piece, upload, trust, at))
            findings += found
            left -= took
    if links:
        findings += await in_turn(lambda: verify_together(links, upload, trust, at, _budget()), together=True)
    _alert(findings)
    return tuple(findings)


def _timed(piece: Evidence, upload: Upload, trust: Trust, at: datetime) -> tuple[tuple[Finding, ...], float]:
    began = time.monotonic()
    found = verify_one(piece, upload, trust, at)
    return found, time.monotonic() - began


def _budget() -> Callable[[], bool]:
    """Start the time in which evidence is verified; what is returned says whether it is spent."""
    deadline = time.monotonic() + limits.EVIDENCE_SECONDS
    return lambda: time.monotonic() > deadline


def verify_together(
    links: Sequence[Evidence], upload: Upload, trust: Trust, at: datetime, late: Callable[[], bool] = bool
) -> tuple[Finding, ...]:
    """The pieces that count only together, under every layout; may take a thread's time, until it is `late`."""
    return verify_links(links, trust.roots, [file.digests for file in upload.files], at, late)


def _alert(findings: Sequence[Finding]) -> None:
    """Tell the operator when the two verifiers disagree: one of them is wrong (CONTRACTS C.10)."""
    for finding in findings:
        for reason in finding.reasons:
            if reason.code is Code.SECOND_OPINION_DIFFERS:
                log.critical("evidence %s under root %s: %s", finding.evidence.id, finding.root, reason.line())


def measure_signed(upload: Upload, evidence: Sequence[Evidence], handle: BinaryIO) -> Upload:
    """Measure every strong digest where a piece signs the file itself: which of them its key signs, the key says."""
    plain = any(is_plain_signature(piece.body, piece.ref.format) for piece in evidence)
    if not plain or len(upload.files) != 1:
        return upload
    (file,) = upload.files
    return replace(upload, files=(_with(file, handle, set(STRONG)),))


def measure_covered(upload: Upload, findings: Sequence[Finding], handle: BinaryIO) -> Upload:
    """Measure the digests that verified evidence gives and the upload lacks: every one is compared (CONTRACTS C.6)."""
    wanted = {
        digest.algorithm
        for finding in findings
        if finding.attestation
        for subject in finding.attestation.covers
        for digest in subject.digests
    } & ALGORITHMS
    if len(upload.files) != 1 or wanted <= {digest.algorithm for digest in upload.files[0].digests}:
        return upload
    (file,) = upload.files
    return replace(upload, files=(_with(file, handle, wanted),))


def _with(file: File, handle: BinaryIO, wanted: set[str]) -> File:
    algorithms = wanted | {digest.algorithm for digest in file.digests}
    return replace(file, digests=measure(handle, algorithms))


def verify_one(piece: Evidence, upload: Upload, trust: Trust, at: datetime) -> tuple[Finding, ...]:
    """One piece under every root; takes about a millisecond, and may take a thread's time."""
    return verify(
        piece,
        trust.roots,
        [file.digests for file in upload.files],
        at,
        allow_sandbox=trust.allow_sandbox,
        second_opinion=trust.second_opinion,
    )


def against(findings: tuple[Finding, ...], digests: tuple[Digest, ...]) -> tuple[Reason, ...]:
    """Why this evidence is not kept: it verified nowhere, or covers none of the digests it was sent for."""
    verified = [finding.attestation for finding in findings if finding.attestation]
    if not verified:
        none = Reason(Code.CERTIFICATE_UNTRUSTED, "the evidence", "a trust root that knows its signer", "no trust root")
        return tuple(reason for finding in findings for reason in finding.reasons) or (none,)
    if any(finding.attestation and finding.evidence.format.judged_together for finding in findings):
        return ()  # a link says what its own step made, and the file may come of a later one
    covered = {digest for attestation in verified for subject in attestation.covers for digest in subject.digests}
    if covered & set(digests):
        return ()
    got = ", ".join(str(digest) for digest in sorted(covered))
    return (Reason(Code.DIGEST_MISMATCH, "the evidence", ", ".join(map(str, digests)), got),)
