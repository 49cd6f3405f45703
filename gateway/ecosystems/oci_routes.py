"""What a request to an OCI registry is, by its method, path and query alone; what is not recognised is refused.

The registry's mount is `/v2`, so a path here starts with the repository: `/team/app/manifests/1.0.0`.

Source: OCI distribution specification 1.1, "Endpoints"; FACTS-OCI 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.digest import Digest


@dataclass(frozen=True, slots=True)
class Ping:
    """`GET /v2/`: is this a registry, and who asks."""


@dataclass(frozen=True, slots=True)
class TagList:
    """`GET <repository>/tags/list`, at most `count` (None: all) after `last`, in the order of the tags' text."""

    repository: str
    count: int | None = None
    last: str = ""


@dataclass(frozen=True, slots=True)
class ManifestRead:
    """`GET` or `HEAD` of `<repository>/manifests/<tag or digest>`."""

    repository: str
    reference: Digest | str
    head: bool = False


@dataclass(frozen=True, slots=True)
class BlobRead:
    """`GET` or `HEAD` of `<repository>/blobs/<digest>`."""

    repository: str
    digest: Digest
    head: bool = False


@dataclass(frozen=True, slots=True)
class ReferrersRead:
    """`GET <repository>/referrers/<digest>`, all or those of one artifact type."""

    repository: str
    digest: Digest
    artifact_type: str | None = None


@dataclass(frozen=True, slots=True)
class UploadStart:
    """`POST <repository>/blobs/uploads/`: with `digest` the body is the whole blob; `mount` may be in `source`."""

    repository: str
    digest: Digest | None = None
    mount: Digest | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class UploadStep:
    """`PATCH`, `PUT`, `GET` or `DELETE` of an upload under way; `session` and `query` are the registry's own words.

    `digest` is there with PUT alone, which ends the upload, and is no part of `query`.
    """

    repository: str
    method: str
    session: str
    query: str = ""
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class ManifestWrite:
    """`PUT <repository>/manifests/<digest or tag>`: a deposit, and a publish of each of the tags."""

    repository: str
    digest: Digest | None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """`DELETE` of a tag, a manifest or a blob."""

    repository: str
    kind: str  # `manifests` or `blobs`
    reference: Digest | str


OciRequest = (
    Ping | TagList | ManifestRead | BlobRead | ReferrersRead | UploadStart | UploadStep | ManifestWrite | Delete
)
