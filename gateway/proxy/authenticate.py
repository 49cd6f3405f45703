"""Who asks: every write needs a grant, a read what its registry says (CONTRACTS A.1 to A.3)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from gateway.config import ReadAuth
from gateway.credentials import check, keyed_hash, parse, recognise
from gateway.ecosystems.protocol import Head
from gateway.model.case import Action, Grant
from gateway.reasons import Code, Reason
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Finds the grant behind an Authorization header; the store holds only a keyed hash of each token."""

    store: Store
    key: bytes

    async def grant(
        self,
        head: Head,
        registry: str | None,
        purl: str | None,
        action: Action | None,
        now: datetime,
        *,
        reading: bool = False,
    ) -> Grant | Reason:
        """The grant that covers this action, or why there is none; never tells a wrong secret from an unknown token.

        `registry` None stands for whichever the grant is for, `purl` None for any package of it, `action` None for any.
        """
        given = [value for name, value in head.headers if name.lower() == "authorization"]
        if len(given) > 1:
            return Reason(Code.CREDENTIAL_INVALID, "Authorization", "one header", f"{len(given)} of them")
        presented = recognise(given[0] if given else None)
        if presented.token is None:
            code = Code.CREDENTIAL_INVALID if presented.foreign else Code.CREDENTIAL_MISSING
            may = f" that may {action.value}" if action else ""
            return Reason(code, "Authorization", f"a token of this gateway{may}")
        grant = await self.known(presented.token, reading=reading)
        if grant is None:
            return Reason(Code.CREDENTIAL_INVALID, "Authorization", "a token that exists and is not revoked")
        reasons = check(grant, registry or grant.registry, purl, action, now)
        return reasons[0] if reasons else grant

    async def known(self, token: str, *, reading: bool = False) -> Grant | None:
        """The grant that a token proves, whatever it covers; None where there is none or it is revoked."""
        grant_id = parse(token)
        find = self.store.grant_seen if reading else self.store.grant_by_id
        found = await find(grant_id) if grant_id else None
        if found is None:
            return None
        grant, stored = found
        return grant if _same(keyed_hash(self.key, token), stored) else None

    async def upstream_credential(
        self, head: Head, read_auth: ReadAuth, registry: str, purl: str | None, now: datetime
    ) -> str | Reason | None:
        """What a read sends upstream: None is the gateway's own credential, an empty text none at all."""
        if read_auth is ReadAuth.GRANT:
            found = await self.grant(head, registry, purl, Action.READ, now, reading=True)
            return found if isinstance(found, Reason) else None
        if read_auth is ReadAuth.NONE:
            return ""
        given = head.header("authorization") or ""
        return "" if recognise(given).token is not None else given  # a token of ours is never forwarded


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one, other)
