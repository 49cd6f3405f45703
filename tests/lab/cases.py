"""Factories of the nouns: each gives the smallest valid value, and a test states only what it is about.

`case()` is accepted under `policy()`: a GitHub release of acme-lib 1.0.0, built by acme/libs on the tag v1.0.0, signed
inside the run that publishes it. A near miss is one of them with a field spoiled:
`case(findings=[finding(attestation(signer=ci(repository="evil/libs")))])`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.model.case import Action, Case, Grant, GrantKind, History, Published, Waiver
from gateway.model.digest import Digest
from gateway.model.evidence import Attestation, EvidenceRef, Finding, Format, Provenance, Source, Subject
from gateway.model.identity import GITHUB_ISSUER, Identity
from gateway.model.upload import Claim, File, Registry, RequestRules, Upload
from gateway.policy import AttestationRule, CredentialRule, Policy, ReleaseRule, Rule, Signer
from gateway.reasons import Code, Reason

AT: Final = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WHEEL: Final = "acme_lib-1.0.0-py3-none-any.whl"
CANONICAL: Final = "acme_lib-1-py3-none-any.whl"
CONTENT: Final = b"the bytes of acme-lib 1.0.0"
SHA256: Final = hashlib.sha256(CONTENT).hexdigest()
SHA512: Final = hashlib.sha512(CONTENT).hexdigest()
OTHER: Final = hashlib.sha256(b"other bytes").hexdigest()
PURL: Final = "pkg:pypi/acme-lib"
SLSA: Final = "https://slsa.dev/provenance/v1"
PUBLISH: Final = "https://docs.pypi.org/attestations/publish/v1"
WORKFLOW: Final = ".github/workflows/release.yml"
BUILDER: Final = "acme/ci/.github/workflows/build.yml@refs/tags/v3"
ROOT: Final = "sigstore-public-good"
PEP740: Final = RequestRules(
    every_must_verify=True, single_subject=True, one_per_predicate=True, predicates=frozenset({SLSA, PUBLISH})
)


def ci(**changed: Any) -> Identity:
    """The release run of acme/libs on GitHub, as its certificate says it.

    Its SAN and build signer follow repository, workflow and ref, unless they are given.
    """
    values: dict[str, Any] = {
        "issuer": GITHUB_ISSUER,
        "server": "https://github.com",
        "repository": "acme/libs",
        "repository_id": "763287532",
        "owner": "acme",
        "owner_id": "9919",
        "workflow": WORKFLOW,
        "ref": "refs/tags/v1.0.0",
        "commit": "c0ffee" + "0" * 34,
        "runner": "github-hosted",
        "trigger": "push",
        "run": "7000000001",
        "attempt": "1",
        "visibility": "private",
    }
    values |= changed
    itself = (
        f"{values['repository'] or 'acme/libs'}/{values['workflow'] or WORKFLOW}@{values['ref'] or 'refs/tags/v1.0.0'}"
    )
    return Identity(**({"subject": f"https://github.com/{itself}", "build_signer": itself} | values))


def person(**changed: Any) -> Identity:
    """A person's certificate: an e-mail address and nothing else."""
    values = {"issuer": "https://github.com/login/oauth", "subject": "jane@acme.example"}
    return Identity(**(values | changed))


def subject(name: str | None = WHEEL, **digests: str) -> Subject:
    """What a statement covers; `subject(sha256=OTHER)` covers other bytes."""
    given = digests or {"sha256": SHA256}
    return Subject(name, tuple(Digest(algorithm, value) for algorithm, value in given.items()))


def provenance(**changed: Any) -> Provenance:
    """Provenance that says what `ci()` says."""
    said = ci(issuer=None, subject=None, owner=None, build_signer=None, visibility=None)
    values: dict[str, Any] = {
        "builder": f"https://github.com/acme/libs/{WORKFLOW}@refs/tags/v1.0.0",
        "build_type": "https://actions.github.io/buildtypes/workflow/v1",
        "build": said,
    }
    return Provenance(**(values | changed))


def attestation(**changed: Any) -> Attestation:
    """SLSA provenance of the wheel, signed by `ci()` under the public root."""
    values: dict[str, Any] = {
        "root": ROOT,
        "root_digest": "5" * 64,
        "signer": ci(),
        "key": None,
        "time": AT - timedelta(minutes=5),
        "time_source": "log promise",
        "predicate_type": SLSA,
        "covers": (subject(),),
        "provenance": provenance(),
    }
    return Attestation(**(values | changed))


def evidence(source: Source = Source.REQUEST, position: int = 0) -> EvidenceRef:
    """A reference to a piece of evidence; each source and position is a piece of its own."""
    body = f"{source.value} {position}".encode()
    return EvidenceRef(hashlib.sha256(body).hexdigest(), Format.PEP740, source, position)


def finding(
    found: Attestation | Iterable[Reason] | None = None,
    *,
    source: Source = Source.REQUEST,
    position: int = 0,
    root: str | None = ROOT,
) -> Finding:
    """A piece of evidence that verified (default: `attestation()`), or the reasons why it did not under `root`."""
    ref = evidence(source, position)
    if found is None or isinstance(found, Attestation):
        good = found or attestation()
        return Finding(ref, good.root, attestation=good)
    return Finding(ref, root, reasons=tuple(found))


def failed(code: Code = Code.SIGNATURE_INVALID, **where: Any) -> Finding:
    """A piece of evidence that did not verify."""
    return finding([Reason(code, "request evidence 1")], **where)


def file(**changed: Any) -> File:
    """The wheel as it was measured."""
    values: dict[str, Any] = {
        "name": WHEEL,
        "canonical": CANONICAL,
        "size": len(CONTENT),
        "digests": (Digest("sha256", SHA256), Digest("sha512", SHA512)),
        "names": frozenset({CANONICAL, f"{PURL}@1.0.0"}),
    }
    return File(**(values | changed))


def upload(**changed: Any) -> Upload:
    """The upload of the wheel to the registry `python`, with what its file name, metadata and form say."""
    claims = [
        Claim(source, field, value, WHEEL)
        for source in ("file name", "METADATA", "form")
        for field, value in (("name", "acme_lib"), ("version", "1.0.0"))
    ]
    values: dict[str, Any] = {
        "registry": Registry("python", "pypi"),
        "purl": PURL,
        "name": "acme-lib",
        "version": "1.0.0",
        "canonical_version": "1",
        "files": (file(),),
        "claims": (*claims, Claim("form", "digest:sha256", SHA256, WHEEL)),
    }
    return Upload(**(values | changed))


def grant(**changed: Any) -> Grant:
    """An OIDC grant of the run `ci()` for acme's packages."""
    values: dict[str, Any] = {
        "id": "grant-1",
        "kind": GrantKind.OIDC,
        "owner": "team-libs@acme.example",
        "registry": "python",
        "packages": ("pkg:pypi/acme-*",),
        "actions": frozenset({Action.PUBLISH}),
        "not_before": AT - timedelta(minutes=10),
        "expires": AT + timedelta(minutes=5),
        "holder": ci(),
    }
    return Grant(**(values | changed))


def token(**changed: Any) -> Grant:
    """A plain token, bound to nobody."""
    return grant(**({"kind": GrantKind.TOKEN, "holder": None} | changed))


def published(**changed: Any) -> Published:
    """The sdist of the same version, published an hour ago by the same run."""
    values: dict[str, Any] = {
        "canonical": "acme_lib-1.tar.gz",
        "sha256": OTHER,
        "at": AT - timedelta(hours=1),
        "signer": ci(),
    }
    return Published(**(values | changed))


def waiver(*codes: Code, **changed: Any) -> Waiver:
    """A person's decision to set codes aside for the wheel, in force for an hour."""
    values: dict[str, Any] = {
        "id": "waiver-1",
        "registry": "python",
        "purl": PURL,
        "version": "1.0.0",
        "sha256": SHA256,
        "codes": frozenset(codes),
        "person": "ops@acme.example",
        "expires": AT + timedelta(hours=1),
    }
    return Waiver(**(values | changed))


def case(
    *,
    at: datetime = AT,
    of: Upload | None = None,
    by: Grant | None = None,
    findings: Iterable[Finding] | None = None,
    history: History | None = None,
    waivers: Iterable[Waiver] = (),
) -> Case:
    """The acceptable case, but for what is given."""
    found = (finding(),) if findings is None else tuple(findings)
    return Case(at, of or upload(), by or grant(), found, history or History(), tuple(waivers))


def signer(**changed: Any) -> Signer:
    """What `ci()` meets."""
    values: dict[str, Any] = {
        "issuer": (GITHUB_ISSUER,),
        "repository": ("acme/libs",),
        "repository_id": ("763287532",),
        "workflow": (WORKFLOW,),
        "ref": ("refs/tags/v{version}",),
        "runner": ("github-hosted",),
        "trigger": ("push", "release"),
    }
    return Signer(**(values | changed))


def asked(**changed: Any) -> AttestationRule:
    """What `attestation()` meets."""
    values: dict[str, Any] = {"predicate": (SLSA,), "trust_roots": (ROOT,), "signers": (signer(),)}
    return AttestationRule(**(values | changed))


def rule(**changed: Any) -> Rule:
    """The rule that accepts `case()`: provenance of the run whose credential publishes, all files from one run."""
    values: dict[str, Any] = {
        "name": "acme-python",
        "packages": ("pkg:pypi/acme-*",),
        "attestations": (asked(),),
        "owner": "team-libs@acme.example",
        "credential": CredentialRule(kinds=(GrantKind.OIDC,), same_run=True),
        "release": ReleaseRule(same_run=True, closed_after=timedelta(days=14)),
    }
    return Rule(**(values | changed))


def policy(*rules: Rule) -> Policy:
    """A policy of these rules, or of the one that accepts `case()`."""
    return Policy(rules or (rule(),), revision="0" * 64)


def reusable(**changed: Any) -> Identity:
    """The same run, signed by the reusable workflow `BUILDER`."""
    return ci(subject=f"https://github.com/{BUILDER}", build_signer=BUILDER, **changed)


def with_file(changed: Upload, **fields: Any) -> Upload:
    """The upload with its only file changed."""
    (only,) = changed.files
    return replace(changed, files=(replace(only, **fields),))
