"""The identity reader: one good certificate and token each, and hostile texts that come close to them."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.model.identity import (
    FIELDS,
    Contradiction,
    Identity,
    Shape,
    from_certificate,
    from_claims,
    path_of,
    plain,
    repository_of,
    run_of,
    signer_of,
    workflow_of,
)

SERVER = "https://github.com"
REPOSITORY = f"{SERVER}/acme/libs"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1.0.0"
COMMIT = "a" * 40
ISSUER = "https://token.actions.githubusercontent.com"
GITHUB = {
    8: ISSUER,
    9: WORKFLOW,
    10: COMMIT,
    11: "github-hosted",
    12: REPOSITORY,
    13: COMMIT,
    14: "refs/tags/v1.0.0",
    15: "763287532",
    16: f"{SERVER}/acme",
    17: "44036562",
    18: WORKFLOW,
    19: COMMIT,
    20: "push",
    21: f"{REPOSITORY}/actions/runs/8788389601/attempts/2",
    22: "private",
    23: "production",
}
LEGACY = {1: ISSUER, 2: "push", 3: COMMIT, 4: "Release", 5: "acme/libs", 6: "refs/tags/v1.0.0"}
EXPECTED = Identity(
    issuer=ISSUER,
    subject=WORKFLOW,
    server=SERVER,
    repository="acme/libs",
    repository_id="763287532",
    owner="acme",
    owner_id="44036562",
    workflow=".github/workflows/release.yml",
    build_signer="acme/libs/.github/workflows/release.yml@refs/tags/v1.0.0",
    ref="refs/tags/v1.0.0",
    commit=COMMIT,
    runner="github-hosted",
    trigger="push",
    run="8788389601",
    attempt="2",
    visibility="private",
    environment="production",
)


def test_a_github_certificate_fills_every_field() -> None:
    assert from_certificate(WORKFLOW, GITHUB) == EXPECTED
    assert from_certificate(WORKFLOW, GITHUB | LEGACY) == EXPECTED


def test_every_field_of_the_identity_stands_in_the_table_once() -> None:
    names = [row.name for row in FIELDS]
    assert sorted([*names, "server"]) == sorted(field.name for field in dataclasses.fields(Identity))


def test_an_old_certificate_is_read_by_its_legacy_extensions() -> None:
    found = from_certificate(WORKFLOW, LEGACY)
    assert found == Identity(
        issuer=ISSUER,
        subject=WORKFLOW,
        server=SERVER,
        repository="acme/libs",
        ref="refs/tags/v1.0.0",
        commit=COMMIT,
        trigger="push",
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "https://gitlab.com"), (2, "pull_request"), (3, "b" * 40), (5, "evil/libs"), (6, "refs/heads/main")],
)
def test_a_certificate_that_contradicts_itself_is_refused(number: int, text: str) -> None:
    with pytest.raises(Contradiction):
        from_certificate(WORKFLOW, GITHUB | LEGACY | {number: text})


@pytest.mark.parametrize("number", sorted(GITHUB))
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: f"{text}\n",
        lambda text: f"{text}\r\n",
        lambda text: f"\u200b{text}",
        lambda text: text.replace("e", "\u0435"),  # a Cyrillic letter
        lambda text: text.replace("e", "e\u0301"),
        lambda text: f"{text}\x00",
        lambda text: f"{text}\u202e",
    ],
)
def test_a_field_with_hidden_or_look_alike_characters_is_none(number: int, spoil: object) -> None:
    assert callable(spoil)
    text = spoil(GITHUB[number])
    if text == GITHUB[number] or number in {10, 19}:  # no field of ours
        return
    found = from_certificate(WORKFLOW, GITHUB | {number: text})
    name = next(row.name for row in FIELDS if row.fulcio == number)
    assert getattr(found, name) is None


# Each text comes close to WORKFLOW; none may give a workflow or a build signer.
HOSTILE_WORKFLOWS = [
    f"{REPOSITORY}//.github/workflows/release.yml@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github//workflows/release.yml@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github/workflows/../workflows/release.yml@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github/workflows/release%2eyml@refs/tags/v1.0.0",
    f"{REPOSITORY}%2F.github/workflows/release.yml@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1.0.0@refs/heads/evil",
    f"{REPOSITORY}/.github/workflows/evil.yml@refs/heads/x@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github/workflows/release.yml@",
    f"{REPOSITORY}/.github/workflows/release.yml",
    f"{REPOSITORY}/.github/workflows/release.yml@v1.0.0 ",
    f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1.0.0\n",
    f"{REPOSITORY}/.github/workflows/rel\u0435ase.yml@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github\\workflows/release.yml@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github/workflows/release.yml#@refs/tags/v1.0.0",
    f"{REPOSITORY}/.github/workflows/release.yml?x=@refs/tags/v1.0.0",
    f"{REPOSITORY}-evil/.github/workflows/release.yml@refs/tags/v1.0.0\t",
    WORKFLOW.replace("https", "HTTPS"),
    WORKFLOW.replace("https://github.com", "https://github.com.evil.example"),
    WORKFLOW.replace("https://", "https://evil@"),
    WORKFLOW.replace("https://github.com", "//github.com"),
    WORKFLOW.replace("https://", ""),
    "",
]


@pytest.mark.parametrize("text", HOSTILE_WORKFLOWS)
def test_a_hostile_workflow_gives_nothing_rather_than_a_part_of_itself(text: str) -> None:
    found = from_certificate(WORKFLOW, GITHUB | {9: text, 18: text})
    assert (found.workflow, found.build_signer) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        f"{SERVER}/acme/ci/.github/workflows/build.yml@refs/tags/v3",
        f"{SERVER}/acme/ci/.github/workflows/build.yaml@{COMMIT}",
        f"{SERVER}/acme/ci/.github/workflows/build.yml@refs/tags/@acme/ci@3.0.0",
    ],
)
def test_a_reusable_workflow_is_named_whole_with_its_ref(text: str) -> None:
    assert from_certificate(WORKFLOW, GITHUB | {9: text}).build_signer == text.removeprefix(f"{SERVER}/")


@pytest.mark.parametrize(
    "text",
    [
        f"{SERVER}/acme/ci/build.yml@refs/tags/v3",
        f"{SERVER}/acme/ci/.github/workflows/deep/build.yml@refs/tags/v3",
        f"{SERVER}/acme/ci/.github/workflows/build.sh@refs/tags/v3",
        f"{SERVER}/acme/ci/.github/workflows/build.yml@v3",
        f"{SERVER}/acme/ci/.github/workflows/build.yml@{COMMIT}.yml@refs/heads/main",
        f"{SERVER}/acme/.github/workflows/build.yml@refs/tags/v3",
        "https://gitlab.com/acme/ci/.github/workflows/build.yml@refs/tags/v3",
    ],
)
def test_a_build_signer_of_another_shape_or_server_is_none(text: str) -> None:
    assert from_certificate(WORKFLOW, GITHUB | {9: text}).build_signer is None


def test_a_tag_that_holds_an_at_sign_is_read_by_the_known_ref() -> None:
    ref = "refs/tags/@acme/lib@1.0.0"
    text = f"{REPOSITORY}/.github/workflows/release.yml@{ref}"
    found = from_certificate(text, GITHUB | {9: text, 14: ref, 18: text})
    assert (found.workflow, found.ref) == (".github/workflows/release.yml", ref)
    assert found.build_signer == f"acme/libs/.github/workflows/release.yml@{ref}"


@pytest.mark.parametrize(
    "uri",
    [
        "https://github.com/acme",
        "https://github.com/acme/",
        "https://github.com/acme/libs/",
        "https://github.com//acme/libs",
        "https://github.com/acme/../libs",
        "https://github.com/acme/./libs",
        "https://github.com/acme/libs?x",
        "https://github.com/acme/libs#x",
        "https://github.com/acme/li%62s",
        "https://user@github.com/acme/libs",
        "https://GitHub.com/acme/libs",
        "https://github.com/acme/l\u0456bs",
        "https://github.com/acme/libs\n",
        "ftp://github.com/acme/libs",
        "github.com/acme/libs",
        "https:/github.com/acme/libs",
        "https://github.com./acme/libs",
    ],
)
def test_a_repository_of_another_shape_is_none_and_takes_what_hangs_on_it_along(uri: str) -> None:
    assert repository_of(uri) == (None, None)
    found = from_certificate(WORKFLOW, GITHUB | {12: uri})
    assert (found.server, found.repository, found.owner, found.workflow, found.run) == (None,) * 5


@pytest.mark.parametrize(
    "uri",
    [
        f"{REPOSITORY}/actions/runs/1/attempts/",
        f"{REPOSITORY}/actions/runs/1",
        f"{REPOSITORY}/actions/runs/1/attempts/1/",
        f"{REPOSITORY}/actions/runs/1\n/attempts/1",
        f"{REPOSITORY}/actions/runs/\u0661/attempts/1",
        f"{SERVER}/evil/libs/actions/runs/1/attempts/1",
        f"{REPOSITORY}/../libs/actions/runs/1/attempts/1",
        f"{REPOSITORY}x/actions/runs/1/attempts/1",
    ],
)
def test_a_run_of_another_shape_or_repository_is_none(uri: str) -> None:
    assert run_of(uri, SERVER, "acme/libs") == (None, None)


@pytest.mark.parametrize(
    "ref",
    [
        *("main", "heads/main", "refs/", "refs/heads/", "refs/heads/a..b", "refs/heads/a//b", "refs/heads/a b"),
        *("refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/a*", "refs/heads/[a"),
        *("refs/heads/a\\b", "refs/heads/a@{1}", "refs/heads/.a", "refs/heads/a.lock", "refs/heads/a.lock/b"),
        *("refs/heads/a.", "refs/heads/m\u0430in", "refs/heads/main\n", "refs/heads/a%2fb", "REFS/heads/main"),
    ],
)
def test_a_ref_that_git_would_not_take_is_none(ref: str) -> None:
    assert plain(Shape.REF, ref) is None


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1.0.0", "refs/pull/7/merge", "refs/tags/@a/b@1.0"])
def test_a_full_ref_is_itself(ref: str) -> None:
    assert plain(Shape.REF, ref) == ref


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", "a/..", "./a", "a\n", "a%20b", "a@b", " a", "a ", "\u0430"]
)
def test_a_path_that_could_be_read_two_ways_is_none(path: str) -> None:
    assert path_of(path) is None


def test_gitlab_parts_repository_and_path_by_two_slashes() -> None:
    server, repository, ref = "https://gitlab.com", "acme/group/libs", "refs/heads/main"
    uri = f"{server}/{repository}//ci/release.yml@{ref}"
    assert workflow_of(uri, server, repository, ref, github=False) == "ci/release.yml"
    assert signer_of(uri, server, ref, github=False) == f"{repository}/ci/release.yml@{ref}"
    assert workflow_of(uri, server, "acme/group", ref, github=False) is None
    evil = f"{server}/{repository}//ci/release.yml@{ref}/x.yml@refs/heads/evil"
    assert workflow_of(evil, server, repository, "refs/heads/evil", github=False) is None


GITHUB_CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "sub": "repo:acme/libs:ref:refs/tags/v1.0.0",
    "repository": "acme/libs",
    "repository_id": "763287532",
    "repository_owner": "acme",
    "repository_owner_id": 44036562,
    "workflow_ref": "acme/libs/.github/workflows/release.yml@refs/tags/v1.0.0",
    "job_workflow_ref": "acme/libs/.github/workflows/release.yml@refs/tags/v1.0.0",
    "ref": "refs/tags/v1.0.0",
    "ref_type": "tag",
    "sha": COMMIT,
    "runner_environment": "github-hosted",
    "event_name": "push",
    "run_id": "8788389601",
    "run_attempt": "2",
    "repository_visibility": "private",
    "environment": "production",
}
GITLAB_CLAIMS: dict[str, object] = {
    "iss": "https://gitlab.com",
    "sub": "project_path:acme/group/libs:ref_type:tag:ref:v1.0.0",
    "project_path": "acme/group/libs",
    "project_id": "55235664",
    "namespace_path": "acme/group",
    "namespace_id": "12885801",
    "ci_config_ref_uri": "gitlab.com/acme/group/libs//.gitlab-ci.yml@refs/tags/v1.0.0",
    "ref": "v1.0.0",
    "ref_type": "tag",
    "sha": COMMIT,
    "runner_environment": "gitlab-hosted",
    "pipeline_source": "push",
    "job_id": "8415754949",
    "project_visibility": "private",
}


def test_a_github_token_reads_like_the_certificate_it_would_get() -> None:
    found = from_claims(GITHUB_CLAIMS, gitlab=False)
    assert dataclasses.replace(found, subject=WORKFLOW) == EXPECTED


def test_a_gitlab_token_reads_its_ref_together_with_its_type() -> None:
    found = from_claims(GITLAB_CLAIMS, gitlab=True)
    assert (found.ref, found.workflow, found.run) == ("refs/tags/v1.0.0", ".gitlab-ci.yml", "8415754949")
    assert (found.server, found.repository, found.owner) == ("https://gitlab.com", "acme/group/libs", "acme/group")
    assert from_claims(GITLAB_CLAIMS | {"ref_type": "branch"}, gitlab=True).ref == "refs/heads/v1.0.0"
    assert from_claims(GITLAB_CLAIMS | {"ref_type": "merge_request"}, gitlab=True).ref is None
    assert from_claims({k: v for k, v in GITLAB_CLAIMS.items() if k != "ref_type"}, gitlab=True).ref is None


@pytest.mark.parametrize("value", [None, True, 1.5, ["push"], {"a": 1}])
def test_a_claim_of_another_type_is_none(value: object) -> None:
    found = from_claims(GITHUB_CLAIMS | dict.fromkeys(("event_name", "run_id", "repository"), value), gitlab=False)
    assert (found.trigger, found.run, found.repository, found.workflow) == (None,) * 4
