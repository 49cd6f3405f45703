"""`Identity`: who built, or who asks to publish. The same fields from a certificate, from provenance, from a token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who stands behind a signature or a credential; `None` where the source does not say, and None never matches.

    `server` is scheme and host (`https://github.com`), `repository` the path on it (`acme/libs`), `workflow` the path
    of the workflow file within that repository, `build_signer` the reusable workflow or the workflow itself as
    `owner/repo/path@ref`. `ref` is always full (`refs/tags/v1`, `refs/heads/main`), also where the CI gives a bare name
    and a type. Ids are decimal text and mean something only together with `issuer`. `run` is the CI's number of the
    run (GitHub: without the attempt; GitLab: of the job), `subject` the certificate's SAN or the token's `sub`.
    """

    issuer: str | None = None
    subject: str | None = None
    server: str | None = None
    repository: str | None = None
    repository_id: str | None = None
    owner: str | None = None
    owner_id: str | None = None
    workflow: str | None = None
    build_signer: str | None = None
    ref: str | None = None
    commit: str | None = None
    runner: str | None = None
    trigger: str | None = None
    run: str | None = None
    attempt: str | None = None
    visibility: str | None = None
    environment: str | None = None
