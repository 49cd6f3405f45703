"""The sandbox's statements are those that real signers write, and any one value can be made to contradict."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox import (
    NPM_GITHUB_BUILD,
    Removed,
    github_identity,
    publish_attestation,
    slsa_provenance,
)
from gateway.sandbox.statements import to_bytes
from tests.lab import sigstore as lab
from tests.lab.tools import ROOT, absent

DATA = ROOT.parent / "shared" / "data"


def real(name: str) -> dict[str, Any]:
    path = Path(DATA, name)
    if not path.exists():
        absent(f"the real data is not there: {path}")
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_npm_provenance_is_what_a_real_release_carries_byte_for_byte() -> None:
    payload = base64.b64decode(real("github-cli/sigstore-js-2.1.0-bundle.json")["dsseEnvelope"]["payload"])
    subject = json.loads(payload)["subject"][0]
    build = github_identity(
        "sigstore/sigstore-js",
        ref="refs/heads/main",
        commit="26d16513386ffaa790b1c32f927544f1322e4194",
        repository_id="495574555",
        owner_id="71096353",
        run="6014488666",
    )

    made = slsa_provenance([(subject["name"], subject["digest"])], build, build_type=NPM_GITHUB_BUILD)

    assert to_bytes(made) == payload


def test_a_publish_attestation_is_what_a_real_release_carries_byte_for_byte() -> None:
    attestation = real("pypi-attestations/gitlab_oidc_project-0.0.3.tar.gz.publish.attestation")
    payload = base64.b64decode(attestation["envelope"]["statement"])
    subject = json.loads(payload)["subject"][0]

    assert to_bytes(publish_attestation([(subject["name"], subject["digest"])])) == payload


def test_github_names_its_builder_by_the_workflow_that_signs_and_says_where_it_ran() -> None:
    build = github_identity(build_signer="acme/ci/.github/workflows/build.yml@refs/tags/v3")

    predicate = slsa_provenance([lab.subject()], build)["predicate"]

    assert predicate["runDetails"]["builder"]["id"] == f"https://github.com/{build.build_signer}"
    assert predicate["buildDefinition"]["internalParameters"]["github"] == {
        "event_name": "push",
        "repository_id": build.repository_id,
        "repository_owner_id": build.owner_id,
        "runner_environment": "github-hosted",
    }


def test_a_change_sets_one_value_by_its_path_and_leaves_the_good_statement_alone() -> None:
    good = slsa_provenance([lab.subject()], lab.SIGNER)
    spoiled = slsa_provenance(
        [lab.subject()],
        lab.SIGNER,
        changes={
            "buildDefinition.externalParameters.workflow.ref": "refs/heads/main",
            "buildDefinition.resolvedDependencies.0.digest.gitCommit": "0" * 40,
            "runDetails.metadata.invocationId": Removed,
        },
    )

    assert spoiled["predicate"]["buildDefinition"]["externalParameters"]["workflow"]["ref"] == "refs/heads/main"
    assert spoiled["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"] == {"gitCommit": "0" * 40}
    assert spoiled["predicate"]["runDetails"]["metadata"] == {}
    assert good == slsa_provenance([lab.subject()], lab.SIGNER)


def test_a_change_through_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        slsa_provenance([lab.subject()], lab.SIGNER, changes={"buildDefinition.elsewhere.ref": "x"})
