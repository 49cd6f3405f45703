"""Wheels signed by the real signers against a served sandbox, published through a real gateway before a pypiserver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.demo import clients
from gateway.demo.packages import Distribution, wheel
from gateway.demo.world import World, world
from gateway.model.identity import Identity
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from gateway.sandbox.server import serve
from gateway.sandbox.tokens import Issuer
from tests.lab import signers

OURS = github_identity()
OTHERS = github_identity("mallory/libs")
PROVENANCE = "https://slsa.dev/provenance/v1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
_SIGNER = """{
          issuer: https://token.actions.githubusercontent.com, repository: acme/libs,
          workflow: .github/workflows/release.yml, ref: "refs/tags/v{version}", runner: github-hosted"""
POLICY = f"""\
rules:
  - name: signed
    packages: ["pkg:pypi/acme-signed-*"]
    attestations:
      - signature: true
        trust_roots: [sandbox]
        signer: {_SIGNER}, unsafe_unbound_name: true}}
  - name: bound
    packages: ["pkg:pypi/acme-bound-*"]
    attestations:
      - signature: true
        trust_roots: [sandbox]
        signer: {_SIGNER}}}
  - name: attested
    packages: ["pkg:pypi/acme-attested-*"]
    attestations:
      - predicate: {PROVENANCE}
        trust_roots: [sandbox]
        signer: {_SIGNER}}}
  - name: summarised
    packages: ["pkg:pypi/acme-summarised-*"]
    attestations:
      - predicate: {SUMMARY}
        trust_roots: [sandbox]
        signer: {_SIGNER}}}
        summary: {{verifier: "https://verifier.acme.example/v1", min_level: SLSA_BUILD_LEVEL_3}}
"""


@dataclass(frozen=True)
class Job:
    """One CI job that has built a wheel, and what it needs to sign it."""

    home: Path
    file: Path
    config: bytes  # the client trust config
    token: str
    predicate: Path

    @property
    def cosign(self) -> tuple[str | Path, ...]:
        """What both of cosign's commands are told."""
        config, root, bundle = (self.home / name for name in ("signing.json", "root.json", "bundle.json"))
        document = json.loads(self.config)
        config.write_text(json.dumps(document["signingConfig"]))
        root.write_text(json.dumps(document["trustedRoot"]))
        known = ("--yes", "--signing-config", config, "--trusted-root", root, "--bundle", bundle)
        return (*known, "--identity-token", self.token)


Sign = Callable[[Job], Awaitable[Path]]


async def sigstore_sign(job: Job) -> Path:
    return await signers.sigstore(job.home, job.config, "sign", "--identity-token", job.token, job.file)


async def sigstore_attest(job: Job) -> Path:
    what = ("--predicate", job.predicate, "--predicate-type", PROVENANCE)
    return await signers.sigstore(job.home, job.config, "attest", "--identity-token", job.token, *what, job.file)


async def cosign_sign(job: Job) -> Path:
    await signers.cosign(job.home, "sign-blob", *job.cosign, job.file)
    return job.home / "bundle.json"


async def cosign_attest(job: Job) -> Path:
    what = ("--predicate", job.predicate, "--type", PROVENANCE)
    await signers.cosign(job.home, "attest-blob", *job.cosign, *what, job.file)
    return job.home / "bundle.json"


def cosign_summarise(result: str) -> Sign:
    """What a verifier's job does: a summary of what it found."""

    async def sign(job: Job) -> Path:
        found = {
            "verifier": {"id": "https://verifier.acme.example/v1"},
            "resourceUri": "pkg:pypi/acme-summarised-lib@1.0.0",
            "verificationResult": result,
            "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
        }
        summary = job.home / "summary.json"
        summary.write_text(json.dumps(found))
        await signers.cosign(job.home, "attest-blob", *job.cosign, "--predicate", summary, "--type", SUMMARY, job.file)
        return job.home / "bundle.json"

    return sign


SIGN: dict[tuple[str, str], Sign] = {
    ("signed", "sigstore"): sigstore_sign,
    ("attested", "sigstore"): sigstore_attest,
    ("signed", "cosign"): cosign_sign,
    ("attested", "cosign"): cosign_attest,
}
LOGS = {"log-v1": False, "log-v2": True}


@dataclass
class Bench:
    """A gateway that trusts a sandbox, and the issuer of that sandbox's CI tokens."""

    world: World
    sandbox: Sandbox
    issuer: Issuer = field(default_factory=Issuer)

    def sign(self, of: Distribution, sign: Sign, by: Identity, *, second_log: bool = False) -> Path:
        """Let a real signer sign a file with the identity of a CI job; return the bundle."""
        home = self.world.folder / f"{of.name}-{by.owner}"
        file = clients.lay(home, of)
        predicate = home / "predicate.json"
        provenance = slsa_provenance([(of.name, {"sha256": of.sha256})], by)
        predicate.write_text(json.dumps(provenance["predicate"]))

        async def served() -> Path:
            async with serve(self.sandbox, signers.clock, issuer=self.issuer) as url:
                config = self.sandbox.client_trust_config(url, second_log=second_log)
                token = self.issuer.mint(by, signers.clock())
                return await sign(Job(home, file, config, token, predicate))

        return asyncio.run(served())

    def attach(self, of: Distribution, bundle: Path) -> None:
        """Send a bundle to the gateway's locker."""
        file, token = clients.lay(self.world.folder / "dist", of), self.world.token()
        self.world.command("attach", str(file), str(bundle), "--gateway", self.world.address, "--token", token)

    def publish(self, of: Distribution) -> set[str]:
        """Publish with a client that carries no evidence; return the codes that it was refused with."""
        file, token = clients.lay(self.world.folder / "dist", of), self.world.token()
        run = clients.publish("twine", file, self.world.upload_url, token, attestations=False)
        (newest,) = json.loads(self.world.command("decisions", "list", "--json", "--limit", "1"))
        codes = {reason["code"] for reason in newest["reasons"]}
        there = self.world.upstream.files().get(of.name) == of.sha256
        assert newest["files"][0]["name"] == of.name
        assert (run.succeeded, newest["outcome"] == "accept", there) == (not codes,) * 3, run.output
        return codes


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    sandbox = Sandbox.create(signers.clock())
    with world(tmp_path_factory.mktemp("signers"), sandbox, POLICY) as made:
        yield Bench(made, sandbox)


def name(rule: str, signer: str, log: str) -> str:
    """A package of this rule's own, so that every publish is a first one."""
    return f"acme-{rule}-{signer}-{log}"


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize(("rule", "signer"), SIGN)
def test_a_wheel_from_a_real_signer_is_published_for_its_own_repository_alone(
    bench: Bench, rule: str, signer: str, log: str
) -> None:
    of = wheel(f"acme-{rule}-{signer}-{log}", "1.0.0")  # a package of its own: every publish is a first one
    sign, second = SIGN[rule, signer], LOGS[log]
    bench.attach(of, bench.sign(of, sign, OTHERS, second_log=second))
    assert bench.publish(of) == {"repository-mismatch"}
    bench.attach(of, bench.sign(of, sign, OURS, second_log=second))
    assert bench.publish(of) == set()


def test_a_plain_signature_names_nothing_and_so_needs_a_rule_that_says_so(bench: Bench) -> None:
    of = wheel("acme-bound-lib", "1.0.0")
    bench.attach(of, bench.sign(of, sigstore_sign, OURS))
    assert bench.publish(of) == {"evidence-name-mismatch"}


def test_a_verifiers_summary_stands_in_for_provenance_where_it_says_passed(bench: Bench) -> None:
    of = wheel("acme-summarised-lib", "1.0.0")
    for result, codes in (("FAILED", {"summary-failed"}), ("PASSED", set())):
        bench.attach(of, bench.sign(of, cosign_summarise(result), OURS))
        assert bench.publish(of) == codes


def test_a_signature_of_other_bytes_serves_nobody(bench: Bench) -> None:
    built = wheel("acme-signed-altered", "1.0.0")
    bench.attach(built, bench.sign(built, sigstore_sign, OURS))
    assert bench.publish(wheel("acme-signed-altered", "1.0.0", source="import socket\n")) == {"evidence-missing"}
