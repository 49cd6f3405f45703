"""Thin factories over the sandbox: one good case, of which a test states only what it spoils."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from gateway.model.identity import Identity
from gateway.sandbox import Sandbox, Shape, Spoil, github_identity, publish_attestation, slsa_provenance

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNER = github_identity()
WHEEL = "acme_lib-1.0.0-py3-none-any.whl"
CONTENT = b"the bytes of a wheel"


@lru_cache(maxsize=1)
def sandbox() -> Sandbox:
    """One sandbox for a whole test run; make another with `Sandbox.create(NOW)` where its logs must be empty."""
    return Sandbox.create(NOW)


def subject(name: str = WHEEL, content: bytes = CONTENT) -> tuple[str, Mapping[str, str]]:
    return name, {"sha256": hashlib.sha256(content).hexdigest()}


def provenance_bundle(
    content: bytes = CONTENT,
    name: str = WHEEL,
    signer: Identity = SIGNER,
    *,
    build: Identity | None = None,
    at: datetime = NOW,
    spoil: Spoil | None = None,
    shape: Shape | None = None,
    certificate: Mapping[int, str | None] | None = None,
    provenance: Mapping[str, object] | None = None,
) -> bytes:
    """A bundle of SLSA provenance; `build` is whom the provenance names, if not the signer."""
    statement = slsa_provenance([subject(name, content)], build or signer, changes=provenance)
    return sandbox().sign_statement(statement, signer, at, spoil=spoil, shape=shape, changes=certificate)


def publish_attestation_of(
    content: bytes = CONTENT,
    name: str = WHEEL,
    signer: Identity = SIGNER,
    *,
    at: datetime = NOW,
    spoil: Spoil | None = None,
) -> bytes:
    """A PEP 740 attestation object with PyPI's publish predicate."""
    return sandbox().attest(publish_attestation([subject(name, content)]), signer, at, spoil=spoil)


def signature_bundle(
    content: bytes = CONTENT,
    signer: Identity = SIGNER,
    *,
    at: datetime = NOW,
    spoil: Spoil | None = None,
    shape: Shape | None = None,
) -> bytes:
    """A bundle of a plain signature of these bytes."""
    return sandbox().sign_digest(hashlib.sha256(content).digest(), signer, at, spoil=spoil, shape=shape)


def write_root(directory: Path, of: Sandbox | None = None, *, name: str = "sandbox") -> Path:
    """Write a trust root as an operator has it (`trust_roots/<name>/`), and return its directory."""
    made = of or sandbox()
    root = directory / name
    root.mkdir(parents=True)
    (root / "trusted_root.json").write_bytes(made.trusted_root())
    (root / "trust_root.yaml").write_text(made.trust_root_yaml())
    return root
