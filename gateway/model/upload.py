"""`Registry`, `Upload`, `File`, `Claim`: an attempt to publish, as far as it is only claimed or measured."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.digest import Digest


@dataclass(frozen=True, slots=True)
class Registry:
    """One configured upstream as decisions see it: its name and its ecosystem (`pypi`, `npm`, `oci`)."""

    name: str
    ecosystem: str


@dataclass(frozen=True, slots=True)
class File:
    """One file as the gateway measured it, never the client's word.

    `name` is the name it will be stored under, `canonical` that name as the ecosystem normalises it (the key that is
    reserved and bound to a digest), `names` every canonical name evidence may use for it.
    """

    name: str
    canonical: str
    size: int
    digests: tuple[Digest, ...]
    names: frozenset[str]

    def digest(self, algorithm: str) -> str | None:
        """The value of one digest, or None where it was not measured."""
        return dict(self.digests).get(algorithm)

    @property
    def sha256(self) -> str:
        """The file's sha256, which is always measured."""
        return dict(self.digests)["sha256"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing one source says of the upload: `field` is `name`, `version`, `digest:<algorithm>`, or a protocol's own.

    `source` names who says it (`file name`, `METADATA`, `form`), `about` the file it is said of.
    """

    source: str
    field: str
    value: str
    about: str


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What the protocol itself demands of the evidence inside a publish request (PEP 740 for PyPI)."""

    every_must_verify: bool = False
    single_subject: bool = False
    one_per_predicate: bool = False
    predicates: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """One attempt to publish one version of one package; claimed, except for what `files` measured.

    `purl` is normalised and without version; `name` is the ecosystem's normalised name; `version` the exact text of
    the package's own metadata (what `{version}` in a rule's ref stands for), `canonical_version` its normal form.
    `movable` says that the version is a name that may move to other bytes (an OCI tag), unless a rule forbids it.
    """

    registry: Registry
    purl: str
    name: str
    version: str
    canonical_version: str
    files: tuple[File, ...]
    claims: tuple[Claim, ...] = ()
    request_rules: RequestRules = RequestRules()
    movable: bool = False
