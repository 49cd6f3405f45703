"""The record: decisions, intents, grants, waivers and evidence, durable before anything depends on them."""

from gateway.store.contents import Contents
from gateway.store.files import load_or_create_key
from gateway.store.store import (
    Began,
    Cause,
    Conflict,
    KnownGrant,
    KnownWaiver,
    Query,
    Revocation,
    Store,
    Written,
)

__all__ = [
    "Began",
    "Cause",
    "Conflict",
    "Contents",
    "KnownGrant",
    "KnownWaiver",
    "Query",
    "Revocation",
    "Store",
    "Written",
    "load_or_create_key",
]
