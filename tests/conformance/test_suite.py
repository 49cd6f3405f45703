"""The public sigstore-conformance suite's verification cases, each by file and by digest, in this process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import Malformed
from gateway.reasons import Code
from tests.lab import conformance
from tests.lab.data import CONFORMANCE, PYPI, needs_data

pytestmark = needs_data

NOW = datetime(2026, 11, 24, tzinfo=UTC)
IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/"
    ".github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
MALFORMED = frozenset({Code.EVIDENCE_MALFORMED})
PROOF = frozenset({Code.LOG_PROOF_INVALID})
ENTRY = frozenset({Code.LOG_ENTRY_MISMATCH})
TIMESTAMP = frozenset({Code.TIMESTAMP_INVALID})
EXPIRED = frozenset({Code.CERTIFICATE_EXPIRED})
UNTRUSTED = frozenset({Code.CERTIFICATE_UNTRUSTED})
FORGED = frozenset({Code.SIGNATURE_INVALID, Code.LOG_ENTRY_MISMATCH})

# Each refused case with the whole set of codes it must give; None: its key or trusted root is itself refused.
REFUSED: dict[str, frozenset[Code] | None] = {
    "bundle-empty-certificate-chain_fail": MALFORMED,
    "bundle-from-wrong-instance_fail": UNTRUSTED,
    "bundle-invalid-base64-signature_fail": MALFORMED,
    "bundle-malformed-json_fail": MALFORMED,
    "bundle-negative-log-index_fail": MALFORMED,
    "bundle-unknown-version_fail": MALFORMED,
    "bundle-with-root-cert_fail": MALFORMED,
    "checkpoint-bad-keyhint_fail": PROOF,
    "checkpoint-wrong-roothash_fail": PROOF,
    "dsse-invalid-sig_fail": FORGED,
    "dsse-mismatch-envelope_fail": ENTRY,
    "dsse-mismatch-sig_fail": ENTRY,
    "inclusion-proof-corrupted-hash_fail": PROOF,
    "incorrect-public-key_fail": PROOF | ENTRY,
    "integrated-time-in-future_fail": EXPIRED,
    "intoto-expired-certificate_fail": EXPIRED,
    "intoto-log-entry-mismatch_fail": MALFORMED,  # its entry's signature is not encoded twice
    "intoto-missing-inclusion-proof_fail": PROOF,
    "intoto-set-outside-signing-cert-validity_fail": EXPIRED,
    "intoto-tsa-timestamp-outside-cert-validity_fail": EXPIRED,
    "invalid-checkpoint-signature_fail": PROOF,
    "invalid-ct-key_fail": frozenset({Code.SCT_INVALID}),
    "invalid-inclusion-proof_fail": PROOF,
    "managed-key-no-key_fail": UNTRUSTED,
    "managed-key-wrong-key_fail": None,  # no point of the curve
    "message-digest-mismatch_fail": frozenset({Code.DIGEST_MISMATCH, Code.LOG_ENTRY_MISMATCH}),
    "rekor2-checkpoint-missing-log-signature_fail": MALFORMED,
    "rekor2-checkpoint-missing-origin_fail": MALFORMED,
    "rekor2-checkpoint-missing-root-hash_fail": MALFORMED,
    "rekor2-checkpoint-missing-size_fail": MALFORMED,
    "rekor2-checkpoint-no-matching-signature_fail": PROOF,
    "rekor2-dsse-invalid-sig_fail": FORGED,
    "rekor2-dsse-mismatch-envelope_fail": ENTRY,
    "rekor2-dsse-mismatch-sig_fail": ENTRY,
    "rekor2-no-inclusion-proof_fail": PROOF,
    "rekor2-no-timestamp_fail": frozenset({Code.TIMESTAMP_MISSING}),
    "rekor2-timestamp-outside-trust-root-tsa-validity_fail": TIMESTAMP,
    "rekor2-timestamp-outside-tsa-cert-validity_fail": TIMESTAMP,
    "rekor2-timestamp-payload-mismatch_fail": TIMESTAMP,
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": TIMESTAMP,
    "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": TIMESTAMP,
    "rekor2-timestamp-with-incorrect-time_fail": MALFORMED,  # a line break in its base64; without it: EXPIRED
    "set-invalid-signature_fail": PROOF,
    "signature-mismatch_fail": FORGED,
    "trust-root-tlog-missing-validity-start_fail": None,
    "wrong-hashedrekord-artifact_fail": ENTRY,
    "wrong-hashedrekord-cert-and-sig_fail": ENTRY,
    "wrong-hashedrekord-entry_fail": ENTRY,
    "wrong-material_fail": frozenset({Code.DIGEST_MISMATCH}),
}
CASES = sorted(path.name for path in CONFORMANCE.iterdir() if path.is_dir()) if CONFORMANCE.is_dir() else []


def _file(case: Path, name: str, default: Path) -> Path:
    own = case / name
    return own if own.exists() else default


def _artifact(case: Path, by: str) -> str:
    path = _file(case, "artifact", CONFORMANCE / "a.txt")
    return str(path) if by == "file" else f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("by", ["file", "digest"])
@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_suite_gets_its_verdict_and_exactly_its_codes(name: str, by: str) -> None:
    case = CONFORMANCE / name
    key = case / "key.pub"
    trusted = _file(case, "trusted_root.json", conformance.PUBLIC_GOOD).read_bytes()
    try:
        root = conformance.trusted_root(trusted, key.read_bytes() if key.exists() else None)
    except Malformed:
        assert REFUSED[name] is None
        return
    file = conformance.digests_of(_artifact(case, by))
    found = conformance.finding((case / "bundle.sigstore.json").read_bytes(), root, file, NOW)
    identity, issuer = (
        path.read_text().strip() if (path := case / name).exists() else default
        for name, default in (("identity", IDENTITY), ("issuer", ISSUER))
    )
    who = (None, None) if key.exists() else (identity, issuer)
    assert frozenset(reason.code for reason in found.reasons) == (REFUSED.get(name) or frozenset())
    assert conformance.accepted(found, file, *who) is not name.endswith("_fail")


def test_the_suite_is_all_there() -> None:
    assert len(CASES) == 70
    assert {name for name in CASES if name.endswith("_fail")} == set(REFUSED)


@pytest.mark.parametrize(("name", "status"), [("happy-path-v0.3", 0), ("wrong-material_fail", 1)])
def test_the_client_speaks_the_protocol(name: str, status: int) -> None:
    case = CONFORMANCE / name
    done = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).parent / "client"), "verify-bundle"),
            *("--bundle", str(case / "bundle.sigstore.json")),
            *("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER, _artifact(case, "file")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert ("digest-mismatch" in done.stderr) is (status == 1)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--staging"], 0, ""),
        (["--staging", "--trusted-root", str(conformance.PUBLIC_GOOD)], 1, "certificate-untrusted"),
        ([], 1, "certificate-untrusted"),
    ],
)
def test_the_client_knows_the_staging_instance(
    arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real signature that was made there."""
    wheel = PYPI / "rfc8785-0.1.2-py3-none-any.whl"
    bundle = f"{wheel}.sigstore"
    root = conformance.trusted_root(conformance.staging())
    signer = conformance.finding(Path(bundle).read_bytes(), root, conformance.digests_of(str(wheel)), NOW).attestation
    assert signer is not None
    assert signer.signer is not None
    who = ["--certificate-identity", str(signer.signer.subject), "--certificate-oidc-issuer", str(signer.signer.issuer)]
    assert conformance.main(["verify-bundle", *arguments, "--bundle", bundle, *who, str(wheel)]) == status
    assert said in capsys.readouterr().err
