"""What one verification costs beside the bare signatures in it and beside other engines, and what it does to the loop.

`python -m bench.verification`, or a part of `make bench`. Everything is taken in turn, round by round; a ratio is the
median of its rounds, so that a neighbour on the machine that slows down a whole round changes none of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import engines
from bench.engines import Bare, Case, Engine, Own, SigstoreJs, SigstorePython
from bench.stall import stall
from gateway.publish.verifying import give_way

RESULTS = Path(__file__).parent / "results" / "verification.json"
SEEN = 0.75  # of the bare signatures, where the same certificate and checkpoint came before
JAVASCRIPT = 8.0  # times slower than ours
AT_ONCE = 32
STALL = 5.0  # milliseconds
LOOPS = {
    "idle": "nothing beside it",
    "own": "own core",
    "both": "with 2nd opinion",
    "junk": "a mebibyte of values",
    "own_pool": "own core, in the loop's own pool",
    "both_pool": "with 2nd opinion, in the loop's own pool",
}
COLUMNS = ("bare", "own", "seen", "both", "python", "js")


def measure(now: datetime, rounds: int = 9, burst: int = 15, seconds: float = 3.0) -> dict[str, Any]:
    """Verify each shape with each engine; times in milliseconds, ratios to the bare signatures."""
    own, node = Own(now), SigstoreJs.found()
    bare = Bare(own)
    running: dict[str, Engine] = {
        "bare": bare,
        "own": own,
        "seen": Own(now, seen=True),
        "both": Own(now, second_opinion=True),
        "python": SigstorePython(),
    }
    if node is not None:
        running["js"] = node
    shapes = engines.cases(now)
    try:
        cases = {case.name: _rounds(case, running, rounds, burst) for case in shapes}
    finally:
        if node is not None:
            node.close()
    for case in shapes:
        kinds = sorted(bare.kinds[case.name].items(), reverse=True)
        cases[case.name] |= {"signatures": dict(kinds), "most": case.most}
    return {"cases": cases, "loop": _loop(shapes[0], now, seconds)}


def _rounds(case: Case, running: Mapping[str, Engine], rounds: int, burst: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {name: [] for name in running}
    for number in range(rounds):
        order = list(running)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            taken = running[name].burst(case, burst)
            if taken:
                times[name].append(statistics.median(taken) * 1000)
    known = {name: found for name, found in times.items() if found}
    return {
        "ms": {name: statistics.median(found) for name, found in known.items()},
        "over_bare": {name: _ratio(found, known["bare"]) for name, found in known.items()},
        "over_own": {name: _ratio(found, known["own"]) for name, found in known.items()},
    }


def _ratio(these: list[float], those: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


def _loop(case: Case, now: datetime, seconds: float) -> dict[str, Any]:
    """The loop alone, with verifications as the gateway runs them, and in its own pool; certificates seen before."""
    own = Own(now)
    calls = {"own": own.once(case), "both": Own(now, second_opinion=True).once(case), "junk": own.junk(case)}
    usual = sys.getswitchinterval()
    found = {"idle": asyncio.run(stall(None, 0, seconds))}
    found |= {f"{key}_pool": asyncio.run(stall(calls[key], AT_ONCE, seconds, pool=True)) for key in ("own", "both")}
    give_way()
    found |= {key: asyncio.run(stall(call, AT_ONCE, seconds)) for key, call in calls.items()}
    sys.setswitchinterval(usual)
    gc.unfreeze()
    return found


def tables(found: Mapping[str, Any], out: Console) -> None:
    """Print what was measured."""
    heads = ("bare", "own core", "seen before", "with 2nd opinion", "sigstore-python", "sigstore-js")
    costs = Table("one verification, ms (x bare)", *heads, "signatures", box=None)
    for name, case in found["cases"].items():
        cells = [
            f"{case['ms'][key]:.2f} ({case['over_bare'][key]:.2f})" if key in case["ms"] else "-" for key in COLUMNS
        ]
        costs.add_row(name, *cells, ", ".join(f"{count} {kind}" for kind, count in case["signatures"].items()))
    loop = Table(f"the loop, {AT_ONCE} at once", "p50", "p99", "longest", "verified per second", box=None)
    for key, title in LOOPS.items():
        late = found["loop"][key]
        loop.add_row(title, *(f"{late[f'{q}_ms']:.1f} ms" for q in ("p50", "p99", "max")), f"{late['per_second']:.0f}")
    out.print("", costs, "", loop, "")
    for line in missed(found):
        out.print(line, style="bold red")


def missed(found: Mapping[str, Any]) -> list[str]:
    """Say which targets were not met."""
    lines = []
    for name, case in found["cases"].items():
        wanted = [
            ("own core / bare", case["over_bare"]["own"], "<=", case["most"]),
            ("seen before / bare", case["over_bare"]["seen"], "<", SEEN),
            ("sigstore-python / own core", case["over_own"].get("python", 2.0), ">", 1.0),
            ("sigstore-js / own core", case["over_own"].get("js", 2 * JAVASCRIPT), ">=", JAVASCRIPT),
        ]
        for what, got, sign, target in wanted:
            met = {"<=": got <= target, "<": got < target, ">": got > target, ">=": got >= target}[sign]
            if not met:
                lines.append(f"missed: {name}: {what} is {got:.2f}, wanted {sign} {target}")
    idle = found["loop"]["idle"]["max_ms"]  # the machine's neighbours make an idle loop wait too
    for key in ("own", "both", "junk"):
        if (waited := found["loop"][key]["max_ms"]) > max(STALL, idle):
            what = f"the loop, {LOOPS[key]}, waited {waited:.1f} ms (idle {idle:.1f})"
            lines.append(f"missed: {what}, wanted <= {STALL:.0f}")
    return lines


def main() -> int:
    """Measure, print, write down."""
    parser = argparse.ArgumentParser(description="Time verifications beside other engines.")
    parser.add_argument("--rounds", type=int, default=9, help="times that every engine has its turn")
    parser.add_argument("--burst", type=int, default=15, help="verifications in a turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="to watch the event loop for, each time")
    options = parser.parse_args()
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    now = datetime.now(UTC)  # noqa: TID251 - a program is where the time comes from
    found = measure(now, options.rounds, options.burst, options.seconds)
    tables(found, out)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    result = {"at": now.isoformat(timespec="seconds"), "machine": machine, **found}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    out.print(f"written to bench/results/{RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
