"""The login of npm, pnpm and yarn that sends a name and a password: the password is a token of the gateway.

The registry's accounts are not asked, and no new token is made: the client keeps the one that it was given.

Sources: npm-profile's `loginCouch`; yarn's `npm login`.
"""

from __future__ import annotations

import json
from typing import Final

from gateway import limits
from gateway.ecosystems.protocol import Login, Refused, Reply
from gateway.errors import Malformed
from gateway.reasons import Code, Reason
from gateway.strict import json as strict_json

REMEDY: Final = "Make a token with provgate token create; put it into .npmrc, or give it as the password of npm login."
_OURS: Final = "pvg_"  # what a token of the gateway begins with


def read_login(body: bytes) -> Login | Refused:
    """Read a login; the name in it is not looked at, since the token says who it is."""
    try:
        whole = strict_json.parse_object(body, "the login", limit=limits.MUTATION_BODY)
        token = strict_json.field(whole, "password", str, "the login")
    except Malformed as error:
        return Refused((Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem),))
    if not token.startswith(_OURS):
        return Refused((Reason(Code.OPERATION_REFUSED, "npm login with a password of its own", remedy=REMEDY),))
    answer = json.dumps({"ok": True, "token": token}).encode()
    return Login(token, Reply(201, "Created", answer, (("Content-Type", "application/json"),)))
