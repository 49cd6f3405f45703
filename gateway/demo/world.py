"""A whole small world on this machine: pypiserver, a sandbox Sigstore's trust root, a policy, and `provgate serve`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.demo.processes import Program, ProgramError
from gateway.demo.upstreams import Pypiserver, pypiserver
from gateway.sandbox import Sandbox

REGISTRY: Final = "python"
MOUNT: Final = "/pypi"
ROOT: Final = "sandbox"
LISTENING: Final = "listening on "
_COMMAND_SECONDS: Final = 60.0
_TOKEN: Final = re.compile(r"pvg_[a-z2-7]{16}_[A-Za-z0-9_-]{43}")
_SOURCE: Final = Path(__file__).resolve().parents[2]  # where the package is, installed or not
_START: Final = "import sys; from gateway.cli import main; sys.exit(main())"

_SETTINGS: Final = """\
# Made for a demonstration: every certificate below is a sandbox's, and proves nothing.
sandbox: true
listen: {listen}
registries:
  - name: {registry}
    ecosystem: pypi
    mount: {mount}
    upstream: {upstream}
    upstream_credential: file:upstream-credential
    remove: pypiserver
    reads: open
    read_auth: {read_auth}
trust_roots: trust_roots
policy: policy
store: sqlite:///provgate.db
"""


@dataclass(slots=True)
class World:
    """The running parts. `address` changes when the gateway is started again on a port of the kernel's choice."""

    folder: Path
    upstream: Pypiserver
    address: str = ""
    gateway: Program | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Path:
        """The gateway's settings file."""
        return self.folder / "gateway.yaml"

    @property
    def upload_url(self) -> str:
        """Where clients publish."""
        return f"{self.address}{MOUNT}/"

    @property
    def index_url(self) -> str:
        """Where clients install from."""
        return f"{self.address}{MOUNT}/simple/"

    def start(self) -> None:
        """Start the gateway and wait until it listens; raises `ProgramError` with what it printed when it does not."""
        log = self.folder / "gateway.log"
        log.unlink(missing_ok=True)
        self.gateway = Program(
            [*provgate(), "serve", "-c", str(self.settings)], log, env={**environment(), **self.env}, cwd=self.folder
        )
        try:
            self.address = self.gateway.wait_for_line(LISTENING).rstrip("/")
        except ProgramError:
            self.gateway.stop()
            raise

    def stop(self) -> None:
        """Ask the gateway to end, and wait for it."""
        if self.gateway is not None:
            self.gateway.stop()
            self.gateway = None

    def command(self, *arguments: str) -> str:
        """Run a `provgate` command beside the gateway and return what it printed; raises `ProgramError`."""
        done = subprocess.run(
            [*provgate(), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            cwd=self.folder,
            timeout=_COMMAND_SECONDS,
            check=False,
            text=True,
        )
        if done.returncode:
            raise ProgramError(f"provgate {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def token(self, packages: str = "pkg:pypi/**", actions: str = "publish,attach,read", expires: str = "1d") -> str:
        """Make a token with `provgate token create`."""
        printed = self.command(
            *("token", "create", "-c", str(self.settings), "--registry", REGISTRY),
            *("--packages", packages, "--actions", actions, "--expires", expires),
        )
        found = _TOKEN.search(printed)
        if found is None:
            raise ProgramError("provgate token create printed no token")
        return found.group()


@contextmanager
def world(
    folder: Path,
    sandbox: Sandbox,
    policy: str,
    *,
    read_auth: str = "none",
    listen: str = "127.0.0.1:0",
    env: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """Lay everything out in an empty folder, start the registry and the gateway, and end both."""
    with ExitStack() as running:
        upstream = running.enter_context(pypiserver(folder / "registry"))
        sandbox.save(folder / "trust_roots" / ROOT)
        (folder / "policy").mkdir()
        (folder / "policy" / "demo.yaml").write_text(policy, encoding="utf-8")
        secret = folder / "upstream-credential"
        secret.touch(mode=0o600)
        secret.write_text(upstream.credential, encoding="utf-8")
        made = World(folder, upstream, env=env or {})
        made.settings.write_text(
            _SETTINGS.format(listen=listen, registry=REGISTRY, mount=MOUNT, upstream=upstream.url, read_auth=read_auth),
            encoding="utf-8",
        )
        running.callback(made.stop)
        made.start()
        yield made


def provgate() -> list[str]:
    """Return how to call the command: the installed program, or this source tree's where none is installed."""
    installed = Path(sys.executable).with_name("provgate")
    return [str(installed)] if installed.exists() else [sys.executable, "-c", _START]


def environment() -> dict[str, str]:
    """Return an environment in which the command finds this very package, and no settings of the person's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROVGATE_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(_SOURCE), "PYTHONUNBUFFERED": "1"}
