"""How long the event loop waits for its turn while many verifications run beside it in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from gateway.publish.verifying import in_turn

TICK = 0.001  # seconds between two looks at the clock


async def stall(
    call: Callable[[], None] | None, at_once: int, seconds: float, *, pool: bool = False
) -> dict[str, float]:
    """Return quantiles, in milliseconds, of how much later than due each tick came; no call: the machine's own share.

    `call` runs as the gateway runs it, or in the loop's own pool for comparison; `at_once` of them are waiting or
    running at any time.
    """
    loop, late = asyncio.get_running_loop(), list[float]()
    ends = loop.time() + seconds
    count = 0

    async def verify() -> None:
        nonlocal count
        while call is not None and loop.time() < ends:
            await (asyncio.to_thread(call) if pool else in_turn(call))
            count += 1

    async def tick() -> None:
        while loop.time() < ends:
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            late.append((time.perf_counter() - began - TICK) * 1000)

    async with asyncio.TaskGroup() as group:
        for job in [tick(), *(verify() for _ in range(at_once))]:
            group.create_task(job)
    late.sort()
    shares: dict[str, Any] = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    found = {name: late[min(len(late) - 1, int(share * len(late)))] for name, share in shares.items()}
    return {**found, "per_second": count / seconds}
