"""`Push`: a manifest as it came, and what came with it; and `Refusal`, which ends one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gateway.credentials import check
from gateway.ecosystems.oci import upload
from gateway.ecosystems.oci_manifest import Manifest, content, read_manifest, refusal
from gateway.ecosystems.oci_routes import ManifestWrite
from gateway.ecosystems.protocol import Head
from gateway.errors import Malformed
from gateway.model.case import Action, Grant
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.model.names import purl
from gateway.model.upload import Upload
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.publish.images.judging import Judged
from gateway.publish.served import Trust
from gateway.reasons import Code, Reason


class Refusal(Exception):
    """Reasons that end a push; `judged` is there where a decision was made, `recorded` where it is written already."""

    def __init__(self, *reasons: Reason, judged: Judged | None = None, recorded: str | None = None) -> None:
        super().__init__(reasons[0].line())
        self.reasons = reasons
        self.judged = judged
        self.recorded = recorded


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to push a manifest: for whom, by whom, under what. `at` is when its head came."""

    depot: Depot
    request: ManifestWrite
    head: Head
    grant: Grant
    trust: Trust
    at: datetime

    def may(self, action: Action) -> None:
        """The grant may do more than one thing here; raises `Refusal` where this is none of them."""
        package = purl("oci", self.request.repository)
        if reasons := check(self.grant, self.depot.registry.name, package, action, self.at):
            raise Refusal(*reasons)


@dataclass(frozen=True)
class Push:
    """A whole manifest, read and measured; `digest` is the one it is addressed by."""

    attempt: Attempt
    body: bytes
    digest: Digest
    digests: tuple[Digest, ...]
    manifest: Manifest

    @classmethod
    def read(cls, attempt: Attempt, body: bytes) -> Push:
        """Read a manifest strictly; raises `Refusal`."""
        digests = client.measured(body)
        by_algorithm = {one.algorithm: one for one in digests}
        digest = attempt.request.digest or by_algorithm["sha256"]
        if digest not in digests:
            got = str(by_algorithm[digest.algorithm])
            raise Refusal(Reason(Code.DIGEST_INVALID, "the manifest", str(digest), got))
        try:
            manifest = read_manifest(body, attempt.head.header("content-type") or "")
        except Malformed as error:
            raise Refusal(refusal(error, str(digest))) from error
        return cls(attempt, body, digest, digests, manifest)

    @property
    def depot(self) -> Depot:
        """The registry it is pushed to."""
        return self.attempt.depot

    @property
    def repository(self) -> str:
        """The repository it is pushed to."""
        return self.attempt.request.repository

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags it is to have; none makes it a deposit."""
        return self.attempt.request.tags

    @property
    def names(self) -> tuple[str, ...]:
        """What it is to be known by: its tags, or its digest where readers find it by what it refers to."""
        if self.tags or self.subject is None:
            return self.tags
        return (str(self.digest),)

    @property
    def subject(self) -> Digest | None:
        """What it says it refers to."""
        return self.manifest.subject.digest if self.manifest.subject else None

    @property
    def grant(self) -> Grant:
        """The credential it came with."""
        return self.attempt.grant

    @cached_property
    def content(self) -> Content:
        """What is noted of it."""
        return content(self.manifest, self.digest, self.body)

    def upload(self, tag: str) -> Upload:
        """What publishing it under a tag would be."""
        return upload(self.depot.registry, self.depot.hosts, self.repository, tag, self.body)
