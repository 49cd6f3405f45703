"""Evidence and trust roots to findings: the only room that knows Sigstore, X.509, DSSE and in-toto."""

from gateway.verification.formats import detect, is_plain_signature, pieces
from gateway.verification.link_evidence import unverified
from gateway.verification.links import verify_links
from gateway.verification.settings import TRUSTED_ROOT, TrustRootSettings, material_names
from gateway.verification.trust_root import TrustRoot, build_trust_root
from gateway.verification.verifier import forget, verify

__all__ = [
    "TRUSTED_ROOT",
    "TrustRoot",
    "TrustRootSettings",
    "build_trust_root",
    "detect",
    "forget",
    "is_plain_signature",
    "material_names",
    "pieces",
    "unverified",
    "verify",
    "verify_links",
]
