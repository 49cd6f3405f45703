"""The gateway's own tokens: `pvg_<id>_<secret>`; the id finds the grant, a keyed hash of the whole text proves it.

The prefix lets secret scanners and the gateway know one at sight, the length is fixed so that a token cut short when
it was copied is no token, and only a keyed hash is stored: whoever reads the store but not the key file learns nothing
that could be presented.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.model.case import Grant

PREFIX: Final = "pvg_"
_ID_BYTES: Final = 10  # 16 characters of base32: unique, not secret
_SECRET_BYTES: Final = 32  # 43 characters of URL-safe base64
_ID: Final = re.compile(r"[a-z2-7]{16}")
_TOKEN: Final = re.compile(rf"{PREFIX}([a-z2-7]{{16}})_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token's text, to be shown once, and the keyed hash that the store keeps."""

    token: str = field(repr=False)
    keyed_hash: str


def new_id(random: Callable[[int], bytes]) -> str:
    """Make the id of a new grant, the part of its token that finds it."""
    return base64.b32encode(random(_ID_BYTES)).decode().lower()


def mint(grant: Grant, key: bytes, random: Callable[[int], bytes]) -> Minted:
    """Make the token of a grant whose id came from `new_id`."""
    if not _ID.fullmatch(grant.id):
        raise ValueError("a token's grant needs an id made by new_id")
    secret = base64.urlsafe_b64encode(random(_SECRET_BYTES)).decode().rstrip("=")
    token = f"{PREFIX}{grant.id}_{secret}"
    return Minted(token, keyed_hash(key, token))


def keyed_hash(key: bytes, token: str) -> str:
    """HMAC-SHA256 of the token's text, in hexadecimal; compare it with `hmac.compare_digest`."""
    return hmac.new(key, token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def parse(text: str) -> str | None:
    """The grant's id in a token's text, or None where the text is no whole token. Nothing is proved by it."""
    match = _TOKEN.fullmatch(text)
    return match.group(1) if match else None
