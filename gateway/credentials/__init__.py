"""Grants as clients present them: mint a token, recognise it in a request, and say what a grant covers."""

from gateway.credentials.access import ACCESS_PREFIX, Access, Scope, mint_access, read_access
from gateway.credentials.grants import check, covers
from gateway.credentials.presented import Presented, recognise
from gateway.credentials.tokens import PREFIX, Minted, keyed_hash, mint, new_id, parse

__all__ = [
    "ACCESS_PREFIX",
    "PREFIX",
    "Access",
    "Minted",
    "Presented",
    "Scope",
    "check",
    "covers",
    "keyed_hash",
    "mint",
    "mint_access",
    "new_id",
    "parse",
    "read_access",
    "recognise",
]
