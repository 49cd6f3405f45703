"""`Policy`, `Rule` and their parts: what a package must show, as values.

In every field of a signer a tuple holds alternatives (CONTRACTS C.1), and an empty tuple says that the field is not
asked about. What a rule may *not* say (a signer of nothing, a branch as builder) is refused where it is read, in
`gateway.policy.loading`: these values hold whatever they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from gateway.model.case import GrantKind
from gateway.model.pattern import matches
from gateway.model.upload import Upload

PROVENANCE: Final = frozenset({"https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"})
HOLDS: Final = {"oci": timedelta(minutes=30)}  # ecosystems that can keep content unreachable, with the default
NEVER: Final = timedelta(0)
SUMMARY: Final = "https://slsa.dev/verification_summary/v1"


class Mode(StrEnum):
    """Whether a rule refuses, or only says what it would have refused."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a rule stands; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who may sign: a CI workflow (`repository`), an exact `subject`, or a `key` of a trust root of keys.

    `build_signer` is the reusable workflow as `owner/repo/path@ref`; empty: the workflow itself signs. `ref` holds
    patterns, in which `{version}` stands for the package's exact version. `build_level` is what the builder behind a
    key or a subject is trusted for; of a repository the certificate says it. The two `unsafe_` fields allow evidence
    that names nothing, and a builder on a branch.
    """

    issuer: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()
    repository_id: tuple[str, ...] = ()
    owner_id: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()
    build_signer: tuple[str, ...] = ()
    ref: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    trigger: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()
    build_level: int = 1
    unsafe_unbound_name: bool = False
    unsafe_mutable_signer: bool = False


@dataclass(frozen=True, slots=True)
class ProvenanceRule:
    """What a provenance predicate must say of the build; empty: not asked about.

    `source` is the repository that was built, with its server. `allow_parameters` are external parameters that may be
    there beside those that the build type defines.
    """

    builder: tuple[str, ...] = ()
    build_type: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    allow_parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SummaryRule:
    """What a verification summary must say: by which verifier, of what, and of which level at least.

    One verifier: the rule's signers are those that may speak for it. `resource` holds texts in which `{purl}`,
    `{version}` and `{file}` stand for the upload's. `track` and `level` are the parts of `SLSA_BUILD_LEVEL_3`. `policy`
    and `policy_digest` say what it must have been held against; empty: not asked about.
    """

    verifier: str
    resource: tuple[str, ...]
    track: str
    level: int
    policy: tuple[str, ...] = ()
    policy_digest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttestationRule:
    """One piece of evidence that must be there: of this predicate (None: a plain signature), by any of the signers.

    `layout`: the trust roots are layouts, and all links together must satisfy one of them; it says who signs.
    """

    predicate: tuple[str, ...] | None
    trust_roots: tuple[str, ...]
    signers: tuple[Signer, ...]
    min_build_level: int = 0
    layout: bool = False
    provenance: ProvenanceRule = ProvenanceRule()
    summary: SummaryRule | None = None

    def asks_for(self, predicate_type: str | None) -> bool:
        """Whether an attestation of this predicate type (None: a plain signature) is what is asked for."""
        return predicate_type is None if self.predicate is None else predicate_type in self.predicate

    @property
    def wanted(self) -> str:
        """What is asked for, in words."""
        if self.layout:
            return f"links that satisfy {' or '.join(self.trust_roots)}"
        return "a signature" if self.predicate is None else f"an attestation of {' or '.join(self.predicate)}"


@dataclass(frozen=True, slots=True)
class CredentialRule:
    """What the publish credential must be; no kinds: any. `same_run`: of the run that built and signed."""

    kinds: tuple[GrantKind, ...] = ()
    same_run: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """What holds for the files of one version together."""

    same_run: bool = False
    closed_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class TagRule:
    """Which tags keep their bytes for ever, as patterns; all others move."""

    immutable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What the packages of these patterns must show; no registries: in any. `hold` None: the ecosystem's default."""

    name: str
    packages: tuple[str, ...]
    attestations: tuple[AttestationRule, ...]
    registries: tuple[str, ...] = ()
    owner: str = ""
    mode: Mode = Mode.ENFORCE
    credential: CredentialRule = CredentialRule()
    release: ReleaseRule = ReleaseRule()
    tags: TagRule = TagRule()
    hold: timedelta | None = None
    position: Position = Position("", 1)

    def applies(self, registry: str, purl: str) -> bool:
        """Whether this rule speaks of a package (purl without version and qualifiers) in a registry."""
        return (not self.registries or registry in self.registries) and any(_matches(p, purl) for p in self.packages)

    def moves(self, upload: Upload) -> bool:
        """Whether the upload's name may move to other bytes: a tag that the rule does not call immutable."""
        return upload.movable and not any(matches(pattern, upload.version) for pattern in self.tags.immutable)

    def holds_for(self, ecosystem: str) -> timedelta:
        """How long an upload may wait for its evidence; `NEVER` where its protocol cannot keep it out of reach."""
        if ecosystem not in HOLDS:
            return NEVER
        return HOLDS[ecosystem] if self.hold is None else self.hold


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules in their order; the first that applies decides.

    `revision` is the sha256 of the files, `warnings` one line for each `unsafe_` key in them.
    """

    rules: tuple[Rule, ...] = ()
    revision: str = ""
    warnings: tuple[str, ...] = ()

    def rule_for(self, registry: str, purl: str) -> Rule | None:
        """The first rule that applies, or None."""
        return next((rule for rule in self.rules if rule.applies(registry, purl)), None)

    def moves(self, upload: Upload) -> bool:
        """Whether the upload's name may move to other bytes; what no rule speaks of does not."""
        rule = self.rule_for(upload.registry.name, upload.purl)
        return rule is not None and rule.moves(upload)


def _matches(pattern: str, purl: str) -> bool:
    """Look at the plain beginning first: among 10,000 rules, few are worth compiling a pattern for."""
    return purl.startswith(pattern.partition("*")[0]) and matches(pattern, purl)
