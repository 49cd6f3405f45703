"""SLSA provenance, v1 and v0.2: what a predicate says of the build, in the fields of `Identity`.

Specification: https://slsa.dev/spec/v1.2/provenance. `BUILD_TYPES` says, build type by build type, which external
parameters are defined and how the rest maps. An unknown build type maps nothing, and each of its external parameters is
unknown; unknown extension fields anywhere else are ignored, as the specification asks.

These are claims: `policy` compares them with the certificate, which is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.errors import Malformed
from gateway.model.evidence import Provenance
from gateway.model.identity import (
    Identity,
    Shape,
    path_of,
    plain,
    repository_of,
    run_of,
    signer_of,
)
from gateway.strict import json
from gateway.strict.json import Json, Object
from gateway.verification.statement import Statement

SLSA_V1: Final = "https://slsa.dev/provenance/v1"
SLSA_V0_2: Final = "https://slsa.dev/provenance/v0.2"
_ABOUT: Final = "provenance"
_GITHUB: Final = "https://github.com"
_RUNNER: Final = f"{_GITHUB}/actions/runner/"
_DEPENDENCIES: Final = 4096  # count; Tekton lists every base image and module


@dataclass(frozen=True, slots=True)
class _Said:
    """The parts of a predicate that the readers use, the same for both versions."""

    builder: str | None
    parameters: Object  # externalParameters, or invocation.parameters
    internal: Object  # internalParameters, or invocation.environment
    source: Object  # invocation.configSource, v0.2 alone
    dependencies: tuple[Object, ...]
    invocation: str | None


@dataclass(frozen=True, slots=True)
class BuildType:
    """One build type: the external parameters it defines, and the reader of its fields.

    `spread`: the one of them whose members v0.2 has as its parameters, each under a name of the project's own.
    """

    parameters: frozenset[str]
    read: Callable[[_Said], Mapping[str, str | None]]
    spread: str | None = None


def read_provenance(statement: Statement) -> Provenance | None:
    """Read a provenance predicate, or return None for another predicate; raises `Malformed` for a wrong shape."""
    if statement.predicate_type not in {SLSA_V1, SLSA_V0_2}:
        return None
    predicate = json.expect(statement.predicate, dict, _ABOUT)
    build_type, said = (_said_v1 if statement.predicate_type == SLSA_V1 else _said_v0_2)(predicate)
    known = _build_type(build_type)
    if known is None:
        return Provenance(said.builder, build_type, Identity(), tuple(sorted(said.parameters)))
    if known.spread is not None and statement.predicate_type == SLSA_V0_2:
        said = replace(said, parameters={known.spread: said.parameters})
    unknown = tuple(sorted(set(said.parameters) - known.parameters))
    found = {"runner": _runner(said.builder), "build_signer": signer_of(said.builder, _GITHUB, None, github=True)}
    return Provenance(said.builder, build_type, Identity(**found | dict(known.read(said))), unknown)


def _said_v1(predicate: Object) -> tuple[str | None, _Said]:
    definition = json.field(predicate, "buildDefinition", dict, _ABOUT)
    details = json.field(predicate, "runDetails", dict, _ABOUT)
    builder = json.optional(details, "builder", dict, _ABOUT) or {}
    metadata = json.optional(details, "metadata", dict, _ABOUT) or {}
    # The specification's own spelling changed between drafts; GitLab still writes the older.
    invocation = _text(metadata, "invocationId") or _text(metadata, "invocationID")
    return _text(definition, "buildType"), _Said(
        _text(builder, "id"),
        json.optional(definition, "externalParameters", dict, _ABOUT) or {},
        json.optional(definition, "internalParameters", dict, _ABOUT) or {},
        {},
        _objects(definition, "resolvedDependencies"),
        invocation,
    )


def _said_v0_2(predicate: Object) -> tuple[str | None, _Said]:
    builder = json.optional(predicate, "builder", dict, _ABOUT) or {}
    invocation = json.optional(predicate, "invocation", dict, _ABOUT) or {}
    metadata = json.optional(predicate, "metadata", dict, _ABOUT) or {}
    parameters = invocation.get("parameters")
    return _text(predicate, "buildType"), _Said(
        _text(builder, "id"),
        parameters if isinstance(parameters, dict) else {},
        json.optional(invocation, "environment", dict, _ABOUT) or {},
        json.optional(invocation, "configSource", dict, _ABOUT) or {},
        _objects(predicate, "materials"),
        _text(metadata, "buildInvocationId") or _text(metadata, "buildInvocationID"),
    )


# --- Readers, one for each family of build types ------------------------------------------------------------------


def _github_workflow(said: _Said) -> Mapping[str, str | None]:
    """GitHub's own build type, as `actions/attest-build-provenance` and the npm CLI write it."""
    workflow = json.optional(said.parameters, "workflow", dict, _ABOUT) or {}
    github = json.optional(said.internal, "github", dict, _ABOUT) or {}
    server, repository = repository_of(_text(workflow, "repository"))
    ref = plain(Shape.REF, _text(workflow, "ref"))
    _same_source(said.dependencies, server, repository, ref)
    found = {
        "server": server,
        "repository": repository,
        "ref": ref,
        "workflow": path_of(_text(workflow, "path")),
        "commit": _commit(said.dependencies, server, repository),
        "trigger": plain(Shape.TEXT, _text(github, "event_name")),
        "repository_id": _number(github, "repository_id"),
        "owner_id": _number(github, "repository_owner_id"),
        **_run(said, server, repository),
    }
    runner = plain(Shape.TEXT, _text(github, "runner_environment"))
    return found if runner is None else found | {"runner": runner}


def _github_environment(said: _Said) -> Mapping[str, str | None]:
    """The npm CLI's v0.2 provenance and the SLSA generators': GitHub's variables, in upper or lower case."""
    environment = {key.upper(): value for key, value in said.internal.items()}
    server, repository, ref = _git(_text(said.source, "uri") or _first_uri(said.dependencies))
    digest = json.optional(said.source, "digest", dict, _ABOUT) or {}
    source = json.optional(said.parameters, "source", dict, _ABOUT) or {}
    if repository is None:
        server, repository, ref = _git(_text(source, "uri"))
        digest = json.optional(source, "digest", dict, _ABOUT) or {}
    commit = plain(Shape.COMMIT, _text(digest, "sha1") or _text(digest, "gitCommit"))
    return {
        "server": server,
        "repository": repository,
        "ref": plain(Shape.REF, _text(environment, "GITHUB_REF")) or ref,
        "workflow": path_of(_text(said.source, "entryPoint")),
        "commit": commit or _commit(said.dependencies, server, repository),
        "trigger": plain(Shape.TEXT, _text(environment, "GITHUB_EVENT_NAME")),
        "repository_id": _number(environment, "GITHUB_REPOSITORY_ID"),
        "owner_id": _number(environment, "GITHUB_REPOSITORY_OWNER_ID"),
        "run": _number(environment, "GITHUB_RUN_ID"),
        "attempt": _number(environment, "GITHUB_RUN_ATTEMPT"),
    }


def _gitlab_job(said: _Said) -> Mapping[str, str | None]:
    """A job of GitLab's, as its runner and GitLab itself write it."""
    uri = _text(said.parameters, "source") or _text(said.source, "uri") or ""
    server, repository = repository_of(uri.removeprefix("git+").removesuffix(".git"))
    variables = json.optional(said.parameters, "variables", dict, _ABOUT) or {}
    job = said.internal.get("job")
    within = _number(job, "id") if isinstance(job, dict) else _number(said.internal, "job")
    return {
        "server": server,
        "repository": repository,
        "commit": _commit((said.source, *said.dependencies), server, repository),
        "repository_id": _number(variables, "CI_PROJECT_ID"),
        "trigger": plain(Shape.TEXT, _text(variables, "CI_PIPELINE_SOURCE") or None),
        "run": plain(Shape.NUMBER, said.invocation) or within,
        "build_signer": None,
        "runner": None,
    }


def _npm_in_gitlab(said: _Said) -> Mapping[str, str | None]:
    """The npm CLI in GitLab CI: the job's variables are its parameters, and the job is named by its address."""
    found = dict(_gitlab_job(said))
    run, _ = run_of(said.invocation, found["server"], found["repository"])
    variables = said.parameters
    return found | {
        "workflow": path_of(_text(variables, "CI_CONFIG_PATH")),
        "repository_id": _number(variables, "CI_PROJECT_ID"),
        "owner_id": _number(variables, "CI_PROJECT_NAMESPACE_ID"),
        "trigger": plain(Shape.TEXT, _text(variables, "CI_PIPELINE_SOURCE")),
        "run": run,
    }


def _cloud_build(said: _Said) -> Mapping[str, str | None]:
    """Google Cloud Build's worker; the source is that of the configuration unless another one is named."""
    config = json.optional(said.parameters, "buildConfigSource", dict, _ABOUT) or {}
    source = json.optional(said.parameters, "sourceToBuild", dict, _ABOUT) or config
    if not source:  # an inline configuration: its only git repository, as for Tekton
        return _only_source(said.dependencies)
    place = _text(source, "repository") or ""
    server, repository = repository_of(place.removeprefix("git+").removesuffix(".git"))
    return {
        "server": server,
        "repository": repository,
        "ref": plain(Shape.REF, _text(source, "ref")),
        # A path in another repository is no workflow of this one.
        "workflow": path_of(_text(config, "path")) if _text(config, "repository") == place else None,
        "commit": _commit(said.dependencies, server, repository),
        "build_signer": None,
    }


def _tekton(said: _Said) -> Mapping[str, str | None]:
    """Tekton Chains: the source is the only git repository among what is no definition of the pipeline itself."""
    inputs = [one for one in said.dependencies if _text(one, "name") not in _DEFINITIONS]
    return _only_source(inputs)


def _only_source(dependencies: Sequence[Object]) -> Mapping[str, str | None]:
    sources = {found for one in dependencies if (found := _git(_text(one, "uri")))[1] is not None}
    if len({(server, repository) for server, repository, _ in sources}) != 1:
        return {"build_signer": None}
    server, repository, _ = next(iter(sources))
    refs = {ref for *_, ref in sources}
    return {
        "server": server,
        "repository": repository,
        "ref": refs.pop() if len(refs) == 1 else None,
        "commit": _commit(dependencies, server, repository),
        "build_signer": None,
    }


# What Tekton Chains calls the dependencies that hold a pipeline's or a task's definition.
_DEFINITIONS: Final = frozenset({"pipeline", "pipelineTask", "task"})
_GITHUB_WORKFLOW: Final = BuildType(frozenset({"workflow", "inputs", "vars"}), _github_workflow)
_GITHUB_ENVIRONMENT: Final = BuildType(
    frozenset({"inputs", "vars", "source", "workflow", "event_inputs"}), _github_environment
)
_CONTAINER_BASED: Final = BuildType(frozenset({"source", "configPath", "builderImage"}), _github_environment)
_GITLAB: Final = BuildType(frozenset({"entryPoint", "source", "variables"}), _gitlab_job, spread="variables")
# What the npm CLI writes down of a job of GitLab CI, each with CI_ before it (libnpmpublish, provenance.js).
_VARIABLES: Final = (
    "API_GRAPHQL_URL API_V4_URL BUILD_BEFORE_SHA BUILD_ID BUILD_NAME BUILD_REF BUILD_REF_NAME BUILD_REF_SLUG "
    "BUILD_STAGE COMMIT_BEFORE_SHA COMMIT_BRANCH COMMIT_REF_NAME COMMIT_REF_PROTECTED COMMIT_REF_SLUG COMMIT_SHA "
    "COMMIT_SHORT_SHA COMMIT_TIMESTAMP COMMIT_TITLE CONFIG_PATH DEFAULT_BRANCH "
    "DEPENDENCY_PROXY_DIRECT_GROUP_IMAGE_PREFIX DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX DEPENDENCY_PROXY_SERVER "
    "DEPENDENCY_PROXY_USER JOB_ID JOB_NAME JOB_NAME_SLUG JOB_STAGE JOB_STARTED_AT JOB_URL NODE_TOTAL PAGES_DOMAIN "
    "PAGES_URL PIPELINE_CREATED_AT PIPELINE_ID PIPELINE_IID PIPELINE_SOURCE PIPELINE_URL PROJECT_CLASSIFICATION_LABEL "
    "PROJECT_DESCRIPTION PROJECT_ID PROJECT_NAME PROJECT_NAMESPACE PROJECT_NAMESPACE_ID PROJECT_PATH "
    "PROJECT_PATH_SLUG PROJECT_REPOSITORY_LANGUAGES PROJECT_ROOT_NAMESPACE PROJECT_TITLE PROJECT_URL "
    "PROJECT_VISIBILITY REGISTRY REGISTRY_IMAGE REGISTRY_USER RUNNER_DESCRIPTION RUNNER_ID RUNNER_TAGS SERVER_HOST "
    "SERVER_NAME SERVER_PORT SERVER_PROTOCOL SERVER_REVISION SERVER_SHELL_SSH_HOST SERVER_SHELL_SSH_PORT SERVER_URL "
    "SERVER_VERSION SERVER_VERSION_MAJOR SERVER_VERSION_MINOR SERVER_VERSION_PATCH TEMPLATE_REGISTRY_HOST"
)
_NPM_IN_GITLAB: Final = BuildType(
    frozenset({*(f"CI_{name}" for name in _VARIABLES.split()), "CI", "GITLAB_CI", "GITLAB_FEATURES"})
    | {"GITLAB_USER_ID", "GITLAB_USER_LOGIN", "RUNNER_GENERATE_ARTIFACTS_METADATA"},
    _npm_in_gitlab,
)
_CLOUD_BUILD: Final = BuildType(
    frozenset({"buildConfig", "buildConfigSource", "sourceToBuild", "substitutions"}), _cloud_build
)
_TEKTON: Final = BuildType(frozenset({"runSpec"}), _tekton, spread="runSpec")
_GENERATOR: Final = f"{_GITHUB}/slsa-framework/slsa-github-generator"

BUILD_TYPES: Final[Mapping[str, BuildType]] = {
    "https://actions.github.io/buildtypes/workflow/v1": _GITHUB_WORKFLOW,
    "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1": _GITHUB_WORKFLOW,
    f"{_GITHUB}/npm/cli/gha/v2": _GITHUB_ENVIRONMENT,
    f"{_GITHUB}/npm/cli/gha@v1": _GITHUB_ENVIRONMENT,
    f"{_GENERATOR}/generic@v1": _GITHUB_ENVIRONMENT,
    f"{_GENERATOR}/go@v1": _GITHUB_ENVIRONMENT,
    f"{_GENERATOR}/container@v1": _GITHUB_ENVIRONMENT,
    f"{_GENERATOR}/delegator-generic@v0": _GITHUB_ENVIRONMENT,
    f"{_GENERATOR}/delegator-lowperms-generic@v0": _GITHUB_ENVIRONMENT,
    "https://slsa.dev/container-based-build/v0.1?draft": _CONTAINER_BASED,
    f"{_GITHUB}/npm/cli/gitlab/v0alpha1": _NPM_IN_GITLAB,
    "https://docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1": _GITLAB,
    "https://cloud.google.com/build/gcb-buildtypes/google-worker/v1": _CLOUD_BUILD,
    "https://tekton.dev/chains/v2/slsa": _TEKTON,
    "https://tekton.dev/chains/v2/slsa-tekton": _TEKTON,
    "https://tekton.dev/attestations/chains@v2": _TEKTON,
    "https://tekton.dev/attestations/chains/pipelinerun@v2": _TEKTON,
    "tekton.dev/v1beta1/TaskRun": _TEKTON,
    "tekton.dev/v1beta1/PipelineRun": _TEKTON,
    "tekton.dev/v1/TaskRun": _TEKTON,
    "tekton.dev/v1/PipelineRun": _TEKTON,
}
# GitLab names its runner's version in the build type.
_GITLAB_RUNNER: Final = "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/"


def _build_type(name: str | None) -> BuildType | None:
    if name is not None and name.startswith(_GITLAB_RUNNER) and name.endswith("/PROVENANCE.md"):
        return _GITLAB
    return None if name is None else BUILD_TYPES.get(name)


# --- Parts --------------------------------------------------------------------------------------------------------


def _runner(builder: str | None) -> str | None:
    if builder is None or not builder.startswith(_RUNNER):
        return None
    return plain(Shape.TEXT, builder.removeprefix(_RUNNER))


def _run(said: _Said, server: str | None, repository: str | None) -> dict[str, str | None]:
    run, attempt = run_of(said.invocation, server, repository)
    return {"run": run, "attempt": attempt}


def _git(uri: str | None) -> tuple[str | None, str | None, str | None]:
    """Split `git+https://host/a/b@refs/heads/main` into server, repository and ref."""
    if uri is None or not uri.startswith("git+"):
        return None, None, None
    place, _, ref = uri.removeprefix("git+").partition("@")
    return *repository_of(place.removesuffix(".git")), plain(Shape.REF, ref)


def _same_source(dependencies: tuple[Object, ...], server: str | None, repository: str | None, ref: str | None) -> None:
    """What was checked out is the workflow's own source, where both are told, or the predicate contradicts itself."""
    sources = [one for dependency in dependencies if (one := _git(_text(dependency, "uri")))[1] is not None]
    own = (server, repository, ref)
    if sources and None not in own and not any(one in {own, (server, repository, None)} for one in sources):
        raise Malformed(f"{_ABOUT}.resolvedDependencies", "another source than the workflow's")


def _first_uri(dependencies: tuple[Object, ...]) -> str | None:
    return _text(dependencies[0], "uri") if dependencies else None


def _commit(dependencies: Sequence[Object], server: str | None, repository: str | None) -> str | None:
    """Return the commit of that repository, where the dependencies name exactly one."""
    found: set[str | None] = set()
    for dependency in dependencies:
        uri = _text(dependency, "uri") or ""
        place = uri.removeprefix("git+").partition("@")[0].removesuffix(".git")
        if repository is not None and repository_of(place) == (server, repository):
            digest = json.optional(dependency, "digest", dict, _ABOUT) or {}
            values = [_text(digest, name) for name in ("gitCommit", "sha1", "sha256")]  # GitLab calls it sha256
            found.update(plain(Shape.COMMIT, value) for value in values if value is not None)
    return found.pop() if len(found) == 1 else None


def _text(obj: Object, key: str) -> str | None:
    return json.optional(obj, key, str, _ABOUT)


def _number(obj: Object, key: str) -> str | None:
    value: Json = obj.get(key)
    if value is None or value == "":
        return None
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise Malformed(f"{_ABOUT}.{key}", "not a number")
    return plain(Shape.NUMBER, value)


def _objects(obj: Object, key: str) -> tuple[Object, ...]:
    if obj.get(key) is None:
        return ()
    return tuple(json.items(obj, key, dict, _ABOUT, most=_DEPENDENCIES))
