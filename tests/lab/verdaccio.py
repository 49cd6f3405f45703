"""A real verdaccio on a port of this machine: one credential may write, and it knows no other registry."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.demo.processes import Program, ProgramError, free_port
from tests.lab.tools import need, need_node_package

_CONFIG = """\
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
def verdaccio(folder: Path) -> Iterator[Verdaccio]:
    """Run one whose whole state lies in `folder`."""
    program = need_node_package("verdaccio") / "bin" / "verdaccio"
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
    (folder / "htpasswd").write_text(f"gateway:{{SHA}}{digest}\n")
    (folder / "config.yaml").write_text(_CONFIG)
    (folder / "storage").mkdir(exist_ok=True)
    for attempt in range(5):  # a port that was free may be taken before the server asks for it
        port = free_port()
        arguments = [need("node"), str(program), "-c", str(folder / "config.yaml"), "-l", f"127.0.0.1:{port}"]
        running = Program(arguments, folder / "verdaccio.log", cwd=folder)
        try:
            running.wait_until(lambda port=port: _answers(port))  # type: ignore[misc]
        except ProgramError:
            running.stop()
            if attempt == 4:
                raise
            continue
        with running:
            yield Verdaccio(f"http://127.0.0.1:{port}", folder / "storage", f"gateway:{password}")
        return


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/-/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
