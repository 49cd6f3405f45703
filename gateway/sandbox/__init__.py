"""A Sigstore to rehearse with: it signs as any identity on request, and spoils any one part on request.

It shares no parsing, hashing or Merkle code with `verification` (CONTRACTS G.2), its keys are fresh for every sandbox,
and every certificate of it carries the marks of `gateway.model.marker`, by which a gateway refuses it.
"""

from __future__ import annotations

from gateway.sandbox.identities import github_identity, gitlab_identity, person
from gateway.sandbox.sandbox import Sandbox, pep740
from gateway.sandbox.spoil import Shape, Spoil
from gateway.sandbox.statements import (
    GITHUB_BUILD,
    NPM_GITHUB_BUILD,
    PYPI_PUBLISH,
    SLSA_PROVENANCE,
    Removed,
    publish_attestation,
    slsa_provenance,
    statement,
)

__all__ = [
    "GITHUB_BUILD",
    "NPM_GITHUB_BUILD",
    "PYPI_PUBLISH",
    "SLSA_PROVENANCE",
    "Removed",
    "Sandbox",
    "Shape",
    "Spoil",
    "github_identity",
    "gitlab_identity",
    "pep740",
    "person",
    "publish_attestation",
    "slsa_provenance",
    "statement",
]
