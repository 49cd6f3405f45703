"""Access tokens: what the token endpoint hands out in a grant's place, for minutes and for what was asked for.

`pvg_access.<claims>.<mac>`. Nothing is stored: the mac is made with the store's key, and the grant is looked up each
time a token is used, so that revoking it ends them all at once. The prefix is that of every token of ours, so that none
is ever forwarded.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway import limits
from gateway.credentials.tokens import PREFIX

ACCESS_PREFIX: Final = f"{PREFIX}access."
_DOMAIN: Final = b"provgate access token\0"  # no text that is hashed as a grant's token starts with this


@dataclass(frozen=True, slots=True)
class Scope:
    """One repository and what may be done there: `pull`, `push`, `delete`."""

    repository: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token stands for; `grant` None is anybody, where anybody may read."""

    grant: str | None
    registry: str
    scopes: tuple[Scope, ...]
    expires: datetime

    def allows(self, repository: str, action: str) -> bool:
        """Whether one of the scopes holds this action on this repository."""
        return any(scope.repository == repository and action in scope.actions for scope in self.scopes)


def mint_access(access: Access, key: bytes) -> str:
    """Make the token's text; `expires` counts in whole seconds."""
    claims = {
        "grant": access.grant,
        "registry": access.registry,
        "scopes": [[scope.repository, sorted(scope.actions)] for scope in access.scopes],
        "expires": int(access.expires.timestamp()),
    }
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=True).encode()
    return f"{ACCESS_PREFIX}{_text(payload)}.{_text(_mac(key, payload))}"


@lru_cache(maxsize=1024)  # a client shows one token with each of its requests; at most 8 MiB of strangers' text
def read_access(token: str, key: bytes) -> Access | None:
    """What a token of ours says, or None where it is none; whether it has expired is for `Access.expires` to say."""
    payload, dot, mac = token.removeprefix(ACCESS_PREFIX).partition(".")
    if not token.startswith(ACCESS_PREFIX) or not dot or len(token) > limits.HEADER_LINE:
        return None
    try:
        written = _bytes(payload)
        if not hmac.compare_digest(_mac(key, written), _bytes(mac)):
            return None
    except ValueError:
        return None
    claims = json.loads(written)  # nobody else can have written it
    return Access(
        claims["grant"],
        claims["registry"],
        tuple(Scope(repository, frozenset(actions)) for repository, actions in claims["scopes"]),
        datetime.fromtimestamp(claims["expires"], UTC),
    )


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, _DOMAIN + payload, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Read `_text`'s only form: another spelling of the same bytes is another token."""
    data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if _text(data) != text:
        raise ValueError("not the form that is written")
    return data
