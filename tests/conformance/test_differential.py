"""A thousand seeded near misses of real bundles before three engines: ours, sigstore-js and sigstore-python.

Every difference must be of a kind listed here, with its reason; `docs/verification.md` tells operators the same. The
split is printed by the test, and by `python -m tests.conformance.test_differential`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from cryptography import x509
from sigstore.hashes import Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from gateway.errors import Malformed
from gateway.model.digest import Digest
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
# What it refuses and we accept.
STRICT_PYTHON = {
    STAMP: "bits that nothing signs: certificates in the token, which we do not look at",
    f"{ENTRY}logIndex": "it reads no number without quotes, as proto-JSON allows",
    f"{ENTRY}integratedTime": "the same",
    f"{ENTRY}inclusionProof.logIndex": "the same",
    f"{ENTRY}inclusionProof.treeSize": "the same",
    "messageSignature.messageDigest.digest": "the hint at the digest is optional to us, as the format says",
    "messageSignature.messageDigest.algorithm": "the same",
}


# The end of a timestamp authority's window is inside it, and sigstore-python leaves it out.
TSA_END = "trust-root-tsa-validity-end-inclusive"


class Verdict(Enum):
    """What an engine makes of a bundle."""

    UNREAD = "not even read"
    UNKNOWN = "read, a kind it does not know"
    REFUSED = "refused"
    ACCEPTED = "accepted"

    @property
    def accepts(self) -> bool:
        return self is Verdict.ACCEPTED


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


def javascript(cases: list[Case]) -> list[Verdict]:
    """What sigstore-js makes of each; one run of node for each trusted root."""
    tools.need_node_package("@sigstore/verify")
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        groups[case.trusted].append(index)
    verdicts = [Verdict.UNREAD] * len(cases)
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
            read = Verdict.REFUSED if refusal and refusal.startswith("refused") else Verdict.UNREAD
            verdicts[index] = Verdict.ACCEPTED if refusal is None else read
    return verdicts


def _asked(case: Case) -> dict[str, object]:
    document = json.loads(case.bundle)
    artifact = None if "dsseEnvelope" in document else base64.b64encode(case.artifact.read_bytes()).decode()
    return {"bundle": document, "artifact": artifact, "thresholds": {}}


def ours(case: Case) -> Verdict:
    """What our own core makes of it, without a second opinion."""
    found = conformance.finding(case.bundle, case.root, case.file, NOW)
    if found.attestation is not None:
        return Verdict.ACCEPTED
    return Verdict.UNREAD if found.root is None else Verdict.REFUSED


class AnyIdentity:
    """sigstore-python's policy that expects nobody; its own warns each time."""

    def verify(self, cert: x509.Certificate) -> None:
        """Accept every certificate."""


def python(case: Case) -> Verdict:
    """What sigstore-python makes of the bytes as they came."""
    try:
        peer = Bundle.from_json(case.bundle)
    except Exception:  # noqa: BLE001 - it raises whatever its parts raise
        return Verdict.UNREAD
    if not _known(case):
        return Verdict.UNKNOWN
    try:
        if "dsseEnvelope" in json.loads(case.bundle):
            _verifier(case.trusted).verify_dsse(peer, AnyIdentity())
        else:
            sha256 = next(bytes.fromhex(one.value) for one in case.file if one.algorithm == "sha256")
            hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=sha256)
            _verifier(case.trusted).verify_artifact(hashed, peer, AnyIdentity())
    except Exception:  # noqa: BLE001 - the same
        return Verdict.REFUSED
    return Verdict.ACCEPTED


def _known(case: Case) -> bool:
    """Whether it supports the kind, by the table of the second opinion; what we cannot read, it is asked about too."""
    try:
        bundle = read_bundle(case.bundle)
        leaf = read_leaf(bundle.certificates[0]) if bundle.certificates else None
    except Malformed:
        return _verifier(case.trusted) is not None
    return second_opinion.knows(case.root, leaf, bundle)


@cache
def _verifier(trusted: bytes) -> Verifier:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(trusted)
        file.flush()
        return Verifier(trusted_root=TrustedRoot.from_file(file.name))


class Split(NamedTuple):
    """How the verdicts of our core and of another engine fall, over the same cases."""

    engine: str
    verdicts: Counter[tuple[Verdict, Verdict]]

    @property
    def read_by_both(self) -> int:
        return sum(count for pair, count in self.verdicts.items() if Verdict.UNREAD not in pair)

    @property
    def accepted_by_one(self) -> int:
        return sum(count for pair, count in self.verdicts.items() if Verdict.ACCEPTED in pair)

    def __str__(self) -> str:
        rows = [
            f"  {count:5}  ours: {mine.value}; theirs: {theirs.value}"
            for (mine, theirs), count in self.verdicts.most_common()
        ]
        total = f"{self.verdicts.total()} near misses, {self.read_by_both} read by both"
        return "\n".join([f"{self.engine}: {total}, {self.accepted_by_one} accepted by one or both", *rows])


class Judged(NamedTuple):
    """One case, and what each engine makes of it."""

    case: Case
    ours: Verdict
    javascript: Verdict
    python: Verdict

    @classmethod
    def all(cls, cases: list[Case]) -> list[Judged]:
        verdicts = zip(cases, javascript(cases), strict=True)
        return [cls(case, ours(case), by_js, python(case)) for case, by_js in verdicts]

    @property
    def unexplained(self) -> list[str]:
        """The engines that differ from ours, where the difference is not listed."""
        field, accepted, found = self.case.field, self.ours.accepts, []
        listed = self.case.name in UNSUPPORTED_JS or field in (STRICT_JS if accepted else LAX_JS)
        if self.javascript.accepts is not accepted and not listed:
            found.append("sigstore-js")
        listed = field in (STRICT_PYTHON if accepted else LAX_PYTHON) or (accepted and self.case.name == TSA_END)
        if self.python is not Verdict.UNKNOWN and self.python.accepts is not accepted and not listed:
            found.append("sigstore-python")
        return found


def splits(judged: list[Judged]) -> tuple[Split, Split]:
    """How the verdicts fall, for each of the other engines."""
    return (
        Split("sigstore-js", Counter((one.ours, one.javascript) for one in judged)),
        Split("sigstore-python", Counter((one.ours, one.python) for one in judged)),
    )


def test_on_what_is_good_the_engines_agree_where_they_know_the_kind() -> None:
    judged = Judged.all(good())
    for one in judged:
        assert one.ours.accepts
        assert one.javascript.accepts is (one.case.name not in UNSUPPORTED_JS), one.case.name
        assert one.python.accepts or one.python is Verdict.UNKNOWN or one.case.name == TSA_END, one.case.name
    assert sum(one.python is not Verdict.UNKNOWN for one in judged) >= 15


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_near_misses_get_the_verdict_of_the_other_engines_but_for_listed_differences(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = Judged.all(near_misses(count))
    found = splits(judged)
    with capsys.disabled():
        print("", *found, sep="\n")  # noqa: T201 - the split is to be seen
    assert [(engine, one) for one in judged for engine in one.unexplained] == []
    for split in found:
        assert split.read_by_both >= 0.6 * count, split.engine
        assert split.accepted_by_one >= 0.03 * count, split.engine


if __name__ == "__main__":
    print(*splits(Judged.all(near_misses(1000))), sep="\n")  # noqa: T201 - the report of this module
