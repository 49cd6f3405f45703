"""What a policy file may say: the shape of its YAML, and the JSON Schema for editors.

Shapes only. What the values must be, and what they may not say together, is checked in `gateway.policy.loading`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from gateway.model.case import GrantKind
from gateway.policy.rules import Mode

# One text, or a list of alternatives (CONTRACTS C.1).
Texts: TypeAlias = str | Annotated[tuple[str, ...], Field(json_schema_extra={"minItems": 1})]

_KIND: Final = {"enum": [kind.value for kind in GrantKind]}
_KINDS: Final = {"anyOf": [_KIND, {"type": "array", "items": _KIND, "minItems": 1}]}


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class SignerText(_Text):
    """Who may sign: `repository` with `workflow`, or `subject`, each under an `issuer`; or `key`; or `any_of` these."""

    any_of: tuple[SignerText, ...] = ()
    """Alternatives; nothing else stands beside it."""
    issuer: Texts = ()
    """The OIDC issuer behind the certificate."""
    subject: Texts = ()
    """The exact subject of the certificate: an e-mail address, a SPIFFE ID, a service account."""
    key: Texts = ()
    """The name of a key in one of the trust roots."""
    repository: Texts = ()
    """The repository that is built, as `owner/name`."""
    repository_id: Texts = ()
    """Its number, which survives a rename and refuses a name that somebody else took over. In quotes."""
    owner_id: Texts = ()
    """The number of its owner. In quotes."""
    workflow: Texts = ()
    """The path of the workflow file in the repository."""
    build_signer: Texts = ()
    """The reusable workflow that builds and signs, as `owner/repo/path@refs/tags/...`; absent: the workflow itself."""
    ref: Texts = ()
    """Patterns of full refs; `{version}` stands for the package's exact version."""
    runner: Texts = ()
    """The kind of runner, like `github-hosted`."""
    trigger: Texts = ()
    """The event that started the run; absent: any but `pull_request_target` and `workflow_run`."""
    environment: Texts = ()
    """The deployment environment of the job."""
    visibility: Texts = ()
    """The visibility of the repository."""
    build_level: Literal[1, 2, 3] | None = None
    """With `key` or `subject`: the SLSA build level that the rule's `provenance.builder` is trusted for; absent: 1."""
    unsafe_unbound_name: bool = False
    """Allow evidence that names nothing. It then says for which bytes it is, but not for which package."""
    unsafe_mutable_signer: bool = False
    """Allow a build signer on a branch. Whoever may push to the branch may then sign."""


class ProvenanceText(_Text):
    """What a provenance predicate must say of the build."""

    builder: Texts = ()
    """The exact `builder.id`."""
    build_type: Texts = ()
    """The exact build type."""
    source: Texts = ()
    """The repository that was built, with its server: `https://github.com/acme/libs`."""
    allow_parameters: Texts = ()
    """External parameters that may be there though the build type does not define them."""


class SummaryText(_Text):
    """What a verification summary must say; it must say PASSED in any case."""

    verifier: str
    """The exact `verifier.id`; the entry's signers are those that may speak for it."""
    resource: Texts = ()
    """What it must be about, as an exact URI; `{purl}`, `{version}` and `{file}` stand for the upload's."""
    min_level: Annotated[str, Field(json_schema_extra={"pattern": "^SLSA_[A-Z]+_LEVEL_[1-9]$"})]
    """The least level that it must find, like `SLSA_BUILD_LEVEL_3`; a higher one of the same track will do."""
    policy: Texts = ()
    """The exact `policy.uri` that it must have been held against."""
    policy_digest: Texts = ()
    """The digest of that policy, as `sha256:...`."""


class AttestationText(_Text):
    """One piece of evidence that must be there: a predicate or a plain signature by a signer, or a layout satisfied."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["layout"]}, {"required": ["trust_roots", "signer"]}]}
    )

    predicate: Texts = ()
    """The predicate type."""
    signature: bool = False
    """`true` in place of a predicate: a plain signature."""
    layout: Texts = ()
    """In place of all other keys: trust roots of kind `layout`, one of which the links together must satisfy."""
    trust_roots: Texts = ()
    """The names of the trust roots that count."""
    signer: SignerText | tuple[SignerText, ...] | None = None
    """Who may have signed; a list holds alternatives."""
    min_build_level: Literal[1, 2, 3] | None = None
    """The SLSA build level. Signed inside the build job is at most 2; 3 needs a `build_signer` from elsewhere."""
    provenance: ProvenanceText | None = None
    """What the predicate must say of the build; only with provenance."""
    summary: SummaryText | None = None
    """What the predicate must say that a verifier found; needed with a verification summary, and only with one."""


class CredentialText(_Text):
    """What the publish credential must be."""

    kind: Annotated[Texts, WithJsonSchema(_KINDS)] = ()
    """`token` or `oidc`; absent: either."""
    same_run: bool = False
    """The credential is of the very run that signed."""


class ReleaseText(_Text):
    """What holds for all files of one version."""

    same_run: bool = False
    """All of them come from one run."""
    closed_after: Annotated[str, Field(json_schema_extra={"pattern": "^[1-9][0-9]*[smhd]$"})] = ""
    """No file may be added this long after the first, like `14d`."""


class TagsText(_Text):
    """What holds for the tags of an image."""

    immutable: Texts
    """Patterns of tags that keep what they were first given, like `v*`; all others move."""


class RuleText(_Text):
    """What the packages of these patterns must show."""

    name: str
    """Unique; decisions and `explain` name it."""
    packages: Texts
    """Patterns of purls without version: `*` stays inside a segment, `**` crosses."""
    registries: Texts = ()
    """The registries it holds for; absent: all."""
    owner: str = ""
    """Who answers for it."""
    mode: Mode = Mode.ENFORCE
    """`observe`: only say what would have been refused for evidence, identity or rule."""
    attestations: Annotated[tuple[AttestationText, ...], Field(json_schema_extra={"minItems": 1})]
    """All of them must be there."""
    credential: CredentialText | None = None
    """What the publish credential must be; absent: any that covers the package."""
    release: ReleaseText | None = None
    """What holds for all files of one version; absent: nothing."""
    tags: TagsText | None = None
    """What holds for the tags of an image (OCI); absent: they move."""
    hold: Annotated[str, Field(json_schema_extra={"pattern": "^(never|[1-9][0-9]*[smhd])$"})] = ""
    """How long an upload may wait for its evidence where the protocol can hold (OCI), like `30m`; or `never`."""


class PolicyText(_Text):
    """One file of rules; the first that matches a package decides."""

    rules: Annotated[tuple[RuleText, ...], Field(json_schema_extra={"minItems": 1})]


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    schema = PolicyText.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "provenance-gateway policy"}
