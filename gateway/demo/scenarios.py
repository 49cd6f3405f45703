"""The demo's table: one good package, and bad ones that are each wrong in one way, with what must become of them.

Every attempt starts from the same honest release (built by `acme/libs`, by its release workflow, on a hosted runner,
from the tag of the version) and spoils one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.demo import packages
from gateway.demo.packages import Distribution
from gateway.model.decision import Outcome
from gateway.model.identity import Identity
from gateway.reasons import Code
from gateway.sandbox import Sandbox, github_identity, person, slsa_provenance

VERSION: Final = "1.0.0"
REPOSITORY: Final = "acme/libs"
WORKFLOW: Final = ".github/workflows/release.yml"


def policy(name: str, packages: str, *further: str) -> str:
    """A policy of one rule: what `acme/libs` built by its release workflow from the tag of the version."""
    return f"""\
rules:
  - name: {name}
    packages: ["{packages}"]
    owner: team-libs@acme.example
{"".join(f"    {line}{chr(10)}" for line in further)}    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sandbox]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: {REPOSITORY}
          workflow: {WORKFLOW}
          ref: refs/tags/v{{version}}
          runner: github-hosted
          trigger: [push, release]
"""


POLICY: Final = policy("acme-python", "pkg:pypi/acme-*")


@dataclass(frozen=True, slots=True)
class Signer:
    """What the sandbox signs with at one moment."""

    sandbox: Sandbox
    at: datetime

    def provenance(self, of: Distribution, by: Identity, build: Identity | None = None) -> bytes:
        """Return a PEP 740 attestation of a file: SLSA provenance of the run `build`, signed by `by`."""
        return self._attest(slsa_provenance([(of.name, {"sha256": of.sha256})], build or by), by)

    def by_person(self, of: Distribution, by: Identity) -> bytes:
        """Return a person's signature under the provenance of an honest build."""
        return self._attest(slsa_provenance([(of.name, {"sha256": of.sha256})], github_identity()), by)

    def _attest(self, statement: Mapping[str, Any], by: Identity) -> bytes:
        return self.sandbox.attest(statement, by, self.at)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a client is given to publish: one file, and the attestations laid beside it by their kind."""

    distribution: Distribution
    attestations: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One publish of the demo: what is wrong with it, how to make it, and the exact codes it must be refused with.

    `needs` names a scenario whose file must be there before. `token` False: with a token the gateway never made.
    """

    slug: str
    title: str
    make: Callable[[Signer], Attempt]
    codes: frozenset[Code] = frozenset()
    token: bool = True
    needs: str | None = None

    @property
    def outcome(self) -> Outcome:
        """What must become of it."""
        return Outcome.REJECT if self.codes else Outcome.ACCEPT


def _good(signer: Signer) -> Attempt:
    wheel = packages.wheel("acme-good", VERSION)
    return Attempt(wheel, {"slsa": signer.provenance(wheel, github_identity())})


def _good_sdist(signer: Signer) -> Attempt:
    sdist = packages.sdist("acme-good", VERSION)
    return Attempt(sdist, {"slsa": signer.provenance(sdist, github_identity())})


def _unsigned(_signer: Signer) -> Attempt:
    return Attempt(packages.wheel("acme-unsigned", VERSION))


def _signed_by(name: str, identity: Identity) -> Callable[[Signer], Attempt]:
    def make(signer: Signer) -> Attempt:
        wheel = packages.wheel(name, VERSION)
        return Attempt(wheel, {"slsa": signer.provenance(wheel, identity)})

    return make


def _altered(signer: Signer) -> Attempt:
    built = packages.wheel("acme-altered", VERSION)
    altered = packages.wheel("acme-altered", VERSION, source="import socket  # not what was built\n")
    return Attempt(altered, {"slsa": signer.provenance(built, github_identity())})


def _other_file(signer: Signer) -> Attempt:
    other = packages.wheel("acme-good", VERSION)
    return Attempt(packages.wheel("acme-borrowed", VERSION), {"slsa": signer.provenance(other, github_identity())})


def _other_metadata(signer: Signer) -> Attempt:
    wheel = packages.wheel("acme-renamed", VERSION, metadata_name="acme-payments")
    return Attempt(wheel, {"slsa": signer.provenance(wheel, github_identity())})


def _person(signer: Signer) -> Attempt:
    wheel = packages.wheel("acme-handmade", VERSION)
    return Attempt(wheel, {"slsa": signer.by_person(wheel, person("dev@acme.example"))})


def _contradiction(signer: Signer) -> Attempt:
    wheel = packages.wheel("acme-contradiction", VERSION)
    claimed = github_identity(commit="0" * 40)
    return Attempt(wheel, {"slsa": signer.provenance(wheel, github_identity(), claimed)})


def _stranger(signer: Signer) -> Attempt:
    wheel = packages.wheel("acme-stranger", VERSION)
    other = Signer(Sandbox.create(signer.at), signer.at)
    return Attempt(wheel, {"slsa": other.provenance(wheel, github_identity())})


def _overwrite(signer: Signer) -> Attempt:
    wheel = packages.wheel("acme-good", VERSION, source="# built again\n")
    return Attempt(wheel, {"slsa": signer.provenance(wheel, github_identity())})


SCENARIOS: Final = (
    Scenario("good", "a release as it should be", _good),
    Scenario("good-sdist", "its source distribution", _good_sdist),
    Scenario("unsigned", "no attestation at all", _unsigned, frozenset({Code.EVIDENCE_MISSING})),
    Scenario(
        "repository",
        "signed by another repository",
        _signed_by("acme-fork", github_identity("mallory/libs")),
        frozenset({Code.REPOSITORY_MISMATCH}),
    ),
    Scenario(
        "workflow",
        "signed by another workflow",
        _signed_by("acme-workflow", github_identity(workflow=".github/workflows/ci.yml")),
        frozenset({Code.WORKFLOW_MISMATCH}),
    ),
    Scenario(
        "runner",
        "built on a self-hosted runner",
        _signed_by("acme-runner", github_identity(runner="self-hosted")),
        frozenset({Code.RUNNER_MISMATCH}),
    ),
    Scenario(
        "branch",
        "built from a branch, not the tag",
        _signed_by("acme-branch", github_identity(ref="refs/heads/main")),
        frozenset({Code.REF_MISMATCH}),
    ),
    Scenario(
        "tag",
        "tag and version differ",
        _signed_by("acme-tag", github_identity(ref="refs/tags/v0.9.0")),
        frozenset({Code.TAG_VERSION_MISMATCH}),
    ),
    Scenario("altered", "altered after it was signed", _altered, frozenset({Code.DIGEST_MISMATCH})),
    Scenario("borrowed", "attestation of another file", _other_file, frozenset({Code.DIGEST_MISMATCH})),
    Scenario("metadata", "another name in the metadata", _other_metadata, frozenset({Code.PACKAGE_METADATA_MISMATCH})),
    Scenario("person", "signed by a person, not by CI", _person, frozenset({Code.SIGNER_NOT_CI})),
    Scenario(
        "contradiction",
        "provenance of another commit",
        _contradiction,
        frozenset({Code.PROVENANCE_CONTRADICTION}),
    ),
    Scenario("stranger", "signed by an unknown Sigstore", _stranger, frozenset({Code.CERTIFICATE_UNTRUSTED})),
    Scenario(
        "overwrite", "other bytes under a published name", _overwrite, frozenset({Code.VERSION_EXISTS}), needs="good"
    ),
    Scenario(
        "token",
        "a token nobody made",
        _signed_by("acme-token", github_identity()),
        frozenset({Code.CREDENTIAL_INVALID}),
        token=False,
    ),
)
