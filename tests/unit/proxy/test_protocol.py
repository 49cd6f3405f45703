"""The timers of one connection, which a test on the wire could only wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from unittest.mock import Mock

import pytest
from aiohttp import web

from gateway.proxy.protocol import GateProtocol, GateServer


async def _handler(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response()


@pytest.fixture
async def protocol() -> AsyncIterator[GateProtocol]:
    made = GateServer(_handler)()
    assert isinstance(made, GateProtocol)
    made.connection_made(Mock(spec=asyncio.Transport, **{"get_extra_info.return_value": None}))
    yield made
    made.connection_lost(None)


async def test_a_client_that_takes_some_of_its_answer_is_waited_for_anew(protocol: GateProtocol) -> None:
    protocol.pause_writing()
    first = protocol._stalled
    assert first is not None
    protocol.resume_writing()
    assert first.cancelled()
    protocol.pause_writing()
    assert protocol._stalled is not None
    assert not protocol._stalled.cancelled()


async def test_a_head_that_came_in_time_ends_the_patience_for_it(protocol: GateProtocol) -> None:
    patience = protocol._patience
    assert patience is not None
    protocol.head_came()
    assert patience.cancelled()


async def test_no_timer_outlives_its_connection() -> None:
    made = GateServer(_handler)()
    assert isinstance(made, GateProtocol)
    made.connection_made(Mock(spec=asyncio.Transport, **{"get_extra_info.return_value": None}))
    made.pause_writing()
    timers = [made._patience, made._stalled]
    made.connection_lost(None)
    assert all(timer is not None and timer.cancelled() for timer in timers)
