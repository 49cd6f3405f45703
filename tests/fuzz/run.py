"""`make fuzz`: every target for a minute, a line for each as it ends, a table, and 1 if any crashed.

Inputs that led somewhere stay in .fuzz/<target>/corpus for the next run, what crashed is in .fuzz/<target>/crashes. A
crash becomes a file in tests/corpus/fuzz/<target>/, where every `make test` reads it again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".fuzz"
MEMORY = 1024  # MiB for one target
SLOW = 10  # seconds for one input: longer is a crash


@dataclass(frozen=True)
class Outcome:
    """What a target came to; `crashes` are files, `problem` the first line of what was raised."""

    name: str
    runs: int
    coverage: int
    corpus: int
    crashes: tuple[Path, ...]
    problem: str


def fuzz(name: str, seconds: int) -> Outcome:
    """Run one target."""
    here = FOLDER / name
    corpus, seeds, crashes = (here / part for part in ("corpus", "seeds", "crashes"))
    for folder in (corpus, seeds, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    for old in (*seeds.iterdir(), *crashes.iterdir()):
        old.unlink()
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOW}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={crashes}/",
        "-max_len=65536",
        "-print_final_stats=1",
        "-reload=0",
    ]
    with (here / "log").open("wb") as log:
        code = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.one", name, str(seeds), *options, str(corpus), str(seeds)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=seconds + 120,
            check=False,
        ).returncode
    text = (here / "log").read_text(encoding="utf-8", errors="replace")
    raised = re.search(r"Uncaught Python exception: ===\n(.*)|ERROR: (libFuzzer: .*)", text)
    problem = next((group for group in raised.groups() if group), "") if raised else ""
    if code and not problem:
        problem = f"ended with {code}: {text.strip().splitlines()[-1] if text.strip() else 'nothing said'}"
    return Outcome(
        name,
        _last(r"number_of_executed_units: (\d+)", text) or _last(r"^#(\d+)", text),
        _last(r"cov: (\d+)", text),
        len(list(corpus.iterdir())),
        tuple(sorted(crashes.iterdir())),
        problem,
    )


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def main() -> int:
    """Fuzz what the command line names, or everything."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of strangers' bytes.")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="absent: all of them")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at the same time")
    options = parser.parse_args()
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    names = options.targets or list(TARGETS)
    out.print(f"{len(names)} targets, {options.seconds} s each, {options.jobs} at a time")
    outcomes = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(lambda name: fuzz(name, options.seconds), names):
            outcomes.append(outcome)
            out.print(f"{outcome.name:<16} {outcome.runs:>9} inputs  {outcome.problem or 'no crash'}", markup=False)
    table = Table("target", "inputs", "per second", "branches", "kept", "crash", box=None)
    for one in outcomes:
        rate = f"{one.runs / options.seconds:.0f}"
        where = ", ".join(str(path.relative_to(ROOT)) for path in one.crashes)
        table.add_row(one.name, str(one.runs), rate, str(one.coverage), str(one.corpus), where or one.problem or "-")
    out.print("", table)
    return 1 if any(one.problem or one.crashes for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
