"""Plain signatures by keys of every kind, through the running gateway: each key signs the digest that is its own."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.sandbox import Sandbox
from gateway.service.compose import now
from tests.lab.gate import GOOD, LabGate, lab_gate
from tests.lab.keys import KINDS

PLAIN = sorted(set(KINDS) - {"Ed25519"})
POLICY = """rules: [{name: acme, packages: "pkg:pypi/acme-*", attestations: [
  {signature: true, trust_roots: [keys], signer: {key: release, unsafe_unbound_name: true}}]}]"""
SENT = [f"{name}:{getattr(hashlib, name)(GOOD.content).hexdigest()}" for name in ("sha256", "sha384", "sha512")]


@pytest.fixture
def kind() -> str:
    return PLAIN[0]


@pytest.fixture
async def gate(tmp_path: Path, kind: str) -> AsyncIterator[LabGate]:
    Sandbox.create(now()).save(tmp_path / "roots" / "sandbox")
    root = tmp_path / "roots" / "keys"
    root.mkdir()
    public = KINDS[kind][0].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (root / "release.pem").write_bytes(public.public_bytes(serialization.Encoding.PEM, form))
    (root / "trust_root.yaml").write_text(
        "kind: keys\n"
        "keys: {release: {file: release.pem, not_before: 2020-01-01}}\n"
        "thresholds: {sct: 0, log: 0, timestamp: 0}\n"
        "owner: platform-security@acme.example\n"
    )
    async with lab_gate(tmp_path, policy=POLICY) as running:
        yield running


def bundle(kind: str, content: bytes) -> bytes:
    signature = base64.b64encode(KINDS[kind][1](content)).decode()
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": ""}},
            "messageSignature": {"messageDigest": {}, "signature": signature},
        }
    ).encode()


@pytest.mark.parametrize("kind", PLAIN)
async def test_a_file_gets_in_by_its_signature_over_any_digest(gate: LabGate, kind: str) -> None:
    assert (await gate.attach(bundle(kind, GOOD.content), *SENT))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 200
    assert await gate.codes() == set()


@pytest.mark.parametrize("kind", PLAIN)
async def test_a_signature_of_another_file_is_not_even_kept(gate: LabGate, kind: str) -> None:
    status, reason, _ = await gate.attach(bundle(kind, GOOD.content + b" "), *SENT)
    assert (status, reason.partition(":")[0]) == (403, "certificate-untrusted")  # by none of the root's keys
    assert (await gate.upload(attestations=None))[0] == 403
    assert await gate.codes() == {"evidence-missing"}
