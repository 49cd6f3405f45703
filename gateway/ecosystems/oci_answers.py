"""What the gateway itself answers as an OCI registry: lists of tags and of referrers, and that a manifest was taken.

Source: OCI distribution specification 1.1 ("Listing Tags", "Listing Referrers", "Pushing Manifests").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlencode

from gateway import limits
from gateway.ecosystems.oci_manifest import INDEX, Manifest
from gateway.ecosystems.oci_routes import ManifestWrite, ReferrersRead, TagList
from gateway.ecosystems.protocol import Reply
from gateway.ecosystems.rendering import phrase
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.reasons import Reason, ascii_text

JSON: Final = ("Content-Type", "application/json")
NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
VERSION: Final = ("Docker-Distribution-API-Version", "registry/2.0")  # docker asks no registry without it


def pong() -> Reply:
    """Answer whether this is a registry."""
    return Reply(200, "OK", b"{}", (JSON, VERSION))


def tag_list(request: TagList, tags: Iterable[str]) -> Reply:
    """The part of a repository's tags that is asked for, with the address of the next one."""
    after = sorted(tag for tag in tags if tag > request.last)
    shown = after if request.count is None else after[: request.count]
    headers = [JSON, NOSNIFF]
    if 0 < len(shown) < len(after):
        query = urlencode({"n": request.count, "last": shown[-1]})
        headers.append(("Link", f'</v2/{request.repository}/tags/list?{query}>; rel="next"'))
    return Reply(200, "OK", _json({"name": request.repository, "tags": shown}), tuple(headers))


def referrers(request: ReferrersRead, contents: Iterable[Content]) -> Reply:
    """The index of what states a subject, each entry once, of the artifact type that is asked for.

    cosign's older signatures state none: who copies an image with its referrers would take one for what holds it.
    """
    wanted = request.artifact_type
    stated = [one for one in contents if one.refers == request.digest]
    found = {one.digest: one for one in stated if wanted is None or one.artifact_type == wanted}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [_entry(one) for one in found.values()]}
    filtered = () if wanted is None else (("OCI-Filters-Applied", "artifactType"),)
    return Reply(200, "OK", _json(index), (("Content-Type", INDEX), NOSNIFF, *filtered))


def listed(index: Manifest, subject: Digest) -> tuple[Content, ...]:
    """The entries of a registry's own list of a subject's referrers, or of the index that clients keep in its place."""
    return tuple(
        Content(
            child.digest,
            child.size,
            child.media_type,
            artifact_type=child.artifact_type,
            annotations=child.annotations,
            refers=subject,
        )
        for child in index.children
    )


def pushed(request: ManifestWrite, digest: Digest, subject: Digest | None = None, notice: str = "") -> Reply:
    """Answer a manifest that was taken; `notice` is what its pusher must know, as a `Warning`."""
    headers = [("Location", f"/v2/{request.repository}/manifests/{digest}"), ("Docker-Content-Digest", str(digest))]
    if subject is not None:  # otherwise the client keeps an index of referrers under a tag
        headers.append(("OCI-Subject", str(subject)))
    if request.digest is not None:
        headers += [("OCI-Tag", tag) for tag in request.tags]
    if notice:
        headers.append(("Warning", _warning(notice)))
    return Reply(201, "Created", b"", tuple(headers))


def held(reasons: Sequence[Reason], link: str) -> str:
    """The notice of a push that waits for its evidence."""
    return f"Held, and not to be pulled until its evidence has come: {phrase(reasons, link)}"


def _warning(notice: str) -> str:
    """A `Warning` header's value: a quoted text of one line, within the specification's bound."""
    room = limits.WARNING_HEADER - len('299 - ""')
    text = ascii_text(notice).replace("\\", "\\\\").replace('"', '\\"')
    while len(text) > room:
        text = text[:room].rstrip("\\")
    return f'299 - "{text}"'


def _entry(content: Content) -> dict[str, object]:
    entry: dict[str, object] = {
        "mediaType": content.media_type,
        "digest": str(content.digest),
        "size": content.size,
    }
    if content.artifact_type:
        entry["artifactType"] = content.artifact_type
    if content.annotations:
        entry["annotations"] = dict(content.annotations)
    return entry


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
