"""A real verdaccio on a port of this machine: one credential may write, and it knows no other registry."""

from __future__ import annotations

import base64
import hashlib
import http
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.demo.processes import server, status_of

_CONFIG: Final = """\
storage: ./storage
auth: {htpasswd: {file: ./htpasswd, max_users: -1}}
uplinks: {}
packages:
  "@*/*": {access: $all, publish: gateway, unpublish: gateway}
  "**": {access: $all, publish: gateway, unpublish: gateway}
max_body_size: 200mb
log: {type: stdout, format: pretty, level: warn}
web: {enable: false}
"""


@dataclass(frozen=True)
class Verdaccio:
    """A running verdaccio: its address, its storage, and the credential that may write."""

    url: str
    storage: Path
    credential: str

    def tarballs(self) -> dict[str, str]:
        """What it holds: each tarball's path below the storage, and its sha256."""
        return {
            str(path.relative_to(self.storage)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.storage.rglob("*.tgz"))
        }

    def packages(self) -> set[str]:
        """The packages of which there is anything at all, half-created ones too."""
        return {str(path.parent.relative_to(self.storage)) for path in self.storage.rglob("package.json")}


@contextmanager
def verdaccio(node: str, program: Path, folder: Path) -> Iterator[Verdaccio]:
    """Run this program of verdaccio's with its whole state in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    # The password is random and as long as a key, so a plain hash of it gives nothing away.
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    (folder / "htpasswd").write_text(f"gateway:{{SHA}}{digest}\n")
    (folder / "config.yaml").write_text(_CONFIG)
    (folder / "storage").mkdir(exist_ok=True)

    def command(port: int) -> list[str]:
        return [node, str(program), "-c", str(folder / "config.yaml"), "-l", f"127.0.0.1:{port}"]

    def ready(port: int) -> bool:
        return status_of(port, "/-/ping") == http.HTTPStatus.OK

    with server(command, ready, folder / "verdaccio.log", cwd=folder) as (port, _):
        yield Verdaccio(f"http://127.0.0.1:{port}", folder / "storage", f"gateway:{password}")
