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
from typing import Final

from gateway.demo.processes import Program, ProgramError, free_port

_ATTEMPTS: Final = 5  # a port that was free may be taken before the server asks for it


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
    program, url = _start(packages, passwords, folder / "pypiserver.log", server, overwrite=overwrite)
    with program:
        yield Pypiserver(url, packages, user, password, program)


def _start(packages: Path, passwords: Path, log: Path, server: str, *, overwrite: bool) -> tuple[Program, str]:
    for attempt in range(_ATTEMPTS):
        port = free_port()
        # Only our own server knows this address: an answer is proof that the port is ours.
        health = f"/health-{secrets.token_hex(8)}"
        program = Program(
            [
                str(Path(sys.executable).with_name("pypi-server")),
                "run",
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--passwords", str(passwords), "--authenticate", "update"),
                "--disable-fallback",
                *("--hash-algo", "sha256", "--backend", "simple-dir"),
                *("--server", server, "--health-endpoint", health, "--verbose"),
                *(("--overwrite",) if overwrite else ()),
                str(packages),
            ],
            log,
        )
        try:
            program.wait_until(lambda port=port, health=health: _answers(port, health))  # type: ignore[misc]
        except ProgramError:
            program.stop()
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return program, f"http://127.0.0.1:{port}"
    raise AssertionError("the loop returns or raises")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
