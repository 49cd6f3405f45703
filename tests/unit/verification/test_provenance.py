"""Provenance of every build type that is known: which identity fields it fills, and which parameters are unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Provenance, Summary
from gateway.model.identity import Identity
from gateway.verification.provenance import BUILD_TYPES, read_provenance
from gateway.verification.statement import Statement, read_statement
from gateway.verification.summary import read_summary

COMMIT = "a" * 40
REPOSITORY = "https://github.com/acme/libs"
RUNNER = "https://github.com/actions/runner/github-hosted"
BUILDER = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_generic_slsa3.yml@refs/tags/v2.0.0"
V1 = "https://slsa.dev/provenance/v1"
V0_2 = "https://slsa.dev/provenance/v0.2"
GITHUB_TYPE = "https://actions.github.io/buildtypes/workflow/v1"


def read(predicate: Any, kind: str = V1) -> Provenance:
    found = maybe(predicate, kind)
    assert found is not None
    return found


def maybe(predicate: Any, kind: str = V1) -> Provenance | None:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": "1" * 64}}],
        "predicateType": kind,
        "predicate": predicate,
    }
    return read_provenance(read_statement(json.dumps(statement).encode()))


def github(**changes: Any) -> dict[str, Any]:
    workflow = {"ref": "refs/tags/v1.0.0", "repository": REPOSITORY, "path": ".github/workflows/release.yml"}
    definition = {
        "buildType": GITHUB_TYPE,
        "externalParameters": {"workflow": workflow},
        "internalParameters": {
            "github": {
                "event_name": "push",
                "repository_id": "1",
                "repository_owner_id": "2",
                "runner_environment": "github-hosted",
            }
        },
        "resolvedDependencies": [{"uri": f"git+{REPOSITORY}@refs/tags/v1.0.0", "digest": {"gitCommit": COMMIT}}],
    }
    details = {
        "builder": {"id": f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1.0.0"},
        "metadata": {"invocationId": f"{REPOSITORY}/actions/runs/7/attempts/1"},
    }
    return {"buildDefinition": definition | changes, "runDetails": details}


SAID = {
    "server": "https://github.com",
    "repository": "acme/libs",
    "ref": "refs/tags/v1.0.0",
    "workflow": ".github/workflows/release.yml",
    "commit": COMMIT,
    "trigger": "push",
    "repository_id": "1",
    "owner_id": "2",
    "run": "7",
    "attempt": "1",
}


def test_github_provenance_fills_what_a_certificate_would() -> None:
    found = read(github())
    assert found.build == Identity(
        **SAID,
        runner="github-hosted",
        build_signer="acme/libs/.github/workflows/release.yml@refs/tags/v1.0.0",
    )
    assert (found.build_type, found.unknown_parameters) == (GITHUB_TYPE, ())


@pytest.mark.parametrize(
    "uri",
    [
        "git+https://github.com/mallory/libs@refs/tags/v1.0.0",
        "git+https://git.acme.example/acme/libs@refs/tags/v1.0.0",
        f"git+{REPOSITORY}@refs/heads/main",
    ],
)
def test_another_source_than_the_workflows_own_is_malformed(uri: str) -> None:
    with pytest.raises(Malformed, match="another source"):
        read(github(resolvedDependencies=[{"uri": uri, "digest": {"gitCommit": COMMIT}}]))


@pytest.mark.parametrize(("uri", "commit"), [(f"git+{REPOSITORY}", COMMIT), ("pkg:docker/ubuntu@24.04", None)])
def test_a_source_may_come_without_a_ref_or_be_left_out(uri: str, commit: str | None) -> None:
    found = read(github(resolvedDependencies=[{"uri": uri, "digest": {"gitCommit": COMMIT}}])).build
    assert (found.repository, found.ref, found.commit) == ("acme/libs", "refs/tags/v1.0.0", commit)


def test_more_may_have_been_checked_out_than_the_workflows_own_source() -> None:
    own = github()["buildDefinition"]["resolvedDependencies"]
    other = [{"uri": "git+https://github.com/acme/tools@refs/heads/main", "digest": {"gitCommit": "b" * 40}}]
    for dependencies in (own + other, other + own):
        found = read(github(resolvedDependencies=dependencies)).build
        assert (found.repository, found.ref, found.commit) == ("acme/libs", "refs/tags/v1.0.0", COMMIT)


def test_an_external_parameter_that_the_build_type_does_not_define_is_listed() -> None:
    parameters = github()["buildDefinition"]["externalParameters"]
    found = read(github(externalParameters=parameters | {"inputs": {}, "sideDoor": 1, "backDoor": 2}))
    assert found.unknown_parameters == ("backDoor", "sideDoor")


def test_unknown_fields_elsewhere_are_ignored() -> None:
    predicate = github(aFieldOfTheFuture={"x": 1}, internalParameters={"github": {}, "acme": 1}) | {"acme_extension": 1}
    assert read(predicate).unknown_parameters == ()


def test_an_unknown_build_type_says_nothing_and_all_its_parameters_are_unknown() -> None:
    found = read(github(buildType="https://evil.example/v1"))
    assert (found.build, found.unknown_parameters) == (Identity(), ("workflow",))
    assert found.build_type == "https://evil.example/v1"


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("repository", "https://github.com/acme/libs.evil/../libs", "repository"),
        ("repository", "https://github.com/acme/libs\n", "repository"),
        ("path", ".github/workflows/../release.yml", "workflow"),
        ("path", ".github/workflows/rel\u0435ase.yml", "workflow"),
        ("ref", "main", "ref"),
        ("ref", "refs/tags/v1.0.0@refs/heads/x", "ref"),
    ],
)
def test_a_hostile_text_gives_none(field: str, value: str, name: str) -> None:
    workflow = github()["buildDefinition"]["externalParameters"]["workflow"] | {field: value}
    assert getattr(read(github(externalParameters={"workflow": workflow})).build, name) is None


def test_a_commit_counts_only_for_the_repository_that_was_built() -> None:
    other = [{"uri": "git+https://github.com/evil/libs@refs/tags/v1.0.0", "digest": {"gitCommit": COMMIT}}]
    own = [{"uri": f"git+{REPOSITORY}@refs/tags/v1.0.0"}]
    assert read(github(resolvedDependencies=other + own)).build.commit is None
    twice = [
        {"uri": f"git+{REPOSITORY}@refs/tags/v1.0.0", "digest": {"gitCommit": commit}} for commit in (COMMIT, "b" * 40)
    ]
    assert read(github(resolvedDependencies=twice)).build.commit is None


@pytest.mark.parametrize(
    "predicate",
    [
        None,
        [],
        {},
        {"buildDefinition": {}, "runDetails": []},
        github(externalParameters=[]),
        github(externalParameters={"workflow": "x"}),
        github(internalParameters={"github": {"event_name": 1}}),
        github(internalParameters={"github": {"repository_id": {}}}),
        github(resolvedDependencies={}),
        github(resolvedDependencies=[1]),
        github(buildType=1),
    ],
)
def test_provenance_of_a_wrong_shape_is_malformed(predicate: Any) -> None:
    with pytest.raises(Malformed):
        maybe(predicate)


def test_another_predicate_is_not_provenance() -> None:
    assert maybe(None, "https://docs.pypi.org/attestations/publish/v1") is None
    assert maybe({"x": 1}, "https://spdx.dev/Document") is None


def v0_2(build_type: str, environment: dict[str, Any], **changes: Any) -> dict[str, Any]:
    source = {
        "uri": f"git+{REPOSITORY}@refs/tags/v1.0.0",
        "digest": {"sha1": COMMIT},
        "entryPoint": ".github/workflows/release.yml",
    }
    invocation = {"configSource": source, "parameters": {}, "environment": environment}
    return {"builder": {"id": BUILDER}, "buildType": build_type, "invocation": invocation, **changes}


NPM = {
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF": "refs/tags/v1.0.0",
    "GITHUB_REPOSITORY_ID": "1",
    "GITHUB_REPOSITORY_OWNER_ID": "2",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
}


@pytest.mark.parametrize(
    ("build_type", "environment"),
    [
        ("https://github.com/npm/cli/gha/v2", NPM),
        (
            "https://github.com/slsa-framework/slsa-github-generator/generic@v1",
            {key.lower(): value for key, value in NPM.items()},
        ),
        ("https://github.com/slsa-framework/slsa-github-generator/container@v1", NPM),
    ],
)
def test_the_older_version_is_read_in_the_same_fields(build_type: str, environment: dict[str, Any]) -> None:
    found = read(v0_2(build_type, environment), V0_2)
    signer = BUILDER.removeprefix("https://github.com/")
    assert found.build == Identity(**SAID, build_signer=signer)
    assert found.unknown_parameters == ()


def test_the_runner_is_in_the_builder_where_npm_wrote_it_there() -> None:
    found = read(v0_2("https://github.com/npm/cli/gha/v2", NPM, builder={"id": RUNNER}), V0_2)
    assert (found.build.runner, found.build.build_signer) == ("github-hosted", None)


def _v1(build_type: str, parameters: dict[str, Any], dependencies: list[Any], invocation: str = "") -> dict[str, Any]:
    definition = {"buildType": build_type, "externalParameters": parameters, "resolvedDependencies": dependencies}
    details = {"builder": {"id": "https://builder.example"}, "metadata": {"invocationID": invocation}}
    return {"buildDefinition": definition, "runDetails": details}


def test_npm_in_gitlab_ci_names_its_project_and_job() -> None:
    project = "https://gitlab.com/acme/libs"
    source = {"uri": f"git+{project}", "digest": {"sha1": COMMIT}}
    variables = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_CONFIG_PATH": ".gitlab-ci.yml",
        "CI_PROJECT_ID": "1",
        "CI_PROJECT_NAMESPACE_ID": "2",
        "CI_PIPELINE_SOURCE": "push",
        "CI_REGISTRY": "registry.gitlab.example",
    }
    predicate = {
        "buildType": "https://github.com/npm/cli/gitlab/v0alpha1",
        "builder": {"id": f"{project}/-/runners/12270852"},
        "invocation": {"configSource": source | {"entryPoint": "publish"}, "parameters": variables},
        "metadata": {"buildInvocationId": f"{project}/-/jobs/8415"},
        "materials": [source],
    }
    found = read(predicate, V0_2)
    assert found.build == Identity(
        server="https://gitlab.com",
        repository="acme/libs",
        repository_id="1",
        owner_id="2",
        workflow=".gitlab-ci.yml",
        commit=COMMIT,
        trigger="push",
        run="8415",
    )
    assert found.unknown_parameters == ()
    predicate["invocation"]["parameters"] |= {"CI_EVIL": "1"}  # type: ignore[index]
    assert read(predicate, V0_2).unknown_parameters == ("CI_EVIL",)


def test_gitlabs_runner_names_its_source_and_job() -> None:
    source = "https://gitlab.com/acme/group/libs"
    kind = "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v17.0.0/PROVENANCE.md"
    parameters = {"source": source, "entryPoint": "build", "variables": {}}
    found = read(_v1(kind, parameters, [{"uri": source, "digest": {"sha256": COMMIT}}], "8415"))
    assert found.build == Identity(server="https://gitlab.com", repository="acme/group/libs", commit=COMMIT, run="8415")
    assert found.unknown_parameters == ()


def test_cloud_build_names_its_configuration() -> None:
    config = {"path": "cloudbuild.yaml", "ref": "refs/heads/main", "repository": f"git+{REPOSITORY}"}
    kind = "https://cloud.google.com/build/gcb-buildtypes/google-worker/v1"
    found = read(_v1(kind, {"buildConfigSource": config, "substitutions": {}}, []))
    assert (found.build.repository, found.build.workflow, found.build.ref) == (
        "acme/libs",
        "cloudbuild.yaml",
        "refs/heads/main",
    )


def test_tekton_names_its_source_where_there_is_just_one() -> None:
    kind = "https://tekton.dev/chains/v2/slsa"
    one = {"uri": f"git+{REPOSITORY}.git", "digest": {"sha1": COMMIT}}
    image = {"uri": "oci://oci.acme.example/base", "digest": {"sha256": "1" * 64}}
    found = read(_v1(kind, {"runSpec": {}}, [image, one]))
    assert (found.build.repository, found.build.commit) == ("acme/libs", COMMIT)
    other = {"uri": "git+https://github.com/evil/libs", "digest": {"sha1": COMMIT}}
    assert read(_v1(kind, {"runSpec": {}}, [one, other])).build == Identity()


def test_tektons_definitions_are_not_its_source() -> None:
    kind = "https://tekton.dev/chains/v2/slsa-tekton"
    source: dict[str, Any]
    definitions = [
        {"name": name, "uri": "git+https://github.com/acme/pipelines.git", "digest": {"sha1": "b" * 40}}
        for name in ("pipeline", "pipelineTask", "task")
    ]
    source = {"name": "inputs/result", "uri": f"git+{REPOSITORY}.git", "digest": {"sha1": COMMIT}}
    found = read(_v1(kind, {"runSpec": {"params": [{"name": "url", "value": REPOSITORY}]}}, [*definitions, source]))
    assert (found.build, found.unknown_parameters) == (
        Identity(server="https://github.com", repository="acme/libs", commit=COMMIT),
        (),
    )
    assert read(_v1(kind, {"runSpec": {}}, definitions)).build == Identity()
    twice = source | {"digest": {"sha1": "b" * 40}}
    assert read(_v1(kind, {"runSpec": {}}, [source, twice])).build.commit is None


@pytest.mark.parametrize(
    "kind",
    [
        "tekton.dev/v1beta1/TaskRun",
        "tekton.dev/v1/PipelineRun",
        "https://tekton.dev/attestations/chains@v2",
        "https://tekton.dev/attestations/chains/pipelinerun@v2",
    ],
)
def test_tektons_older_provenance_has_the_pipelines_own_parameters(kind: str) -> None:
    predicate: dict[str, Any] = {
        "builder": {"id": "https://tekton.dev/chains/v2"},
        "buildType": kind,
        "buildConfig": {"tasks": []},
        "invocation": {
            "configSource": {},
            "environment": {"labels": {"tekton.dev/pipeline": "build"}},
            "parameters": {"IMAGE": "oci.acme.example/app:v1", "CHAINS-GIT_URL": REPOSITORY},
        },
        "materials": [
            {"uri": "oci://oci.acme.example/base", "digest": {"sha256": "1" * 64}},
            {"uri": f"git+{REPOSITORY}.git", "digest": {"sha1": COMMIT}},
        ],
    }
    found = read(predicate, V0_2)
    assert (found.builder, found.unknown_parameters) == ("https://tekton.dev/chains/v2", ())
    assert found.build == Identity(server="https://github.com", repository="acme/libs", commit=COMMIT)
    github = "https://github.com/npm/cli/gha/v2"  # there, parameters are the build type's own
    assert read(predicate | {"buildType": github}, V0_2).unknown_parameters == ("CHAINS-GIT_URL", "IMAGE")


GITLAB = "https://gitlab.com/acme/group/libs"
GITLAB_SAYS = {"server": "https://gitlab.com", "repository": "acme/group/libs", "commit": COMMIT, "run": "8415"}


def test_gitlabs_own_provenance_is_read_with_its_variables() -> None:
    kind = "https://docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1"
    variables = {"CI_PROJECT_ID": "55", "CI_PIPELINE_SOURCE": "push", "SECRET": "[MASKED]"}
    parameters = {"source": GITLAB, "entryPoint": "build", "variables": variables}
    predicate = _v1(kind, parameters, [{"uri": GITLAB, "digest": {"gitCommit": COMMIT}}])
    predicate["buildDefinition"]["internalParameters"] = {"name": "r", "executor": "docker", "job": 8415}
    predicate["runDetails"] = {"builder": {"id": f"{GITLAB}/-/runners/9"}, "metadata": {"invocationId": "8415"}}
    found = read(predicate)
    assert found.build == Identity(**GITLAB_SAYS, repository_id="55", trigger="push")
    assert found.unknown_parameters == ()
    predicate["runDetails"]["metadata"] = {}
    assert read(predicate).build.run == "8415"


@pytest.mark.parametrize(
    ("kind", "digest", "uri"),
    [
        ("https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v15.1.0/PROVENANCE.md", "sha256", GITLAB),
        ("https://github.com/npm/cli/gitlab/v0alpha1", "sha1", f"git+{GITLAB}"),
    ],
)
def test_gitlabs_older_provenance_has_variables_for_parameters(kind: str, digest: str, uri: str) -> None:
    values = {"CI": "true", "CI_PROJECT_ID": "55", "CI_PIPELINE_SOURCE": "push"}
    predicate: dict[str, Any] = {
        "builder": {"id": f"{GITLAB}/-/runners/9"},
        "buildType": kind,
        "invocation": {
            "configSource": {"uri": uri, "digest": {digest: COMMIT}, "entryPoint": "build"},
            "parameters": values,
            "environment": {"name": "r", "executor": "docker", "architecture": "amd64", "job": {"id": 8415}},
        },
        "metadata": {"buildInvocationId": f"{GITLAB}/-/jobs/8415"},
        "materials": [{"uri": uri, "digest": {digest: COMMIT}}],
    }
    found = read(predicate, V0_2)
    assert found.build == Identity(**GITLAB_SAYS, repository_id="55", trigger="push")
    assert found.unknown_parameters == ()
    predicate["invocation"] = predicate["invocation"] | {
        "parameters": dict.fromkeys(values, "")
    }  # the runner hides them
    assert read(predicate, V0_2).build == Identity(**GITLAB_SAYS)
    assert read(predicate | {"materials": []}, V0_2).build == Identity(**GITLAB_SAYS)  # the runner lists none


def test_cloud_build_may_build_another_source_than_its_configurations() -> None:
    kind = "https://cloud.google.com/build/gcb-buildtypes/google-worker/v1"
    config = {"path": "cloudbuild.yaml", "ref": "refs/heads/main", "repository": "git+https://github.com/acme/builds"}
    source = {"repository": f"git+{REPOSITORY}.git", "ref": "refs/tags/v1.0.0", "dir": "libs"}
    dependency = {"uri": f"git+{REPOSITORY}.git@{COMMIT}", "digest": {"gitCommit": COMMIT}}
    found = read(_v1(kind, {"buildConfigSource": config, "sourceToBuild": source, "substitutions": {}}, [dependency]))
    assert found.unknown_parameters == ()
    assert found.build == Identity(
        server="https://github.com", repository="acme/libs", ref="refs/tags/v1.0.0", commit=COMMIT
    )
    inline = read(_v1(kind, {"buildConfig": "steps: []", "substitutions": {"_A": "b"}}, [dependency]))
    assert inline.unknown_parameters == ()
    assert inline.build == Identity(server="https://github.com", repository="acme/libs", commit=COMMIT)
    assert read(_v1(kind, {"substitutions": {}}, [])).build == Identity()


def test_the_container_based_build_names_its_source() -> None:
    source = {"uri": f"git+{REPOSITORY}@refs/tags/v1.0.0", "digest": {"sha1": COMMIT}}
    parameters = {"source": source, "configPath": "x", "builderImage": {}}
    found = read(_v1("https://slsa.dev/container-based-build/v0.1?draft", parameters, []))
    assert (found.build.repository, found.build.commit, found.build.ref) == ("acme/libs", COMMIT, "refs/tags/v1.0.0")


def test_every_known_build_type_defines_what_it_may_be_given() -> None:
    assert all(kind.parameters for kind in BUILD_TYPES.values())


SUMMARY = "https://slsa.dev/verification_summary/v1"
GOOD_SUMMARY: dict[str, Any] = {
    "verifier": {"id": "https://verifier.acme.example"},
    "timeVerified": "2026-11-24T12:00:00Z",
    "resourceUri": "pkg:pypi/acme-lib@1.0.0",
    "policy": {"uri": "https://acme.example/policy", "digest": {"sha256": "a" * 64, "gitCommit": "b" * 40}},
    "verificationResult": "PASSED",
    "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
}


def summary(predicate: Any, kind: str = SUMMARY) -> Summary | None:
    return read_summary(Statement(kind, (), predicate))


def test_a_verification_summary_is_read_with_its_verifier_and_levels() -> None:
    assert summary(GOOD_SUMMARY) == Summary(
        "https://verifier.acme.example",
        "pkg:pypi/acme-lib@1.0.0",
        passed=True,
        levels=("SLSA_BUILD_LEVEL_3",),
        policy="https://acme.example/policy",
        policy_digests=(Digest("sha256", "a" * 64),),
    )
    failed = summary(GOOD_SUMMARY | {"verificationResult": "FAILED"})
    assert failed is not None
    assert not failed.passed
    assert summary(GOOD_SUMMARY, V1) is None


@pytest.mark.parametrize(
    "change",
    [
        {"verifier": {}},
        {"verifier": None},
        {"resourceUri": None},
        {"verificationResult": "passed"},
        {"verificationResult": True},
        {"verifiedLevels": "SLSA_BUILD_LEVEL_3"},
        {"verifiedLevels": [3]},
        {"verifiedLevels": None},
        {"policy": []},
        {"policy": {"digest": []}},
        {"policy": {"digest": {"sha256": "A" * 64}}},
        {"policy": {"digest": {"sha256": 1}}},
    ],
)
def test_a_summary_of_a_wrong_shape_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        summary(GOOD_SUMMARY | change)
