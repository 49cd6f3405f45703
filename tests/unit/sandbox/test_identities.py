"""The sandbox's certificates carry what real ones of the same identity carry, and the marks of a sandbox."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from gateway.model.identity import Identity
from gateway.model.marker import SANDBOX_OID, SANDBOX_ORGANIZATION
from gateway.sandbox import github_identity, gitlab_identity, person
from gateway.sandbox.identities import FULCIO_ARC, extensions
from tests.lab import sigstore as lab
from tests.lab.tools import ROOT, absent

DATA = ROOT.parent / "shared" / "data"
SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
REUSABLE = (
    "github/artifact-attestations-workflows/.github/workflows/attest.yml@09b495c3f12c7881b3cc17209a327792065c1a1d"
)

# Who signed some real releases, and the texts that follow from no field: GitHub's display name of the workflow.
REAL: dict[str, tuple[Identity, dict[int, str | None]]] = {
    "github-cli/reusable-workflow-attestation.sigstore.json": (
        github_identity(
            "malancas/attest-demo",
            ".github/workflows/shared.yml",
            "refs/heads/main",
            trigger="workflow_dispatch",
            build_signer=REUSABLE,
            commit="95baf27389e83e6a5c48f42e190d48d7abcea19e",
            repository_id="804070735",
            owner_id="16248153",
            run="9228858953",
        ),
        {4: "Build / Attest / Verify (Shared)"},
    ),
    "pypi-attestations/gitlab_oidc_project-0.0.3.tar.gz.publish.attestation": (
        gitlab_identity(
            "facutuesca/gitlab-oidc-project",
            ref="refs/heads/main",
            commit="72f7c63b75eb55ea80864962f0e645c93414da34",
            repository_id="55235664",
            owner_id="12885801",
            visibility="private",
        ),
        {},
    ),
    "pypi-attestations/rfc8785-0.1.2-py3-none-any.whl.attestation": (person("william@yossarian.net"), {}),
}


def certificate_of(bundle: bytes) -> x509.Certificate:
    document = json.loads(bundle)
    if "verification_material" in document:
        raw = document["verification_material"]["certificate"]
    else:
        raw = document["verificationMaterial"]["certificate"]["rawBytes"]
    return x509.load_der_x509_certificate(base64.b64decode(raw))


def profile(certificate: x509.Certificate) -> list[tuple[str, bool]]:
    return [(extension.oid.dotted_string, extension.critical) for extension in certificate.extensions]


def fulcio(certificate: x509.Certificate) -> list[tuple[str, bytes]]:
    return [
        (extension.oid.dotted_string, extension.value.value)
        for extension in certificate.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
        and extension.oid.dotted_string.startswith(f"{FULCIO_ARC}.")
    ]


def real(name: str) -> x509.Certificate:
    path = Path(DATA, name)
    if not path.exists():
        absent(f"the real data is not there: {path}")
    return certificate_of(path.read_bytes())


@pytest.mark.parametrize("name", REAL)
def test_the_extensions_of_a_real_certificate_follow_byte_for_byte_from_its_identity(name: str) -> None:
    identity, changes = REAL[name]

    assert extensions(identity, changes) == fulcio(real(name))


@pytest.mark.parametrize("name", REAL)
def test_a_certificate_has_the_profile_of_a_real_one_and_the_mark_of_a_sandbox(name: str) -> None:
    theirs = real(name)
    ours = certificate_of(lab.provenance_bundle(signer=REAL[name][0], build=lab.SIGNER))

    assert [item for item in profile(ours) if item[0] != SANDBOX_OID] == profile(theirs)
    assert ours.extensions[-1].oid.dotted_string == SCT_LIST
    subject_name = ours.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert subject_name == theirs.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_every_certificate_of_a_sandbox_says_that_it_is_one() -> None:
    root = json.loads(lab.sandbox().trusted_root())
    chains = [
        x509.load_der_x509_certificate(base64.b64decode(one["rawBytes"]))
        for kind in ("certificateAuthorities", "timestampAuthorities")
        for authority in root[kind]
        for one in authority["certChain"]["certificates"]
    ]

    for certificate in [*chains, certificate_of(lab.provenance_bundle())]:
        organization = certificate.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)[0].value
        marked = [item for item in profile(certificate) if item[0] == SANDBOX_OID]
        assert (organization, marked) == (SANDBOX_ORGANIZATION, [(SANDBOX_OID, False)])
    assert len(chains) == 8


def test_a_changed_text_changes_that_extension_alone() -> None:
    good = dict(extensions(lab.SIGNER))
    spoiled = dict(extensions(lab.SIGNER, {15: "1", 22: None}))

    assert {oid for oid in good if good[oid] != spoiled.get(oid)} == {f"{FULCIO_ARC}.15", f"{FULCIO_ARC}.22"}
    assert spoiled[f"{FULCIO_ARC}.15"] == b"\x0c\x011"


def test_an_environment_is_written_where_there_is_one() -> None:
    with_one = dict(extensions(replace(lab.SIGNER, environment="release")))

    assert with_one[f"{FULCIO_ARC}.23"] == b"\x0c\x07release"
    assert f"{FULCIO_ARC}.23" not in dict(extensions(lab.SIGNER))


def test_a_repository_keeps_its_ids_from_one_identity_to_the_next_and_shares_none_with_another() -> None:
    first, again, other = github_identity(), github_identity(ref="refs/heads/main"), github_identity("acme/other")

    assert (first.repository_id, first.owner_id) == (again.repository_id, again.owner_id)
    assert first.repository_id != other.repository_id
    assert (first.owner_id, first.commit) == (other.owner_id, github_identity().commit)
    assert first.commit != again.commit
