"""What a grant covers, and the reasons why one does not do for an action; the store has already said it exists."""

from __future__ import annotations

from datetime import datetime

from gateway.model.case import Action, Grant
from gateway.model.pattern import matches
from gateway.reasons import Code, Reason


def covers(grant: Grant, registry: str, purl: str | None, action: Action) -> bool:
    """Whether the grant's scope holds this registry, package (None: not about one package) and action.

    Time and uses are not looked at: `check` does.
    """
    return (
        grant.registry == registry
        and action in grant.actions
        and (purl is None or any(matches(pattern, purl) for pattern in grant.packages))
    )


def check(grant: Grant, registry: str, purl: str | None, action: Action | None, now: datetime) -> tuple[Reason, ...]:
    """Every reason why a grant does not do for this action (None: any) at this time; none where it does."""
    about = f"token {grant.id}"
    reasons = []
    if now < grant.not_before:
        reasons.append(Reason(Code.CREDENTIAL_EXPIRED, about, f"used from {_time(grant.not_before)} on", _time(now)))
    if now >= grant.expires:
        reasons.append(Reason(Code.CREDENTIAL_EXPIRED, about, f"used before {_time(grant.expires)}", _time(now)))
    if grant.uses_left is not None and grant.uses_left <= 0:
        reasons.append(Reason(Code.CREDENTIAL_EXPIRED, about, "a use left", "none"))
    if grant.registry != registry:
        reasons.append(Reason(Code.CREDENTIAL_SCOPE, about, f"registry {grant.registry}", f"registry {registry}"))
    if action is not None and action not in grant.actions:
        allowed = " or ".join(sorted(grant.actions)) or "no action"
        reasons.append(Reason(Code.CREDENTIAL_SCOPE, about, allowed, action.value))
    if purl is not None and not any(matches(pattern, purl) for pattern in grant.packages):
        reasons.append(Reason(Code.CREDENTIAL_SCOPE, about, " or ".join(grant.packages) or "no package", purl))
    return tuple(reasons)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
