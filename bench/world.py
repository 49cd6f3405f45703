"""What is measured: the gateway and an nginx in front of one pypiserver, and the wheels to publish."""

from __future__ import annotations

import getpass
import hashlib
import itertools
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bench.client import File, Target
from gateway.demo.packages import wheel, wheel_name, write_large_wheel
from gateway.demo.processes import Program, free_port
from gateway.demo.world import World
from gateway.sandbox import Sandbox, github_identity, slsa_provenance

NAME = "acme-bench"
_NGINX = """\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;{user}
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 10000000;
  client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-f; uwsgi_temp_path {folder}/nginx-u; scgi_temp_path {folder}/nginx-s;
  {more}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {upstream}; proxy_http_version 1.1; proxy_request_buffering {buffering}; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: str, *, buffering: bool, more: str = "") -> Iterator[str]:
    """Run an nginx before the registry: buffering, it stores the body and then forwards, as a gate must."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise RuntimeError("nginx is needed for the comparison, and absent (make tools)")
    folder.mkdir()
    port = free_port()
    settings = folder / "nginx.conf"
    user = " user root;" if getpass.getuser() == "root" else ""
    settings.write_text(
        _NGINX.format(
            folder=folder,
            user=user,
            port=port,
            upstream=upstream,
            buffering="on" if buffering else "off",
            more=more.format(folder=folder),
        ),
        encoding="utf-8",
    )
    with Program([program, "-c", str(settings), "-p", str(folder)], folder / "nginx.log") as running:
        running.wait_until(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"


def targets(world: World, nginx_streaming: str, nginx_storing: str) -> list[Target]:
    """The three ways to the registry that are compared, nginx in both of its manners."""
    upstream = (world.upstream.user, world.upstream.password)
    return [
        Target("direct", f"{world.upstream.url}/", *upstream),
        Target("nginx", f"{nginx_streaming}/", *upstream),
        Target("nginx storing", f"{nginx_storing}/", *upstream),
        Target("gateway", world.upload_url, "__token__", world.token(f"pkg:pypi/{NAME}")),
    ]


def big_wheel(folder: Path, version: str, size: int, sandbox: Sandbox, at: datetime) -> File:
    """Write a wheel of `size` bytes of payload, never more than a piece of it in memory."""
    path = folder / wheel_name(NAME, version)
    piece = hashlib.shake_256(version.encode()).digest(1 << 20)  # not all zeros, in case a file system is clever
    write_large_wheel(path, NAME, version, itertools.repeat(piece, size >> 20))
    return signed(path, version, sandbox, at)


def small_wheel(folder: Path, version: str, sandbox: Sandbox, at: datetime) -> File:
    """Write a wheel of a kilobyte."""
    tiny = wheel(NAME, version)
    path = folder / tiny.name
    path.write_bytes(tiny.content)
    return signed(path, version, sandbox, at)


def signed(path: Path, version: str, sandbox: Sandbox, at: datetime) -> File:
    """Attest a wheel as its release would."""
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    builder = github_identity(ref=f"refs/tags/v{version}")
    attestation = sandbox.attest(slsa_provenance([(path.name, {"sha256": sha256})], builder), builder, at)
    return File(path, NAME, version, sha256, b"[" + attestation + b"]")


def _listens(port: int) -> bool:

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
