"""The sandbox's evidence under the sandbox's root: the shortest way from a shape to a finding."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache

import yaml

from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Finding, Format, Source
from gateway.sandbox import Shape, Spoil
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, verify
from tests.lab import sigstore as lab

FILE = (Digest("sha256", hashlib.sha256(lab.CONTENT).hexdigest()),)


@cache
def root_with(*, sct: int = 1, log: int = 1, timestamp: int = 0) -> TrustRoot:
    """The sandbox's root with these thresholds."""
    made = lab.sandbox()
    text = made.trust_root_yaml(sct=sct, log=log, timestamp=timestamp)
    settings = TrustRootSettings.model_validate(yaml.safe_load(text))
    return build_trust_root("sandbox", settings, {TRUSTED_ROOT: made.trusted_root()})


def root(shape: Shape) -> TrustRoot:
    """The sandbox's root, with the thresholds that fit the shape."""
    return root_with(sct=0, log=0, timestamp=1) if shape is Shape.TIMESTAMP else root_with()


def find(body: bytes, *roots: TrustRoot, allow_sandbox: bool = True, now: datetime = lab.NOW) -> tuple[Finding, ...]:
    ref = EvidenceRef("id", Format.UNKNOWN, Source.REQUEST)
    return verify(Evidence(ref, body), roots, [FILE], now, allow_sandbox=allow_sandbox)


def made(spoil: Spoil | None, shape: Shape, kind: str) -> bytes:
    if kind == "statement":
        return lab.provenance_bundle(spoil=spoil, shape=shape)
    return lab.signature_bundle(spoil=spoil, shape=shape)
