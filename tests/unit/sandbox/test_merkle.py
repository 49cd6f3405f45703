"""The sandbox's Merkle tree against the published vectors of RFC 6962 and an audit of every path by hand."""

import hashlib

import pytest

from gateway.sandbox.merkle import Tree

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def climb(leaf: bytes, index: int, size: int, path: tuple[bytes, ...]) -> bytes:
    """The root that a path proves, by RFC 9162, 2.1.3.2."""
    last, node = size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for other in path:
        assert last > 0, "the path is longer than the tree is high"
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + other + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + other).digest()
        index, last = index >> 1, last >> 1
    assert last == 0, "the path ends below the root"
    return node


@pytest.mark.parametrize("size", range(1, 9))
def test_a_tree_has_the_root_that_the_published_vectors_give(size: int) -> None:
    tree = Tree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)

    assert tree.root().hex() == ROOTS[size - 1]


def test_an_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert Tree().root() == hashlib.sha256(b"").digest()


def test_every_path_in_every_tree_up_to_forty_leaves_proves_the_root() -> None:
    tree, leaves = Tree(), [bytes([number]) for number in range(40)]
    for size, leaf in enumerate(leaves, 1):
        tree.append(leaf)
        for index in range(size):
            assert climb(leaves[index], index, size, tree.path(index)) == tree.root()


def test_a_tree_read_back_from_its_leaves_is_the_same_tree() -> None:
    tree = Tree()
    for leaf in LEAVES:
        tree.append(leaf)

    again = Tree(tree.leaves)

    assert (again.root(), again.path(5)) == (tree.root(), tree.path(5))
