"""The gateway's own verifier before the sandbox: every signer in every shape accepted, every spoiled part named."""

import hashlib
from dataclasses import replace

import pytest
import yaml

from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Finding, Source
from gateway.model.identity import Identity, from_claims
from gateway.reasons import Code
from gateway.sandbox import Shape, Spoil, github_identity, gitlab_identity, person, tokens
from gateway.sandbox.spoil import of_digests, of_statements, shapes
from gateway.verification import TrustRoot, TrustRootSettings, build_trust_root, detect, verify
from tests.lab import sigstore as lab

STATEMENT, DIGEST = "statement", "digest"
FILES = ((Digest("sha256", hashlib.sha256(lab.CONTENT).hexdigest()),),)
SIGNERS = {
    "github": lab.SIGNER,
    "reusable": github_identity(build_signer="acme/ci/.github/workflows/build.yml@refs/tags/v3", environment="release"),
    "gitlab": gitlab_identity(),
    "gitlab-group": gitlab_identity("acme/deep/libs", "ci/release.yml", "refs/heads/main", environment="release"),
    "person": person(),
    "machine": person("spiffe://acme.example/builder", "https://spire.acme.example"),
}
EXPECTED = {
    Spoil.AUTHORITY_UNKNOWN: {Code.CERTIFICATE_UNTRUSTED},
    Spoil.AUTHORITY_RETIRED: {Code.CERTIFICATE_UNTRUSTED},
    Spoil.CERTIFICATE_EXPIRED: {Code.CERTIFICATE_EXPIRED},
    Spoil.CERTIFICATE_NOT_YET_VALID: {Code.CERTIFICATE_EXPIRED},
    Spoil.CODE_SIGNING_MISSING: {Code.CERTIFICATE_INVALID},
    Spoil.DIGITAL_SIGNATURE_MISSING: {Code.CERTIFICATE_INVALID},
    Spoil.SUBJECT_NAME_MISSING: {Code.CERTIFICATE_INVALID},
    Spoil.SCT_MISSING: {Code.SCT_INVALID},
    Spoil.SCT_WRONG: {Code.SCT_INVALID},
    Spoil.CT_KEY_UNKNOWN: {Code.SCT_INVALID},
    Spoil.CT_KEY_RETIRED: {Code.SCT_INVALID},
    Spoil.PROMISE_MISSING: {Code.TIMESTAMP_MISSING},
    Spoil.PROMISE_WRONG: {Code.LOG_PROOF_INVALID},
    Spoil.PROMISE_OF_OTHER_BYTES: {Code.LOG_PROOF_INVALID},
    Spoil.TIME_ALTERED: {Code.LOG_PROOF_INVALID},
    Spoil.TIME_OUTSIDE: {Code.CERTIFICATE_EXPIRED},
    Spoil.PROOF_MISSING: {Code.LOG_PROOF_INVALID},
    Spoil.PROOF_WRONG: {Code.LOG_PROOF_INVALID},
    Spoil.PROOF_TOO_SHORT: {Code.LOG_PROOF_INVALID},
    Spoil.PROOF_INDEX_WRONG: {Code.LOG_PROOF_INVALID},
    Spoil.PROOF_OF_OTHER_BYTES: {Code.LOG_PROOF_INVALID},
    Spoil.ROOT_OTHER: {Code.LOG_PROOF_INVALID},
    Spoil.CHECKPOINT_MISSING: {Code.LOG_PROOF_INVALID},
    Spoil.CHECKPOINT_WRONG: {Code.LOG_PROOF_INVALID},
    Spoil.CHECKPOINT_KEY_UNKNOWN: {Code.LOG_PROOF_INVALID},
    Spoil.LOG_UNKNOWN: {Code.LOG_PROOF_INVALID},
    Spoil.LOG_RETIRED: {Code.LOG_PROOF_INVALID},
    Spoil.ENTRY_OF_ANOTHER: {Code.LOG_ENTRY_MISMATCH},
    Spoil.ENTRY_KIND_WRONG: {Code.EVIDENCE_MALFORMED},
    Spoil.SIGNATURE_WRONG: {Code.SIGNATURE_INVALID},
    Spoil.SIGNATURE_MISSING: {Code.EVIDENCE_MALFORMED},
    Spoil.PAYLOAD_ALTERED: {Code.SIGNATURE_INVALID, Code.LOG_ENTRY_MISMATCH},
    Spoil.PAYLOAD_TYPE_ALTERED: {Code.EVIDENCE_UNSUPPORTED},
    Spoil.PAYLOAD_TYPE_OTHER: {Code.EVIDENCE_UNSUPPORTED},
    Spoil.DIGEST_OTHER: {Code.DIGEST_MISMATCH, Code.LOG_ENTRY_MISMATCH},
    Spoil.TIMESTAMP_MISSING: {Code.TIMESTAMP_MISSING},
    Spoil.TIMESTAMP_OF_OTHER_BYTES: {Code.TIMESTAMP_INVALID},
    Spoil.TIMESTAMP_WRONG: {Code.TIMESTAMP_INVALID},
    Spoil.TIMESTAMP_OUTSIDE: {Code.CERTIFICATE_EXPIRED},
    Spoil.TIMESTAMP_AUTHORITY_UNKNOWN: {Code.TIMESTAMP_INVALID},
    Spoil.TIMESTAMP_AUTHORITY_RETIRED: {Code.TIMESTAMP_INVALID},
}


def root(shape: Shape) -> TrustRoot:
    alone = shape is Shape.TIMESTAMP
    text = lab.sandbox().trust_root_yaml(sct=int(not alone), log=int(not alone), timestamp=int(alone))
    settings = TrustRootSettings.model_validate(yaml.safe_load(text))
    return build_trust_root("sandbox", settings, {"trusted_root.json": lab.sandbox().trusted_root()})


def finding(body: bytes, shape: Shape = Shape.LOG_V1, *, allow_sandbox: bool = True) -> Finding:
    ref = EvidenceRef(hashlib.sha256(body).hexdigest(), detect(body), Source.REQUEST)
    (found,) = verify(Evidence(ref, body), [root(shape)], FILES, lab.NOW, allow_sandbox=allow_sandbox)
    return found


def codes(found: Finding) -> set[Code]:
    return {reason.code for reason in found.reasons}


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
@pytest.mark.parametrize("shape", Shape)
def test_every_signer_is_recognised_whole_in_every_shape(shape: Shape, signer: Identity) -> None:
    statement = finding(lab.provenance_bundle(signer=signer, build=lab.SIGNER, shape=shape), shape)
    plain = finding(lab.signature_bundle(signer=signer, shape=shape), shape)

    assert (codes(statement), codes(plain)) == (set(), set())
    assert statement.attestation is not None
    assert plain.attestation is not None
    assert (statement.attestation.signer, plain.attestation.signer) == (signer, signer)
    assert (statement.attestation.time, plain.attestation.time) == (lab.NOW, lab.NOW)


def test_a_pep_740_attestation_is_accepted() -> None:
    assert codes(finding(lab.publish_attestation_of())) == set()


@pytest.mark.parametrize("name", ["github", "reusable", "gitlab", "gitlab-group"])
def test_a_token_is_read_as_the_identity_it_was_made_for(name: str) -> None:
    identity, claims = SIGNERS[name], tokens.claims(SIGNERS[name])

    assert from_claims(claims, gitlab=name.startswith("gitlab")) == replace(identity, subject=claims["sub"])


@pytest.mark.parametrize("spoil", Spoil)
def test_a_spoiled_part_is_named_in_every_shape_that_has_it(spoil: Spoil) -> None:
    for shape in sorted(shapes(spoil), key=lambda one: one.value):
        # Without a log there is no entry to differ from.
        expected = EXPECTED[spoil] - ({Code.LOG_ENTRY_MISMATCH} if shape is Shape.TIMESTAMP else set())
        if of_statements(spoil):
            assert codes(finding(lab.provenance_bundle(spoil=spoil, shape=shape), shape)) == expected, shape
        if of_digests(spoil):
            assert codes(finding(lab.signature_bundle(spoil=spoil, shape=shape), shape)) == expected, shape


@pytest.mark.parametrize("shape", Shape)
def test_a_sandbox_is_refused_unless_it_is_admitted(shape: Shape) -> None:
    found = finding(lab.provenance_bundle(shape=shape), shape, allow_sandbox=False)

    assert codes(found) == {Code.CERTIFICATE_SANDBOX}
