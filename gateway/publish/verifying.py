"""Where evidence is read and verified: beside the event loop, a piece at a time, and giving way to it.

Nearly all of a verification holds Python's lock. Several at once are no faster than one after another, and each running
thread may take the lock before the event loop does: with the loop's own pool it waited for more than ten milliseconds
at a time under 32 uploads, with one thread for less than one (`make bench`; docs/verification.md).
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from gateway import limits

T = TypeVar("T")

_PIECES: Final = ThreadPoolExecutor(1, "verify")
# Links under a layout may take seconds, for which no other upload has to wait.
_TOGETHER: Final = ThreadPoolExecutor(1, "verify-links")


def give_way() -> None:
    """Let no thread hold up the event loop for long; for the whole process, once everything is loaded.

    Python asks a thread for its lock after 5 ms. And while it looks for garbage no thread runs: what is there now stays
    anyway, and going through all of it takes 25 ms.
    """
    sys.setswitchinterval(limits.SWITCH_SECONDS)
    gc.collect()
    gc.freeze()


async def in_turn(call: Callable[[], T], *, together: bool = False) -> T:
    """Run a verification when those before it are done; `together` for what is judged with other pieces."""
    return await asyncio.get_running_loop().run_in_executor(_TOGETHER if together else _PIECES, call)
