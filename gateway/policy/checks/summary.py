"""Checks of a verification summary: of the rule's verifier, about this upload, PASSED, and of a level high enough.

Specification: https://slsa.dev/spec/v1.2/verification_summary#how-to-verify. Signature, signer, subject and predicate
type are checked before it, as of any other attestation.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.model.decision import Check
from gateway.model.evidence import Attestation, Summary
from gateway.model.upload import File, Upload
from gateway.policy.checks.results import either, failed, judged
from gateway.policy.rules import SUMMARY, SummaryRule
from gateway.reasons import Code, Reason

_PLACEHOLDER: Final = re.compile(r"\{(purl|version|file)\}")
_LEVEL: Final = re.compile(r"SLSA_([A-Z]+)_LEVEL_([0-9])", re.ASCII)


def summary_says(attestation: Attestation, wanted: SummaryRule | None, file: File, upload: Upload) -> tuple[Check, ...]:
    """A verification summary says what the rule wants; where the rule wants nothing of one, none will do."""
    if attestation.predicate_type != SUMMARY and wanted is None:
        return ()
    said, about = attestation.summary, file.name
    if said is None or wanted is None:
        expected = "a rule that says what is wanted of a summary" if wanted is None else "a verification summary"
        return (failed("summary", about, Reason(Code.EVIDENCE_UNSUPPORTED, about, expected, "none")),)
    resources = _resources(wanted, file, upload)
    return (
        judged(
            "summary-verifier",
            about,
            Code.SUMMARY_VERIFIER_MISMATCH,
            wanted.verifier,
            said.verifier,
            holds=said.verifier == wanted.verifier,
        ),
        judged(
            "summary-resource",
            about,
            Code.SUMMARY_RESOURCE_MISMATCH,
            either(resources),
            said.resource,
            holds=said.resource in resources,
        ),
        judged(
            "summary-result",
            about,
            Code.SUMMARY_FAILED,
            "PASSED",
            "PASSED" if said.passed else "FAILED",
            holds=said.passed,
        ),
        _level(said, wanted, about),
        *_policy(said, wanted, about),
    )


def _level(said: Summary, wanted: SummaryRule, about: str) -> Check:
    """A summary names the highest level of each track; what is no level of SLSA's counts for nothing."""
    found = [match for level in said.levels if (match := _LEVEL.fullmatch(level)) and match[1] == wanted.track]
    return judged(
        "summary-level",
        about,
        Code.SUMMARY_LEVEL_TOO_LOW,
        f"SLSA_{wanted.track}_LEVEL_{wanted.level}",
        ", ".join(said.levels[:4]) or "no level",
        holds=any(int(match[2]) >= wanted.level for match in found),
    )


def _policy(said: Summary, wanted: SummaryRule, about: str) -> tuple[Check, ...]:
    """The verifier held it against the policy that the rule names, by address and by content."""
    digests = [str(digest) for digest in said.policy_digests]
    rows = (
        (wanted.policy, said.policy or "none", said.policy in wanted.policy),
        (wanted.policy_digest, ", ".join(digests) or "no digest", any(one in wanted.policy_digest for one in digests)),
    )
    return tuple(
        judged("summary-policy", about, Code.SUMMARY_POLICY_MISMATCH, either(expected), got, holds=holds)
        for expected, got, holds in rows
        if expected
    )


def _resources(wanted: SummaryRule, file: File, upload: Upload) -> list[str]:
    """The URIs that name this file, with the version as it is spelled and as its ecosystem normalises it."""
    spelled = {"purl": upload.purl, "version": upload.version, "file": file.name}
    canonical = {"purl": upload.purl, "version": upload.canonical_version, "file": file.canonical}
    return list(
        dict.fromkeys(
            # In one pass: a version is the package's own text, and may hold another placeholder.
            _PLACEHOLDER.sub(lambda match, values=values: values[match[1]], text)  # type: ignore[misc]
            for text in wanted.resource
            for values in (spelled, canonical)
        )
    )
