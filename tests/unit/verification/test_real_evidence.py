"""Bundles and attestations that others made: each gets the verdict it deserves, with exactly its codes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from gateway.model.evidence import Attestation, Evidence, EvidenceRef, Finding, Format, Source
from gateway.model.identity import Identity
from gateway.reasons import Code
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, verify
from tests.lab import conformance
from tests.lab.data import GITHUB, PYPI, needs_data

pytestmark = needs_data

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SLSA = "https://slsa.dev/provenance/v1"
PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
GITHUB_ACTIONS = "https://token.actions.githubusercontent.com"


def _root(name: str, material: bytes, *, sct: int, log: int, timestamp: int) -> TrustRoot:
    settings = {
        "kind": "sigstore",
        "source": {"file": TRUSTED_ROOT},
        "thresholds": {"sct": sct, "log": log, "timestamp": timestamp},
        "owner": "tests",
    }
    return build_trust_root(name, TrustRootSettings.model_validate(settings), {TRUSTED_ROOT: material})


@cache
def public_good() -> TrustRoot:
    return _root("public-good", conformance.PUBLIC_GOOD.read_bytes(), sct=1, log=1, timestamp=0)


@cache
def github_instance() -> TrustRoot:
    return _root("github", (GITHUB / "github-instance-trusted_root.json").read_bytes(), sct=0, log=0, timestamp=1)


@cache
def staging() -> TrustRoot:
    return _root("staging", conformance.staging(), sct=1, log=1, timestamp=0)


def verdicts(evidence: Path | bytes, artifact: Path, *roots: TrustRoot) -> tuple[Finding, ...]:
    body = evidence if isinstance(evidence, bytes) else evidence.read_bytes()
    ref = EvidenceRef("id", Format.UNKNOWN, Source.REQUEST)
    chosen = roots or (public_good(), github_instance())
    return verify(Evidence(ref, body), chosen, [conformance.digests_of(str(artifact))], NOW)


def the(findings: tuple[Finding, ...]) -> tuple[str | None, Attestation]:
    (found,) = findings
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    return found.root, found.attestation


def codes(findings: tuple[Finding, ...]) -> dict[str | None, set[Code]]:
    return {found.root: {reason.code for reason in found.reasons} for found in findings}


SIGSTORE_JS = Identity(
    issuer=GITHUB_ACTIONS,
    subject="https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
    server="https://github.com",
    repository="sigstore/sigstore-js",
    repository_id="495574555",
    owner="sigstore",
    owner_id="71096353",
    workflow=".github/workflows/release.yml",
    build_signer="sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
    ref="refs/heads/main",
    commit="26d16513386ffaa790b1c32f927544f1322e4194",
    runner="github-hosted",
    trigger="push",
    run="6014488666",
    attempt="1",
    visibility="public",
)


@pytest.mark.parametrize("bundle", ["sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0-bundle-v0.1.json"])
def test_npm_provenance_with_an_intoto_entry_verifies(bundle: str) -> None:
    root, found = the(verdicts(GITHUB / bundle, GITHUB / "sigstore-js-2.1.0.tgz"))
    assert root == "public-good"
    assert found.signer == SIGSTORE_JS
    assert (found.predicate_type, found.time_source) == (SLSA, "log")
    assert [(subject.name, [d.algorithm for d in subject.digests]) for subject in found.covers] == [
        ("pkg:npm/sigstore@2.1.0", ["sha512"])
    ]
    assert found.covers[0].digests[0] in conformance.digests_of(str(GITHUB / "sigstore-js-2.1.0.tgz"))


def test_npm_provenance_says_the_same_as_its_certificate() -> None:
    _, found = the(verdicts(GITHUB / "sigstore-js-2.1.0-bundle.json", GITHUB / "sigstore-js-2.1.0.tgz"))
    assert found.provenance is not None
    assert found.provenance.unknown_parameters == ()
    said = dataclasses.asdict(found.provenance.build)
    proved = dataclasses.asdict(SIGSTORE_JS)
    assert {name: value for name, value in said.items() if value is not None} == {
        name: proved[name]
        for name in (
            *("server", "repository", "repository_id", "owner_id", "workflow", "ref", "commit", "runner"),
            *("trigger", "run", "attempt"),
        )
    }


def test_a_reusable_workflow_of_another_repository_is_the_build_signer() -> None:
    root, found = the(
        verdicts(GITHUB / "reusable-workflow-attestation.sigstore.json", GITHUB / "reusable-workflow-artifact")
    )
    signer = found.signer
    assert signer is not None
    assert root == "public-good"
    assert (signer.repository, signer.workflow) == ("malancas/attest-demo", ".github/workflows/shared.yml")
    assert signer.build_signer == (
        "github/artifact-attestations-workflows/.github/workflows/attest.yml@09b495c3f12c7881b3cc17209a327792065c1a1d"
    )


def test_githubs_own_instance_verifies_by_its_timestamp_alone() -> None:
    evidence = GITHUB / "github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl"
    root, found = the(verdicts(evidence, GITHUB / "github_provenance_demo-0.0.12-py3-none-any.whl"))
    signer = found.signer
    assert signer is not None
    assert (root, found.time_source) == ("github", "timestamp authority")
    assert found.time == datetime(2024, 4, 22, 17, 33, 26, tzinfo=UTC)
    assert signer.repository == "actions/attest-demo"
    assert signer.workflow == ".github/workflows/build-python.yml"
    assert (signer.ref, signer.trigger) == ("refs/heads/main", "workflow_dispatch")
    assert (signer.runner, signer.visibility) == ("github-hosted", "private")


def test_githubs_own_instance_is_untrusted_under_another_root_and_not_malformed() -> None:
    evidence = GITHUB / "github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl"
    artifact = GITHUB / "github_provenance_demo-0.0.12-py3-none-any.whl"
    assert codes(verdicts(evidence, artifact, public_good())) == {"public-good": {Code.CERTIFICATE_UNTRUSTED}}


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        ("github_provenance_demo-0.0.12-py3-none-any-bundle-missing-cert.jsonl", Code.EVIDENCE_MALFORMED),
        (
            "github_provenance_demo-0.0.12-py3-none-any-bundle-missing-verification-material.jsonl",
            Code.EVIDENCE_MALFORMED,
        ),
        ("sigstoreBundle-invalid-signature.json", Code.EVIDENCE_UNSUPPORTED),  # its payload is plain text
    ],
)
def test_a_broken_bundle_is_refused_before_any_root(spoiled: str, code: Code) -> None:
    artifact = GITHUB / "github_provenance_demo-0.0.12-py3-none-any.whl"
    assert codes(verdicts(GITHUB / spoiled, artifact)) == {None: {code}}


def test_a_github_release_on_pypi_is_of_its_tag() -> None:
    name = "pypi_attestation_models-0.0.4a2.tar.gz"
    root, found = the(verdicts(PYPI / f"{name}.attestation", PYPI / name))
    signer = found.signer
    assert signer is not None
    assert (root, found.predicate_type, found.provenance) == ("public-good", PUBLISH, None)
    assert (signer.repository, signer.workflow) == (
        "trailofbits/pypi-attestation-models",
        ".github/workflows/release.yml",
    )
    assert (signer.ref, signer.trigger) == ("refs/tags/v0.0.4a2", "release")
    assert [subject.name for subject in found.covers] == [name]


def test_gitlabs_certificate_is_read_in_the_same_fields() -> None:
    name = "gitlab_oidc_project-0.0.3.tar.gz"
    root, found = the(verdicts(PYPI / f"{name}.publish.attestation", PYPI / name))
    assert root == "public-good"
    assert found.signer == Identity(
        issuer="https://gitlab.com",
        subject="https://gitlab.com/facutuesca/gitlab-oidc-project//.gitlab-ci.yml@refs/heads/main",
        server="https://gitlab.com",
        repository="facutuesca/gitlab-oidc-project",
        repository_id="55235664",
        owner="facutuesca",
        owner_id="12885801",
        workflow=".gitlab-ci.yml",
        build_signer="facutuesca/gitlab-oidc-project/.gitlab-ci.yml@refs/heads/main",
        ref="refs/heads/main",
        commit="72f7c63b75eb55ea80864962f0e645c93414da34",
        runner="gitlab-hosted",
        trigger="push",
        run="8415754949",
        visibility="private",
    )


@pytest.mark.parametrize("suffix", [".attestation", ".publish.attestation", ".sigstore"])
def test_a_person_has_an_address_and_no_build(suffix: str) -> None:
    name = "rfc8785-0.1.2-py3-none-any.whl"
    root, found = the(verdicts(PYPI / f"{name}{suffix}", PYPI / name, public_good(), staging()))
    signer = found.signer
    assert signer is not None
    assert root == "staging"  # it was signed there
    assert signer == Identity(issuer="https://github.com/login/oauth", subject=signer.subject)
    assert signer.subject is not None
    assert "@" in signer.subject


def test_what_was_signed_under_staging_is_untrusted_under_public_good() -> None:
    name = "rfc8785-0.1.2-py3-none-any.whl"
    found = verdicts(PYPI / f"{name}.attestation", PYPI / name)
    assert codes(found) == {"public-good": {Code.CERTIFICATE_UNTRUSTED}, "github": {Code.CERTIFICATE_UNTRUSTED}}


def test_numbers_for_64_bit_integers_and_the_other_base64_alphabet_are_legal() -> None:
    name = "sigstore-js-2.1.0-bundle.json"
    document = json.loads((GITHUB / name).read_text())
    entry = document["verificationMaterial"]["tlogEntries"][0]
    for place in (entry, entry["inclusionProof"]):
        place["logIndex"] = int(place["logIndex"])
    entry["integratedTime"] = int(entry["integratedTime"])
    signature = document["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"].replace("+", "-").replace("/", "_")
    document["aFieldFromTheFuture"] = {"x": 1}
    the(verdicts(json.dumps(document).encode(), GITHUB / "sigstore-js-2.1.0.tgz"))
