"""Policy: rules as values, the checks, and `decide`, the one pure function that judges an upload."""

from gateway.policy.decide import decide, refuse
from gateway.policy.rules import (
    AttestationRule,
    CredentialRule,
    Mode,
    Policy,
    Position,
    ReleaseRule,
    Rule,
    Signer,
)

__all__ = [
    "AttestationRule",
    "CredentialRule",
    "Mode",
    "Policy",
    "Position",
    "ReleaseRule",
    "Rule",
    "Signer",
    "decide",
    "refuse",
]
