"""A real docker-registry on a port of this machine, whose whole state lies in one folder; one credential may use it."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.demo.processes import server, status_of

PASSWORD = "lab-registry-secret"  # noqa: S105 - of a registry on loopback that ends with its caller
_HASHED = "$2b$04$abcdefghijklmnopqrstuu75qUxAfAOP0QbqPomfaeRvf3cALlnoK"  # of it; the registry takes bcrypt only
_CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: lab}}
auth: {{htpasswd: {{realm: lab, path: {htpasswd}}}}}
"""


@dataclass(frozen=True)
class DockerRegistry:
    """A running docker-registry: its address, its storage, and the credential that may use it."""

    url: str
    storage: Path
    credential: str

    def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        """Ask it directly, as nobody but the gateway may."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        authorization = base64.b64encode(self.credential.encode()).decode()
        try:
            connection.request("GET", path, headers={"Accept": accept, "Authorization": f"Basic {authorization}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def tags(self, repository: str) -> set[str]:
        """The tags it has of a repository."""
        status, body = self.get(f"/v2/{repository}/tags/list")
        return set(json.loads(body)["tags"] or ()) if status == http.HTTPStatus.OK else set()


@contextmanager
def docker_registry(program: str, folder: Path) -> Iterator[DockerRegistry]:
    """Run this program with its whole state in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    htpasswd, config, storage = folder / "htpasswd", folder / "config.yml", folder / "storage"
    htpasswd.write_text(f"gateway:{_HASHED}\n")

    def command(port: int) -> list[str]:
        config.write_text(_CONFIG.format(root=storage, port=port, htpasswd=htpasswd))
        return [program, "serve", str(config)]

    def ready(port: int) -> bool:
        return status_of(port, "/v2/") == http.HTTPStatus.UNAUTHORIZED

    with server(command, ready, folder / "registry.log", cwd=folder) as (port, _):
        yield DockerRegistry(f"http://127.0.0.1:{port}", storage, f"gateway:{PASSWORD}")
