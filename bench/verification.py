"""What one verification costs, beside the bare cost of the signatures in it."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from datetime import datetime

import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from gateway.verification import TRUSTED_ROOT, TrustRootSettings, build_trust_root, verify

# In a bundle of the sandbox, all P-256: leaf by intermediate, intermediate by root, certificate timestamp, log
# promise, checkpoint, envelope.
SIGNATURES = 6


def measure(sandbox: Sandbox, now: datetime, rounds: int) -> dict[str, float]:
    """Return the medians in milliseconds, and their ratio."""
    sha256 = hashlib.sha256(b"bench").hexdigest()
    builder = github_identity()
    body = sandbox.attest(slsa_provenance([("bench.whl", {"sha256": sha256})], builder), builder, now)
    ref = EvidenceRef(hashlib.sha256(body).hexdigest(), Format.PEP740, Source.REQUEST)
    settings = TrustRootSettings.model_validate(yaml.safe_load(sandbox.trust_root_yaml()))
    root = build_trust_root("sandbox", settings, {TRUSTED_ROOT: sandbox.trusted_root()})
    files = [(Digest("sha256", sha256),)]

    def whole(*, second_opinion: bool) -> None:
        findings = verify(Evidence(ref, body), [root], files, now, allow_sandbox=True, second_opinion=second_opinion)
        if findings[0].attestation is None:
            raise RuntimeError(f"the bench's own evidence does not verify: {findings[0].reasons}")

    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(body, ec.ECDSA(hashes.SHA256()))
    public = key.public_key()

    def bare() -> None:
        for _ in range(SIGNATURES):
            public.verify(signature, body, ec.ECDSA(hashes.SHA256()))

    own = _median(lambda: whole(second_opinion=False), rounds)
    both = _median(lambda: whole(second_opinion=True), rounds)
    raw = _median(bare, rounds)
    return {
        "own_ms": own,
        "with_second_opinion_ms": both,
        "bare_signatures_ms": raw,
        "own_over_bare": own / raw,
        "with_second_opinion_over_bare": both / raw,
    }


def _median(call: Callable[[], None], rounds: int) -> float:
    call()  # what is read or compiled once
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000
