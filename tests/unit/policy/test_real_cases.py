"""Releases that others made, decided under rules as an operator would write them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import sigstore

from gateway.model import names
from gateway.model.case import Case, GrantKind
from gateway.model.digest import measure
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.upload import File, Registry, Upload
from gateway.policy import decide, load_policy
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, verify
from tests.lab import cases as lab
from tests.lab import conformance
from tests.lab.data import GITHUB, PYPI, needs_data

pytestmark = needs_data

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ACTIONS = "https://token.actions.githubusercontent.com"
REUSABLE = (
    "github/artifact-attestations-workflows/.github/workflows/attest.yml@09b495c3f12c7881b3cc17209a327792065c1a1d"
)


@cache
def roots() -> tuple[TrustRoot, ...]:
    def root(name: str, path: Path, sct: int, log: int, timestamp: int) -> TrustRoot:
        settings = {
            "kind": "sigstore",
            "source": {"file": TRUSTED_ROOT},
            "thresholds": {"sct": sct, "log": log, "timestamp": timestamp},
            "owner": "tests",
        }
        material = {TRUSTED_ROOT: path.read_bytes()}
        return build_trust_root(name, TrustRootSettings.model_validate(settings), material)

    store = Path(sigstore.__file__).parent / "_store" / "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev"
    return (
        root("staging", store / "trusted_root.json", 1, 1, 0),
        root("public", conformance.PUBLIC_GOOD, 1, 1, 0),
        root("github", GITHUB / "github-instance-trusted_root.json", 0, 0, 1),
    )


def case(evidence: Path, artifact: Path, version: str, *, name: str = "", purl: str = "") -> Case:
    name = name or artifact.name
    with artifact.open("rb") as handle:
        digests = measure(handle, {"sha256", "sha512"})
    ecosystem = purl.removeprefix("pkg:").partition("/")[0] or "pypi"
    canonical = names.canonical_file("pypi", name) if ecosystem == "pypi" else name
    file = File(name, canonical, artifact.stat().st_size, digests, frozenset({canonical}))
    purl = purl or names.purl("pypi", names.pypi_spelled(name)[0])
    upload = Upload(Registry("private", ecosystem), purl, "name", version, version, (file,))
    piece = Evidence(EvidenceRef("id", Format.UNKNOWN, Source.REQUEST), evidence.read_bytes())
    findings = verify(piece, roots(), [digests], NOW)
    grant = lab.token(
        registry="private", packages=("**",), kind=GrantKind.TOKEN, not_before=NOW, expires=NOW.max.replace(tzinfo=UTC)
    )
    return Case(NOW, upload, grant, findings)


def codes(of: Case, predicate: str, signer: str, *, root: str = "public", more: str = "") -> set[str]:
    policy = load_policy(
        {
            "policy.yaml": f"""
rules:
  - name: real
    packages: "pkg:**"
    attestations:
      - predicate: {predicate}
        trust_roots: {root}
        signer: {{{signer}}}
        {more}
"""
        }
    )
    decision = decide(of, policy)
    return {reason.code.value for reason in decision.reasons}


PUBLISH, SLSA = lab.PUBLISH, lab.SLSA
MODELS = f"issuer: {ACTIONS}, repository: trailofbits/pypi-attestation-models, workflow: .github/workflows/release.yml"


@pytest.mark.parametrize(
    ("version", "more", "expected"),
    [
        ("0.0.4a2", ", ref: 'refs/tags/v{version}'", set()),
        ("0.0.4", ", ref: 'refs/tags/v{version}'", {"tag-version-mismatch"}),
        ("0.0.4a2", ", ref: refs/heads/main", {"ref-mismatch"}),
        ("0.0.4a2", ", runner: github-hosted, visibility: public", set()),
        ("0.0.4a2", ", runner: self-hosted", {"runner-mismatch"}),
    ],
)
def test_a_release_by_github_actions_whose_tag_is_its_version(version: str, more: str, expected: set[str]) -> None:
    sdist = PYPI / "pypi_attestation_models-0.0.4a2.tar.gz"
    of = case(sdist.with_name(f"{sdist.name}.attestation"), sdist, version)
    assert codes(of, PUBLISH, MODELS + more) == expected


def test_a_release_by_gitlab_ci() -> None:
    sdist = PYPI / "gitlab_oidc_project-0.0.3.tar.gz"
    of = case(sdist.with_name(f"{sdist.name}.publish.attestation"), sdist, "0.0.3")
    signer = (
        "issuer: https://gitlab.com, repository: {0}, workflow: .gitlab-ci.yml, ref: refs/heads/main,"
        " runner: gitlab-hosted, visibility: private"
    )
    assert codes(of, PUBLISH, signer.format("facutuesca/gitlab-oidc-project")) == set()
    assert codes(of, PUBLISH, signer.format("Facutuesca/gitlab-oidc-project")) == {"repository-mismatch"}


def test_a_release_by_a_person() -> None:
    wheel = PYPI / "rfc8785-0.1.2-py3-none-any.whl"
    of = case(wheel.with_name(f"{wheel.name}.publish.attestation"), wheel, "0.1.2")
    (finding,) = (finding for finding in of.findings if finding.attestation)
    assert finding.attestation is not None
    assert finding.attestation.signer is not None
    person = finding.attestation.signer
    assert codes(
        of, PUBLISH, f"issuer: {ACTIONS}, repository: a/b, workflow: .github/workflows/r.yml", root="staging"
    ) == {"signer-not-ci"}
    assert codes(of, PUBLISH, f"issuer: {person.issuer}, subject: {person.subject}") == {"certificate-untrusted"}
    assert codes(of, PUBLISH, f"issuer: {person.issuer}, subject: {person.subject}", root="staging") == set()
    assert codes(of, PUBLISH, f"issuer: {person.issuer}, subject: x{person.subject}", root="staging") == {
        "signer-mismatch"
    }


def test_a_release_signed_by_a_reusable_workflow_of_another_repository() -> None:
    evidence, artifact = GITHUB / "reusable-workflow-attestation.sigstore.json", GITHUB / "reusable-workflow-artifact"
    of = case(evidence, artifact, "0.0.0", name="github_provenance_demo-0.0.0-py3-none-any.whl")
    caller = (
        f"issuer: {ACTIONS}, repository: malancas/attest-demo, workflow: .github/workflows/shared.yml,"
        " ref: refs/heads/main"
    )
    assert codes(of, SLSA, caller) == {"builder-mismatch"}
    builder = f"{caller}, build_signer: {REUSABLE}"
    assert codes(of, SLSA, builder) == set()
    assert codes(of, SLSA, builder, more="min_build_level: 3") == set()
    assert codes(of, SLSA, caller, more="min_build_level: 2") == {"builder-mismatch"}


def test_a_release_of_a_private_repository_under_githubs_own_instance() -> None:
    wheel = GITHUB / "github_provenance_demo-0.0.12-py3-none-any.whl"
    of = case(wheel.with_name("github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl"), wheel, "0.0.12")
    signer = (
        f"issuer: {ACTIONS}, repository: actions/attest-demo, workflow: .github/workflows/build-python.yml,"
        " ref: refs/heads/main, trigger: workflow_dispatch, runner: github-hosted, visibility: private"
    )
    assert codes(of, SLSA, signer, root="github") == set()
    assert codes(of, SLSA, signer, root="[public, github]") == set()
    assert codes(of, SLSA, signer, root="public") == {"certificate-untrusted"}


def test_a_release_to_npm() -> None:
    tarball = GITHUB / "sigstore-js-2.1.0.tgz"
    of = case(GITHUB / "sigstore-js-2.1.0-bundle.json", tarball, "2.1.0", purl="pkg:npm/sigstore")
    signer = f"issuer: {ACTIONS}, repository: sigstore/sigstore-js, workflow: .github/workflows/release.yml"
    assert codes(of, SLSA, signer, more="min_build_level: 2") == set()
    assert codes(of, SLSA, f"{signer}, trigger: release") == {"trigger-mismatch"}
