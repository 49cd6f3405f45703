"""A thousand seeded near misses of real bundles before three engines: ours, sigstore-js and sigstore-python.

Every difference must be of a kind listed here, with its reason; `docs/verification.md` tells operators the same. The
split is printed by the test, and by `python -m tests.conformance.test_differential`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from sigstore.hashes import Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import UnsafeNoOp
from sigstore_models.common.v1 import HashAlgorithm

from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Finding
from gateway.verification import TrustRoot, second_opinion
from gateway.verification.bundle import read_bundle
from gateway.verification.certificate import read_leaf
from tests.lab import conformance, tools
from tests.lab.data import CONFORMANCE, GITHUB, needs_data
from tests.lab.mutants import mutant

pytestmark = needs_data

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SEED = 20261124
SCRIPT = Path(conformance.__file__).with_name("sigstore_js.cjs")
ENTRY = "verificationMaterial.tlogEntries.0."

# Fields that sigstore-js does not hold against anything, and we do: what was done to them it may accept.
LAX_JS = {
    f"{ENTRY}inclusionProof.rootHash": "it takes root and size from the checkpoint, and never looks at these copies",
    f"{ENTRY}inclusionProof.treeSize": "the same",
    f"{ENTRY}inclusionProof.logIndex": "it reads numbers beyond 64 bits and below zero",
    f"{ENTRY}inclusionProof.checkpoint.envelope": "it skips lines that are no signature, and any end of the note",
    f"{ENTRY}logId.keyId": "of Rekor v2 it finds the key by the checkpoint's hint alone",
    f"{ENTRY}logIndex": "of Rekor v2 nothing signs this copy of the proof's index",
    "verificationMaterial.certificate.rawBytes": "it reads a certificate with something behind it",
    "verificationMaterial.x509CertificateChain.certificates.0.rawBytes": "the same",
    "verificationMaterial.timestampVerificationData.rfc3161Timestamps.0.signedTimestamp": "bits that nothing signs",
    "mediaType": "it accepts a single certificate before version 0.3",
}
# What it refuses and we accept.
STRICT_JS = {
    "messageSignature.messageDigest.digest": "the hint at the digest is optional to us, as the format says",
    "messageSignature.messageDigest.algorithm": "the same",
}
UNSUPPORTED_JS = {"rekor2-dsse-happy-path"}  # hashedrekord 0.0.2 of an envelope: «digest mismatch»
STAMP = "verificationMaterial.timestampVerificationData.rfc3161Timestamps.0.signedTimestamp"
# What sigstore-python accepts and we refuse: hints that it does not look at.
LAX_PYTHON = {
    f"{ENTRY}logId.keyId",
    f"{ENTRY}logIndex",
    "messageSignature.messageDigest.digest",
    "messageSignature.messageDigest.algorithm",
    STAMP,
}
STRICT_PYTHON = {STAMP}  # bits that nothing signs: certificates in the token, which we do not look at


# The end of a timestamp authority's window is inside it, and sigstore-python leaves it out.
TSA_END = "trust-root-tsa-validity-end-inclusive"


class Case(NamedTuple):
    name: str
    bundle: bytes
    artifact: Path
    trusted: bytes
    done: str  # which field, and what was done to it

    @property
    def field(self) -> str:
        return self.done.partition(" ")[0]

    @property
    def root(self) -> TrustRoot:
        return conformance.trusted_root(self.trusted)

    @property
    def file(self) -> tuple[Digest, ...]:
        return conformance.digests_of(str(self.artifact))


def good() -> list[Case]:
    public_good = conformance.PUBLIC_GOOD.read_bytes()
    found = []
    for case in sorted(CONFORMANCE.iterdir()):
        if not case.is_dir() or case.name.endswith("_fail") or (case / "key.pub").exists():
            continue
        artifact, trusted = case / "artifact", case / "trusted_root.json"
        found.append(
            Case(
                case.name,
                (case / "bundle.sigstore.json").read_bytes(),
                artifact if artifact.exists() else CONFORMANCE / "a.txt",
                trusted.read_bytes() if trusted.exists() else public_good,
                "nothing",
            )
        )
    for bundle, name in (
        ("sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0.tgz"),
        ("sigstore-js-2.1.0-bundle-v0.1.json", "sigstore-js-2.1.0.tgz"),
        ("reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact"),
    ):
        found.append(Case(bundle, (GITHUB / bundle).read_bytes(), GITHUB / name, public_good, "nothing"))
    return found


def near_misses(count: int) -> list[Case]:
    random = Random(SEED)
    seeds = good()
    others = [case.bundle for case in seeds]
    found = []
    for _ in range(count):
        seed = random.choice(seeds)
        bundle, done = mutant(seed.bundle, others, random)
        found.append(seed._replace(bundle=bundle, done=done))
    return found


def javascript(cases: list[Case]) -> list[bool]:
    """Whether sigstore-js accepts each; one run of node for each trusted root."""
    tools.need_node_package("@sigstore/verify")
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        groups[case.trusted].append(index)
    verdicts = [False] * len(cases)
    for trusted, indexes in groups.items():
        asked = {"root": json.loads(trusted), "cases": [_asked(cases[index]) for index in indexes]}
        ran = subprocess.run(
            [tools.need("node"), SCRIPT],
            input=json.dumps(asked),
            env={**os.environ, "NODE_PATH": str(tools.NODE_MODULES)},
            capture_output=True,
            check=True,
            text=True,
            timeout=300,
        )
        for index, refusal in zip(indexes, json.loads(ran.stdout), strict=True):
            verdicts[index] = refusal is None
    return verdicts


def _asked(case: Case) -> dict[str, object]:
    document = json.loads(case.bundle)
    artifact = None if "dsseEnvelope" in document else base64.b64encode(case.artifact.read_bytes()).decode()
    return {"bundle": document, "artifact": artifact, "thresholds": {}}


def ours(case: Case) -> Finding:
    return conformance.finding(case.bundle, case.root, case.file, NOW)


def python(case: Case) -> bool | None:
    """Whether sigstore-python accepts, or None where it does not know the kind (or we cannot read it)."""
    try:
        bundle = read_bundle(case.bundle)
        leaf = read_leaf(bundle.certificates[0]) if bundle.certificates else None
    except Malformed:
        return None
    if not second_opinion.knows(case.root, leaf, bundle):
        return None
    digests = {digest.algorithm: bytes.fromhex(digest.value) for digest in case.file}
    return second_opinion.objection(case.root, bundle, digests) == ""


def test_on_what_is_good_the_engines_agree_where_they_know_the_kind() -> None:
    cases = good()
    known_to_python = 0
    for case, by_js in zip(cases, javascript(cases), strict=True):
        assert ours(case).attestation is not None
        assert by_js is (case.name not in UNSUPPORTED_JS), case.name
        by_python = python(case)
        known_to_python += by_python is not None
        assert by_python is not False or case.name == TSA_END, case.name
    assert known_to_python >= 15


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_near_misses_get_the_verdict_of_the_other_engines_but_for_listed_differences(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = near_misses(count)
    split: Counter[str] = Counter()
    unexplained = []
    for case, by_js in zip(cases, javascript(cases), strict=True):
        found = ours(case)
        by_us = found.attestation is not None
        split["read" if found.root is not None else "unreadable"] += 1
        split[f"ours {by_us}, sigstore-js {by_js}"] += 1
        if by_us != by_js and case.name not in UNSUPPORTED_JS and case.field not in (STRICT_JS if by_us else LAX_JS):
            unexplained.append(("sigstore-js", by_js, case.name, case.done))
        by_python = python(case)
        split[f"ours {by_us}, sigstore-python {by_python}"] += 1
        listed = case.field in (STRICT_PYTHON if by_us else LAX_PYTHON) or (by_us and case.name == TSA_END)
        if by_python not in {None, by_us} and not listed:
            unexplained.append(("sigstore-python", by_python, case.name, case.done))
    with capsys.disabled():
        for what, number in sorted(split.items()):
            print(f"{what}: {number}")  # noqa: T201
    assert unexplained == []
    assert split["read"] >= 0.6 * count
    assert split["ours True, sigstore-js True"] >= 0.03 * count
