"""Evidence is verified a piece at a time, beside the event loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pytest

from gateway import limits
from gateway.publish.verifying import give_way, in_turn


async def test_pieces_are_verified_one_at_a_time_in_their_order() -> None:
    began: list[int] = []
    running = threading.Semaphore(1)

    def verify(number: int) -> bool:
        began.append(number)
        alone = running.acquire(blocking=False)
        threading.Event().wait(0.001)
        running.release()
        return alone

    alone = await asyncio.gather(*(in_turn(lambda n=number: verify(n)) for number in range(20)))  # type: ignore[misc]
    assert all(alone)
    assert began == list(range(20))


async def test_links_that_take_long_hold_up_no_other_evidence() -> None:
    ended = threading.Event()
    async with asyncio.TaskGroup() as group:
        links = group.create_task(in_turn(lambda: ended.wait(30), together=True))
        try:
            assert await in_turn(lambda: "verified") == "verified"
            assert not links.done()
        finally:
            ended.set()
    assert links.result()


async def test_what_a_verification_raises_reaches_its_caller() -> None:
    def verify() -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        await in_turn(verify)


def test_a_process_that_serves_asks_its_threads_for_the_lock_early_and_leaves_what_is_loaded_alone() -> None:
    usual = sys.getswitchinterval()
    try:
        give_way()
        assert sys.getswitchinterval() == pytest.approx(limits.SWITCH_SECONDS)
        assert gc.get_freeze_count() > 0
    finally:
        sys.setswitchinterval(usual)
        gc.unfreeze()
