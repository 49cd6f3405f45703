"""The environment that a CI job gives to the programs it runs, for any identity; tokens come from a served sandbox."""

from __future__ import annotations

from urllib.parse import urlencode

from gateway.model.identity import Identity

GITHUB_TOKEN = "runner-token"  # what a runner asks the token service with; the sandbox takes any


def github(by: Identity, sandbox: str, **changed: str) -> dict[str, str]:
    """The variables of a job of GitHub Actions; `sandbox` is the address that its tokens come from."""
    assert by.server is not None
    asked = {"repository": by.repository, "workflow": by.workflow, "ref": by.ref, "runner": by.runner, "run": by.run}
    found = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": by.server,
        "GITHUB_REPOSITORY": by.repository,
        "GITHUB_REPOSITORY_ID": by.repository_id,
        "GITHUB_REPOSITORY_OWNER": by.owner,
        "GITHUB_REPOSITORY_OWNER_ID": by.owner_id,
        "GITHUB_WORKFLOW_REF": f"{by.repository}/{by.workflow}@{by.ref}",
        "GITHUB_REF": by.ref,
        "GITHUB_SHA": by.commit,
        "GITHUB_EVENT_NAME": by.trigger,
        "GITHUB_RUN_ID": by.run,
        "GITHUB_RUN_ATTEMPT": by.attempt,
        "RUNNER_ENVIRONMENT": by.runner,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": GITHUB_TOKEN,
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{sandbox}/oauth/token?{urlencode(asked)}",
    }
    return {name: value for name, value in found.items() if value is not None} | changed


def gitlab(by: Identity, token: str, **changed: str) -> dict[str, str]:
    """The variables of a job of GitLab CI whose `id_tokens` has SIGSTORE_ID_TOKEN."""
    project = f"{by.server}/{by.repository}"
    found = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER_URL": by.server,
        "CI_PROJECT_URL": project,
        "CI_PROJECT_PATH": by.repository,
        "CI_PROJECT_ID": by.repository_id,
        "CI_PROJECT_NAMESPACE_ID": by.owner_id,
        "CI_PROJECT_VISIBILITY": by.visibility,
        "CI_COMMIT_SHA": by.commit,
        "CI_COMMIT_REF_NAME": (by.ref or "").rpartition("/")[2],
        "CI_CONFIG_PATH": by.workflow,
        "CI_PIPELINE_SOURCE": by.trigger,
        "CI_PIPELINE_ID": "1",
        "CI_JOB_ID": by.run,
        "CI_JOB_NAME": "publish",
        "CI_JOB_URL": f"{project}/-/jobs/{by.run}",
        "CI_RUNNER_ID": "12270852",
        "CI_RUNNER_DESCRIPTION": "shared",
        "CI_RUNNER_EXECUTABLE_ARCH": "linux/amd64",
        "SIGSTORE_ID_TOKEN": token,
    }
    return {name: value for name, value in found.items() if value is not None} | changed
