"""`Decision` and `Check`: the verdict, every check behind it, and every reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.identity import Identity
from gateway.reasons import Reason


class Outcome(StrEnum):
    """What becomes of an upload."""

    ACCEPT = "accept"
    HOLD = "hold"
    REJECT = "reject"


class Result(StrEnum):
    """What one check came to; LIFTED and WAIVED failed but did not count."""

    PASSED = "passed"
    FAILED = "failed"
    LIFTED = "lifted"
    WAIVED = "waived"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check with what it expected and found; `reason` is there exactly when it did not pass and was not skipped."""

    name: str
    about: str
    result: Result
    expected: str = ""
    got: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one upload. `reasons` are those that count; lifted and waived ones stand in `checks` only.

    `rule` names the rule that matched (empty: none did), `policy` is the policy's revision (a sha256), `observed`
    says that the rule is in `mode: observe`. `signer` is the identity of the attestation that met the rule, which
    later files of the release are compared with; other valid evidence beside it must not set it.
    """

    outcome: Outcome
    checks: tuple[Check, ...]
    reasons: tuple[Reason, ...]
    rule: str
    policy: str
    observed: bool = False
    waivers: tuple[str, ...] = ()
    signer: Identity | None = None
