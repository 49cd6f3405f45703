"""`make bench`: publishes and reads through the gateway, beside nginx and the bare registries, in one run.

Ratios are what lasts: every figure is taken in turn with the one that it is compared to, on the same machine. The
figures go to bench/results/<date>.json, and a table to the terminal.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import images, memory, npm, verification
from bench.client import File, Target, upload
from bench.world import NAME, big_wheel, nginx, small_wheel, targets
from gateway.demo.scenarios import POLICY
from gateway.demo.world import World, world
from gateway.sandbox import Sandbox

MIB = 1 << 20
RESULTS = Path(__file__).parent / "results"
LIMITS = {"one": 150 * MIB, "eight": 300 * MIB}  # what the gateway may take at 1 GiB, and with 8 at once


@dataclass
class Bench:
    """The running world, and what makes the wheels for it."""

    world: World
    sandbox: Sandbox
    now: datetime
    targets: list[Target]
    folder: Path
    out: Console

    @property
    def pid(self) -> int:
        """The gateway's process."""
        assert self.world.gateway is not None
        return self.world.gateway.pid

    def publish(self, target: Target, file: File) -> float:
        """Publish and take the file off the registry's disk again, so that the next target finds none."""
        took = upload(target, file)
        (self.world.upstream.packages / file.path.name).unlink()
        return took

    def in_turn(self, number: int) -> list[Target]:
        """All targets, each time beginning with another one."""
        at = number % len(self.targets)
        return self.targets[at:] + self.targets[:at]


def large(bench: Bench, size: int, repeats: int) -> dict[str, Any]:
    """Publish wheels of one size to every target in turn."""
    times: dict[str, list[float]] = {target.name: [] for target in bench.targets}
    peak = 0
    for number in range(repeats):
        file = big_wheel(bench.folder, f"{size // MIB}.{number}", size, bench.sandbox, bench.now)
        for target in bench.in_turn(number):
            memory.forget_peaks(bench.pid)
            times[target.name].append(bench.publish(target, file))
            if target.name == "gateway":
                peak = max(peak, memory.peak(bench.pid))
            bench.out.print(f"{size // MIB:>5} MiB  {target.name:<14} {times[target.name][-1]:7.2f} s")
        file.path.unlink()
    median = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        "mib": size // MIB,
        "seconds": times,
        "median": median,
        "over_direct": {name: taken / median["direct"] for name, taken in median.items()},
        "gateway_peak_mib": peak / MIB,
    }


def at_once(bench: Bench, size: int, count: int) -> dict[str, Any]:
    """Publish several wheels through the gateway at once, for its memory."""
    gateway = next(target for target in bench.targets if target.name == "gateway")
    files = [big_wheel(bench.folder, f"{size // MIB}.9.{n}", size, bench.sandbox, bench.now) for n in range(count)]
    memory.forget_peaks(bench.pid)
    with ThreadPoolExecutor(count) as pool:
        taken = list(pool.map(lambda file: bench.publish(gateway, file), files))
    peak = memory.peak(bench.pid)
    for file in files:
        file.path.unlink()
    bench.out.print(f"{count} x {size // MIB} MiB at once: {max(taken):.1f} s, {peak / MIB:.0f} MiB")
    return {"mib": size // MIB, "count": count, "seconds": taken, "gateway_peak_mib": peak / MIB}


def small(bench: Bench, count: int) -> dict[str, Any]:
    """Publish small wheels directly and through the gateway in turn; the difference is what the gate adds."""
    pair = [target for target in bench.targets if target.name in {"direct", "gateway"}]
    times: dict[str, list[float]] = {target.name: [] for target in pair}
    for number in range(count):
        file = small_wheel(bench.folder, f"0.0.{number}", bench.sandbox, bench.now)
        for target in pair if number % 2 else reversed(pair):
            times[target.name].append(bench.publish(target, file) * 1000)
        file.path.unlink()
    found: dict[str, Any] = {"count": count}
    for name, taken in times.items():
        found[name] = {"p50_ms": _quantile(taken, 0.50), "p99_ms": _quantile(taken, 0.99)}
    found["added"] = {key: found["gateway"][key] - found["direct"][key] for key in ("p50_ms", "p99_ms")}
    return found


def table(result: dict[str, Any], out: Console) -> None:
    """Print what was found."""
    uploads = Table("publish", "target", "median", "/ direct", "gateway's peak", box=None, title_justify="left")
    for found, (name, seconds) in itertools.chain.from_iterable(
        zip(itertools.repeat(found), found["median"].items()) for found in result["large"]
    ):
        peak = f"{found['gateway_peak_mib']:.0f} MiB" if name == "gateway" else ""
        ratio = found["over_direct"][name]
        uploads.add_row(f"{found['mib']} MiB", name, f"{seconds:.2f} s", f"{ratio:.2f}", peak)
    if found := result.get("at_once"):
        title = f"{found['count']} x {found['mib']} MiB at once"
        uploads.add_row(title, "gateway", f"{max(found['seconds']):.2f} s", "", f"{found['gateway_peak_mib']:.0f} MiB")
    out.print("", uploads, "")
    latency = Table("a small publish", "p50", "p99", box=None)
    for name in ("direct", "gateway", "added"):
        found = result["small"][name]
        latency.add_row(name, f"{found['p50_ms']:.1f} ms", f"{found['p99_ms']:.1f} ms")
    out.print(latency, "")
    if result["images"] is not None:
        images.table(result["images"], out)
        out.print(*images.missed(result["images"]), sep="\n")
    if result["npm"] is not None:
        npm.tables(result["npm"], out)
        out.print(*npm.missed(result["npm"]), sep="\n")
    verification.tables(result["verification"], out)
    cost = result["verification"]["cases"]["Rekor v1, DSSE"]["ms"]["both"]
    share = cost / result["small"]["added"]["p50_ms"]
    out.print(f"a verification with the second opinion is {share:.0%} of what a small publish is slower by")


def main() -> int:
    """Measure, print, write down; 1 when the gateway took more memory than it may."""
    options = _options()
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    now = datetime.now(UTC)  # noqa: TID251 - a program is where the time comes from
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="provgate-bench-", dir=options.dir)))
        sandbox = Sandbox.create(now)
        made = running.enter_context(world(folder / "world", sandbox, POLICY.replace("acme-*", NAME)))
        streaming = running.enter_context(nginx(folder / "streaming", made.upstream.url, buffering=False))
        storing = running.enter_context(nginx(folder / "storing", made.upstream.url, buffering=True))
        bench = Bench(made, sandbox, now, targets(made, streaming, storing), folder, out)
        result: dict[str, Any] = {
            "at": now.isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
            "verification": verification.measure(now),
            "npm": npm.measure(out, options.repeats),
            "small": small(bench, options.small),
            "large": [large(bench, mib * MIB, options.repeats) for mib in options.mib],
        }
        if options.at_once:
            result["at_once"] = at_once(bench, options.at_once_mib * MIB, options.at_once)
        result["images"] = images.measure(folder / "images", options.mib[-1] * MIB, options.repeats)
    table(result, out)
    RESULTS.mkdir(exist_ok=True)
    written = RESULTS / f"{now:%Y-%m-%d-%H%M}.json"
    written.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    out.print(f"\nwritten to bench/results/{written.name}")
    return _verdict(result, out)


def _verdict(result: dict[str, Any], out: Console) -> int:
    peaks = {"one": max(found["gateway_peak_mib"] for found in result["large"])}
    if "at_once" in result:
        peaks["eight"] = result["at_once"]["gateway_peak_mib"]
    over = [f"{peaks[name]:.0f} MiB > {LIMITS[name] // MIB} MiB" for name in peaks if peaks[name] * MIB > LIMITS[name]]
    if over:
        out.print(f"more memory than the gateway may take: {', '.join(over)}", style="bold red")
    return 1 if over else 0


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the gateway against nginx and the bare registry.")
    parser.add_argument("--mib", type=int, nargs="+", default=[100, 1024], help="sizes of the large wheels")
    parser.add_argument("--repeats", type=int, default=3, help="publishes of each size to each target")
    parser.add_argument("--small", type=int, default=200, help="small publishes to each target")
    parser.add_argument("--at-once", type=int, default=8, help="large publishes at once; 0: none")
    # A plain pypiserver takes one request at a time: eight of 1 GiB would wait for it longer than a gateway may.
    parser.add_argument("--at-once-mib", type=int, default=256, help="their size")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where to work: a disk, not memory")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
