"""What a manifest reaches: an index's children, read from the registry and bounded in number and depth."""

from __future__ import annotations

from collections.abc import Sequence

from gateway import limits
from gateway.ecosystems.oci_manifest import Manifest, content, read_manifest, refusal
from gateway.errors import Malformed, TooLarge
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.reasons import Code, Reason


class Broken(Exception):
    """What an index names is not there, or is not what it is said to be; `reason` says which."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.line())
        self.reason = reason


async def reached(
    depot: Depot, repository: str, manifest: Manifest, digest: Digest, body: bytes
) -> tuple[Content, ...]:
    """Every manifest that this one reaches, children first and itself last.

    Raises `Broken` and `UpstreamError`.
    """
    found: dict[Digest, Content] = {}
    try:
        await _children(depot, repository, manifest, found, limits.INDEX_DEPTH)
    except Malformed as error:  # of a child, or of how many there are
        raise Broken(refusal(error, "the index")) from error
    return (*found.values(), content(manifest, digest, body))


def withdrawn_part(reaches: Sequence[Content], revoked: frozenset[str]) -> Reason | None:
    """Why a manifest may not have a tag although it was not withdrawn itself: something that it is made of was."""
    *inner, _ = reaches
    parts = {one.sha256 for one in inner} | {link.value for one in reaches for link in one.links}
    found = next(iter(sorted(parts & revoked)), None)
    expected = "nothing in it that was withdrawn"
    return None if found is None else Reason(Code.DIGEST_REVOKED, "the image", expected, f"sha256:{found}")


async def _children(
    depot: Depot, repository: str, manifest: Manifest, found: dict[Digest, Content], depth: int
) -> None:
    for child in manifest.children:
        if child.digest in found:
            continue
        if depth == 0 or len(found) >= limits.INDEX_MANIFESTS:
            raise TooLarge("the index", f"{limits.INDEX_MANIFESTS} manifests, nested {limits.INDEX_DEPTH} deep")
        stored = await _either(depot, repository, child.digest)
        if stored is None:
            missing = Reason(Code.CONTENT_MISSING, "the index", "its manifests pushed before it", str(child.digest))
            raise Broken(missing)
        if len(stored.body) != child.size:
            raise Malformed(f"the index's {child.digest}", f"has {len(stored.body)} bytes, not {child.size}")
        inner = read_manifest(stored.body, stored.media_type)
        await _children(depot, repository, inner, found, depth - 1)
        found[child.digest] = content(inner, child.digest, stored.body)


async def _either(depot: Depot, repository: str, digest: Digest) -> client.Stored | None:
    """A manifest that was deposited, or was in the repository before."""
    for place in depot.places(repository):
        if (stored := await client.manifest(depot, place, digest)) is not None:
            return stored
    return None
