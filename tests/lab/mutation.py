"""Break a program once at each of many places, in copies of the tree, and see whether a test fails."""

# ruff: noqa: T201 - printing is its job
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
_PARTS: Final = ("gateway", "policy", "tests", "trust_roots", "pyproject.toml")
_SECONDS: Final = 120.0  # for one run of the tests; a mutant that never ends is noticed too
_WORKERS: Final = min(4, os.cpu_count() or 1)


class Mutant(NamedTuple):
    """A text that stands in a file exactly once, and what it is turned into."""

    file: str
    old: str
    new: str


class Fate(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    STALE = "STALE"  # its text does not stand there exactly once: nothing was tried


def run(mutants: Sequence[Mutant], tests: Sequence[str], wanted: str = "") -> int:
    """Try the mutants of the files whose path holds `wanted`, print what became of them; 0 where all were killed."""
    chosen = [mutant for mutant in mutants if wanted in mutant.file]
    if not chosen:
        print(f"no mutant of a file whose path holds {wanted!r}")
        return 1
    began = time.monotonic()
    with _trees(min(_WORKERS, len(chosen))) as trees:
        free: SimpleQueue[Path] = SimpleQueue()
        for tree in trees:
            free.put(tree)
        if not _pass(trees[0], tests):
            print("the tests fail without any mutant")
            return 1

        def try_one(mutant: Mutant) -> Fate:
            tree = free.get()
            try:
                return _fate(tree, mutant, tests)
            finally:
                free.put(tree)

        with ThreadPoolExecutor(len(trees)) as pool:
            fates = []
            for mutant, fate in zip(chosen, pool.map(try_one, chosen), strict=True):
                fates.append(fate)
                if fate is not Fate.KILLED:
                    print(f"{fate.value:8} {mutant.file}: {mutant.old!r} -> {mutant.new!r}", flush=True)
    counts = ", ".join(f"{fates.count(fate)} {fate.value.lower()}" for fate in Fate)
    print(f"{len(fates)} mutants: {counts}, in {time.monotonic() - began:.0f} s")
    return 0 if all(fate is Fate.KILLED for fate in fates) else 1


@contextmanager
def _trees(count: int) -> Iterator[list[Path]]:
    """Copies of the tree, each with the real data beside it."""
    with tempfile.TemporaryDirectory(prefix="provgate-mutants-") as name:
        (Path(name) / "shared").symlink_to(ROOT.parent / "shared")
        trees = [Path(name) / f"tree-{number}" for number in range(count)]
        for tree in trees:
            tree.mkdir()
            for part in _PARTS:
                source = ROOT / part
                if source.is_dir():
                    shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, tree / part)
        yield trees


def _fate(tree: Path, mutant: Mutant, tests: Sequence[str]) -> Fate:
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return Fate.STALE
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return Fate.SURVIVED if _pass(tree, tests) else Fate.KILLED
    finally:
        path.write_text(text, encoding="utf-8")


def _pass(tree: Path, tests: Sequence[str]) -> bool:
    # Without bytecode: two writes within a second, of texts of one length, would look like the same file to it.
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        ended = subprocess.run(command, cwd=tree, capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0
