"""npm: a 50 MB tarball to a real verdaccio, and packuments read, beside nginx and verdaccio itself, in one run.

A rate is told per second of the server's own processor time, so that what else the machine does counts little; the
client costs another process. `python -m bench.npm` measures this alone.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import platform
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from bench import memory
from bench.world import nginx
from tests.lab.npm import NpmPackage, npm_package
from tests.lab.npm_world import NpmWorld, npm_world
from tests.lab.tools import find

MIB = 1 << 20
PAYLOAD = 50 * MIB
READ_SECONDS = 3.0
UPLOAD, READ = 1.3, 0.5  # the gateway's time / verdaccio's, and its rate / nginx's
RESULTS = Path(__file__).parent / "results" / "npm.json"
_CACHE = "proxy_cache_path {folder}/cache keys_zone=pages:1m; proxy_cache pages; proxy_cache_valid 200 2s;"


@dataclass(frozen=True)
class Target:
    """One way to the registry: its address, the credential for writes, and the process that serves it."""

    name: str
    url: str
    authorization: str
    pid: int


def measure(out: Console, repeats: int = 3) -> dict[str, Any] | None:
    """Run everything; None where verdaccio is absent."""
    if find("verdaccio") is None:
        out.print("npm is not measured: verdaccio is absent (make tools)")
        return None
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="provgate-bench-", dir="/var/tmp")))
        world = running.enter_context(npm_world(folder / "world"))
        ways = {
            "nginx": running.enter_context(nginx(folder / "streaming", world.upstream.url, buffering=False)),
            "nginx storing": running.enter_context(nginx(folder / "storing", world.upstream.url, buffering=True)),
        }
        cached = running.enter_context(nginx(folder / "cached", world.upstream.url, buffering=True, more=_CACHE))
        basic = _basic(world.upstream.credential)
        direct = Target("verdaccio", world.upstream.url, basic, _serving(world.upstream.url))
        gateway = Target("gateway", world.registry, f"Bearer {world.token()}", world.gateway.pid)
        proxies = [Target(name, url, basic, _serving(url)) for name, url in ways.items()]
        caching = Target("nginx caching", cached, basic, _serving(cached))
        return {
            "upload": _uploads(world, [direct, *proxies, gateway], out, repeats),
            "reads": _reads(world, [direct, proxies[0], caching, gateway], out),
        }


def tables(found: dict[str, Any], out: Console) -> None:
    """Print what was found."""
    upload = found["upload"]
    table = Table("npm publish, 50 MiB", "median", "/ direct", box=None)
    for name, taken in upload["median"].items():
        table.add_row(name, f"{taken:.2f} s", f"{taken / upload['median']['verdaccio']:.2f}")
    out.print("", table)
    out.print(
        f"the gateway's memory grew by {upload['gateway_growth_mib']:.0f} MiB at most; meanwhile it answered another "
        f"request within {upload['waited_ms']['p50']:.0f} ms (p50) and {upload['waited_ms']['max']:.0f} ms (max), "
        f"idle {upload['idle_ms']['p50']:.0f} and {upload['idle_ms']['max']:.0f} ms",
        "",
    )
    table = Table("a packument", "from", "per second", "per second of its processor", "/ nginx caching", box=None)
    for size, targets in found["reads"].items():
        for name, rates in targets.items():
            ratio = rates["per_cpu_second"] / targets["nginx caching"]["per_cpu_second"]
            table.add_row(size, name, f"{rates['per_second']:.0f}", f"{rates['per_cpu_second']:.0f}", f"{ratio:.2f}")
    out.print(table, "")


# --- Uploads ----------------------------------------------------------------------------------------------------


def _uploads(world: NpmWorld, targets: Sequence[Target], out: Console, repeats: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {target.name: [] for target in targets}
    growth, waited, idle = 0, list[float](), list[float]()
    with _asking(world.address, idle):
        time.sleep(READ_SECONDS)
    for number in range(repeats):
        payload = {"payload.bin": os.urandom(PAYLOAD)}
        for target in [*targets[number % len(targets) :], *targets[: number % len(targets)]]:
            package = npm_package(payload, name=f"@acme/{target.name.replace(' ', '-')}", version=f"1.0.{number}")
            body = json.dumps(package.document()).encode()
            if target.name == "gateway":
                _attest(world, package, target)
                memory.forget_peaks(target.pid)
                before = memory.peak(target.pid)
                with _asking(world.address, waited):
                    times[target.name].append(_put(target, package, body))
                growth = max(growth, memory.peak(target.pid) - before)
            else:
                times[target.name].append(_put(target, package, body))
            out.print(f"npm 50 MiB  {target.name:<14} {times[target.name][-1]:7.2f} s")
    return {
        "seconds": times,
        "median": {name: statistics.median(taken) for name, taken in times.items()},
        "gateway_growth_mib": growth / MIB,
        "waited_ms": _spread(waited),
        "idle_ms": _spread(idle),
    }


def _put(target: Target, package: NpmPackage, body: bytes) -> float:
    began = time.perf_counter()
    _send("PUT", target.url + package.path, body, target.authorization, 201)
    return time.perf_counter() - began


def _attest(world: NpmWorld, package: NpmPackage, gateway: Target) -> None:
    address = f"{world.address}/-/evidence?digest=sha512:{package.sha512}"
    _send("POST", address, world.bundle(package), gateway.authorization, 201)


def _send(method: str, url: str, body: bytes, authorization: str, expected: int) -> bytes:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=600)
    path = f"{where.path}?{where.query}" if where.query else where.path
    connection.request(method, path, body, {"Content-Type": "application/json", "Authorization": authorization})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != expected:
        raise RuntimeError(f"{url}: {answer.status} {answer.reason}\n{said[:2000].decode(errors='replace')}")
    return said


@contextmanager
def _asking(address: str, waited: list[float]) -> Iterator[None]:
    """Ask the gateway for something small all the while, and note the milliseconds that each answer took."""
    done = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        while not done.wait(0.005):
            began = time.perf_counter()
            connection.request("GET", "/-/healthz")
            connection.getresponse().read()
            waited.append((time.perf_counter() - began) * 1000)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}


# --- Reads ------------------------------------------------------------------------------------------------------


def _reads(world: NpmWorld, targets: Sequence[Target], out: Console) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for size, versions, padding in (("1 KB", 1, 0), ("5 MB", 2500, 1500)):
        path = _packument(world, size.replace(" ", "").lower(), versions, padding)
        taken: dict[str, list[tuple[float, float]]] = {target.name: [] for target in targets}
        for number in range(3):  # in turn
            for target in [*targets[number % len(targets) :], *targets[: number % len(targets)]]:
                taken[target.name].append(_rate(target, path))
        found[size] = {
            name: {
                "per_second": statistics.median(rate for rate, _ in rates),
                "per_cpu_second": statistics.median(rate for _, rate in rates),
            }
            for name, rates in taken.items()
        }
        out.print(f"packuments of {size}: {found[size]}")
    return found


def _packument(world: NpmWorld, name: str, versions: int, padding: int) -> str:
    """Have a packument of so many versions in verdaccio; returns its path."""
    package = npm_package(name=f"@acme/{name}")
    target = Target("", world.upstream.url, _basic(world.upstream.credential), 0)
    _put(target, package, json.dumps(package.document()).encode())
    file = world.upstream.storage / package.name / "package.json"
    document = json.loads(file.read_text())
    (first,) = document["versions"].values()
    for number in range(1, versions):
        version = f"1.0.{number}"
        dist = first["dist"] | {"tarball": first["dist"]["tarball"].replace("1.0.0", version)}
        text = os.urandom(padding // 2).hex()
        document["versions"][version] = first | {"version": version, "dist": dist, "description": text}
    file.write_text(json.dumps(document))
    return package.path


def _rate(target: Target, path: str) -> tuple[float, float]:
    """Read a document again and again on one connection: how many per second, and per second of its processor."""
    where = urlsplit(target.url)
    request = f"GET {where.path}{path} HTTP/1.1\r\nHost: {where.netloc}\r\nAccept: application/json\r\n\r\n".encode()
    with socket.create_connection((where.hostname or "", where.port or 80)) as connection:
        _exchange(connection, request)  # the first fills what caches there are
        before, began, count = _cpu(target.pid), time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < READ_SECONDS:
            for _ in range(8):
                _exchange(connection, request)
            count += 8
        used = _cpu(target.pid) - before
    return count / elapsed, count / used


def _exchange(connection: socket.socket, request: bytes) -> None:
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lowered = head.lower()
    if not lowered.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode())
    if b"content-length: " in lowered:
        missing = int(lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
        while missing > 0:
            missing -= len(_more(connection))
        return
    while not body.endswith(b"0\r\n\r\n"):  # chunked
        body = body[-8:] + _more(connection)


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(1 << 20)
    if not received:
        raise RuntimeError("the server closed the connection")
    return received


def _cpu(pid: int) -> float:
    """The processor time of a process and all it started, in seconds; exact, where `stat` counts ticks."""
    total = 0
    for member in memory.family(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def _serving(url: str) -> int:
    """The process that listens at an address of this machine."""
    port = f":{urlsplit(url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    (inode,) = {row[9] for row in rows if row[1].endswith(port) and row[3] == "0A"}
    owners = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and f"socket:[{inode}]" in _open_files(folder)
    ]
    return min(owners)  # nginx's master and its worker both have it


def _open_files(folder: Path) -> set[str]:
    try:
        return {str(one.readlink()) for one in (folder / "fd").iterdir()}
    except OSError:
        return set()


def _basic(credential: str) -> str:
    return "Basic " + base64.b64encode(credential.encode()).decode()


def missed(found: dict[str, Any]) -> list[str]:
    """The targets that were not met: a publish at most 1.3 times direct, a read at least half of nginx's rate."""
    upload = found["upload"]["median"]
    lines = []
    if (ratio := upload["gateway"] / upload["verdaccio"]) > UPLOAD:
        lines.append(f"missed: npm publish / direct is {ratio:.2f}, wanted <= {UPLOAD}")
    for size, targets in found["reads"].items():
        ratio = targets["gateway"]["per_cpu_second"] / targets["nginx caching"]["per_cpu_second"]
        if ratio < READ:
            lines.append(f"missed: a packument of {size} / nginx is {ratio:.2f}, wanted >= {READ}")
    return lines


def main() -> int:
    """Measure, print, write down."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    now = datetime.now(UTC)  # noqa: TID251 - a program is where the time comes from
    found = measure(out)
    if found is None:
        return 1
    tables(found, out)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    result = {"at": now.isoformat(timespec="seconds"), "machine": machine, **found}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    out.print(*missed(found), f"written to bench/results/{RESULTS.name}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
