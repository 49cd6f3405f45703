"""Policy: rules as values, the checks, and `decide`, the one pure function that judges an upload."""

from gateway.policy.decide import decide, let_through, refuse
from gateway.policy.loading import load_policy
from gateway.policy.rules import (
    AttestationRule,
    CredentialRule,
    Mode,
    Policy,
    Position,
    ProvenanceRule,
    ReleaseRule,
    Rule,
    Signer,
    SummaryRule,
    TagRule,
)
from gateway.policy.schema import policy_schema

__all__ = [
    "AttestationRule",
    "CredentialRule",
    "Mode",
    "Policy",
    "Position",
    "ProvenanceRule",
    "ReleaseRule",
    "Rule",
    "Signer",
    "SummaryRule",
    "TagRule",
    "decide",
    "let_through",
    "load_policy",
    "policy_schema",
    "refuse",
]
