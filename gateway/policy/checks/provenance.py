"""Checks of a provenance predicate: against the certificate that signed it, and the build level it honestly proves."""

from __future__ import annotations

from typing import Final

from gateway.model.decision import Check
from gateway.model.evidence import Attestation, Provenance
from gateway.model.identity import Identity
from gateway.model.pattern import ascii_lower
from gateway.policy.checks.comparing import same_builder, same_repository
from gateway.policy.checks.results import either, failed, judged, passed, skipped
from gateway.policy.rules import PROVENANCE, ProvenanceRule, Signer
from gateway.reasons import Code, Reason

# The attempt is left out: a job that signs may be run again by itself.
_COMPARED: Final = (
    "server",
    "repository",
    "repository_id",
    "owner_id",
    "workflow",
    "build_signer",
    "ref",
    "commit",
    "run",
    "trigger",
    "runner",
)
_HOSTED: Final = frozenset({"github-hosted", "gitlab-hosted"})


def provenance_agrees(attestation: Attestation, wanted: ProvenanceRule, about: str) -> tuple[Check, ...]:
    """Certificate and predicate say the same wherever both speak, and the predicate says what the rule wants.

    Only of provenance predicates: PyPI's publish predicate says nothing (CONTRACTS C.9).
    """
    if attestation.predicate_type not in PROVENANCE:
        return ()
    said = attestation.provenance
    if said is None:
        expected = "a predicate that says how it was built"
        return (failed("provenance", about, Reason(Code.EVIDENCE_UNSUPPORTED, about, expected, "none that is known")),)
    return (
        *_contradictions(attestation.signer, said, about),
        *_wanted(said, wanted, about),
        _parameters(said, wanted, about),
    )


def _contradictions(signer: Identity | None, said: Provenance, about: str) -> tuple[Check, ...]:
    if signer is None:
        return (skipped("provenance", about, "signed by a key: there is no certificate to compare with"),)
    both = [
        (field, proved, stated)
        for field in _COMPARED
        if (proved := getattr(signer, field)) is not None and (stated := getattr(said.build, field)) is not None
    ]
    wrong = [one for one in both if not _same(signer.issuer, *one)]
    if not wrong:
        return (passed("provenance", about, "what the certificate says", ", ".join(field for field, _, _ in both)),)
    return tuple(
        failed(
            "provenance",
            about,
            Reason(
                Code.PROVENANCE_CONTRADICTION,
                about,
                f"{field} {proved} (certificate)",
                f"{field} {stated} (provenance)",
            ),
        )
        for field, proved, stated in wrong
    )


def _same(issuer: str | None, field: str, proved: str, stated: str) -> bool:
    if field == "repository":
        return same_repository(issuer, proved, stated)
    if field == "build_signer":
        return same_builder(issuer, proved, stated)
    return proved == stated


def _wanted(said: Provenance, wanted: ProvenanceRule, about: str) -> list[Check]:
    """Builder, build type and source are the rule's, where it names them; a key has no certificate to say them."""
    server, repository = said.build.server, said.build.repository
    source = None if server is None or repository is None else f"{server}/{repository}"
    rows = (
        (
            "build-type",
            Code.BUILD_TYPE_MISMATCH,
            wanted.build_type,
            said.build_type,
            said.build_type in wanted.build_type,
        ),
        ("provenance-builder", Code.BUILDER_MISMATCH, wanted.builder, said.builder, said.builder in wanted.builder),
        (
            "provenance-source",
            Code.REPOSITORY_MISMATCH,
            wanted.source,
            source,
            any(_same_source(one, source) for one in wanted.source),
        ),
    )
    return [
        judged(name, about, code, either(expected), got or "none", holds=holds)
        for name, code, expected, got, holds in rows
        if expected
    ]


def _same_source(one: str, other: str | None) -> bool:
    """Whether two repositories with their servers are the same: exactly, but on GitHub without regard to ASCII case."""
    if other is not None and one.startswith("https://github.com/"):
        return ascii_lower(one) == ascii_lower(other)
    return one == other


def _parameters(said: Provenance, wanted: ProvenanceRule, about: str) -> Check:
    unknown = ", ".join(one for one in said.unknown_parameters if one not in wanted.allow_parameters)
    return judged(
        "build-parameters",
        about,
        Code.EXTERNAL_PARAMETER_UNKNOWN,
        "parameters that the build type defines",
        unknown or "no other",
        holds=not unknown,
    )


def level_reached(signer: Signer, attestation: Attestation, wanted: int, about: str) -> tuple[Check, ...]:
    """The build level is at least the one that is wanted; none wanted, nothing to check."""
    if wanted == 0:
        return ()
    reached = build_level(signer, attestation)
    return (
        judged(
            "build-level",
            about,
            Code.BUILD_LEVEL_TOO_LOW,
            f"level {wanted}",
            f"level {reached}",
            holds=reached >= wanted,
        ),
    )


def build_level(signer: Signer, attestation: Attestation) -> int:
    """The SLSA build level that this signature proves at most, given that `signer` and the rule's builder matched it.

    1: provenance exists. 2: a CI signed it on its own hosted runner; on somebody's own machine the owner of that
    machine could have written anything. 3: the signature is by a builder of another repository that the rule names,
    at a ref that does not move: what is signed inside the build job was within reach of the build's own steps, which
    SLSA's build requirements exclude at level 3. Behind a key or a subject nothing of this can be seen, so there it is
    what the operator says of that signer and builder, and 1 where nothing is said.
    """
    identity = attestation.signer
    if attestation.predicate_type not in PROVENANCE or attestation.provenance is None:
        return 0
    if identity is None or identity.repository is None:
        return signer.build_level
    if identity.runner not in _HOSTED:
        return 1
    named = any(same_builder(identity.issuer, one, identity.build_signer) for one in signer.build_signer)
    home = "/".join((identity.build_signer or "").split("/")[:2])
    elsewhere = not same_repository(identity.issuer, home, identity.repository)
    moves = "@refs/heads/" in (identity.build_signer or "")
    return 3 if named and elsewhere and not moves else 2
