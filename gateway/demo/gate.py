"""A gateway before one registry, for an act of the demo: a sandbox's root, and one policy file."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.demo.clients import Run
from gateway.demo.processes import Program, ProgramError
from gateway.demo.world import LISTENING, environment, provgate
from gateway.sandbox import Sandbox

_SECONDS: Final = 120.0
_TOKEN: Final = re.compile(r"pvg_[a-z2-7]{16}_[A-Za-z0-9_-]{43}")
_SETTINGS: Final = """\
sandbox: true
listen: 127.0.0.1:0
registries:
  - {{{registry}, upstream: "{upstream}", upstream_credential: "file:upstream-credential"}}
trust_roots: trust_roots
policy: policy
store: sqlite:///provgate.db
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """The running gateway: its folder, its address, and the Sigstore that it trusts."""

    folder: Path
    address: str
    sandbox: Sandbox

    @property
    def host(self) -> str:
        """Its host and port."""
        return self.address.removeprefix("http://")

    def token(self, registry: str, packages: str, actions: str) -> str:
        """Make a token; raises `ProgramError`."""
        create = ("token", "create", "-c", "gateway.yaml", "--registry", registry, "--packages", packages)
        made = run("provgate", self.folder, *provgate(), *create, "--actions", actions)
        found = _TOKEN.search(made.output)
        if found is None:
            raise ProgramError(f"provgate token create: {made.output}")
        return found.group()

    def attach(self, artifact: Path, bundle: bytes, token: str) -> Run:
        """Send a bundle to the locker, for an artifact that comes later or waits."""
        beside = artifact.with_name("bundle.json")
        beside.write_bytes(bundle)
        command = [*provgate(), "attach", str(artifact), str(beside), "--gateway", self.address, "--token", token]
        return run("provgate attach", self.folder, *command)


@contextmanager
def gate(folder: Path, at: datetime, *, registry: str, upstream: str, credential: str, policy: str) -> Iterator[Gate]:
    """Run a gateway before an upstream; `registry` are the first keys of its settings."""
    sandbox = Sandbox.create(at)
    sandbox.save(folder / "trust_roots" / "sandbox")
    (folder / "policy").mkdir()
    (folder / "policy" / "demo.yaml").write_text(policy, encoding="utf-8")
    secret = folder / "upstream-credential"
    secret.touch(mode=0o600)
    secret.write_text(credential, encoding="utf-8")
    (folder / "gateway.yaml").write_text(_SETTINGS.format(registry=registry, upstream=upstream), encoding="utf-8")
    serve = [*provgate(), "serve", "-c", "gateway.yaml"]
    with Program(serve, folder / "gateway.log", env=environment(), cwd=folder) as running:
        yield Gate(folder, running.wait_for_line(LISTENING).rstrip("/"), sandbox)


def run(client: str, home: Path, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end, with a home of its own."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment(), "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "NO_COLOR": "1", **(env or {})},
        cwd=cwd or home,
        timeout=_SECONDS,
        check=False,
        text=True,
    )
    return Run(client, done.returncode, done.stdout)


def wrong(*checks: tuple[bool, str]) -> tuple[str, ...]:
    """The words of every check that does not hold."""
    return tuple(problem for right, problem in checks if not right)
