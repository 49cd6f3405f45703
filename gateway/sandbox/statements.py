"""Builders of in-toto statements: plain ones, GitHub's and npm's SLSA provenance, PyPI's publish attestation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeAlias

from gateway.model.identity import Identity
from gateway.sandbox import identities

Statement: TypeAlias = dict[str, Any]  # a third party's format, and only ever written
Subject: TypeAlias = tuple[str, Mapping[str, str]]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
SLSA_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
PYPI_PUBLISH: Final = "https://docs.pypi.org/attestations/publish/v1"
GITHUB_BUILD: Final = "https://actions.github.io/buildtypes/workflow/v1"
NPM_GITHUB_BUILD: Final = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"


class Removed:
    """What a change gives as the new value of a key that is to go."""


def statement(subjects: Iterable[Subject], predicate_type: str, predicate: object) -> Statement:
    """Return a Statement v1 over subjects given as (name, {algorithm: hex})."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": dict(digests)} for name, digests in subjects],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def publish_attestation(subjects: Iterable[Subject]) -> Statement:
    """Return the statement that PyPI's publishers sign; its predicate is null."""
    return statement(subjects, PYPI_PUBLISH, None)


def slsa_provenance(
    subjects: Iterable[Subject],
    build: Identity,
    *,
    build_type: str = GITHUB_BUILD,
    changes: Mapping[str, object] | None = None,
) -> Statement:
    """Return SLSA provenance v1 as `actions/attest` writes it for this run, or npm with `NPM_GITHUB_BUILD`.

    `build` need not be who signs. `changes` sets single values of the predicate by dotted path
    (`buildDefinition.externalParameters.workflow.ref`; numbers index lists); `Removed` takes one out.
    """
    project = f"{build.server}/{build.repository}"
    github = {
        "event_name": build.trigger,
        "repository_id": build.repository_id,
        "repository_owner_id": build.owner_id,
    }
    builder = f"{build.server}/{build.build_signer}"
    if build_type == NPM_GITHUB_BUILD:
        builder = f"{build.server}/actions/runner/{build.runner}"
    else:
        github["runner_environment"] = build.runner
    predicate = {
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": {
                "workflow": {"ref": build.ref, "repository": project, "path": build.workflow},
            },
            "internalParameters": {"github": github},
            "resolvedDependencies": [
                {"uri": f"git+{project}@{build.ref}", "digest": {"gitCommit": build.commit}},
            ],
        },
        "runDetails": {
            "builder": {"id": builder},
            "metadata": {"invocationId": identities.run_uri(build)},
        },
    }
    return statement(subjects, SLSA_PROVENANCE, changed(predicate, changes or {}))


def changed(document: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """Return a copy with single values set by dotted path; a path through what is not there is an error."""
    copy = deepcopy(dict(document))
    for path, value in changes.items():
        *way, last = path.split(".")
        node: Any = copy
        for step in way:
            node = node[_key(node, step)]
        if value is Removed:
            del node[_key(node, last)]
        else:
            node[_key(node, last)] = value
    return copy


def to_bytes(value: Mapping[str, Any] | bytes) -> bytes:
    """Return a statement's bytes as signers write them; bytes are taken as they are."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def _key(node: Mapping[str, Any] | Sequence[Any], step: str) -> Any:
    return int(step) if isinstance(node, list) else step
