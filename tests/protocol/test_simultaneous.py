"""Two at once, and what changes while a publish is under way: one goes first, each ends as it began (E.1, E.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway import limits
from gateway.demo.packages import sdist, wheel
from gateway.demo.scenarios import POLICY
from gateway.model.intent import Settlement, Step
from gateway.publish.turns import Turns
from gateway.store import Query
from tests.lab.gate import GOOD, LabGate, lab_gate
from tests.lab.raw import connect, form, part, post

OTHER = wheel("acme-good", "1.0.0", source="# other\n")


class Held:
    """A registry that keeps each upload waiting until it is let go."""

    def __init__(self, gate: LabGate) -> None:
        self.came = asyncio.Event()
        self.go = asyncio.Event()
        gate.registry.misbehave["POST"] = self._wait

    async def _wait(self, _: web.Request) -> None:
        self.came.set()
        await self.go.wait()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path) as running:
        yield running


async def spooled(gate: LabGate, count: int) -> None:
    """Wait until so many bodies lie in the spool whole, each a request whose publish has begun."""
    while len([p for p in gate.spool.directory.glob("body-*") if p.stat().st_size]) < count:
        await asyncio.to_thread(gate.spool.directory.stat)


async def test_the_same_bytes_twice_at_once_are_written_once_and_both_told_so(gate: LabGate) -> None:
    held = Held(gate)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(gate.upload())
        await held.came.wait()
        second = group.create_task(gate.upload())
        await spooled(gate, 2)
        held.go.set()
    assert [task.result()[0] for task in (first, second)] == [200, 200]
    assert len(gate.registry.writes) == 1
    records = await gate.store.records(Query())
    assert [written.intent is not None for written in records] == [False, True]


async def test_of_other_bytes_under_one_name_the_first_wins(gate: LabGate) -> None:
    held = Held(gate)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(gate.upload())
        await held.came.wait()
        second = group.create_task(gate.upload(OTHER))
        await spooled(gate, 2)
        held.go.set()
    assert first.result()[0] == 200
    assert (second.result()[0], second.result()[1].partition(":")[0]) == (409, "version-exists")
    assert gate.registry.files == {GOOD.name: GOOD.content}


async def test_when_the_first_fails_the_second_goes_its_own_way(gate: LabGate) -> None:
    came, go = asyncio.Event(), asyncio.Event()

    async def refuses(_: web.Request) -> web.Response:
        came.set()
        await go.wait()
        gate.registry.misbehave.clear()
        return web.Response(status=403)

    gate.registry.misbehave["POST"] = refuses
    async with asyncio.TaskGroup() as group:
        first = group.create_task(gate.upload())
        await came.wait()
        second = group.create_task(gate.upload(OTHER))
        await spooled(gate, 2)
        go.set()
    assert first.result()[1].startswith("upstream-refused")
    assert second.result()[0] == 200
    assert gate.registry.files == {GOOD.name: OTHER.content}


async def test_many_at_once_of_one_name_leave_one_file(gate: LabGate) -> None:
    each = [wheel("acme-good", "1.0.0", source=f"# {number}\n") for number in range(8)]
    told = await asyncio.gather(*(gate.upload(one) for one in each))
    assert sorted(answer[0] for answer in told) == [200] + [409] * 7
    assert len(gate.registry.writes) == 1
    assert not await gate.store.open_intents()


async def test_the_files_of_a_release_do_not_wait_for_each_other(gate: LabGate) -> None:
    held = Held(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(gate.upload())
        group.create_task(gate.upload(sdist("acme-good", "1.0.0")))
        while len(gate.registry.writes) < 2:
            await held.came.wait()
            await asyncio.to_thread(gate.spool.directory.stat)
        held.go.set()
    assert len(gate.registry.files) == 2


async def test_waiting_is_bounded(gate: LabGate) -> None:
    gate.publisher._turns = Turns(0.1)
    held = Held(gate)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(gate.upload())
        await held.came.wait()
        told = await gate.upload()
        assert (told[0], told[1].partition(":")[0]) == (409, "publish-unsettled")
        held.go.set()
    assert first.result()[0] == 200
    assert len(gate.registry.writes) == 1


async def test_what_settles_from_time_to_time_leaves_a_publish_under_way_alone(gate: LabGate) -> None:
    """A gigabyte may take longer to forward than a turn is waited for; neither the publish nor the gateway may die."""
    gate.publisher._turns = Turns(0.1)
    held = Held(gate)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(gate.upload())
        await held.came.wait()
        assert not await gate.settle()
        assert [intent.step for intent in await gate.store.open_intents()] == [Step.FORWARDING]
        held.go.set()
    assert first.result()[0] == 200


async def test_what_was_settled_while_its_turn_was_waited_for_is_not_settled_again(gate: LabGate) -> None:
    came, go = asyncio.Event(), asyncio.Event()

    async def refuses(_: web.Request) -> web.Response:
        came.set()
        await go.wait()
        return web.Response(status=403)

    gate.registry.misbehave["POST"] = refuses
    async with asyncio.TaskGroup() as group:
        group.create_task(gate.upload())
        await came.wait()
        settling = group.create_task(gate.settle())
        await asyncio.to_thread(gate.spool.directory.stat)
        go.set()
    assert settling.result()
    (written,) = await gate.store.records(Query())
    assert written.intent is not None
    assert written.intent.settlement is Settlement.REFUSED


async def test_the_gateway_outlives_a_publish_that_takes_longer_than_its_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SETTLE_SECONDS", 0.01)
    async with lab_gate(tmp_path) as gate:
        turns = Turns(0.01)
        gave_up = asyncio.Event()
        gate.publisher._turns = turns
        settle_open = gate.publisher.settle_open

        async def watched(*given: Any) -> bool:
            done = await settle_open(*given)
            if not done:
                gave_up.set()
            return done

        monkeypatch.setattr(gate.publisher, "settle_open", watched)
        held = Held(gate)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(gate.upload())
            await held.came.wait()
            await gave_up.wait()
            held.go.set()
        assert first.result()[0] == 200
        assert (await gate.get("/-/healthz"))[0] == 200


# --- what changes meanwhile -----------------------------------------------------------------------------------------


async def half_sent(gate: LabGate, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A publish of which half has come and lies in the spool, or waits to."""
    reader, writer = await connect(gate.base)
    whole = post(body, gate.token)
    writer.write(whole[: len(whole) // 2])
    while not list(gate.spool.directory.glob("body-*")):
        await asyncio.to_thread(gate.spool.directory.stat)
    return reader, writer, whole[len(whole) // 2 :]


def body_of(gate: LabGate) -> bytes:
    fields = {
        ":action": "file_upload", "protocol_version": "1", "name": "acme-good", "version": "1.0.0",
        "filetype": "bdist_wheel", "attestations": f"[{gate.attestation().decode()}]",
    }  # fmt: skip
    return form([*(part(*field) for field in fields.items()), part("content", GOOD.content, filename=GOOD.name)])


async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> bytes:
    writer.write(rest)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head.split(b"\r\n")[0]


@pytest.mark.parametrize("to_worse", [True, False])
async def test_a_publish_ends_under_the_policy_it_began_with(gate: LabGate, *, to_worse: bool) -> None:
    lenient, strict = gate.publisher.trust, gate.trust(POLICY.replace("acme/libs", "acme/others"))
    before, after = (lenient, strict) if to_worse else (strict, lenient)
    gate.publisher.trust = before
    sent = await half_sent(gate, body_of(gate))
    gate.publisher.trust = after
    line = await told(*sent)
    assert line.startswith(b"HTTP/1.1 200" if to_worse else b"HTTP/1.1 403 repository-mismatch")
    decision = (await gate.newest()).record.decision
    assert decision.policy == before.policy.revision
    assert decision.policy != after.policy.revision


async def test_bytes_withdrawn_while_they_came_are_refused(gate: LabGate) -> None:
    sent = await half_sent(gate, body_of(gate))
    await gate.store.revoke_digest(GOOD.sha256, "ops", "stolen", gate.at)
    assert (await told(*sent)).startswith(b"HTTP/1.1 403 digest-revoked")
    assert not gate.registry.writes


async def test_bytes_withdrawn_after_the_decision_are_refused_and_that_is_recorded(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = gate.store.begin

    async def late(record: Any, intent: Any) -> Any:
        if intent is not None:
            await gate.store.revoke_digest(GOOD.sha256, "ops", "stolen", gate.at)
        return await begin(record, intent)

    monkeypatch.setattr(gate.store, "begin", late)
    answer = await gate.upload()
    assert (answer[0], answer[1].partition(":")[0]) == (403, "digest-revoked")
    assert await gate.codes() == {"digest-revoked"}
    assert (await gate.newest()).record.decision.outcome.value == "reject"
    assert (await gate.newest()).record.id in answer[1]
    assert not gate.registry.writes


async def test_bytes_withdrawn_while_they_are_forwarded_are_seen_by_nobody(gate: LabGate) -> None:
    held = Held(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(gate.upload())
        await held.came.wait()
        await gate.store.revoke_digest(GOOD.sha256, "ops", "stolen", gate.at)
        held.go.set()
    assert gate.registry.files == {GOOD.name: GOOD.content}
    assert (await gate.fetch(f"/pypi/packages/{GOOD.name}")).code == "file-withheld"


async def test_a_token_revoked_while_its_upload_came_publishes_nothing(gate: LabGate) -> None:
    sent = await half_sent(gate, body_of(gate))
    (known,) = await gate.store.grants()
    assert await gate.store.revoke_grant(known.grant.id, gate.at)
    assert (await told(*sent)).startswith(b"HTTP/1.1 401 credential-invalid")
    assert await gate.codes() == {"credential-invalid"}
    assert not gate.registry.writes


async def test_the_last_use_of_a_token_is_used_once(gate: LabGate) -> None:
    token = await gate.grant(uses_left=1)
    files = [wheel("acme-good", f"1.0.{number}") for number in range(3)]
    lenient = gate.trust(POLICY.replace("          ref: refs/tags/v{version}\n", ""))
    gate.publisher.trust = lenient
    answers = await asyncio.gather(*(gate.upload(one, token=token) for one in files))
    assert sorted(answer[0] for answer in answers) == [200, 401, 401]
    assert len(gate.registry.writes) == 1


async def test_a_client_that_goes_away_while_we_forward_has_published(gate: LabGate) -> None:
    held = Held(gate)
    settled = asyncio.Event()
    around = gate.publisher._around
    gate.publisher._around = replace(around, stepped=lambda step: settled.set() if step is Step.SETTLED else None)
    _, writer = await connect(gate.base)
    writer.write(post(body_of(gate), gate.token))
    await held.came.wait()
    writer.transport.abort()
    held.go.set()
    async with asyncio.timeout(5):
        await settled.wait()
    written = await gate.newest()
    assert written.intent is not None
    assert written.intent.settlement is Settlement.PUBLISHED
    assert gate.registry.files == {GOOD.name: GOOD.content}


async def test_a_client_that_goes_away_in_its_body_leaves_nothing(gate: LabGate) -> None:
    _, writer, _ = await half_sent(gate, body_of(gate))
    writer.transport.abort()
    while list(gate.spool.directory.glob("body-*")):
        await asyncio.to_thread(gate.spool.directory.stat)
    assert gate.registry.requests == []
    assert await gate.store.records(Query()) == ()
