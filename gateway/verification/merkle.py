"""The Merkle tree of a transparency log: the root an inclusion proof leads to (RFC 9162, section 2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf; the prefix keeps leaves and nodes apart."""
    return hashlib.sha256(b"\x00" + body).digest()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that the proof leads to (RFC 9162, 2.1.3.2), or None where the path cannot be of that tree."""
    if not 0 <= index < size:
        return None
    node, position, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return None  # longer than the tree is high
        if position & 1 or position == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        position >>= 1
        last >>= 1
    return node if last == 0 else None
