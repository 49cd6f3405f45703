"""A real docker-registry behind a real `provgate serve`, with a sandbox's root and a policy that tests change."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.config import load_settings
from gateway.demo.processes import Program
from gateway.demo.world import LISTENING, environment, provgate
from gateway.model.content import Hold
from gateway.sandbox import Sandbox
from gateway.service.compose import now
from gateway.store import Store, load_or_create_key
from tests.lab.docker_registry import DockerRegistry, docker_registry

KILLED = Path(__file__).with_name("killed.py")
POLICY = """\
rules:
  - name: acme-images
    packages: ["pkg:oci/team/**"]
    owner: team-platform@acme.example
    hold: 30m
    attestations:
      - predicate: https://sigstore.dev/cosign/sign/v1
        trust_roots: [sandbox]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: acme/libs
          workflow: .github/workflows/release.yml
          runner: github-hosted
          unsafe_unbound_name: true
"""
_SETTINGS = """\
sandbox: true
listen: 127.0.0.1:0
registries:
  - name: images
    ecosystem: oci
    upstream: {upstream}
    upstream_credential: file:upstream-credential
    reads: {reads}
    read_auth: {read_auth}
{extra}trust_roots: trust_roots
policy: policy
store: sqlite:///provgate.db
"""
_TOKEN = re.compile(r"pvg_[a-z2-7]{16}_[A-Za-z0-9_-]{43}")


@dataclass(eq=False)
class ImageWorld:
    """The running parts. `host` changes when the gateway is started again on a port of the kernel's choice."""

    folder: Path
    upstream: DockerRegistry
    sandbox: Sandbox
    gateway: Program | None = None
    host: str = ""

    def start(self, *, dying_at: str | None = None) -> None:
        """Start the gateway and wait until it listens; `dying_at` is a point at which it kills itself."""
        log = self.folder / "gateway.log"
        log.unlink(missing_ok=True)
        serve = [*provgate(), "serve", "-c", "gateway.yaml"]
        command = serve if dying_at is None else [sys.executable, "-P", str(KILLED), "gateway.yaml", dying_at]
        self.gateway = Program(command, log, env=environment(), cwd=self.folder)
        self.host = self.gateway.wait_for_line(LISTENING).rstrip("/").removeprefix("http://")

    def stop(self) -> None:
        """Ask the gateway to end, and wait for it."""
        if self.gateway is not None:
            self.gateway.stop()
            self.gateway = None

    def command(self, *arguments: str) -> str:
        """Run a `provgate` command and return what it printed."""
        done = subprocess.run(
            [*provgate(), *arguments], env=environment(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def token(self, packages: str = "pkg:oci/**", actions: str = "publish,attach,read,mutate") -> str:
        """Make a token."""
        settings = ("-c", "gateway.yaml", "--registry", "images", "--owner", "team-platform@acme.example")
        printed = self.command("token", "create", *settings, "--packages", packages, "--actions", actions)
        found = _TOKEN.search(printed)
        assert found is not None
        return found.group()

    def died(self) -> bool:
        """Wait for the gateway to end, and say whether it was killed."""
        assert self.gateway is not None
        return self.gateway.wait_until_end() == -signal.SIGKILL

    def holds(self) -> dict[str, str]:
        """Every hold, by its digest: how it ended, or that it is open."""
        settings = load_settings(self.folder / "gateway.yaml")

        async def read() -> tuple[Hold, ...]:
            async with await Store.open(settings.store, load_or_create_key(settings.key_file)) as store:
                return await store.contents.holds(None, 100)

        return {str(one.digest): one.ending.value if one.ending else "open" for one in asyncio.run(read())}

    def newest(self) -> dict[str, object]:
        """The newest decision."""
        (newest,) = json.loads(self.command("decisions", "list", "--json", "--limit", "1", "-c", "gateway.yaml"))
        assert isinstance(newest, dict)
        return newest

    def govern(self, policy: str) -> None:
        """Put a policy in force without a restart."""
        assert self.gateway is not None
        log = self.gateway.log
        before = log.read_text().count("reloaded: policy")
        (self.folder / "policy" / "lab.yaml").write_text(policy)
        os.kill(self.gateway.pid, signal.SIGHUP)
        self.gateway.wait_until(lambda: log.read_text().count("reloaded: policy") > before)


@contextmanager
def image_world(
    folder: Path,
    *,
    policy: str = POLICY,
    reads: str = "open",
    read_auth: str = "grant",
    extra: str = "",
) -> Iterator[ImageWorld]:
    """Lay everything out in an empty folder and run it; `extra` are further lines of the registry's settings."""
    sandbox = Sandbox.create(now())
    with ExitStack() as running:
        upstream = running.enter_context(docker_registry(folder / "registry"))
        sandbox.save(folder / "trust_roots" / "sandbox")
        (folder / "policy").mkdir()
        (folder / "policy" / "lab.yaml").write_text(policy)
        secret = folder / "upstream-credential"
        secret.touch(mode=0o600)
        secret.write_text(upstream.credential)
        (folder / "gateway.yaml").write_text(
            _SETTINGS.format(upstream=upstream.url, reads=reads, read_auth=read_auth, extra=extra)
        )
        world = ImageWorld(folder, upstream, sandbox)
        running.callback(world.stop)
        world.start()
        yield world
