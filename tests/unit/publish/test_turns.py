"""Of two publishes of one name one goes first; publishes of other names do not wait."""

from __future__ import annotations

import asyncio

import pytest

from gateway.publish.turns import Turns


async def test_the_second_waits_until_the_first_is_done() -> None:
    turns, order = Turns(), []
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with turns.take(["python a", "python b"]):
            inside.set()
            await go_on.wait()
            order.append("first")

    async def second() -> None:
        await inside.wait()
        waiting.set()
        async with turns.take(["python b", "python c"]):
            order.append("second")

    waiting = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        group.create_task(second())
        await waiting.wait()
        go_on.set()
    assert order == ["first", "second"]


async def test_another_name_does_not_wait() -> None:
    turns = Turns()
    async with turns.take(["python a"]), turns.take(["python b"]):
        pass


async def test_waiting_is_bounded() -> None:
    turns = Turns(wait_seconds=0.01)
    async with turns.take(["python a"]):
        with pytest.raises(TimeoutError):
            async with turns.take(["python a"]):
                pytest.fail("two hold one name")


async def test_nothing_is_kept_once_everybody_is_done() -> None:
    turns = Turns(wait_seconds=0.01)
    async with turns.take(["python a"]):
        with pytest.raises(TimeoutError):
            async with turns.take(["python b", "python a"]):
                pytest.fail("two hold one name")
    assert not turns._locks
