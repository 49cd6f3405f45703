"""What an Authorization header presents: a token of the gateway's, somebody else's credential, or nothing.

A token may come as Bearer (npm, OCI), bare (cargo), or as the password of Basic with any user name (twine, uv, docker).
Whatever holds our prefix, and whatever cannot be read strictly, counts as ours even when it is no whole token: it is
then invalid, and it is never forwarded to a registry (CONTRACTS A.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway import limits
from gateway.credentials.tokens import PREFIX
from gateway.errors import Malformed
from gateway.strict import base64

_EMPTY_BASIC: Final = ":"  # `Basic Og==`: what clients send when they have neither user nor password


@dataclass(frozen=True, slots=True)
class Presented:
    """One of three: `token` (ours, not yet proved or even whole), `foreign` (not ours), or neither (anonymous)."""

    token: str | None = field(default=None, repr=False)
    foreign: bool = False


def recognise(authorization: str | None) -> Presented:
    """Read one Authorization header's value; None where there is none."""
    if authorization is None or not authorization.strip(" \t"):
        return Presented()
    scheme, _, value = authorization.strip(" \t").partition(" ")
    value = value.strip(" \t")
    match scheme.lower():
        case "bearer":
            return _ours_or_foreign(value, value)
        case "basic":
            return _basic(value)
        case _:
            return _ours_or_foreign(authorization, authorization)


def _basic(value: str) -> Presented:
    try:
        text = base64.decode(value, "Authorization", limits.HEADER_LINE).decode("utf-8")
    except (Malformed, UnicodeDecodeError):
        return Presented(token=value)  # a laxer reader might find a token of ours in it
    if text == _EMPTY_BASIC:
        return Presented()
    _, colon, password = text.partition(":")
    if not colon:
        return Presented(token=value)
    return _ours_or_foreign(text, password if PREFIX in password else text)


def _ours_or_foreign(whole: str, token: str) -> Presented:
    return Presented(token=token) if PREFIX in whole else Presented(foreign=True)
