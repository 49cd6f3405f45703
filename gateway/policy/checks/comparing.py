"""When two names, builders or runs are the same; absence is the same as nothing."""

from __future__ import annotations

from gateway.model.identity import GITHUB_ISSUER, Identity
from gateway.model.pattern import ascii_lower


def is_github(issuer: str | None) -> bool:
    """Whether names of this issuer are GitHub's, which do not tell upper from lower case."""
    if issuer is None:
        return False
    return issuer == GITHUB_ISSUER or issuer.startswith(f"{GITHUB_ISSUER}/") or issuer.endswith("/_services/token")


def same_repository(issuer: str | None, one: str | None, other: str | None) -> bool:
    """Whether two repositories of one issuer are the same by name; only ASCII letters lose their case."""
    if one is None or other is None:
        return False
    return ascii_lower(one) == ascii_lower(other) if is_github(issuer) else one == other


def same_builder(issuer: str | None, one: str | None, other: str | None) -> bool:
    """Whether two builders `owner/repo/path@ref` are the same: owner and repo by name, path and ref exactly."""
    if one is None or other is None:
        return False
    if not is_github(issuer):
        return one == other
    ours, theirs = one.split("/", 2), other.split("/", 2)
    return ours[2:] == theirs[2:] and same_repository(issuer, "/".join(ours[:2]), "/".join(theirs[:2]))


def same_run(one: Identity | None, other: Identity | None) -> bool:
    """Whether two identities are of one run of one CI; the attempt does not count (CONTRACTS E.5)."""
    if one is None or other is None or one.issuer is None or one.run is None:
        return False
    return (
        one.issuer == other.issuer
        and one.run == other.run
        and same_repository(one.issuer, one.repository, other.repository)
    )


def run_of(identity: Identity | None) -> str:
    """Name an identity's run in words."""
    if identity is None or identity.run is None:
        return "no run"
    return f"run {identity.run} of {identity.repository or 'no repository'}"
