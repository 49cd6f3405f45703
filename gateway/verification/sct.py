"""Signed certificate timestamps: that a certificate authority's log saw the certificate (RFC 6962, section 3.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp

_PRECERTIFICATE: Final = b"\x00\x01"
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - cryptography gives the time naive, in UTC


def signed_data(sct: SignedCertificateTimestamp, issuer_key_hash: bytes, tbs: bytes) -> bytes | None:
    """Return the bytes the log signed, its extensions included; None for a kind that cannot be embedded."""
    if sct.entry_type is not LogEntryType.PRE_CERTIFICATE or len(tbs) >= 1 << 24:
        return None
    elapsed = sct.timestamp - _EPOCH
    milliseconds = (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000
    extensions = sct.extension_bytes
    return b"".join(
        (
            b"\x00\x00",  # version 1, certificate_timestamp
            milliseconds.to_bytes(8, "big"),
            _PRECERTIFICATE,
            issuer_key_hash,
            len(tbs).to_bytes(3, "big"),
            tbs,
            len(extensions).to_bytes(2, "big"),
            extensions,
        )
    )


def time_of(sct: SignedCertificateTimestamp) -> datetime:
    """Return the time the log states, in UTC."""
    return sct.timestamp.replace(tzinfo=UTC)
