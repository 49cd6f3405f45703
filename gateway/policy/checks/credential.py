"""Checks of the credential: its scope, its time, its kind, and that it is of the run that signed."""

from __future__ import annotations

from typing import Final

from gateway.model.case import Action, Case
from gateway.model.decision import Check
from gateway.model.identity import Identity
from gateway.model.pattern import matches
from gateway.policy.checks.comparing import run_of, same_run
from gateway.policy.checks.results import either, judged
from gateway.policy.rules import CredentialRule
from gateway.reasons import Code

_ABOUT: Final = "credential"  # not its id: a decision's page is read by whoever has the link


def credential_covers(case: Case) -> tuple[Check, ...]:
    """The grant is for this registry, this package and a publish."""
    grant, upload, about = case.grant, case.upload, _ABOUT
    allowed = either(sorted(grant.actions)) or "no action"
    packages = either(grant.packages) or "no package"
    covered = any(matches(pattern, upload.purl) for pattern in grant.packages)
    scope = Code.CREDENTIAL_SCOPE
    return (
        judged(
            "credential-registry",
            about,
            scope,
            f"registry {grant.registry}",
            f"registry {upload.registry.name}",
            holds=grant.registry == upload.registry.name,
        ),
        judged("credential-package", about, scope, packages, upload.purl, holds=covered),
        judged("credential-action", about, scope, allowed, Action.PUBLISH.value, holds=Action.PUBLISH in grant.actions),
    )


def credential_in_force(case: Case) -> tuple[Check, ...]:
    """The grant was in its time when the upload came, the end excluded, and has a use left."""
    grant, about, came = case.grant, _ABOUT, case.pushed or case.at
    expected = f"from {grant.not_before.isoformat(timespec='seconds')} to {grant.expires.isoformat(timespec='seconds')}"
    checks = [
        judged(
            "credential-time",
            about,
            Code.CREDENTIAL_EXPIRED,
            expected,
            came.isoformat(timespec="seconds"),
            holds=grant.not_before <= came < grant.expires,
        )
    ]
    if grant.uses_left is not None:
        left = f"{grant.uses_left} left"
        checks.append(
            judged("credential-uses", about, Code.CREDENTIAL_EXPIRED, "a use left", left, holds=grant.uses_left > 0)
        )
    return tuple(checks)


def credential_kind(case: Case, wanted: CredentialRule) -> tuple[Check, ...]:
    """The grant is of a kind that the rule names."""
    if not wanted.kinds:
        return ()
    kind, about = case.grant.kind, _ABOUT
    remedy = "Publish with trusted publishing from CI; this package takes no stored token."
    return (
        judged(
            "credential-kind",
            about,
            Code.CREDENTIAL_KIND,
            either(wanted.kinds),
            kind.value,
            holds=kind in wanted.kinds,
            remedy=remedy if kind == "token" else "",
        ),
    )


def credential_run(case: Case, signer: Identity | None, about: str) -> Check:
    """The grant's holder is the run that signed: a stolen token carries no other build, and the reverse."""
    holder = case.grant.holder
    runs = [run_of(holder), run_of(signer)]
    if runs[0] == runs[1] and holder and signer and holder.issuer != signer.issuer:
        runs = [f"{run} at {one.issuer or 'no issuer'}" for run, one in zip(runs, (holder, signer), strict=True)]
    expected, got = f"{runs[0]} (credential)", f"{runs[1]} (evidence)"
    if holder is None:
        expected, got = f"a credential of {runs[1]} (evidence)", "one that is of no run"
    code = Code.CREDENTIAL_RUN_MISMATCH
    return judged("credential-run", about, code, expected, got, holds=same_run(holder, signer))
