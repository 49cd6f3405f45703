"""An append-only Merkle tree (RFC 6962, section 2): leaves in, roots and audit paths out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


class Tree:
    """The tree over the leaf hashes that it holds; whole subtrees are hashed once."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._leaves = list(leaves)
        self._whole: dict[tuple[int, int], bytes] = {}

    def __len__(self) -> int:
        return len(self._leaves)

    @property
    def leaves(self) -> tuple[bytes, ...]:
        """Every leaf hash in the order of appending."""
        return tuple(self._leaves)

    def append(self, data: bytes) -> int:
        """Add a leaf of these bytes and return its index."""
        self._leaves.append(hashlib.sha256(b"\x00" + data).digest())
        return len(self._leaves) - 1

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return self._hash(0, len(self._leaves))

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the audit path of a leaf, from the leaf's sibling up."""
        return self._path(index, 0, len(self._leaves))

    def _hash(self, start: int, size: int) -> bytes:
        if size == 0:
            return hashlib.sha256(b"").digest()
        if size == 1:
            return self._leaves[start]
        known = self._whole.get((start, size))
        if known is not None:
            return known
        left = _split(size)
        node = _node(self._hash(start, left), self._hash(start + left, size - left))
        if size & (size - 1) == 0:  # a whole subtree never changes again
            self._whole[start, size] = node
        return node

    def _path(self, index: int, start: int, size: int) -> tuple[bytes, ...]:
        if size == 1:
            return ()
        left = _split(size)
        if index < left:
            return (*self._path(index, start, left), self._hash(start + left, size - left))
        return (*self._path(index - left, start + left, size - left), self._hash(start, left))


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
