"""The catalogue: each code's kind, HTTP status, title and default remedy; stable for ever once released.

Adding a code: one member, one row, one page in `pages/`, one test that provokes it. A test holds the four together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Kind(Enum):
    """What sort of thing is wrong; decides what `mode: observe` may lift (CONTRACTS D.5)."""

    INPUT = "input"  # the request, the archive or its metadata
    CREDENTIAL = "credential"
    EVIDENCE = "evidence"
    IDENTITY = "identity"
    RULE = "rule"
    REVOCATION = "revocation"
    SERVICE = "service"  # ours or the registry's fault

    @property
    def observable(self) -> bool:
        """Whether `mode: observe` lifts reasons of this kind."""
        return self in {Kind.EVIDENCE, Kind.IDENTITY, Kind.RULE}


class Code(StrEnum):
    """A stable slug for one kind of refusal."""

    # evidence
    EVIDENCE_MISSING = "evidence-missing"
    EVIDENCE_MALFORMED = "evidence-malformed"
    EVIDENCE_UNSUPPORTED = "evidence-unsupported"
    EVIDENCE_UNVERIFIED = "evidence-unverified"
    EVIDENCE_LIMIT = "evidence-limit"
    EVIDENCE_NAME_MISMATCH = "evidence-name-mismatch"
    EVIDENCE_DUPLICATE = "evidence-duplicate"
    SIGNATURE_INVALID = "signature-invalid"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_INVALID = "certificate-invalid"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_SANDBOX = "certificate-sandbox"
    SCT_INVALID = "sct-invalid"
    LOG_PROOF_INVALID = "log-proof-invalid"
    LOG_ENTRY_MISMATCH = "log-entry-mismatch"
    LOG_ENTRY_MISSING = "log-entry-missing"
    TIMESTAMP_INVALID = "timestamp-invalid"
    TIMESTAMP_MISSING = "timestamp-missing"
    TRUST_ROOT_EXPIRED = "trust-root-expired"
    SECOND_OPINION_DIFFERS = "second-opinion-differs"
    LAYOUT_EXPIRED = "layout-expired"
    LAYOUT_INSPECTION = "layout-inspection"
    LAYOUT_RULE_VIOLATED = "layout-rule-violated"
    LAYOUT_THRESHOLD = "layout-threshold"
    DIGEST_MISMATCH = "digest-mismatch"
    PREDICATE_UNSUPPORTED = "predicate-unsupported"
    # identity
    SIGNER_NOT_CI = "signer-not-ci"
    SIGNER_MISMATCH = "signer-mismatch"
    ISSUER_MISMATCH = "issuer-mismatch"
    REPOSITORY_MISMATCH = "repository-mismatch"
    REPOSITORY_ID_MISMATCH = "repository-id-mismatch"
    OWNER_ID_MISMATCH = "owner-id-mismatch"
    WORKFLOW_MISMATCH = "workflow-mismatch"
    BUILDER_MISMATCH = "builder-mismatch"
    REF_MISMATCH = "ref-mismatch"
    TAG_VERSION_MISMATCH = "tag-version-mismatch"
    RUNNER_MISMATCH = "runner-mismatch"
    TRIGGER_MISMATCH = "trigger-mismatch"
    ENVIRONMENT_MISMATCH = "environment-mismatch"
    VISIBILITY_MISMATCH = "visibility-mismatch"
    BUILD_LEVEL_TOO_LOW = "build-level-too-low"
    PROVENANCE_CONTRADICTION = "provenance-contradiction"
    EXTERNAL_PARAMETER_UNKNOWN = "external-parameter-unknown"
    BUILD_TYPE_MISMATCH = "build-type-mismatch"
    SUMMARY_VERIFIER_MISMATCH = "summary-verifier-mismatch"
    SUMMARY_RESOURCE_MISMATCH = "summary-resource-mismatch"
    SUMMARY_POLICY_MISMATCH = "summary-policy-mismatch"
    SUMMARY_FAILED = "summary-failed"
    SUMMARY_LEVEL_TOO_LOW = "summary-level-too-low"
    RUN_MISMATCH = "run-mismatch"
    # rule
    NO_RULE = "no-rule"
    RELEASE_CLOSED = "release-closed"
    # the upload itself
    UPLOAD_MALFORMED = "upload-malformed"
    UPLOAD_TOO_LARGE = "upload-too-large"
    FILE_NAME_INVALID = "file-name-invalid"
    ARCHIVE_MALFORMED = "archive-malformed"
    ARCHIVE_TOO_LARGE = "archive-too-large"
    FORM_DIGEST_MISMATCH = "form-digest-mismatch"
    DIGEST_INVALID = "digest-invalid"
    CHUNK_OUT_OF_ORDER = "chunk-out-of-order"
    CONTENT_MISSING = "content-missing"
    CONTENT_HIDDEN = "content-hidden"
    PACKAGE_METADATA_MISMATCH = "package-metadata-mismatch"
    VERSION_EXISTS = "version-exists"
    CONTENT_ENCODING = "content-encoding"
    REQUEST_MALFORMED = "request-malformed"
    REQUEST_TIMEOUT = "request-timeout"
    ROUTE_UNKNOWN = "route-unknown"
    METHOD_UNKNOWN = "method-unknown"
    OPERATION_REFUSED = "operation-refused"
    NOT_FOUND = "not-found"
    FILE_WITHHELD = "file-withheld"
    # credentials
    CREDENTIAL_MISSING = "credential-missing"
    CREDENTIAL_INVALID = "credential-invalid"
    CREDENTIAL_EXPIRED = "credential-expired"
    CREDENTIAL_SCOPE = "credential-scope"
    CREDENTIAL_KIND = "credential-kind"
    CREDENTIAL_RUN_MISMATCH = "credential-run-mismatch"
    # revocation
    DIGEST_REVOKED = "digest-revoked"
    # the service
    UPSTREAM_UNAVAILABLE = "upstream-unavailable"
    UPSTREAM_REFUSED = "upstream-refused"
    RECORD_UNAVAILABLE = "record-unavailable"
    SPOOL_FULL = "spool-full"
    PUBLISH_UNSETTLED = "publish-unsettled"
    INTERNAL = "internal-error"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the catalogue; `remedy` is the default a `Reason` without its own falls back to."""

    kind: Kind
    status: int
    title: str
    remedy: str
    curable: bool = False
    waivable: bool = False


_E, _I, _R, _N, _C, _S = Kind.EVIDENCE, Kind.IDENTITY, Kind.RULE, Kind.INPUT, Kind.CREDENTIAL, Kind.SERVICE

CATALOGUE: Final[dict[Code, Entry]] = {
    Code.EVIDENCE_MISSING: Entry(
        _E,
        403,
        "No evidence that the rule asks for",
        "Publish with attestations (twine upload --attestations, uv publish), or send them first with provgate attach.",
        curable=True,
        waivable=True,
    ),
    Code.EVIDENCE_MALFORMED: Entry(
        _E,
        403,
        "Evidence that cannot be read",
        "Make the attestation again with a current signing tool and send it unchanged.",
        waivable=True,
    ),
    Code.EVIDENCE_UNSUPPORTED: Entry(
        _E,
        403,
        "Evidence of a kind that cannot be verified here",
        "Sign with a current tool that writes Sigstore bundles or PEP 740 attestations.",
        waivable=True,
    ),
    Code.EVIDENCE_UNVERIFIED: Entry(
        _E,
        403,
        "Evidence was not verified within its time budget",
        "Send fewer pieces of evidence and publish again.",
        waivable=True,
    ),
    Code.EVIDENCE_LIMIT: Entry(
        _E, 403, "More evidence than the limit allows", "Send only the attestations of this file."
    ),
    Code.EVIDENCE_NAME_MISMATCH: Entry(
        _E,
        403,
        "Evidence that is for another name",
        "Attest the file under the name it is published with.",
        waivable=True,
    ),
    Code.EVIDENCE_DUPLICATE: Entry(
        _E, 403, "Two attestations of one predicate type", "Send one attestation per predicate type."
    ),
    Code.SIGNATURE_INVALID: Entry(
        _E, 403, "A signature that does not verify", "Sign the exact file that is published; do not edit the bundle."
    ),
    Code.CERTIFICATE_UNTRUSTED: Entry(
        _E,
        403,
        "A signer that none of the rule's trust roots knows",
        "Sign with the Sigstore instance that the rule trusts, or ask the operator to add its trust root.",
    ),
    Code.CERTIFICATE_INVALID: Entry(
        _E, 403, "A certificate that may not sign", "Sign with a certificate for code signing issued for this build."
    ),
    Code.CERTIFICATE_EXPIRED: Entry(
        _E, 403, "A certificate outside its validity when it signed", "Sign again; certificates live minutes."
    ),
    Code.CERTIFICATE_SANDBOX: Entry(
        _E, 403, "A certificate of a sandbox Sigstore", "Sandboxes are for rehearsal; sign with the real instance."
    ),
    Code.SCT_INVALID: Entry(
        _E,
        403,
        "A certificate without a valid certificate timestamp",
        "Sign again with an instance whose certificates are logged.",
    ),
    Code.LOG_PROOF_INVALID: Entry(
        _E, 403, "A transparency log proof that does not verify", "Fetch or make the bundle again; do not edit it."
    ),
    Code.LOG_ENTRY_MISMATCH: Entry(
        _E, 403, "A log entry of something else", "Send the bundle that belongs to this file."
    ),
    Code.LOG_ENTRY_MISSING: Entry(
        _E,
        403,
        "Fewer log entries than the trust root asks for",
        "Sign with transparency logging on.",
    ),
    Code.TIMESTAMP_INVALID: Entry(
        _E, 403, "A timestamp that does not verify", "Sign again with the timestamp authority of the trust root."
    ),
    Code.TIMESTAMP_MISSING: Entry(
        _E, 403, "No proved time", "Sign with a timestamp authority or a log that promises inclusion."
    ),
    Code.TRUST_ROOT_EXPIRED: Entry(
        _E, 403, "The trust root has expired", "The operator must renew the trust root (not_after)."
    ),
    Code.SECOND_OPINION_DIFFERS: Entry(
        _E, 403, "The two verifiers disagree", "The operator has been alerted; send other evidence meanwhile."
    ),
    Code.LAYOUT_EXPIRED: Entry(
        _E, 403, "The layout has expired", "The operator must install a layout that its owners signed anew."
    ),
    Code.LAYOUT_INSPECTION: Entry(
        _E,
        403,
        "A layout that wants commands run",
        "Remove the inspections, and say what they checked as artifact rules.",
    ),
    Code.LAYOUT_RULE_VIOLATED: Entry(
        _E,
        403,
        "A step's artifacts break a rule of the layout",
        "Perform the steps on exactly what the step before made, and record their links anew.",
        waivable=True,
    ),
    Code.LAYOUT_THRESHOLD: Entry(
        _E,
        403,
        "A step without enough links that agree",
        "Send the links of every step with provgate attach, signed by the layout's functionaries for that step.",
        curable=True,
        waivable=True,
    ),
    Code.DIGEST_MISMATCH: Entry(
        _N, 403, "Evidence for other bytes", "Publish the exact file that was attested, unchanged after signing."
    ),
    Code.PREDICATE_UNSUPPORTED: Entry(
        _E,
        403,
        "A predicate type that this protocol does not carry",
        "PEP 740 carries SLSA provenance v1 and the PyPI publish attestation; use provgate attach for others.",
    ),
    Code.SIGNER_NOT_CI: Entry(
        _I, 403, "Signed by a person, not by CI", "Publish from the CI workflow that the rule names.", waivable=True
    ),
    Code.SIGNER_MISMATCH: Entry(_I, 403, "Another signer", "Sign as the signer that the rule names.", waivable=True),
    Code.ISSUER_MISMATCH: Entry(_I, 403, "An identity of another issuer", "Build on the CI that the rule names."),
    Code.REPOSITORY_MISMATCH: Entry(
        _I, 403, "Built from another repository", "Publish from the repository that the rule names."
    ),
    Code.REPOSITORY_ID_MISMATCH: Entry(
        _I,
        403,
        "A repository of the same name but another id",
        "If the repository was moved or created anew on purpose, the operator must change repository_id.",
    ),
    Code.OWNER_ID_MISMATCH: Entry(
        _I,
        403,
        "An owner of the same name but another id",
        "If the owner was created anew on purpose, the operator must change owner_id.",
    ),
    Code.WORKFLOW_MISMATCH: Entry(
        _I, 403, "Built by another workflow", "Publish from the workflow that the rule names.", waivable=True
    ),
    Code.BUILDER_MISMATCH: Entry(
        _I, 403, "Signed by another builder", "Build with the reusable workflow that the rule names.", waivable=True
    ),
    Code.REF_MISMATCH: Entry(
        _I, 403, "Built from another ref", "Build and publish from the ref that the rule names.", waivable=True
    ),
    Code.TAG_VERSION_MISMATCH: Entry(
        _I, 403, "The tag is not the version's", "Tag the commit with the package's exact version.", waivable=True
    ),
    Code.RUNNER_MISMATCH: Entry(
        _I, 403, "Built on another kind of runner", "Run the release job on the runner that the rule names."
    ),
    Code.TRIGGER_MISMATCH: Entry(
        _I, 403, "Started by another event", "Start the release by an event that the rule names.", waivable=True
    ),
    Code.ENVIRONMENT_MISMATCH: Entry(
        _I, 403, "Deployed from another environment", "Run the job in the environment that the rule names."
    ),
    Code.VISIBILITY_MISMATCH: Entry(
        _I, 403, "A repository of another visibility", "Publish from a repository of the visibility the rule names."
    ),
    Code.BUILD_LEVEL_TOO_LOW: Entry(
        _I,
        403,
        "A lower build level than the rule asks for",
        "Build and sign in an isolated reusable workflow that the operator trusts.",
        waivable=True,
    ),
    Code.PROVENANCE_CONTRADICTION: Entry(
        _I,
        403,
        "Certificate and provenance say different things",
        "Make provenance in the job that builds, with the CI's own attestation step.",
    ),
    Code.EXTERNAL_PARAMETER_UNKNOWN: Entry(
        _I,
        403,
        "A build parameter that its build type does not define",
        "Make provenance with the CI's own attestation step, without parameters of your own.",
    ),
    Code.BUILD_TYPE_MISMATCH: Entry(
        _I, 403, "Built in another way than the rule expects", "Build with the CI that the rule names.", waivable=True
    ),
    Code.SUMMARY_VERIFIER_MISMATCH: Entry(
        _I, 403, "A summary of another verifier", "Send the summary of the verifier that the rule names.", waivable=True
    ),
    Code.SUMMARY_RESOURCE_MISMATCH: Entry(
        _I,
        403,
        "A summary about something else",
        "Have the verifier summarise this file under the URI that the rule names.",
        waivable=True,
    ),
    Code.SUMMARY_POLICY_MISMATCH: Entry(
        _I,
        403,
        "A summary of what another policy found",
        "Have the file verified under the policy that the rule names.",
        waivable=True,
    ),
    Code.SUMMARY_FAILED: Entry(
        _I, 403, "The verifier says that it failed", "Mend what the verifier found and have it verify again."
    ),
    Code.SUMMARY_LEVEL_TOO_LOW: Entry(
        _I,
        403,
        "The verifier found a lower level than the rule asks for",
        "Reach the level that the rule names and have it verified again.",
        waivable=True,
    ),
    Code.RUN_MISMATCH: Entry(
        _R,
        403,
        "A file from another run than the rest of the release",
        "Build and publish all files of a version in one run.",
        waivable=True,
    ),
    Code.NO_RULE: Entry(_R, 403, "No rule for this package", "Ask the operator to add a rule for this package."),
    Code.RELEASE_CLOSED: Entry(_R, 403, "A late addition to an old release", "Publish a new version.", waivable=True),
    Code.UPLOAD_MALFORMED: Entry(
        _N, 400, "An upload that breaks its protocol", "Upload with an unmodified, current client."
    ),
    Code.UPLOAD_TOO_LARGE: Entry(
        _N, 413, "An upload over the limit", "Ask the operator to raise the limit, or publish smaller files."
    ),
    Code.FILE_NAME_INVALID: Entry(
        _N, 400, "A file name that is not one of the ecosystem's", "Build the distribution with a standard backend."
    ),
    Code.ARCHIVE_MALFORMED: Entry(
        _N, 400, "An archive that two readers could read differently", "Build the distribution again."
    ),
    Code.ARCHIVE_TOO_LARGE: Entry(_N, 400, "An archive over the bounds", "Publish a smaller archive."),
    Code.FORM_DIGEST_MISMATCH: Entry(
        _N, 400, "The form states another digest than the file has", "Upload the file again, unchanged on the way."
    ),
    Code.DIGEST_INVALID: Entry(
        _N, 400, "A digest that the content does not have", "Push the content again under the digest of its bytes."
    ),
    Code.CHUNK_OUT_OF_ORDER: Entry(
        _N,
        416,
        "A chunk that does not go on where the upload stands",
        "Ask where the upload stands (GET its Location), and send what comes next.",
    ),
    Code.CONTENT_MISSING: Entry(
        _N, 400, "A manifest of content that is not there", "Push its config, layers and manifests first."
    ),
    Code.CONTENT_HIDDEN: Entry(
        _N,
        404,
        "Content that nothing accepted holds",
        "Wait for its evidence, or ask its publisher; what was refused is pushed again under a new digest.",
    ),
    Code.PACKAGE_METADATA_MISMATCH: Entry(
        _N,
        403,
        "Name or version differ between file name, metadata and form",
        "Build the distribution again; do not rename it.",
    ),
    Code.VERSION_EXISTS: Entry(_N, 409, "The name is bound to other bytes", "Publish under a new version."),
    Code.CONTENT_ENCODING: Entry(_N, 415, "A compressed request body", "Send the request without Content-Encoding."),
    Code.REQUEST_MALFORMED: Entry(
        _N, 400, "Not a well-formed HTTP request", "Send the request with an unmodified client."
    ),
    Code.REQUEST_TIMEOUT: Entry(
        _N, 408, "The request's body stopped coming", "Publish again over a steadier connection."
    ),
    Code.ROUTE_UNKNOWN: Entry(
        _N, 404, "An address the gateway does not serve", "Check the registry's address in the client's settings."
    ),
    Code.OPERATION_REFUSED: Entry(
        _N,
        403,
        "An operation that the gateway does not let through",
        "Publish a new version, or ask the operator.",
    ),
    Code.NOT_FOUND: Entry(
        _N, 404, "The registry has nothing there", "Check the name and version, or publish it first."
    ),
    Code.METHOD_UNKNOWN: Entry(
        _N, 405, "A method the gateway does not pass", "Use the registry's documented protocol."
    ),
    Code.FILE_WITHHELD: Entry(
        _N, 404, "A file that is withheld", "Ask the operator: the registry's copy is not what was verified."
    ),
    Code.CREDENTIAL_MISSING: Entry(
        _C, 401, "No credential", "Configure the client with a token of this gateway (provgate token create)."
    ),
    Code.CREDENTIAL_INVALID: Entry(
        _C, 401, "A credential the gateway does not know", "Use a token of this gateway that is not revoked."
    ),
    Code.CREDENTIAL_EXPIRED: Entry(_C, 401, "An expired credential", "Ask for a new token."),
    Code.CREDENTIAL_SCOPE: Entry(
        _C, 403, "A credential that does not cover this", "Use a token for this registry, package and action."
    ),
    Code.CREDENTIAL_KIND: Entry(
        _C, 403, "Another kind of credential than the rule asks for", "Use the kind of credential the rule names."
    ),
    Code.CREDENTIAL_RUN_MISMATCH: Entry(
        _C, 403, "Credential and evidence are of different runs", "Publish in the run that built and signed the file."
    ),
    Code.DIGEST_REVOKED: Entry(
        Kind.REVOCATION, 403, "Withdrawn bytes", "Publish a new version; withdrawn bytes do not come back."
    ),
    Code.UPSTREAM_UNAVAILABLE: Entry(
        _S, 502, "The registry behind the gate did not answer", "Publish again later; nothing was published."
    ),
    Code.UPSTREAM_REFUSED: Entry(
        _S,
        502,
        "The registry behind the gate refused a verified upload",
        "The operator must look at the registry's own answer.",
    ),
    Code.RECORD_UNAVAILABLE: Entry(
        _S, 503, "The record cannot be written", "Publish again later; nothing was forwarded."
    ),
    Code.SPOOL_FULL: Entry(_S, 503, "No room to receive the upload", "Publish again later."),
    Code.PUBLISH_UNSETTLED: Entry(
        _S, 409, "An earlier publish of this name is not settled", "Publish again later, or ask the operator."
    ),
    Code.INTERNAL: Entry(_S, 500, "A fault of the gateway", "Report it with the link; nothing was published."),
}
