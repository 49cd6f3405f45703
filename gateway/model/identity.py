"""`Identity`: who built, or who asks to publish. The same fields from a certificate, from provenance, from a token.

`FIELDS` is the only place that says which Fulcio extension, which GitHub claim and which GitLab claim mean one field.
The readers below it are strict: a text that does not have exactly the expected shape gives None, never a part of it,
and None never matches. Everything they read is ASCII; a look-alike letter, a percent sign, a line break or a second
`@` where one would be ambiguous makes the field None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


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


class Shape(StrEnum):
    """How the text of a field is written where it comes from."""

    TEXT = "text"  # any printable ASCII on one line
    NUMBER = "number"
    COMMIT = "commit"  # 40 or 64 hexadecimal digits
    REF = "ref"
    REPOSITORY = "repository"  # a URI in a certificate, a path in a token; gives `server` too
    OWNER = "owner"
    WORKFLOW = "workflow"  # <repository>/<path>@<ref>, with // before the path at GitLab
    SIGNER = "signer"
    RUN = "run"  # an invocation's URI in a certificate; gives `attempt` too


class Field(NamedTuple):
    """One row: an `Identity` field and what each source calls it.

    `fulcio` and `legacy` are the last arc under `FULCIO_ARC`; the legacy one counts only where the new is absent.
    """

    name: str
    shape: Shape
    fulcio: int | None
    legacy: int | None
    github: str | None
    gitlab: str | None


_PLAIN: Final = frozenset({Shape.TEXT, Shape.NUMBER, Shape.COMMIT, Shape.REF})
FULCIO_ARC: Final = "1.3.6.1.4.1.57264.1"

FIELDS: Final = (
    Field("issuer", Shape.TEXT, 8, 1, "iss", "iss"),
    Field("subject", Shape.TEXT, None, None, "sub", "sub"),
    Field("repository", Shape.REPOSITORY, 12, 5, "repository", "project_path"),
    Field("repository_id", Shape.NUMBER, 15, None, "repository_id", "project_id"),
    Field("owner", Shape.OWNER, 16, None, "repository_owner", "namespace_path"),
    Field("owner_id", Shape.NUMBER, 17, None, "repository_owner_id", "namespace_id"),
    Field("workflow", Shape.WORKFLOW, 18, None, "workflow_ref", "ci_config_ref_uri"),
    Field("build_signer", Shape.SIGNER, 9, None, "job_workflow_ref", "ci_config_ref_uri"),
    Field("ref", Shape.REF, 14, 6, "ref", "ref"),  # GitLab's is read together with ref_type
    Field("commit", Shape.COMMIT, 13, 3, "sha", "sha"),
    Field("runner", Shape.TEXT, 11, None, "runner_environment", "runner_environment"),
    Field("trigger", Shape.TEXT, 20, 2, "event_name", "pipeline_source"),
    Field("run", Shape.RUN, 21, None, "run_id", "job_id"),
    Field("attempt", Shape.NUMBER, None, None, "run_attempt", None),
    Field("visibility", Shape.TEXT, 22, None, "repository_visibility", "project_visibility"),
    Field("environment", Shape.TEXT, 23, None, "environment", "environment"),
)
_PLAIN_FIELDS: Final = tuple(row for row in FIELDS if row.shape in _PLAIN)
# Known, and no field: workflow name (.4), build signer digest (.10), build config digest (.19), username (.7).

GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
_GITHUB_SERVER: Final = "https://github.com"
_SERVER: Final = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_NOT_DOTS: Final = r"(?!\.{1,2}(?:/|\Z))"  # no segment is `.` or `..`
_NAME: Final = rf"{_NOT_DOTS}[A-Za-z0-9_.-]+"
_FILE: Final = rf"{_NOT_DOTS}[A-Za-z0-9_.+-](?:[A-Za-z0-9_.+ -]*[A-Za-z0-9_.+-])?"
_SEGMENT: Final = re.compile(_NAME)
_REPOSITORY: Final = re.compile(rf"{_NAME}(?:/{_NAME})+")
_PATH: Final = re.compile(rf"{_FILE}(?:/{_FILE})*")
_TEXT: Final = re.compile(r"[ -~]+")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF: Final = re.compile(r"refs/[!-~]+")
_REF_FORBIDDEN: Final = re.compile(r"[~^:?*\[\\%]|\.\.|//|@\{|@refs/|/\.|\.lock(?:/|$)|[/.]$")
_GITHUB_WORKFLOW: Final = re.compile(r"\.github/workflows/[A-Za-z0-9_.+-]+\.ya?ml")
_GITHUB_RUN: Final = re.compile(r"/actions/runs/([0-9]{1,20})/attempts/([0-9]{1,20})")
_GITLAB_JOB: Final = re.compile(r"/-/jobs/([0-9]{1,20})")


class Contradiction(ValueError):
    """A certificate whose old and new extensions say different things."""


def from_certificate(subject: str, extensions: Mapping[int, str]) -> Identity:
    """Read a Fulcio certificate's identity: its SAN, and its extensions by last arc under `FULCIO_ARC`.

    Raises `Contradiction` where a legacy extension differs from the one that replaced it.
    """
    said = {row.name: _said(row, extensions) for row in FIELDS}
    server, repository = repository_of(said["repository"])
    owner_server, owner = _split_uri(said["owner"])
    run, attempt = run_of(said["run"], server, repository)
    found = {row.name: plain(row.shape, said[row.name]) for row in _PLAIN_FIELDS}
    ref, github = found["ref"], _github_server(found["issuer"]) is not None
    return Identity(
        **found
        | {
            "subject": plain(Shape.TEXT, subject),
            "server": server,
            "repository": repository,
            "owner": owner if owner_server == server else None,
            "workflow": workflow_of(said["workflow"], server, repository, ref, github=github),
            "build_signer": signer_of(said["build_signer"], server, ref, github=github),
            "run": run,
            "attempt": attempt,
        }
    )


def _said(row: Field, extensions: Mapping[int, str]) -> str | None:
    """Return the text of a row's extension, the legacy one in the new one's spelling where only that is there."""
    new = None if row.fulcio is None else extensions.get(row.fulcio)
    old = None if row.legacy is None else extensions.get(row.legacy)
    if old is None:
        return new
    if row.shape is Shape.REPOSITORY:  # a bare path, which only GitHub's certificates had
        if new is None:
            return f"{_GITHUB_SERVER}/{old}" if extensions.get(1) == GITHUB_ISSUER else None
        old = new if repository_of(new)[1] == old else old
    if new is not None and old != new:
        raise Contradiction(row.name)
    return old


def from_claims(claims: Mapping[str, object], *, gitlab: bool) -> Identity:
    """Read a verified OIDC token's identity; numbers may come as text, anything else of another type is None."""
    found: dict[str, str | None] = {}
    issuer = plain(Shape.TEXT, _text(claims.get("iss")))
    server = issuer if gitlab else _github_server(issuer)
    for row in FIELDS:
        claim = row.gitlab if gitlab else row.github
        value = None if claim is None else _text(claims.get(claim))
        match row.shape:
            case Shape.REPOSITORY | Shape.OWNER:
                found[row.name] = _repository_path(value) if value and "/" in value else _segment(value)
            case Shape.WORKFLOW | Shape.SIGNER:
                found[row.name] = value
            case Shape.REF if gitlab:
                found["ref"] = _gitlab_ref(value, _text(claims.get("ref_type")))
            case Shape.RUN:
                found["run"] = plain(Shape.NUMBER, value)
            case _:
                found[row.name] = plain(row.shape, value)
    ref, repository = found["ref"], found["repository"]
    # GitHub's claims start at the owner, GitLab's at the host without a scheme.
    before = "https://" if gitlab else f"{server}/"
    workflow, signer = (None if found[n] is None else f"{before}{found[n]}" for n in ("workflow", "build_signer"))
    found["workflow"] = workflow_of(workflow, server, repository, ref, github=not gitlab)
    found["build_signer"] = signer_of(signer, server, ref, github=not gitlab)
    return Identity(server=server, **found)


def plain(shape: Shape, value: str | None) -> str | None:
    """Return the text where the whole of it has the shape, else None."""
    if value is None:
        return None
    if shape is Shape.REF:
        return value if _REF.fullmatch(value) and not _REF_FORBIDDEN.search(value) else None
    pattern = _NUMBER if shape is Shape.NUMBER else _COMMIT if shape is Shape.COMMIT else _TEXT
    return value if pattern.fullmatch(value) else None


def repository_of(uri: str | None) -> tuple[str | None, str | None]:
    """Split a repository's URI into server and path; both None where it is anything but `https://host/a/b`."""
    server, path = _split_uri(uri)
    return (server, path) if path is not None and "/" in path else (None, None)


def workflow_of(
    uri: str | None, server: str | None, repository: str | None, ref: str | None, *, github: bool
) -> str | None:
    """Return the workflow's path within `repository`, from `<server>/<repository>/<path>@<ref>`.

    GitLab separates repository and path by two slashes, since its repositories nest. A ref may hold `@`
    (`refs/tags/@acme/lib@1.0.0`) and so could a hostile file name: so the text must end with the known `ref`, or hold
    one `@` in all.
    """
    if uri is None or server is None or repository is None:
        return None
    rest = uri.removeprefix(f"{server}/{repository}/")
    if rest == uri:
        return None
    if not github:
        rest = rest.removeprefix("/")
    if ref is not None and rest.endswith(f"@{ref}"):
        return path_of(rest[: -len(ref) - 1])
    path, at, other = rest.partition("@")
    return path_of(path) if at and _signer_ref(other) and "@" not in other else None


def signer_of(uri: str | None, server: str | None, ref: str | None, *, github: bool) -> str | None:
    """Return `owner/repo/path@ref` from a build signer's URI on the same server.

    GitLab's `group/repo//path` is written with one slash here: its repository and path are fields of their own, and
    its certificates name no other signer than them.
    """
    if uri is None or server is None or not uri.startswith(f"{server}/"):
        return None
    rest = uri[len(server) + 1 :]
    if not github and "//" in rest:
        repository, _, rest = rest.partition("//")
        if ref is None or not rest.endswith(f"@{ref}"):
            return None
        path, signed = rest[: -len(ref) - 1], ref
        if path_of(path) is None:
            return None
    else:
        # A workflow's file name holds no slash, so the first @ ends it whatever the ref is.
        place, _, signed = rest.partition("@")
        parts = place.split("/", 2)
        if len(parts) != 3 or not _GITHUB_WORKFLOW.fullmatch(parts[2]) or not _signer_ref(signed):
            return None
        repository, path = f"{parts[0]}/{parts[1]}", parts[2]
    return f"{repository}/{path}@{signed}" if _repository_path(repository) else None


def run_of(uri: str | None, server: str | None, repository: str | None) -> tuple[str | None, str | None]:
    """Return run and attempt from an invocation's URI under that repository."""
    if uri is None or server is None or repository is None or not uri.startswith(f"{server}/{repository}/"):
        return None, None
    rest = uri[len(server) + 1 + len(repository) :]
    if match := _GITHUB_RUN.fullmatch(rest):
        return match.group(1), match.group(2)
    if match := _GITLAB_JOB.fullmatch(rest):
        return match.group(1), None
    return None, None


def path_of(text: str | None) -> str | None:
    """Return a relative path within a repository; no empty, `.` or `..` segment, nothing but plain ASCII."""
    return text if text and _PATH.fullmatch(text) else None


def _signer_ref(text: str) -> str | None:
    return plain(Shape.COMMIT, text) or plain(Shape.REF, text)


def _split_uri(uri: str | None) -> tuple[str | None, str | None]:
    match = _SERVER.match(uri) if uri is not None else None
    if uri is None or match is None or uri[match.end() : match.end() + 1] != "/":
        return None, None
    path = uri[match.end() + 1 :]
    checked = _repository_path(path) if "/" in path else _segment(path)
    return (match.group(), checked) if checked is not None else (None, None)


def _repository_path(text: str | None) -> str | None:
    return text if text and _REPOSITORY.fullmatch(text) else None


def _segment(text: str | None) -> str | None:
    return text if text and _SEGMENT.fullmatch(text) else None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else None


def _github_server(issuer: str | None) -> str | None:
    if issuer is None:
        return None
    if issuer == GITHUB_ISSUER or issuer.startswith(f"{GITHUB_ISSUER}/"):
        return _GITHUB_SERVER
    host = issuer.removesuffix("/_services/token")  # GitHub Enterprise Server
    return host if host != issuer and _SERVER.fullmatch(host) else None


def _gitlab_ref(name: str | None, kind: str | None) -> str | None:
    folder = {"branch": "heads", "tag": "tags"}.get(kind or "")
    return None if name is None or folder is None else plain(Shape.REF, f"refs/{folder}/{name}")
