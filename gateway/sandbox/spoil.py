"""`Shape` and `Spoil`: the forms a bundle can have, and every single part of one that can be spoiled on request."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Shape(Enum):
    """What stands behind a signature, and in which of the forms found in the wild."""

    LOG_V1 = "log-v1"
    """Rekor v1, `dsse` or `hashedrekord` 0.0.1, with promise: the public instance until now, PyPI, GitHub."""
    LOG_V1_INTOTO = "log-v1-intoto"
    """Rekor v1, `intoto` 0.0.2: what npm and the SLSA generators have written."""
    LOG_V1_TIMESTAMP = "log-v1-timestamp"
    """As LOG_V1, with an RFC 3161 timestamp beside the promise."""
    LOG_V2 = "log-v2"
    """Rekor v2, `hashedrekord` 0.0.2 and an RFC 3161 timestamp."""
    LOG_V2_DSSE = "log-v2-dsse"
    """Rekor v2, `dsse` 0.0.2 and an RFC 3161 timestamp: what sigstore-js writes."""
    TIMESTAMP = "timestamp"
    """An RFC 3161 timestamp alone, neither log entry nor SCT: GitHub's own instance for private repositories."""


class Spoil(Enum):
    """One part spoiled, all others as they should be."""

    AUTHORITY_UNKNOWN = "authority-unknown"
    """The certificate comes from another sandbox's authority, which has the same name."""
    AUTHORITY_RETIRED = "authority-retired"
    """The certificate comes from an authority whose window in the trust root ended before."""
    CERTIFICATE_EXPIRED = "certificate-expired"
    """The certificate had expired when the signature was made."""
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    """The certificate became valid after the signature was made."""
    CODE_SIGNING_MISSING = "code-signing-missing"
    """The certificate's extended key usage is for e-mail, not for code."""
    DIGITAL_SIGNATURE_MISSING = "digital-signature-missing"
    """The certificate's key usage does not allow signatures."""
    SUBJECT_NAME_MISSING = "subject-name-missing"
    """The certificate has no subject alternative name."""

    SCT_MISSING = "sct-missing"
    """The certificate carries no promise of a certificate log."""
    SCT_WRONG = "sct-wrong"
    """The certificate log's promise is one of other bytes."""
    CT_KEY_UNKNOWN = "ct-key-unknown"
    """The certificate log's promise is by another sandbox's log."""
    CT_KEY_RETIRED = "ct-key-retired"
    """The certificate log's key has a window in the trust root that ended before."""

    PROMISE_MISSING = "promise-missing"
    """No promise of inclusion, and so no proof of the time."""
    PROMISE_WRONG = "promise-wrong"
    """The promise of inclusion is by another log's key."""
    PROMISE_OF_OTHER_BYTES = "promise-of-other-bytes"
    """The promise of inclusion is one of another entry."""
    TIME_ALTERED = "time-altered"
    """The integrated time is a second off the one that was promised."""
    TIME_OUTSIDE = "time-outside"
    """The log took the entry in, and says so, an hour before the certificate was issued."""

    PROOF_MISSING = "proof-missing"
    """No inclusion proof, only the promise (bundles since v0.2 must have one)."""
    PROOF_WRONG = "proof-wrong"
    """One hash of the inclusion proof is flipped."""
    PROOF_TOO_SHORT = "proof-too-short"
    """The last hash of the inclusion proof is left out."""
    PROOF_INDEX_WRONG = "proof-index-wrong"
    """The inclusion proof is for another place in the tree."""
    PROOF_OF_OTHER_BYTES = "proof-of-other-bytes"
    """The inclusion proof is for another entry."""
    ROOT_OTHER = "root-other"
    """The proof and its root agree, the signed checkpoint has another root."""
    CHECKPOINT_MISSING = "checkpoint-missing"
    """The inclusion proof has no checkpoint, so that nobody signed its root."""
    CHECKPOINT_WRONG = "checkpoint-wrong"
    """The checkpoint's signature is one of other bytes."""
    CHECKPOINT_KEY_UNKNOWN = "checkpoint-key-unknown"
    """The checkpoint is signed by another sandbox's log."""
    LOG_UNKNOWN = "log-unknown"
    """The entry is in another sandbox's log."""
    LOG_RETIRED = "log-retired"
    """The entry is in a log whose window in the trust root ended before."""
    ENTRY_OF_ANOTHER = "entry-of-another"
    """The log entry is a good one, of another signature by the same signer (CVE-2022-36056)."""
    ENTRY_KIND_WRONG = "entry-kind-wrong"
    """The entry's stated kind is not its body's."""

    SIGNATURE_WRONG = "signature-wrong"
    """The signature is by a key other than the certificate's; the log entry agrees with it."""
    SIGNATURE_MISSING = "signature-missing"
    """The signature is empty; the log entry has the good one."""
    PAYLOAD_ALTERED = "payload-altered"
    """The statement was altered after signing and logging."""
    PAYLOAD_TYPE_ALTERED = "payload-type-altered"
    """The envelope's payload type was altered after signing."""
    PAYLOAD_TYPE_OTHER = "payload-type-other"
    """Everything verifies, but the payload says it is not an in-toto statement."""
    DIGEST_OTHER = "digest-other"
    """The message digest beside the signature is of other bytes."""

    TIMESTAMP_MISSING = "timestamp-missing"
    """No timestamp, and so no proof of the time."""
    TIMESTAMP_OF_OTHER_BYTES = "timestamp-of-other-bytes"
    """The timestamp is one of another signature."""
    TIMESTAMP_WRONG = "timestamp-wrong"
    """The timestamp's own signature is one of other bytes."""
    TIMESTAMP_OUTSIDE = "timestamp-outside"
    """The timestamp says a time an hour before the certificate was issued."""
    TIMESTAMP_AUTHORITY_UNKNOWN = "timestamp-authority-unknown"
    """The timestamp is by another sandbox's authority, which has the same name."""
    TIMESTAMP_AUTHORITY_RETIRED = "timestamp-authority-retired"
    """The timestamp is by an authority whose window in the trust root ended before."""


V1: Final = frozenset({Shape.LOG_V1, Shape.LOG_V1_INTOTO, Shape.LOG_V1_TIMESTAMP})
V2: Final = frozenset({Shape.LOG_V2, Shape.LOG_V2_DSSE})
LOGGED: Final = V1 | V2
STAMPED: Final = frozenset(Shape) - {Shape.LOG_V1, Shape.LOG_V1_INTOTO}

_PROMISES: Final = frozenset({
    Spoil.PROMISE_WRONG, Spoil.PROMISE_OF_OTHER_BYTES, Spoil.TIME_ALTERED, Spoil.TIME_OUTSIDE,
})  # fmt: skip
_ENVELOPES: Final = frozenset({Spoil.PAYLOAD_ALTERED, Spoil.PAYLOAD_TYPE_ALTERED, Spoil.PAYLOAD_TYPE_OTHER})


def shapes(spoil: Spoil) -> frozenset[Shape]:
    """Return the shapes that have the part which this spoils, so that no fault is asked for and silently not made."""
    if spoil is Spoil.PROMISE_MISSING:  # where a timestamp stands beside it, it is not missed
        return V1 - STAMPED
    if spoil is Spoil.TIMESTAMP_MISSING:
        return STAMPED - V1
    if spoil in _PROMISES:
        return V1
    if spoil.value.startswith("timestamp-"):
        return STAMPED
    if spoil.value.startswith(("proof-", "root-", "checkpoint-", "log-", "entry-", "sct-", "ct-")):
        return LOGGED
    return frozenset(Shape)


def of_statements(spoil: Spoil) -> bool:
    """Whether this can be done to a signed statement."""
    return spoil is not Spoil.DIGEST_OTHER


def of_digests(spoil: Spoil) -> bool:
    """Whether this can be done to the plain signature of a digest."""
    return spoil not in _ENVELOPES


def usual_shape(spoil: Spoil | None) -> Shape:
    """Return the shape that is meant where none is named."""
    return Shape.LOG_V1 if spoil is None or Shape.LOG_V1 in shapes(spoil) else Shape.LOG_V2
