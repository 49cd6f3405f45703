"""Who asks an OCI registry, and the challenge to whoever may not (CONTRACTS A.2).

A request shows a grant's own token (Basic or Bearer), an access token that the token endpoint made of one, or nothing.
An access token stands for its grant, which is looked up each time, cut down to the scopes it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from gateway.config import ReadAuth
from gateway.credentials import ACCESS_PREFIX, Access, check, read_access, recognise
from gateway.ecosystems.protocol import Head
from gateway.model.case import Action, Grant
from gateway.model.names import purl
from gateway.model.pattern import matches
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.mounts import MountedDepot
from gateway.reasons import Code, Reason


class Need(Enum):
    """What a request does to a repository, in the protocol's own words for scopes."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


_PUSHERS: Final = frozenset({Action.PUBLISH, Action.ATTACH})
# Any one of these does. A manifest that is pushed is looked at again: evidence wants ATTACH, an image PUBLISH.
_SUFFICES: Final = {
    Need.PULL: frozenset({Action.READ, *_PUSHERS}),
    Need.PUSH: _PUSHERS,
    Need.DELETE: frozenset({Action.MUTATE}),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; `repository` None is the registry as a whole, for whoever shows any credential of it."""

    repository: str | None
    need: Need

    @property
    def scope(self) -> str:
        """The scope a challenge names; who pushes also reads."""
        actions = "pull,push" if self.need is Need.PUSH else self.need.value
        return f"repository:{self.repository}:{actions}" if self.repository is not None else ""

    def public(self, mounted: MountedDepot) -> bool:
        """Whether this is for anybody, the registry being one that anybody may read."""
        return self.need is Need.PULL and mounted.read_auth is ReadAuth.NONE


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever asks and may. `grant` None is anybody; `silent` says that no credential was shown at all."""

    grant: Grant | None
    silent: bool = False

    def may(self, need: Need, repository: str) -> bool:
        """Whether the grant itself covers this, whatever the access token was made for."""
        return self.grant is not None and grant_may(self.grant, need, repository)


@dataclass(frozen=True, slots=True)
class Challenge:
    """Why a request is answered 401, and the parameters of the challenge that go with it (RFC 6750, 3)."""

    reason: Reason
    error: str = ""
    scope: str = ""

    def header(self, mounted: MountedDepot) -> tuple[str, str]:
        """The challenge; clients want the scheme spelled exactly so."""
        said = {"realm": f"{mounted.address}/-/token", "service": mounted.depot.registry.name}
        said |= {name: value for name, value in (("scope", self.scope), ("error", self.error)) if value}
        return ("WWW-Authenticate", "Bearer " + ",".join(f'{name}="{value}"' for name, value in said.items()))


def grant_may(grant: Grant, need: Need, repository: str) -> bool:
    """Whether a grant covers this repository with any action that suffices; its time is not looked at."""
    package = purl("oci", repository)
    return bool(_SUFFICES[need] & grant.actions) and any(matches(pattern, package) for pattern in grant.packages)


async def asker(
    authenticator: Authenticator, mounted: MountedDepot, head: Head, wanted: Wanted, now: datetime
) -> Asker | Challenge | Reason:
    """Who asks, or the challenge, or (a `Reason` alone) why this grant may not, whatever token is made of it."""
    given = [value for name, value in head.headers if name.lower() == "authorization"]
    if len(given) > 1:
        return Challenge(Reason(Code.CREDENTIAL_INVALID, "Authorization", "one header", f"{len(given)} of them"))
    presented = recognise(given[0] if given else None)
    if presented.foreign:
        return Challenge(Reason(Code.CREDENTIAL_INVALID, "Authorization", "a token of this gateway"), "", wanted.scope)
    if presented.token is None:
        if wanted.public(mounted) and wanted.repository is not None:
            return Asker(None, silent=not given)
        return Challenge(Reason(Code.CREDENTIAL_MISSING, "Authorization", "a token of this gateway"), "", wanted.scope)
    shown = await _shown(authenticator, mounted, presented.token, now, reading=wanted.need is Need.PULL)
    if isinstance(shown, Reason):
        return Challenge(shown, "invalid_token", wanted.scope)
    grant, access = shown
    if grant is not None:
        if reasons := check(grant, mounted.depot.registry.name, None, None, now):
            other = reasons[0].code is Code.CREDENTIAL_SCOPE
            return reasons[0] if other else Challenge(reasons[0], "invalid_token", wanted.scope)
        if reason := _beyond(grant, mounted, wanted):
            return reason
    if access is not None and not _within(access, mounted, wanted):
        return Challenge(_other_scope(wanted), "insufficient_scope", wanted.scope)
    return Asker(grant)


async def _shown(
    authenticator: Authenticator, mounted: MountedDepot, token: str, now: datetime, *, reading: bool
) -> tuple[Grant | None, Access | None] | Reason:
    """The grant behind a token, and what an access token says; no grant is behind one that is anybody's."""
    unknown = Reason(Code.CREDENTIAL_INVALID, "Authorization", "a token that exists and is not revoked")
    if not token.startswith(ACCESS_PREFIX):
        grant = await authenticator.known(token, reading=reading)
        return unknown if grant is None else (grant, None)
    access = read_access(token, authenticator.key)
    if access is None or access.registry != mounted.depot.registry.name:
        return unknown
    if now >= access.expires:
        return Reason(Code.CREDENTIAL_EXPIRED, "Authorization", "an access token that has not expired")
    if access.grant is None:
        return None, access
    find = authenticator.store.grant_seen if reading else authenticator.store.grant_by_id
    found = await find(access.grant)
    return unknown if found is None else (found[0], access)


def _within(access: Access, mounted: MountedDepot, wanted: Wanted) -> bool:
    """Whether an access token was made for this."""
    anybody = wanted.repository is None or wanted.public(mounted)
    return anybody or access.allows(str(wanted.repository), wanted.need.value)


def _beyond(grant: Grant, mounted: MountedDepot, wanted: Wanted) -> Reason | None:
    """Why a grant does not do for this, whatever access token is made of it."""
    if wanted.repository is None or wanted.public(mounted) or grant_may(grant, wanted.need, wanted.repository):
        return None
    may = f"{' or '.join(sorted(grant.actions)) or 'no action'} on {' or '.join(grant.packages) or 'no package'}"
    return Reason(
        Code.CREDENTIAL_SCOPE, f"token {grant.id}", may, f"{wanted.need.value} of pkg:oci/{wanted.repository}"
    )


def _other_scope(wanted: Wanted) -> Reason:
    return Reason(
        Code.CREDENTIAL_INVALID,
        "the access token",
        f"the scope {wanted.scope}",
        "others",
        "Clients ask for the scope by themselves. Where yours does not, log in anew.",
    )
