"""Identities to sign as, and the Fulcio extensions that a certificate carries for each of them.

The source of the extensions is Fulcio's own table (docs/oid-info.md, 1.3.6.1.4.1.57264.1) and what real certificates
of each provider carry: GitHub has every one, GitLab none of the deprecated `.2` to `.6`, a person the issuer alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from gateway.model.identity import Identity
from gateway.sandbox import der

FULCIO_ARC: Final = "1.3.6.1.4.1.57264.1"
GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
GITLAB_ISSUER: Final = "https://gitlab.com"
_RAW: Final = frozenset({1, 2, 3, 4, 5, 6})  # Fulcio's first extensions hold the bare text, without a DER string


def github_identity(
    repository: str = "acme/libs",
    workflow: str = ".github/workflows/release.yml",
    ref: str = "refs/tags/v1.0.0",
    runner: str = "github-hosted",
    trigger: str = "push",
    *,
    build_signer: str | None = None,
    commit: str | None = None,
    repository_id: str | None = None,
    owner_id: str | None = None,
    run: str = "9228858953",
    attempt: str = "1",
    visibility: str = "public",
    environment: str | None = None,
    server: str = "https://github.com",
    issuer: str = GITHUB_ISSUER,
) -> Identity:
    """Return a GitHub Actions run; what is not given follows from what is (same repository, same ids).

    `build_signer` is a reusable workflow as `owner/repo/path@ref`; absent, the workflow signs for itself.
    """
    owner = repository.partition("/")[0]
    signer = build_signer or f"{repository}/{workflow}@{ref}"
    return Identity(
        issuer=issuer,
        subject=f"{server}/{signer}",
        server=server,
        repository=repository,
        repository_id=repository_id or _number(repository),
        owner=owner,
        owner_id=owner_id or _number(owner),
        workflow=workflow,
        build_signer=signer,
        ref=ref,
        commit=commit or _commit(repository, ref),
        runner=runner,
        trigger=trigger,
        run=run,
        attempt=attempt,
        visibility=visibility,
        environment=environment,
    )


def gitlab_identity(
    repository: str = "acme/libs",
    workflow: str = ".gitlab-ci.yml",
    ref: str = "refs/tags/v1.0.0",
    runner: str = "gitlab-hosted",
    trigger: str = "push",
    *,
    build_signer: str | None = None,
    commit: str | None = None,
    repository_id: str | None = None,
    owner_id: str | None = None,
    run: str = "8415754949",
    visibility: str = "public",
    environment: str | None = None,
    server: str = "https://gitlab.com",
    issuer: str = GITLAB_ISSUER,
) -> Identity:
    """Return a GitLab CI job; `run` is the job's number.

    GitLab parts project and file with two slashes, and so may `build_signer`; the identity has one, as everywhere.
    """
    owner = repository.rpartition("/")[0]
    signer = build_signer or f"{repository}//{workflow}@{ref}"
    return Identity(
        issuer=issuer,
        subject=f"{server}/{signer}",
        server=server,
        repository=repository,
        repository_id=repository_id or _number(repository),
        owner=owner,
        owner_id=owner_id or _number(owner),
        workflow=workflow,
        build_signer=signer.replace("//", "/"),
        ref=ref,
        commit=commit or _commit(repository, ref),
        runner=runner,
        trigger=trigger,
        run=run,
        visibility=visibility,
        environment=environment,
    )


def person(subject: str = "someone@acme.example", issuer: str = "https://github.com/login/oauth") -> Identity:
    """Return a person (an e-mail address), or a machine account where the subject is a URI (`spiffe://…`)."""
    return Identity(issuer=issuer, subject=subject)


def run_uri(identity: Identity) -> str | None:
    """Return the address of the run, as the provider writes it in certificates and provenance."""
    if identity.repository is None or identity.run is None:
        return None
    project = f"{identity.server}/{identity.repository}"
    if is_gitlab(identity):
        return f"{project}/-/jobs/{identity.run}"
    return f"{project}/actions/runs/{identity.run}/attempts/{identity.attempt}"


def is_gitlab(identity: Identity) -> bool:
    """Whether this identity is written the way GitLab's are."""
    return identity.server is not None and "//" in (identity.subject or "").removeprefix(identity.server)


def signer_uri(identity: Identity) -> str:
    """Return the address of the build signer as certificates hold it: their subject, unless that was made to differ."""
    written = f"{identity.server}/{identity.build_signer}"
    subject = identity.subject or ""
    same = identity.server and subject.removeprefix(identity.server).replace("//", "/") == f"/{identity.build_signer}"
    return subject if same else written


def signer_digest(identity: Identity) -> str | None:
    """Return the commit of the build signer: its own for a reusable workflow, the run's for the workflow itself."""
    signer = identity.build_signer or ""
    if signer.startswith(f"{identity.repository}/") and signer.endswith(f"@{identity.ref}"):
        return identity.commit
    ref = signer.rpartition("@")[2]
    return ref if len(ref) == 40 and set(ref) <= set("0123456789abcdef") else _commit(signer, ref)


def extensions(identity: Identity, changes: Mapping[int, str | None] | None = None) -> list[tuple[str, bytes]]:
    """Return the Fulcio extensions as (OID, value), in order.

    `changes` replaces the text of single extensions by their last arc (None removes one), so that a certificate can be
    made to contradict itself.
    """
    texts: dict[int, str | None] = {1: identity.issuer, 8: identity.issuer}
    if identity.repository is not None:
        texts |= _build_texts(identity)
    texts |= changes or {}
    return [
        (f"{FULCIO_ARC}.{arc}", text.encode() if arc in _RAW else der.utf8(text))
        for arc, text in sorted(texts.items())
        if text is not None
    ]


def _build_texts(identity: Identity) -> dict[int, str | None]:
    server, repository = identity.server, identity.repository
    separator = "//" if is_gitlab(identity) else "/"
    texts = {
        9: signer_uri(identity),
        10: signer_digest(identity),
        11: identity.runner,
        12: f"{server}/{repository}",
        13: identity.commit,
        14: identity.ref,
        15: identity.repository_id,
        16: f"{server}/{identity.owner}",
        17: identity.owner_id,
        18: f"{server}/{repository}{separator}{identity.workflow}@{identity.ref}",
        19: identity.commit,
        20: identity.trigger,
        21: run_uri(identity),
        22: identity.visibility,
        23: identity.environment,
    }
    if is_gitlab(identity):
        return texts
    deprecated = {
        2: identity.trigger,
        3: identity.commit,
        4: PurePosixPath(identity.workflow or "").stem.capitalize(),
        5: repository,
        6: identity.ref,
    }
    return deprecated | texts


def _number(name: str) -> str:
    return str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))


def _commit(name: str, ref: str) -> str:
    return hashlib.sha256(f"{name}@{ref}".encode()).hexdigest()[:40]
