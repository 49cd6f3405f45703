"""`Act`: a part of the demo that needs programs which may be absent; played where they are here, named where not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.demo.clients import Run

_SYSTEM: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # where Debian keeps servers, out of a user's PATH


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done in an act: what the client printed, what became of it, and what is wrong with that."""

    title: str
    run: Run
    became: str
    problems: tuple[str, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Whether it went as it must."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Act:
    """A part of the demo: what it is about, the programs it needs, and how it is played in a folder of its own."""

    slug: str
    title: str
    needs: tuple[str, ...]
    play: Callable[[Path, datetime], Iterator[Step]]

    def missing(self) -> tuple[str, ...]:
        """The programs that it needs and this machine has not."""
        return tuple(name for name in self.needs if program(name) is None)


@dataclass(frozen=True, slots=True)
class Played:
    """An act as it went; `missing` says why it was not played."""

    act: Act
    steps: tuple[Step, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Whether every step went as it must; an act that was not played is no failure."""
        return all(step.as_expected for step in self.steps)


def program(name: str) -> str | None:
    """Where a program is: in PATH, or where systems keep their servers."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM]))


def play(acts: Sequence[Act], folder: Path, at: datetime, shown: Callable[[Played], None]) -> tuple[Played, ...]:
    """Play each act whose programs are here; `shown` is told of each, and again after each of its steps."""
    played = []
    for act in acts:
        done = Played(act, missing=act.missing())
        shown(done)
        if not done.missing:
            room = folder / act.slug
            room.mkdir()
            for step in act.play(room, at):
                done = Played(act, (*done.steps, step))
                shown(done)
        played.append(done)
    return tuple(played)
