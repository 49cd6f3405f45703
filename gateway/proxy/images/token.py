"""`/-/token`: a grant's token against an access token, for minutes and for the scopes that the grant has.

Both forms that clients use: GET with Basic, and the OAuth 2 form of a POST. What is asked for and the grant lacks is
left out, as other token servers do; the registry then says what is missing. Where anybody may read, so may whoever has
no token at all.

Source: distribution's "Token Authentication Specification" and "Oauth2 Token Authentication".
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from gateway import limits
from gateway.config import ReadAuth
from gateway.credentials import Access, Scope, check, mint_access, recognise
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import Malformed, StoreError, TooLarge
from gateway.model.case import Grant
from gateway.model.names import oci_name
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.images.asker import Need, grant_may
from gateway.proxy.mounts import MountedDepot
from gateway.publish.body import whole
from gateway.reasons import Code, Reason, ascii_text

log = logging.getLogger(__name__)
_ONCE: Final = frozenset({"service", "grant_type", "password", "refresh_token", "username"})
_BEARER: Final = {"password": "password", "refresh_token": "refresh_token"}  # grant type -> where the token is


class TokenEndpoint:
    """Answers requests for access tokens, for every OCI registry: `service` names the one."""

    def __init__(
        self, mounts: Iterable[MountedDepot], authenticator: Authenticator, now: Callable[[], datetime]
    ) -> None:
        self._mounts = {mounted.depot.registry.name: mounted for mounted in mounts}
        self._authenticator = authenticator
        self._now = now

    async def __call__(self, head: Head, body: AsyncIterator[bytes]) -> Reply:
        """Answer one request."""
        try:
            return await self._answer(head, body)
        except (Malformed, UnicodeDecodeError) as error:
            return _refusal(Reason(Code.REQUEST_MALFORMED, "the request for a token", got=str(error)))
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400 - one line, no traceback
            return _refusal(Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))

    async def _answer(self, head: Head, body: AsyncIterator[bytes]) -> Reply:
        match head.method:
            case "GET":
                given = [value for name, value in head.headers if name.lower() == "authorization"]
                if len(given) > 1:
                    return _refusal(Reason(Code.CREDENTIAL_INVALID, "Authorization", "one header", f"{len(given)}"))
                presented = recognise(given[0] if given else None)
                if presented.foreign:
                    return _refusal(_UNKNOWN)
                asked, token = _parameters(head.query), presented.token
            case "POST":
                asked = _parameters((await whole(body, "the form", limits.TOKEN_FORM)).decode("ascii"))
                token = _of_form(asked)
            case _:
                return _refusal(Reason(Code.METHOD_UNKNOWN, f"{head.method} /-/token", "GET or POST"))
        mounted = self._mounts.get(asked.get("service", [""])[0])
        if mounted is None:
            return _refusal(Reason(Code.NOT_FOUND, "service", "the name of an OCI registry of this gateway"))
        scopes = _scopes(asked.get("scope", []))
        at = self._now()
        expires = at + timedelta(seconds=limits.ACCESS_TOKEN_SECONDS)
        registry = mounted.depot.registry.name
        if token is None:
            if mounted.read_auth is not ReadAuth.NONE:
                return _refusal(Reason(Code.CREDENTIAL_MISSING, "Authorization", "a token of this gateway"))
            pulls = tuple(Scope(one.repository, one.actions & {Need.PULL.value}) for one in scopes)
            return self._minted(Access(None, registry, pulls, expires), at)
        grant = await self._authenticator.known(token)
        if grant is None:
            return _refusal(_UNKNOWN)
        if reasons := check(grant, registry, None, None, at):
            return _refusal(reasons[0])
        public = mounted.read_auth is ReadAuth.NONE
        granted = tuple(Scope(one.repository, _granted(grant, one, public=public)) for one in scopes)
        return self._minted(Access(grant.id, registry, granted, min(expires, grant.expires)), at)

    def _minted(self, access: Access, at: datetime) -> Reply:
        token = mint_access(access, self._authenticator.key)
        said = {
            "token": token,
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int((access.expires - at).total_seconds()),
            "issued_at": at.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
            "scope": " ".join(
                f"repository:{one.repository}:{','.join(sorted(one.actions))}" for one in access.scopes if one.actions
            ),
        }
        return _reply(200, said)


_UNKNOWN: Final = Reason(Code.CREDENTIAL_INVALID, "Authorization", "a token that exists and is not revoked")


def _granted(grant: Grant, scope: Scope, *, public: bool) -> frozenset[str]:
    may = {need.value for need in Need if grant_may(grant, need, scope.repository)}
    return scope.actions & (may | ({Need.PULL.value} if public else set()))


def _of_form(asked: Mapping[str, Sequence[str]]) -> str | None:
    """The token in an OAuth 2 form; an empty one is nobody's."""
    kind = asked.get("grant_type", [""])[0]
    if kind not in _BEARER:
        raise Malformed("grant_type", f"expected {' or '.join(_BEARER)}")
    return asked.get(_BEARER[kind], [""])[0] or None


def _parameters(text: str) -> dict[str, list[str]]:
    """A query's or a form's parameters; what clients add (account, client_id, offline_token) is read over."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=limits.TOKEN_PARAMETERS, errors="strict")
    except ValueError:
        raise Malformed("the parameters", f"expected at most {limits.TOKEN_PARAMETERS}, in UTF-8") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in found and name in _ONCE:
            raise Malformed(name, "given twice")
        found.setdefault(name, []).append(value)
    return found


def _scopes(texts: Iterable[str]) -> tuple[Scope, ...]:
    """The repositories among the scopes asked for, each once; other kinds (`registry:catalog:*`) nobody is given."""
    known = {need.value for need in Need}
    found: dict[str, set[str]] = {}
    for text in (scope for part in texts for scope in part.split(" ")):
        kind, _, rest = text.partition(":")
        repository, _, actions = rest.rpartition(":")
        try:
            if kind == "repository":
                asked = set(actions.split(","))
                found.setdefault(oci_name(repository), set()).update(known if "*" in asked else known & asked)
        except Malformed:
            continue
    if len(found) > limits.TOKEN_SCOPES:
        raise TooLarge("scope", f"{limits.TOKEN_SCOPES} repositories")
    return tuple(Scope(repository, frozenset(actions)) for repository, actions in found.items())


def _refusal(reason: Reason) -> Reply:
    status = reason.entry.status
    code = "UNAUTHORIZED" if status == 401 else "DENIED" if status == 403 else "UNSUPPORTED"
    said = {"errors": [{"code": code, "message": f"{ascii_text(reason.line())}\n{reason.remedy}"}]}
    return _reply(status, said, *((("WWW-Authenticate", 'Basic realm="provgate"'),) if status == 401 else ()))


def _reply(status: int, said: object, *headers: tuple[str, str]) -> Reply:
    sent = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
    return Reply(status, "", json.dumps(said).encode(), (*sent, *headers))
