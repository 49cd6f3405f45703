"""Bills of materials and npm's publish attestations: signed, verified, and demanded by their predicate type."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.model.evidence import Evidence, EvidenceRef, Finding, Format, Source
from gateway.policy import decide, load_policy
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, verify
from tests.lab import cases as lab
from tests.lab.cases import AT, SHA256, SHA512, WHEEL
from tests.lab.sigstore import sandbox

SPDX = "https://spdx.dev/Document"
SPDX_2_3 = "https://spdx.dev/Document/v2.3"
CYCLONEDX = "https://cyclonedx.org/bom"
NPM_PUBLISH = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
TYPES = (SPDX, SPDX_2_3, CYCLONEDX, NPM_PUBLISH)
PREDICATES: dict[str, dict[str, Any]] = {
    SPDX: {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": WHEEL, "packages": []},
    SPDX_2_3: {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": WHEEL, "packages": []},
    CYCLONEDX: {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []},
    NPM_PUBLISH: {"name": "acme-lib", "version": "1.0.0", "registry": "https://registry.acme.example"},
}
RELEASE_KEY = ec.generate_private_key(ec.SECP256R1())
SANDBOX, KEYS = "sandbox", "keys"


def roots() -> list[TrustRoot]:
    pem = RELEASE_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    instance = {
        "kind": "sigstore",
        "source": {"file": TRUSTED_ROOT},
        "thresholds": {"sct": 1, "log": 1, "timestamp": 0},
    }
    own = {
        "kind": "keys",
        "keys": {"release": {"file": "release.pem", "not_before": "2026-01-01"}},
        "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
    }
    return [
        build_trust_root(name, TrustRootSettings.model_validate(settings | {"owner": "tests"}), material)
        for name, settings, material in (
            (SANDBOX, instance, {TRUSTED_ROOT: sandbox().trusted_root()}),
            (KEYS, own, {"release.pem": pem}),
        )
    ]


def statement(predicate_type: str, version: str = "v1", **subject: Any) -> dict[str, Any]:
    return {
        "_type": f"https://in-toto.io/Statement/{version}",
        "subject": [{"name": WHEEL, "digest": {"sha256": SHA256}} | subject],
        "predicateType": predicate_type,
        "predicate": PREDICATES.get(predicate_type, {}),
    }


def by_workflow(said: dict[str, Any], **changed: Any) -> bytes:
    return sandbox().sign_statement(said, lab.ci(**changed), AT)


def by_key(said: dict[str, Any]) -> bytes:
    """A bare envelope, as a key signs it."""
    payload, kind = json.dumps(said).encode(), b"application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    signature = RELEASE_KEY.sign(pae, ec.ECDSA(hashes.SHA256()))
    signatures = [{"keyid": "", "sig": base64.b64encode(signature).decode()}]
    envelope = {"payload": base64.b64encode(payload).decode(), "payloadType": kind.decode(), "signatures": signatures}
    return json.dumps(envelope).encode()


def findings(*bodies: bytes) -> list[Finding]:
    pieces = [
        Evidence(EvidenceRef(f"{place}", Format.UNKNOWN, Source.LOCKER, place), body)
        for place, body in enumerate(bodies)
    ]
    files = [file.digests for file in lab.case().upload.files]
    return [found for piece in pieces for found in verify(piece, roots(), files, AT, allow_sandbox=True)]


def codes(predicate: str, *bodies: bytes) -> set[str]:
    """What an upload with this evidence is refused with, where a rule demands the predicate."""
    text = f"""
rules:
  - name: acme
    packages: pkg:pypi/acme-lib
    attestations:
      - predicate: {predicate}
        trust_roots: [{SANDBOX}, {KEYS}]
        signer:
          - issuer: https://token.actions.githubusercontent.com
            repository: acme/libs
            workflow: {lab.WORKFLOW}
            ref: refs/tags/v{{version}}
          - key: release
"""
    policy = load_policy({"a.yaml": text}, trust_roots={SANDBOX: "sigstore", KEYS: "keys"})
    return {reason.code.value for reason in decide(lab.case(findings=findings(*bodies)), policy).reasons}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("version", ["v0.1", "v1"])
def test_evidence_of_the_type_that_the_rule_names_is_enough(kind: str, version: str) -> None:
    assert codes(kind, by_workflow(statement(kind, version))) == set()
    assert codes(kind, by_key(statement(kind, version))) == set()
    assert codes(kind, by_key(statement(kind, version, digest={"sha512": SHA512}))) == set()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"digest": {"sha256": lab.OTHER}}, {"digest-mismatch"}),
        ({"name": "acme_other-1.0.0-py3-none-any.whl"}, {"evidence-name-mismatch"}),
        ({"digest": {"sha256": SHA256, "sha512": "0" * 128}}, {"digest-mismatch"}),
        ({"digest": {"sha1": "0" * 40}}, {"evidence-malformed"}),  # nothing that could be compared
    ],
)
def test_evidence_of_something_else_is_not(kind: str, changed: dict[str, Any], expected: set[str]) -> None:
    assert codes(kind, by_workflow(statement(kind, **changed))) == expected


@pytest.mark.parametrize("kind", TYPES)
def test_evidence_of_another_type_is_not(kind: str) -> None:
    near = [other for other in TYPES if other != kind]
    near += [kind.upper(), f"{kind}/", kind.replace("https", "http"), "https://slsa.dev/provenance/v1.1"]
    assert codes(kind, *(by_workflow(statement(other)) for other in near)) == {"evidence-missing"}


@pytest.mark.parametrize("kind", TYPES)
def test_evidence_by_somebody_else_is_not(kind: str) -> None:
    assert codes(kind, by_workflow(statement(kind), repository="evil/libs")) == {"repository-mismatch"}


def test_one_of_several_types_will_do_where_the_rule_lists_them() -> None:
    either = f"[{SPDX}, {SPDX_2_3}, {CYCLONEDX}]"
    for kind in (SPDX, SPDX_2_3, CYCLONEDX):
        assert codes(either, by_workflow(statement(kind))) == set()
    assert codes(either, by_workflow(statement(NPM_PUBLISH))) == {"evidence-missing"}


def test_what_a_bill_of_materials_says_is_not_read() -> None:
    said: tuple[object, ...] = ({}, [], None, "text", {"bomFormat": ["x"], "components": {"a": 1}})
    for predicate in said:
        assert codes(CYCLONEDX, by_workflow(statement(CYCLONEDX) | {"predicate": predicate})) == set()
