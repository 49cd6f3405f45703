"""A real verdaccio behind a real `provgate serve`, with a sandbox's or another root and a policy that tests change."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.processes import Program
from gateway.demo.world import LISTENING, environment, provgate
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from gateway.service.compose import now
from tests.lab.node_clients import Home
from tests.lab.npm import NpmPackage
from tests.lab.verdaccio import Verdaccio, verdaccio

POLICY = """\
rules:
  - name: acme-node
    packages: ["pkg:npm/%40acme/*"]
    owner: team-libs@acme.example
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sandbox]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: acme/libs
          workflow: .github/workflows/release.yml
          ref: refs/tags/v{version}
          runner: github-hosted
"""
_SETTINGS = """\
sandbox: {sandbox}
listen: 127.0.0.1:0
registries:
  - name: node
    ecosystem: npm
    mount: /npm
    upstream: {upstream}
    upstream_credential: file:upstream-credential
    reads: {reads}
    read_auth: none
{more}trust_roots: trust_roots
policy: policy
store: sqlite:///provgate.db
"""
_TOKEN = re.compile(r"pvg_[a-z2-7]{16}_[A-Za-z0-9_-]{43}")


@dataclass
class NpmWorld:
    """The running parts."""

    folder: Path
    upstream: Verdaccio
    sandbox: Sandbox
    gateway: Program
    address: str

    @property
    def registry(self) -> str:
        """Where clients publish and install from."""
        return f"{self.address}/npm"

    def command(self, *arguments: str) -> str:
        """Run a `provgate` command and return what it printed."""
        done = subprocess.run(
            [*provgate(), *arguments], env=environment(), cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def token(self, packages: str = "pkg:npm/**", actions: str = "publish,attach,read,mutate") -> str:
        """Make a token."""
        settings = ("-c", "gateway.yaml", "--registry", "node", "--owner", "team-libs@acme.example")
        printed = self.command("token", "create", *settings, "--packages", packages, "--actions", actions)
        found = _TOKEN.search(printed)
        assert found is not None
        return found.group()

    def home(self, name: str = "home") -> Home:
        """A home for clients, with a token of its own."""
        return Home(self.folder / name, self.registry, self.token())

    def codes(self) -> set[str]:
        """The codes of the newest decision."""
        (newest,) = json.loads(self.command("decisions", "list", "--json", "--limit", "1", "-c", "gateway.yaml"))
        return {reason["code"] for reason in newest["reasons"]}

    def govern(self, policy: str) -> None:
        """Put a policy in force without a restart."""
        log = self.gateway.log
        before = log.read_text().count("reloaded: policy")
        (self.folder / "policy" / "lab.yaml").write_text(policy)
        os.kill(self.gateway.pid, signal.SIGHUP)
        self.gateway.wait_until(lambda: log.read_text().count("reloaded: policy") > before)

    def bundle(self, of: NpmPackage, **changed: Any) -> bytes:
        """SLSA provenance of a package as npm's signer makes it: the purl with a sha512."""
        signer = github_identity(**({"ref": f"refs/tags/v{of.version}"} | changed))
        statement = slsa_provenance([(of.purl, {"sha512": of.sha512})], signer)
        return self.sandbox.sign_statement(statement, signer, now())


@contextmanager
def npm_world(
    folder: Path,
    *,
    policy: str = POLICY,
    reads: str = "open",
    roots: Callable[[Path], None] | None = None,
    more: str = "",
) -> Iterator[NpmWorld]:
    """Lay everything out in a folder and run it.

    `roots` lays out trust roots other than a sandbox's; `more` is put into the registry's settings.
    """
    sandbox = Sandbox.create(now())
    with ExitStack() as running:
        upstream = running.enter_context(verdaccio(folder / "registry"))
        if roots is None:
            sandbox.save(folder / "trust_roots" / "sandbox")
        else:
            roots(folder / "trust_roots")
        (folder / "policy").mkdir()
        (folder / "policy" / "lab.yaml").write_text(policy)
        secret = folder / "upstream-credential"
        secret.touch(mode=0o600)
        secret.write_text(upstream.credential)
        (folder / "gateway.yaml").write_text(
            _SETTINGS.format(upstream=upstream.url, reads=reads, sandbox=str(roots is None).lower(), more=more)
        )
        gateway = running.enter_context(
            Program([*provgate(), "serve", "-c", "gateway.yaml"], folder / "gateway.log", env=environment(), cwd=folder)
        )
        address = gateway.wait_for_line(LISTENING).rstrip("/")
        yield NpmWorld(folder, upstream, sandbox, gateway, address)
