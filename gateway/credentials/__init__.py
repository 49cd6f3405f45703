"""Grants as clients present them: mint a token, recognise it in a request, and say what a grant covers."""

from gateway.credentials.grants import check, covers
from gateway.credentials.presented import Presented, recognise
from gateway.credentials.tokens import PREFIX, Minted, keyed_hash, mint, new_id, parse

__all__ = ["PREFIX", "Minted", "Presented", "check", "covers", "keyed_hash", "mint", "new_id", "parse", "recognise"]
