"""Envelopes as the SLSA generators wrote them before bundles: a certificate beside the signature, and no log entry."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.model.evidence import Evidence, EvidenceRef, Finding, Format, Source
from gateway.reasons import Code
from gateway.sandbox import Shape, Spoil
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, detect, pieces, verify
from tests.lab.sigstore import CONTENT, NOW, provenance_bundle, sandbox

LATER = NOW + timedelta(hours=1)


def instance(*, log: int = 1, timestamp: int = 0) -> TrustRoot:
    settings = {
        "kind": "sigstore",
        "source": {"file": TRUSTED_ROOT},
        "thresholds": {"sct": 1, "log": log, "timestamp": timestamp},
        "owner": "tests",
    }
    return build_trust_root("instance", TrustRootSettings.model_validate(settings), {TRUSTED_ROOT: trusted()})


def authority() -> TrustRoot:
    """The instance's authority, trusted as one of the operator's own."""
    chain = json.loads(trusted())["certificateAuthorities"][-1]["certChain"]["certificates"]
    pem = "".join(ssl.DER_cert_to_PEM_cert(base64.b64decode(one["rawBytes"])) for one in chain)
    settings = {
        "kind": "ca",
        "source": {"file": "ca.pem"},
        "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
        "owner": "tests",
    }
    return build_trust_root("authority", TrustRootSettings.model_validate(settings), {"ca.pem": pem.encode()})


def trusted() -> bytes:
    return sandbox().trusted_root()


def bare(spoil: Spoil | None = None, content: bytes = CONTENT) -> dict[str, Any]:
    """One line of an `.intoto.jsonl` file."""
    bundle = json.loads(provenance_bundle(content, spoil=spoil, shape=Shape.LOG_V1))
    der = base64.b64decode(bundle["verificationMaterial"]["certificate"]["rawBytes"])
    envelope: dict[str, Any] = bundle["dsseEnvelope"]
    envelope["signatures"][0] |= {"keyid": "", "cert": ssl.DER_cert_to_PEM_cert(der)}
    return envelope


def find(envelope: dict[str, Any], root: TrustRoot, now: datetime = NOW) -> Finding:
    evidence = Evidence(EvidenceRef("id", Format.UNKNOWN, Source.LOCKER), json.dumps(envelope).encode())
    (found,) = verify(evidence, [root], [], now, allow_sandbox=True)
    return found


def codes(envelope: dict[str, Any], root: TrustRoot, now: datetime = NOW) -> set[Code]:
    found = find(envelope, root, now)
    return {reason.code for reason in found.reasons}


def test_a_file_of_them_has_one_a_line() -> None:
    lines = [json.dumps(bare()).encode() for _ in range(3)]
    assert [detect(piece) for piece in pieces(b"\n".join(lines) + b"\n")] == [Format.DSSE] * 3


@pytest.mark.parametrize("now", [NOW, LATER])
def test_it_is_refused_for_the_entry_that_it_does_not_bring(now: datetime) -> None:
    """The log has it, and would say when the certificate was used; offline nothing shows that."""
    assert codes(bare(), instance(), now) == {Code.LOG_ENTRY_MISSING}


def test_under_a_root_of_timestamps_it_is_refused_for_the_timestamp() -> None:
    assert codes(bare(), instance(log=0, timestamp=1)) == {Code.TIMESTAMP_MISSING}


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (Spoil.SIGNATURE_WRONG, {Code.LOG_ENTRY_MISSING, Code.SIGNATURE_INVALID}),
        (Spoil.PAYLOAD_ALTERED, {Code.LOG_ENTRY_MISSING, Code.SIGNATURE_INVALID}),
        (Spoil.SCT_WRONG, {Code.LOG_ENTRY_MISSING, Code.SCT_INVALID}),
        (Spoil.AUTHORITY_UNKNOWN, {Code.CERTIFICATE_UNTRUSTED}),
    ],
)
def test_what_else_is_wrong_with_it_is_said_too(spoil: Spoil, expected: set[Code]) -> None:
    assert codes(bare(spoil), instance()) == expected


def test_under_an_authority_that_needs_no_proved_time_it_counts_while_its_certificate_is_good() -> None:
    found = find(bare(), authority())
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    assert (found.attestation.time, found.attestation.time_source) == (None, "none")
    assert codes(bare(), authority(), LATER) == {Code.CERTIFICATE_EXPIRED}
    assert codes(bare(Spoil.SIGNATURE_WRONG), authority()) == {Code.SIGNATURE_INVALID}


def _cert(value: object) -> Callable[[dict[str, Any]], None]:
    def spoil(envelope: dict[str, Any]) -> None:
        envelope["signatures"][0]["cert"] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_cert("no PEM"), Code.EVIDENCE_MALFORMED),
        (_cert(7), Code.EVIDENCE_MALFORMED),
        (_cert(bare()["signatures"][0]["cert"].replace("M", "N")), Code.EVIDENCE_MALFORMED),
        (_cert(bare()["signatures"][0]["cert"] * 11), Code.EVIDENCE_MALFORMED),
        (_cert(""), Code.CERTIFICATE_UNTRUSTED),  # then a key made it, and this root has none
        (_cert(None), Code.CERTIFICATE_UNTRUSTED),
    ],
)
def test_a_certificate_beside_the_signature_that_is_none_is_refused(
    spoil: Callable[[dict[str, Any]], None], expected: Code
) -> None:
    envelope = bare()
    spoil(envelope)
    assert codes(envelope, authority()) == {expected}


def test_the_first_signatures_certificate_is_meant_and_it_must_have_signed() -> None:
    envelope = bare()
    other = bare(content=b"another file")["signatures"][0]  # good, of another statement
    envelope["signatures"] = [other, envelope["signatures"][0]]
    assert codes(envelope, authority()) == {Code.SIGNATURE_INVALID}
