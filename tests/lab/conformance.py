"""The sigstore-conformance client on the gateway's own engine: `verify-bundle`, its exit code the verdict."""

from __future__ import annotations

import argparse
import hashlib
import importlib.resources
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Attestation, Evidence, EvidenceRef, Finding, Format, Source
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, verify

ROOT = Path(__file__).parents[2]
PUBLIC_GOOD = ROOT / "trust_roots" / "sigstore-public-good" / TRUSTED_ROOT
ALGORITHMS = ("sha256", "sha384", "sha512")


def staging() -> bytes:
    """The trusted root of the staging instance, as the sigstore package carries it; ours ships public-good alone."""
    instances = (importlib.resources.files("sigstore") / "_store").iterdir()
    (instance,) = [one for one in instances if one.name.endswith("sigstage.dev")]
    return (instance / TRUSTED_ROOT).read_bytes()


@cache
def trusted_root(data: bytes, key: bytes | None = None) -> TrustRoot:
    """Build the root a case is verified under: the instance's, or a key with the instance's logs."""
    source = {"file": TRUSTED_ROOT}
    if key is None:
        settings = {"kind": "sigstore", "source": source, "thresholds": {"sct": 1, "log": 1, "timestamp": 0}}
        material = {TRUSTED_ROOT: data}
    else:
        keys = {"key": {"file": "key.pub", "not_before": "2000-01-01"}}
        thresholds = {"sct": 0, "log": 1, "timestamp": 0}
        settings = {"kind": "keys", "source": source, "keys": keys, "thresholds": thresholds}
        material = {TRUSTED_ROOT: data, "key.pub": key}
    return build_trust_root("case", TrustRootSettings.model_validate(settings | {"owner": "conformance"}), material)


def digests_of(artifact: str) -> tuple[Digest, ...]:
    """Hash a file, or take the digest that stands in place of it."""
    if artifact.startswith("sha256:"):
        return (Digest.parse(artifact),)
    data = Path(artifact).read_bytes()
    return tuple(Digest(name, hashlib.new(name, data).hexdigest()) for name in ALGORITHMS)  # noqa: TID251


def finding(bundle: bytes, root: TrustRoot, file: tuple[Digest, ...], now: datetime) -> Finding:
    """Verify one bundle under one root, without the second opinion."""
    ref = EvidenceRef(hashlib.sha256(bundle).hexdigest(), Format.BUNDLE, Source.ARGUMENT)
    (found,) = verify(Evidence(ref, bundle), [root], [file], now, second_opinion=False)
    return found


def accepted(found: Finding, file: tuple[Digest, ...], identity: str | None, issuer: str | None) -> bool:
    """Whether the evidence verified, covers the file, and is by the expected signer."""
    attestation = found.attestation
    return attestation is not None and _covers(attestation, file) and _by(attestation, identity, issuer)


def main(arguments: Sequence[str]) -> int:
    """Run one command of the suite's protocol."""
    parser = argparse.ArgumentParser(prog="client")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify-bundle")
    command.add_argument("--staging", action="store_true")
    command.add_argument("--bundle", type=Path, required=True)
    command.add_argument("--certificate-identity")
    command.add_argument("--certificate-oidc-issuer")
    command.add_argument("--key", type=Path)
    command.add_argument("--trusted-root", type=Path)
    command.add_argument("artifact")
    options = parser.parse_args(arguments)
    if options.key is None and not (options.certificate_identity and options.certificate_oidc_issuer):
        parser.error("expected --key, or --certificate-identity and --certificate-oidc-issuer")
    shipped = staging() if options.staging else PUBLIC_GOOD.read_bytes()
    try:
        root = trusted_root(
            options.trusted_root.read_bytes() if options.trusted_root else shipped,
            options.key.read_bytes() if options.key else None,
        )
    except Malformed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    file = digests_of(options.artifact)
    now = datetime.now(UTC)  # noqa: TID251 - a command's own clock
    found = finding(options.bundle.read_bytes(), root, file, now)
    for reason in found.reasons:
        sys.stderr.write(f"{reason.line()}\n")
    return 0 if accepted(found, file, options.certificate_identity, options.certificate_oidc_issuer) else 1


def _covers(attestation: Attestation, file: tuple[Digest, ...]) -> bool:
    return any(digest in subject.digests for subject in attestation.covers for digest in file)


def _by(attestation: Attestation, identity: str | None, issuer: str | None) -> bool:
    if identity is None:
        return attestation.key is not None
    signer = attestation.signer
    return signer is not None and (signer.subject, signer.issuer) == (identity, issuer)
