"""The path of a mutation, once, as numbered steps: a change of what a registry says, without an upload.

1. Read the body, bounded, and let the protocol read the mutation from it.
2. The grant must cover it: `mutate`, for this package.
3. Wait for the package's turn: nothing else of it is written meanwhile.
4. Nothing of the package may be unsettled: what is written anew could take out what is just coming in.
5. Fetch the package's document afresh; the protocol compares, and writes the registry's request anew.
6. Commit the record to disk. No record, no forward.
7. Forward with the gateway's own credential.
8. Answer.

A mutation is one request of the registry, so a crash leaves nothing half done. A lost answer is told as unknown, and
the record then says only that it was let through: asking for the same again does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway import limits
from gateway.credentials import check
from gateway.ecosystems.protocol import Change, Head, Refused, Reply, View, Write
from gateway.errors import Malformed, StoreError, UpstreamError
from gateway.model.case import Action, Grant
from gateway.model.decision import Decision
from gateway.model.intent import Record
from gateway.model.mutation import Mutation
from gateway.policy import let_through, refuse
from gateway.publish.body import bounded
from gateway.publish.served import Served
from gateway.publish.spending import take_uses, withdrawn
from gateway.publish.surroundings import Surroundings
from gateway.publish.turns import Turns
from gateway.reasons import Code, Reason
from gateway.store import Store
from gateway.upstream import NothingSent

log = logging.getLogger(__name__)
_UNKNOWN: Final = "Look whether it was done; if it was not, ask again in a minute."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be a mutation: of which registry, by whom, under which policy's revision.

    `view` tells what a reader may see at the time it is called.
    """

    served: Served
    head: Head
    grant: Grant
    revision: str
    view: Callable[[], Awaitable[View]]


class Mutations:
    """Carries mutations out. `turns` are those of the publishes."""

    def __init__(self, store: Store, turns: Turns, around: Surroundings) -> None:
        self._store = store
        self._turns = turns
        self._around = around

    async def request(self, asked: Asked, body: AsyncIterator[bytes]) -> Reply:
        """Take a request that its head alone shows to be a mutation to its answer."""
        whole = await bounded(body, limits.MUTATION_BODY)  # 1
        if isinstance(whole, Reason):
            return _unrecorded(asked, whole)
        return await self.carry_out(asked, asked.served.ecosystem.mutation(asked.head, whole))

    async def carry_out(self, asked: Asked, change: Change | Refused) -> Reply:
        """Take a mutation that was read to its answer."""
        try:
            if isinstance(change, Refused):
                return await self._refused(asked, change.mutation, change.reasons)
            mutation, registry = change.mutation, asked.served.registry.name
            if reasons := check(asked.grant, registry, mutation.purl, Action.MUTATE, self._around.now()):  # 2
                return await self._refused(asked, mutation, reasons)
            async with self._turns.take([f"{registry} {mutation.purl}"]):  # 3
                return await self._decided(asked, change)
        except TimeoutError:
            about = "this package"
            return _unrecorded(asked, Reason(Code.PUBLISH_UNSETTLED, about, "its turn", "another write under way"))
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400 - one line, no traceback
            return _unrecorded(asked, Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))
        except UpstreamError as error:
            log.error("upstream: %s", error)  # noqa: TRY400
            reason = Reason(Code.UPSTREAM_UNAVAILABLE, f"registry {error.registry}", got=error.problem)
            return _unrecorded(asked, reason)

    async def _decided(self, asked: Asked, change: Change) -> Reply:
        served, mutation = asked.served, change.mutation
        for intent in await self._store.open_intents():  # 4
            if intent.registry == served.registry.name and intent.name == mutation.name:
                got = f"{intent.version} is not"
                return _unrecorded(asked, Reason(Code.PUBLISH_UNSETTLED, mutation.name, "every publish settled", got))
        write = await self._compared(asked, change)  # 5
        if isinstance(write, Refused):
            return await self._refused(asked, mutation, write.reasons)
        record = self._record(asked, mutation, let_through(mutation, asked.grant, asked.revision))  # 6
        if taken := await withdrawn(self._store, asked.grant) or await take_uses(self._store, asked.grant, record):
            return await self._refused(asked, mutation, (taken,))
        await self._store.begin(record, None)
        failure = await self._forward(served, write)  # 7
        if failure is None:
            return change.done  # 8
        log.error("mutation %s: %s", record.id, failure.line())
        return served.ecosystem.render((failure,), served.permalink(record.id), asked.head)

    async def _compared(self, asked: Asked, change: Change) -> Write | Refused:
        """What goes to the registry, after a look at what it holds now."""
        served, mutation = asked.served, change.mutation
        page = served.ecosystem.page_of(mutation.name)
        answer = await served.upstream.document(page, {"Accept": served.ecosystem.page_type})
        if answer.status == 404:
            return Refused((Reason(Code.NOT_FOUND, mutation.name),))
        if answer.status != 200:
            raise UpstreamError(served.registry.name, f"its page of {mutation.name} answered {answer.status}")
        try:
            return await asyncio.to_thread(change.forward, answer.url, answer.body, await asked.view())
        except Malformed as error:
            raise UpstreamError(served.registry.name, f"{error.about}: {error.problem}") from error

    @staticmethod
    async def _forward(served: Served, write: Write) -> Reason | None:
        """Send it; None where the registry said yes."""
        registry = f"registry {served.registry.name}"
        try:
            answer = await served.upstream.write(
                write.method, write.path, dict(write.headers), _whole(write), write.length
            )
        except UpstreamError as error:
            remedy = "" if isinstance(error, NothingSent) else _UNKNOWN
            return Reason(Code.UPSTREAM_UNAVAILABLE, registry, got=error.problem, remedy=remedy)
        if 200 <= answer.status < 300:
            return None
        said = f"{answer.status} {answer.reason}".strip()
        # A 5xx may be a proxy's that lost patience, with the registry behind it still at work.
        remedy = "" if answer.status < 500 else _UNKNOWN
        return Reason(Code.UPSTREAM_REFUSED, registry, "the change accepted", said, remedy)

    def _record(self, asked: Asked, mutation: Mutation | None, decision: Decision) -> Record:
        return self._around.record(asked.served.registry.name, asked.grant, decision, mutation=mutation)

    async def _refused(self, asked: Asked, mutation: Mutation | None, reasons: tuple[Reason, ...]) -> Reply:
        record = self._record(asked, mutation, refuse(reasons, asked.revision))
        await self._store.begin(record, None)
        return asked.served.ecosystem.render(reasons, asked.served.permalink(record.id), asked.head)


def _unrecorded(asked: Asked, reason: Reason) -> Reply:
    link = f"{asked.served.public_url}/-/reasons/{reason.code.value}"
    return asked.served.ecosystem.render((reason,), link, asked.head)


async def _whole(write: Write) -> AsyncIterator[bytes]:
    yield write.head + write.tail
