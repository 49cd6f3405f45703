"""The real `npm publish --provenance` in a simulated CI job: the bundle is npm's own, Sigstore is a served sandbox.

npm's files stay as they are: a preload that lies here sends what is for the public Fulcio and Rekor to the sandbox.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.clients import Run
from gateway.model.identity import Identity
from gateway.sandbox import github_identity, gitlab_identity, slsa_provenance
from gateway.sandbox.server import serve
from gateway.sandbox.tokens import Issuer
from tests.lab import ci, signers
from tests.lab.node_clients import Home, lay
from tests.lab.npm_world import NpmWorld, npm_world
from tests.lab.tools import need

PRELOAD = Path(__file__).resolve().parents[1] / "lab" / "npm_sigstore.cjs"
GITHUB = github_identity()
GITLAB = gitlab_identity()
V1, V0_2 = "https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "github": (
        V1,
        {
            "issuer": "https://token.actions.githubusercontent.com",
            "repository": "acme/libs",
            "workflow": ".github/workflows/release.yml",
            "ref": "refs/tags/v{version}",
            "runner": "github-hosted",
            "trigger": "push",
        },
    ),
    "gitlab": (
        V0_2,
        {
            "issuer": "https://gitlab.com",
            "repository": "acme/libs",
            "workflow": ".gitlab-ci.yml",
            "ref": "refs/tags/v{version}",
            "runner": "gitlab-hosted",
        },
    ),
}


def policy(ci_name: str, **changed: str) -> str:
    """The rule for what one CI builds, with single expectations of the signer changed."""
    predicate, signer = RULES[ci_name]
    asked = {"predicate": predicate, "trust_roots": ["sandbox"], "signer": signer | changed}
    rule = {"name": ci_name, "packages": ["pkg:npm/%40acme/*"], "owner": "lab@acme.example", "attestations": [asked]}
    return json.dumps({"rules": [rule]})


@dataclass
class Jobs:
    """CI jobs that publish with npm, each with a home and a package of its own."""

    world: NpmWorld
    folder: Path
    issuer: Issuer = field(default_factory=Issuer)
    count: int = 0

    def publish(self, environment: Callable[[str], dict[str, str]], name: str, version: str = "1.0.0") -> Run:
        """Run `npm publish --provenance`; `environment` is given the sandbox's address."""
        self.count += 1
        home = Home(self.folder / f"home{self.count}", self.world.registry, self.world.token())
        path = lay(self.folder / f"source{self.count}", {"name": name, "version": version, "license": "Apache-2.0"})

        async def served() -> Run:
            async with serve(self.world.sandbox, signers.clock, issuer=self.issuer) as url:
                job = {"NODE_OPTIONS": f"--require={PRELOAD}", "LAB_SIGSTORE": url, **environment(url)}
                command = ("npm", "publish", "--provenance", "--access", "public")
                return await asyncio.to_thread(home.run, *command, cwd=path, **job)

        return asyncio.run(served())

    def github(self, name: str, by: Identity = GITHUB, **changed: str) -> Run:
        """Publish from a job of GitHub Actions."""
        return self.publish(lambda url: ci.github(by, url, **changed), name)

    def gitlab(self, name: str, by: Identity = GITLAB, **changed: str) -> Run:
        """Publish from a job of GitLab CI."""
        return self.publish(lambda _: ci.gitlab(by, self.issuer.mint(by, signers.clock()), **changed), name)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    need("npm")
    folder = tmp_path_factory.mktemp("provenance")
    with npm_world(folder / "world", policy=policy("github")) as world:
        yield Jobs(world, folder)


@pytest.mark.parametrize("where", RULES)
def test_what_npm_signs_in_ci_is_published(jobs: Jobs, where: str) -> None:
    jobs.world.govern(policy(where))
    run = getattr(jobs, where)(f"@acme/{where}")
    assert run.succeeded, run.output
    assert "Provenance statement published to transparency log" in run.output
    assert f"@acme/{where}/{where}-1.0.0.tgz" in jobs.world.upstream.tarballs()


@pytest.mark.parametrize(
    ("where", "changed", "codes"),
    [
        ("github", {"repository": "acme/lib"}, {"repository-mismatch"}),
        ("github", {"ref": "refs/heads/main"}, {"ref-mismatch"}),
        ("github", {"runner": "self-hosted"}, {"runner-mismatch"}),
        ("gitlab", {"repository": "acme/group/libs"}, {"repository-mismatch"}),
    ],
)
def test_a_rule_that_names_another_build_refuses_what_npm_signs(
    jobs: Jobs, where: str, changed: dict[str, str], codes: set[str]
) -> None:
    jobs.world.govern(policy(where, **changed))
    run = getattr(jobs, where)("@acme/other-rule")
    assert not run.succeeded
    assert jobs.world.codes() == codes
    assert f"npm error 403   {min(codes)}" in run.output
    assert "@acme/other-rule" not in jobs.world.upstream.packages()


@pytest.mark.parametrize(
    ("where", "changed", "code"),
    [
        ("github", {"GITHUB_SHA": "0" * 40}, "provenance-contradiction"),
        (
            "github",
            {"GITHUB_WORKFLOW_REF": "acme/libs/.github/workflows/ci.yml@refs/tags/v1.0.0"},
            "provenance-contradiction",
        ),
        ("github", {"GITHUB_REF": "refs/heads/main"}, "evidence-malformed"),
        ("github", {"RUNNER_ENVIRONMENT": "self-hosted"}, "provenance-contradiction"),
        ("gitlab", {"CI_JOB_URL": "https://gitlab.com/acme/libs/-/jobs/1"}, "provenance-contradiction"),
    ],
)
def test_a_job_that_lies_to_npm_is_refused(jobs: Jobs, where: str, changed: dict[str, str], code: str) -> None:
    jobs.world.govern(policy(where))
    run = getattr(jobs, where)("@acme/liar", **changed)
    assert not run.succeeded
    assert jobs.world.codes() == {code}
    assert "@acme/liar" not in jobs.world.upstream.packages()


def test_what_cosign_signed_outside_npm_is_published_from_a_laptop(jobs: Jobs) -> None:
    """As Jenkins or a person does: npm pack, cosign, provgate attach, npm publish of the very same tarball."""
    jobs.world.govern(policy("github"))
    home = Home(jobs.folder / "laptop", jobs.world.registry, jobs.world.token())
    path = lay(jobs.folder / "laptop-source", {"name": "@acme/laptop", "version": "1.0.0", "license": "Apache-2.0"})
    assert home.run("npm", "pack", cwd=path).succeeded
    file = path / "acme-laptop-1.0.0.tgz"
    predicate, bundle = path / "predicate.json", path / "bundle.json"
    predicate.write_text(json.dumps(slsa_provenance([(file.name, {})], GITHUB)["predicate"]))

    async def sign() -> None:
        async with serve(jobs.world.sandbox, signers.clock, issuer=jobs.issuer) as url:
            trust = json.loads(jobs.world.sandbox.client_trust_config(url))
            config, root = path / "signing.json", path / "root.json"
            config.write_text(json.dumps(trust["signingConfig"]))
            root.write_text(json.dumps(trust["trustedRoot"]))
            token = jobs.issuer.mint(GITHUB, signers.clock())
            known = ("--yes", "--signing-config", config, "--trusted-root", root, "--identity-token", token)
            what = ("--predicate", predicate, "--type", V1, "--bundle", bundle, file)
            await signers.cosign(path, "attest-blob", *known, *what)

    asyncio.run(sign())
    assert not home.run("npm", "publish", f"./{file.name}", cwd=path).succeeded
    assert jobs.world.codes() == {"evidence-missing"}
    where = ("--gateway", jobs.world.address, "--token", home.token)
    jobs.world.command("attach", str(file), str(bundle), *where)
    run = home.run("npm", "publish", f"./{file.name}", cwd=path)
    assert run.succeeded, run.output
    assert "@acme/laptop/laptop-1.0.0.tgz" in jobs.world.upstream.tarballs()


def test_a_fork_that_publishes_with_a_stolen_token_is_refused(jobs: Jobs) -> None:
    jobs.world.govern(policy("github"))
    run = jobs.github("@acme/stolen", github_identity("mallory/libs"))
    assert not run.succeeded
    assert jobs.world.codes() == {"repository-mismatch"}


def test_provenance_by_the_other_ci_serves_no_rule_of_the_first(jobs: Jobs) -> None:
    jobs.world.govern(policy("github"))
    run = jobs.gitlab("@acme/other-ci")
    assert not run.succeeded
    assert jobs.world.codes() == {"evidence-missing"}  # of the predicate that the rule asks for
