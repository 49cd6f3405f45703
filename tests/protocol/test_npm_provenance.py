"""Provenance as npm writes it, v1 now and v0.2 before, with one thing in it that contradicts its certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

from gateway.sandbox import github_identity, slsa_provenance
from gateway.sandbox.statements import NPM_GITHUB_BUILD, changed
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import npm_package
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY
from tests.protocol.test_npm_publish import put

GOOD: Final = npm_package()
BUILD: Final = github_identity()
CONTRADICTION: Final = {"provenance-contradiction"}
SOURCE: Final = f"git+https://github.com/{BUILD.repository}@{BUILD.ref}"
Predicate = dict[str, Any]

# As npm 9.5 to 9.7 made it (libnpmpublish 7).
V0_2: Final[Predicate] = {
    "buildType": "https://github.com/npm/cli/gha/v2",
    "builder": {"id": "https://github.com/actions/runner/github-hosted"},
    "invocation": {
        "configSource": {"uri": SOURCE, "digest": {"sha1": BUILD.commit}, "entryPoint": BUILD.workflow},
        "parameters": {},
        "environment": {
            "GITHUB_EVENT_NAME": BUILD.trigger,
            "GITHUB_REF": BUILD.ref,
            "GITHUB_REPOSITORY": BUILD.repository,
            "GITHUB_REPOSITORY_ID": BUILD.repository_id,
            "GITHUB_REPOSITORY_OWNER_ID": BUILD.owner_id,
            "GITHUB_RUN_ATTEMPT": BUILD.attempt,
            "GITHUB_RUN_ID": BUILD.run,
            "GITHUB_SHA": BUILD.commit,
            "GITHUB_WORKFLOW_REF": BUILD.build_signer,
            "GITHUB_WORKFLOW_SHA": BUILD.commit,
        },
    },
    "metadata": {
        "buildInvocationId": f"{BUILD.run}-{BUILD.attempt}",
        "completeness": {"parameters": False, "environment": False, "materials": False},
        "reproducible": False,
    },
    "materials": [{"uri": SOURCE, "digest": {"sha1": BUILD.commit}}],
}
V1_MISSES: Final[dict[str, tuple[object, set[str]]]] = {
    "buildDefinition.externalParameters.workflow.repository": (
        "https://github.com/mallory/libs",
        {"evidence-malformed"},  # not what was checked out either
    ),
    "buildDefinition.externalParameters.workflow.ref": ("refs/heads/main", {"evidence-malformed"}),
    "buildDefinition.externalParameters.workflow.path": (".github/workflows/ci.yml", CONTRADICTION),
    "buildDefinition.externalParameters.sideDoor": ("open", {"external-parameter-unknown"}),
    "buildDefinition.resolvedDependencies.0.uri": (
        "git+https://github.com/mallory/libs@refs/tags/v1.0.0",
        {"evidence-malformed"},
    ),
    "buildDefinition.resolvedDependencies.0.digest.gitCommit": ("0" * 40, CONTRADICTION),
    "buildDefinition.internalParameters.github.repository_id": ("1", CONTRADICTION),
    "buildDefinition.internalParameters.github.event_name": ("workflow_dispatch", CONTRADICTION),
    "runDetails.builder.id": ("https://github.com/actions/runner/self-hosted", CONTRADICTION),
    "runDetails.metadata.invocationId": ("https://github.com/acme/libs/actions/runs/1/attempts/1", CONTRADICTION),
}
V0_2_MISSES: Final[dict[str, tuple[object, set[str]]]] = {
    "builder.id": ("https://github.com/actions/runner/self-hosted", CONTRADICTION),
    "invocation.configSource.uri": ("git+https://github.com/mallory/libs@refs/tags/v1.0.0", CONTRADICTION),
    "invocation.configSource.digest.sha1": ("0" * 40, CONTRADICTION),
    "invocation.configSource.entryPoint": (".github/workflows/ci.yml", CONTRADICTION),
    "invocation.environment.GITHUB_REF": ("refs/heads/main", CONTRADICTION),
    "invocation.environment.GITHUB_REPOSITORY_ID": ("1", CONTRADICTION),
    "invocation.environment.GITHUB_RUN_ID": ("1", CONTRADICTION),
    "invocation.environment.GITHUB_EVENT_NAME": ("workflow_dispatch", CONTRADICTION),
    "invocation.parameters.sideDoor": ("open", {"external-parameter-unknown"}),
}


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    policy = POLICY.replace(
        "predicate: https://slsa.dev/provenance/v1",
        "predicate: [https://slsa.dev/provenance/v1, https://slsa.dev/provenance/v0.2]",
    )
    async with lab_gate(tmp_path, ecosystem="npm", policy=policy) as running:
        yield running


async def publish(gate: LabGate, statement: Any) -> set[str]:
    """Publish with this statement signed by the good build; returns the codes of the decision."""
    status, _, said = await put(gate, GOOD.document(gate.sandbox.sign_statement(statement, BUILD, gate.at)))
    codes = await gate.codes()
    assert (status == 201) == (not codes), said
    assert bool(cast("NpmRegistry", gate.registry).writes) == (not codes)
    return codes


def v1(**changes: object) -> Any:
    subjects = [(GOOD.purl, {"sha512": GOOD.sha512})]
    runner = {"runDetails.builder.id": "https://github.com/actions/runner/github-hosted"}
    return slsa_provenance(subjects, BUILD, build_type=NPM_GITHUB_BUILD, changes=runner | changes)


def v0_2(**changes: object) -> Any:
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{"name": GOOD.purl, "digest": {"sha512": GOOD.sha512}}],
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": changed(V0_2, changes),
    }


async def test_both_versions_are_accepted_where_the_rule_asks_for_either(gate: LabGate) -> None:
    assert await publish(gate, v0_2()) == set()


async def test_v1_is_accepted(gate: LabGate) -> None:
    assert await publish(gate, v1()) == set()


@pytest.mark.parametrize("path", V1_MISSES)
async def test_v1_with_one_thing_spoilt_is_refused(gate: LabGate, path: str) -> None:
    value, codes = V1_MISSES[path]
    assert await publish(gate, v1(**{path: value})) == codes


@pytest.mark.parametrize("path", V0_2_MISSES)
async def test_v0_2_with_one_thing_spoilt_is_refused(gate: LabGate, path: str) -> None:
    value, codes = V0_2_MISSES[path]
    assert await publish(gate, v0_2(**{path: value})) == codes


async def test_a_rule_that_asks_for_v1_takes_no_v0_2(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY) as gate:
        assert await publish(gate, v0_2()) == {"evidence-missing"}
