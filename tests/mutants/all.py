"""All mutants, room by room: `python -m tests.mutants.all [part of a path]`; exit code 1 unless each one was killed."""

from __future__ import annotations

import sys

from tests.lab.mutation import run
from tests.mutants import oci, policy, store, verification


def main(wanted: str) -> int:
    """Run the rooms that have a mutant of such a file, each with its own tests."""
    every = (policy, store, verification, oci)
    rooms = [room for room in every if any(wanted in mutant.file for mutant in room.MUTANTS)]
    return max((run(room.MUTANTS, room.TESTS, wanted) for room in rooms), default=1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
