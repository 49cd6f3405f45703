"""Checks of who signed, field by field, against one signer that a rule names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.model.decision import Check
from gateway.model.evidence import Attestation
from gateway.model.identity import Identity
from gateway.model.pattern import matches
from gateway.policy.checks.comparing import same_builder, same_repository
from gateway.policy.checks.results import either, failed, judged, passed
from gateway.policy.rules import Signer
from gateway.reasons import Code, Reason

VERSION: Final = "{version}"
# Started by anybody's pull request, with the repository's own rights; allowed only where a rule names them.
_DANGEROUS: Final = ("pull_request_target", "workflow_run")


class _Exact(NamedTuple):
    """A field that must equal one of the signer's values, of the same name in `Signer` and `Identity`."""

    field: str
    code: Code


_EXACT: Final = (
    _Exact("issuer", Code.ISSUER_MISMATCH),
    _Exact("repository_id", Code.REPOSITORY_ID_MISMATCH),
    _Exact("owner_id", Code.OWNER_ID_MISMATCH),
    _Exact("workflow", Code.WORKFLOW_MISMATCH),
    _Exact("runner", Code.RUNNER_MISMATCH),
    _Exact("environment", Code.ENVIRONMENT_MISMATCH),
    _Exact("visibility", Code.VISIBILITY_MISMATCH),
)


def signed_by(signer: Signer, attestation: Attestation, version: str, about: str) -> tuple[Check, ...]:
    """Who signed is this signer; `version` is the exact text that `{version}` in its refs stands for."""
    identity = attestation.signer
    if signer.key or identity is None:
        got = f"key {attestation.key}" if identity is None else identity.subject or "an identity without a name"
        known = identity is None and attestation.key in signer.key
        return (judged("signer", about, Code.SIGNER_MISMATCH, _described(signer), got, holds=known),)
    if signer.repository:
        return _by_workflow(signer, identity, version, about)
    subject = identity.subject
    return (
        *(_exact(row, signer, identity, about) for row in _EXACT if getattr(signer, row.field)),
        judged(
            "signer",
            about,
            Code.SIGNER_MISMATCH,
            either(signer.subject) or "a signer that the rule names",
            subject or "an identity without a name",
            holds=subject is not None and subject in signer.subject,
        ),
    )


def _by_workflow(signer: Signer, identity: Identity, version: str, about: str) -> tuple[Check, ...]:
    if identity.repository is None:
        # A person has none of the other fields either: one reason says it better than six.
        got = f"{identity.subject or 'an identity without a name'} (issuer {_said(identity.issuer)})"
        return (failed("signer", about, Reason(Code.SIGNER_NOT_CI, about, _described(signer), got)),)
    checks = [
        _repository(signer, identity, about),
        *(_exact(row, signer, identity, about) for row in _EXACT if getattr(signer, row.field)),
        _builder(signer, identity, about),
        _trigger(signer, identity, about),
    ]
    if signer.ref:
        checks.append(_ref(signer.ref, identity.ref, version, about))
    return tuple(checks)


def _exact(row: _Exact, signer: Signer, identity: Identity, about: str) -> Check:
    expected: tuple[str, ...] = getattr(signer, row.field)
    got: str | None = getattr(identity, row.field)
    name = row.field.replace("_", "-")
    return judged(name, about, row.code, either(expected), _said(got), holds=got is not None and got in expected)


def _repository(signer: Signer, identity: Identity, about: str) -> Check:
    known = any(same_repository(identity.issuer, one, identity.repository) for one in signer.repository)
    return judged(
        "repository",
        about,
        Code.REPOSITORY_MISMATCH,
        either(signer.repository),
        _said(identity.repository),
        holds=known,
    )


def _builder(signer: Signer, identity: Identity, about: str) -> Check:
    """The reusable workflow that the rule names; else the run's own workflow, at the very ref of the run (C.3).

    That the run's workflow and repository are the rule's is checked by themselves: another repository is one reason.
    """
    itself = (identity.repository, identity.workflow, identity.ref)
    if signer.build_signer:
        expected = signer.build_signer
    else:
        expected = () if None in itself else (f"{identity.repository}/{identity.workflow}@{identity.ref}",)
    known = any(same_builder(identity.issuer, one, identity.build_signer) for one in expected)
    wanted = either(expected) or "the workflow itself"
    return judged("builder", about, Code.BUILDER_MISMATCH, wanted, _said(identity.build_signer), holds=known)


def _trigger(signer: Signer, identity: Identity, about: str) -> Check:
    got = identity.trigger
    if signer.trigger:
        known, expected = got is not None and got in signer.trigger, either(signer.trigger)
    else:
        known, expected = got not in _DANGEROUS, f"any event but {either(_DANGEROUS)}"
    return judged("trigger", about, Code.TRIGGER_MISMATCH, expected, _said(got), holds=known)


def _ref(patterns: Sequence[str], ref: str | None, version: str, about: str) -> Check:
    """The ref matches a pattern; where only another version's would, the tag is the wrong one (C.4)."""
    expected = either([pattern.replace(VERSION, version) for pattern in patterns])
    if ref is None:
        return failed("ref", about, Reason(Code.REF_MISMATCH, about, expected, _said(None)))
    # The version is the package's own text: one with a * must not become a pattern.
    usable = [pattern for pattern in patterns if VERSION not in pattern or "*" not in version]
    if any(matches(pattern.replace(VERSION, version), ref) for pattern in usable):
        return passed("ref", about, expected, ref)
    if any(matches(pattern.replace(VERSION, "*"), ref) for pattern in patterns):
        remedy = f"Tag the commit for version {version} exactly, or build the version that {ref} names."
        return failed("ref", about, Reason(Code.TAG_VERSION_MISMATCH, about, expected, ref, remedy))
    return failed("ref", about, Reason(Code.REF_MISMATCH, about, expected, ref))


def _described(signer: Signer) -> str:
    if signer.key:
        return f"key {either(signer.key)}"
    if signer.repository:
        return f"{either(signer.workflow)} of {either(signer.repository)}"
    return either(signer.subject)


def _said(value: str | None) -> str:
    return "none" if value is None else value
