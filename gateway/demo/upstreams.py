"""A real pypiserver on a port of this machine, as the registry behind the gate."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.demo.processes import Program, status_of
from gateway.demo.processes import server as listening


@dataclass(frozen=True, slots=True)
class Pypiserver:
    """A running pypiserver: its address, the folder it serves, and the one credential that may write to it."""

    url: str
    packages: Path
    user: str
    password: str
    program: Program

    @property
    def credential(self) -> str:
        """The gateway's upstream credential, as `user:password`."""
        return f"{self.user}:{self.password}"

    def files(self) -> dict[str, str]:
        """Return what the registry holds: each file's name and its sha256."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.packages.iterdir())
            if path.is_file()
        }


@contextmanager
def pypiserver(folder: Path, *, server: str = "wsgiref", overwrite: bool = False) -> Iterator[Pypiserver]:
    """Run a pypiserver that takes uploads from the gateway's credential alone, and knows no other index.

    `folder` gets the packages, the password file and the log. `server` is pypiserver's own `--server`; `wsgiref` is
    what a plain installation runs, and the one that keeps a truncated file when a connection dies.
    """
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    user, password = "gateway", secrets.token_urlsafe(24)
    passwords = folder / "htpasswd"
    # The password is random and as long as a key, so a plain hash of it gives nothing away.
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    passwords.touch(mode=0o600)
    passwords.write_text(f"{user}:{{SHA}}{digest}\n", encoding="ascii")
    # Only our own server knows this address: an answer is proof that the port is ours.
    health = f"/health-{secrets.token_hex(8)}"

    def command(port: int) -> list[str]:
        return [
            str(Path(sys.executable).with_name("pypi-server")),
            "run",
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--passwords", str(passwords), "--authenticate", "update"),
            "--disable-fallback",
            *("--hash-algo", "sha256", "--backend", "simple-dir"),
            *("--server", server, "--health-endpoint", health, "--verbose"),
            *(("--overwrite",) if overwrite else ()),
            str(packages),
        ]

    def ready(port: int) -> bool:
        return status_of(port, health) == http.HTTPStatus.OK

    with listening(command, ready, folder / "pypiserver.log") as (port, program):
        yield Pypiserver(f"http://127.0.0.1:{port}", packages, user, password, program)
