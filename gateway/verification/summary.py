"""SLSA verification summaries, v1: what another verifier says it found.

Specification: https://slsa.dev/spec/v1.2/verification_summary. Whether the signer may speak for that verifier, whether
the resource is the one in question and whether the level is enough, `policy` decides.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import Malformed
from gateway.model.evidence import Summary
from gateway.strict import json
from gateway.verification.statement import Statement, read_digests

SUMMARY_V1: Final = "https://slsa.dev/verification_summary/v1"
_ABOUT: Final = "verification summary"
_LEVELS: Final = 64  # count; the specification has one for each track
_RESULTS: Final = {"PASSED": True, "FAILED": False}


def read_summary(statement: Statement) -> Summary | None:
    """Read a verification summary, or return None for another predicate; raises `Malformed`."""
    if statement.predicate_type != SUMMARY_V1:
        return None
    predicate = json.expect(statement.predicate, dict, _ABOUT)
    verifier = json.field(predicate, "verifier", dict, _ABOUT)
    policy = json.optional(predicate, "policy", dict, _ABOUT) or {}
    result = _RESULTS.get(json.field(predicate, "verificationResult", str, _ABOUT))
    if result is None:
        raise Malformed(f"{_ABOUT}.verificationResult", "neither PASSED nor FAILED")
    return Summary(
        json.field(verifier, "id", str, f"{_ABOUT}.verifier"),
        json.field(predicate, "resourceUri", str, _ABOUT),
        result,
        tuple(json.items(predicate, "verifiedLevels", str, _ABOUT, most=_LEVELS)),
        json.optional(policy, "uri", str, f"{_ABOUT}.policy"),
        read_digests(json.optional(policy, "digest", dict, f"{_ABOUT}.policy") or {}, f"{_ABOUT}.policy.digest"),
    )
