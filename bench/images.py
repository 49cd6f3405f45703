"""Images: a blob pushed and pulled through the gateway, and manifests read, beside nginx and the bare registry.

The registry is a real docker-registry. A blob is pushed as skopeo does: POST, one PATCH without a length, PUT.
Manifests are read over one connection that stays open. What counts is how many a server answers in a second of its
own processor's time: a client that is slower than the server does not show there.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from bench import memory
from bench.world import nginx
from gateway.demo.docker_registry import docker_registry
from gateway.demo.images import MANIFEST, image
from gateway.demo.processes import Program
from gateway.demo.world import LISTENING, environment, provgate
from gateway.sandbox import Sandbox
from gateway.service.compose import now

MIB = 1 << 20
RESULTS = Path(__file__).parent / "results" / "images.json"
MOVED, READ = 1.15, 0.5  # a blob's time at most this times direct's; a manifest's rate at least this of nginx's
REPOSITORY = "bench/app"
_SETTINGS = """\
sandbox: true
listen: 127.0.0.1:0
registries:
  - {{name: images, ecosystem: oci, upstream: "{upstream}", upstream_credential: "file:upstream-credential"}}
trust_roots: trust_roots
policy: policy
store: sqlite:///provgate.db
"""
_POLICY = """\
rules:
  - name: bench
    packages: ["pkg:oci/bench/**"]
    mode: observe
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sandbox]
        signer: {subject: nobody@acme.example, issuer: https://issuer.example}
"""


@dataclass(frozen=True)
class Registry:
    """One way to the registry: its name in the table, where it is, and how a client says who it is."""

    name: str
    url: str
    credential: str

    def headers(self, **more: str) -> dict[str, str]:
        """The headers of a request."""
        basic = base64.b64encode(self.credential.encode()).decode()
        return {"Authorization": f"Basic {basic}", **{name.replace("_", "-"): text for name, text in more.items()}}

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=600)


@dataclass(frozen=True)
class Served:
    """The running parts: the ways to the registry, and the processes of the two that stand before it."""

    ways: tuple[Registry, ...]
    pid: int
    nginx: int


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Run a registry, an nginx that buffers nothing, and a gateway before it."""
    folder.mkdir(exist_ok=True)
    sandbox = Sandbox.create(now())
    with docker_registry("docker-registry", folder / "registry") as upstream:
        sandbox.save(folder / "trust_roots" / "sandbox")
        (folder / "policy").mkdir()
        (folder / "policy" / "bench.yaml").write_text(_POLICY)
        secret = folder / "upstream-credential"
        secret.touch(mode=0o600)
        secret.write_text(upstream.credential)
        (folder / "gateway.yaml").write_text(_SETTINGS.format(upstream=upstream.url))
        serve = [*provgate(), "serve", "-c", "gateway.yaml"]
        with (
            nginx(folder / "nginx", upstream.url, buffering=False) as front,
            Program(serve, folder / "gateway.log", env=environment(), cwd=folder) as gateway,
        ):
            address = gateway.wait_for_line(LISTENING).rstrip("/")
            made = subprocess.run(
                [
                    *(*provgate(), "token", "create", "-c", "gateway.yaml", "--registry", "images"),
                    *("--packages", "pkg:oci/**", "--actions", "publish,attach,read", "--json"),
                ],
                env=environment(), cwd=folder, capture_output=True, text=True, check=True,
            )  # fmt: skip
            token = json.loads(made.stdout)["token"]
            ways = (
                Registry("direct", upstream.url, upstream.credential),
                Registry("nginx", front, upstream.credential),
                Registry("gateway", address, f"ci:{token}"),
            )
            yield Served(ways, gateway.pid, int((folder / "nginx" / "nginx.pid").read_text()))


def measure(folder: Path, size: int, repeats: int, seconds: float = 12) -> dict[str, Any] | None:
    """Measure blobs of one size and the reading of manifests; None where there is no docker-registry."""
    if shutil.which("docker-registry") is None:
        return None
    with served(folder) as running:
        return {"blobs": blobs(running, folder, size, repeats), "manifests": manifests(running, folder, seconds)}


def table(found: dict[str, Any], out: Console) -> None:
    """Print what was found."""
    taken, read = found["blobs"], found["manifests"]
    moved = Table(f"a blob of {taken['mib']} MiB", "push / direct", "pull / direct", "gateway's peak", box=None)
    for name in ("direct", "nginx", "gateway"):
        peak = f"{taken['gateway_peak_mib']:.0f} MiB" if name == "gateway" else ""
        moved.add_row(name, f"{taken['push_over_direct'][name]:.2f}", f"{taken['pull_over_direct'][name]:.2f}", peak)
    out.print("", moved, "")
    for method, rates in read.items():
        each = ", ".join(f"{name} {rate:.0f}" for name, rate in rates["per_processor_second"].items())
        out.print(
            f"{method} of a manifest by digest, for a second of processor time: {each} ({rates['over_nginx']:.2f})"
        )


def missed(found: dict[str, Any]) -> list[str]:
    """The targets that were not met."""
    moved = {f"a blob's {kind}": found["blobs"][f"{kind}_over_direct"]["gateway"] for kind in ("push", "pull")}
    read = {f"{method} of a manifest": rates["over_nginx"] for method, rates in found["manifests"].items()}
    return [
        *(
            f"missed: {what} / direct is {ratio:.2f}, wanted <= {MOVED}"
            for what, ratio in moved.items()
            if ratio > MOVED
        ),
        *(f"missed: {what} / nginx is {one:.2f}, wanted >= {READ}" for what, one in read.items() if one < READ),
    ]


def push(to: Registry, blob: Path, digest: str) -> float:
    """Push one blob; return the seconds from the first request to the last answer."""
    began = time.perf_counter()
    connection = to.connect()
    connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", headers=to.headers())
    location = _location(connection, http.client.ACCEPTED)
    with blob.open("rb") as content:
        headers = to.headers(Content_Type="application/octet-stream", Transfer_Encoding="chunked")
        pieces = iter(lambda: content.read(MIB), b"")
        connection.request("PATCH", location, pieces, headers, encode_chunked=True)
        location = _location(connection, http.client.ACCEPTED)
    joint = "&" if "?" in location else "?"
    connection.request("PUT", f"{location}{joint}digest={digest}", headers=to.headers(Content_Length="0"))
    _location(connection, http.client.CREATED)
    connection.close()
    return time.perf_counter() - began


def pull(of: Registry, digest: str) -> float:
    """Pull one blob and forget it."""
    began = time.perf_counter()
    connection = of.connect()
    connection.request("GET", f"/v2/{REPOSITORY}/blobs/{digest}", headers=of.headers())
    answer = connection.getresponse()
    size = 0
    while piece := answer.read(MIB):
        size += len(piece)
    connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{of.name}: {answer.status} {answer.reason}")
    return time.perf_counter() - began


def blobs(running: Served, folder: Path, size: int, repeats: int) -> dict[str, Any]:
    """Push and pull blobs of one size by every way in turn."""
    times: dict[str, dict[str, list[float]]] = {
        kind: {way.name: [] for way in running.ways} for kind in ("push", "pull")
    }
    peak = 0
    for number in range(repeats):
        for way in running.ways[number % 3 :] + running.ways[: number % 3]:
            blob, digest = _blob(folder, f"{way.name} {number}", size)
            memory.forget_peaks(running.pid)
            times["push"][way.name].append(push(way, blob, digest))
            times["pull"][way.name].append(pull(way, digest))
            if way.name == "gateway":
                peak = max(peak, memory.peak(running.pid))
            blob.unlink()
    found: dict[str, Any] = {"mib": size // MIB, "seconds": times, "gateway_peak_mib": peak / MIB}
    for kind, taken in times.items():
        median = {name: statistics.median(values) for name, values in taken.items()}
        found[f"{kind}_over_direct"] = {name: value / median["direct"] for name, value in median.items()}
    return found


def manifests(running: Served, folder: Path, seconds: float) -> dict[str, Any]:
    """Read one manifest by its digest as fast as each way allows, in turn, HEAD and GET."""
    made = image(folder / "layout", "bench")
    *_, gate = running.ways
    for digest in (made.config, *made.layers):
        push(gate, made.layout / "blobs" / digest.replace(":", "/"), digest)
    connection = gate.connect()
    connection.request("PUT", f"/v2/{REPOSITORY}/manifests/1.0", made.manifest, gate.headers(Content_Type=MANIFEST))
    _location(connection, http.client.CREATED)
    path = f"/v2/{REPOSITORY}/manifests/{made.digest}"
    found: dict[str, Any] = {}
    for method in ("GET", "HEAD"):
        rates: dict[str, list[float]] = {"nginx": [], "gateway": []}
        for number in range(4):
            for way in running.ways[1:] if number % 2 else running.ways[:0:-1]:
                pid = running.pid if way is gate else running.nginx
                before = memory.processor_seconds(pid)
                count = read_for(way, method, path, seconds / 4)
                rates[way.name].append(count / (memory.processor_seconds(pid) - before))
        median = {name: statistics.median(values) for name, values in rates.items()}
        found[method] = {"per_processor_second": median, "over_nginx": median["gateway"] / median["nginx"]}
    return found


def read_for(way: Registry, method: str, path: str, seconds: float) -> int:
    """Read again and again over one connection; return how often."""
    connection = way.connect()
    headers = way.headers(Accept=MANIFEST)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{way.name}: {answer.status} {answer.reason}")
        count += 1
    connection.close()
    return count


def _blob(folder: Path, word: str, size: int) -> tuple[Path, str]:
    """Write a blob that no other one is like."""
    piece, running = hashlib.shake_256(word.encode()).digest(MIB), hashlib.sha256()
    path = folder / "blob"
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(piece)
            running.update(piece)
    return path, f"sha256:{running.hexdigest()}"


def _location(connection: http.client.HTTPConnection, expected: int) -> str:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != expected:
        raise RuntimeError(f"{answer.status} {answer.reason}: {body[:500]!r}")
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def main() -> int:
    """Measure, print, write down."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    with tempfile.TemporaryDirectory(prefix="provgate-bench-", dir="/var/tmp") as folder:
        found = measure(Path(folder) / "images", 1024 * MIB, 3)
    if found is None:
        out.print("docker-registry is needed, and absent (make tools)")
        return 1
    table(found, out)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    result = {"at": now().isoformat(timespec="seconds"), "machine": machine, **found}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    out.print(*missed(found), f"written to bench/results/{RESULTS.name}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
