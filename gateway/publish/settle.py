"""Settling an intent: what the registry serves is compared, byte for byte, with what was verified.

Run when forwarding failed, and for every open intent when the gateway starts. While an intent is open or damaged the
store withholds its files from every reader, so that a half-written file (pypiserver keeps one) is never seen.

1. Ask the registry what it lists under the package.
2. Nothing under the file's name: ABSENT. Nothing was published, the name is free again.
3. Fetch whatever is listed under the name and hash it. All equal to what was verified: PUBLISHED.
4. Otherwise the file is damaged. Where the registry can take it out without taking a sibling (pypiserver's
   `remove_pkg` deletes every file of a name and version), take it out and look again: ABSENT.
5. Else DAMAGED: it stays withheld, and the problem says exactly what a person must do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from urllib.parse import urljoin, urlsplit

from gateway import limits
from gateway.ecosystems.protocol import Held, Write
from gateway.errors import Malformed, UpstreamError
from gateway.model.digest import Measure
from gateway.model.intent import Intent, IntentFile, Settlement
from gateway.publish.served import Served
from gateway.upstream import Answer


async def settle(served: Served, intent: Intent) -> tuple[Settlement, str]:
    """Compare and mend: what it came to, and what a person must know. Raises `UpstreamError` when it cannot look."""
    verdicts = [await _settle_file(served, intent, file) for file in intent.files]
    for settlement in (Settlement.DAMAGED, Settlement.ABSENT, Settlement.PUBLISHED):
        for verdict in verdicts:
            if verdict[0] is settlement:
                return verdict
    raise UpstreamError(served.registry.name, "an intent without files")


async def holdings(served: Served, name: str) -> tuple[Held, ...]:
    """What the registry lists of one package; empty where it does not know the package."""
    answer = await served.upstream.document(served.ecosystem.page_of(name), {"Accept": served.ecosystem.page_type})
    if answer.status == 404 or _elsewhere(answer, name):
        return ()
    if answer.status != 200:
        raise UpstreamError(served.registry.name, f"its page of {name} answered {answer.status}")
    try:
        return await asyncio.to_thread(served.ecosystem.holdings, answer.url, answer.body)
    except Malformed as error:
        raise UpstreamError(served.registry.name, f"its page of {name} cannot be read: {error.problem}") from error


async def digest_of(served: Served, held: Held, longest: int) -> str:
    """The sha256 of the bytes that the registry serves for a file, as measured here; see `measured`."""
    return dict((await measured(served, held, longest)).digests())["sha256"]


async def measured(served: Served, held: Held, longest: int, algorithms: Iterable[str] = ()) -> Measure:
    """Measure the bytes that the registry serves for a file.

    No more is read than shows that the file is longer than `longest` bytes; the digests are then of what was read.
    """
    running = Measure(algorithms)
    try:
        async with (
            asyncio.timeout(limits.DOCUMENT_SECONDS + longest / limits.MIB),
            served.upstream.open("GET", held.path, {}) as response,
        ):
            if response.status != 200:
                raise UpstreamError(served.registry.name, f"{held.name} answered {response.status}")
            async for chunk in response.content.iter_any():
                running.update(chunk)
                if running.size > longest:
                    response.close()
                    break
    except TimeoutError as error:
        raise UpstreamError(served.registry.name, f"{held.name} took too long") from error
    return running


def _elsewhere(answer: Answer, name: str) -> bool:
    """Whether a project's page was redirected to another index's page of the same project: it is not here.

    pypiserver does so with its fallback on. Any other redirect, to a login for one, says nothing of what is here.
    """
    if not 300 <= answer.status < 400 or "Location" not in answer.headers:
        return False
    target, asked = urlsplit(urljoin(answer.url, answer.headers["Location"])), urlsplit(answer.url)
    leaves = (target.scheme, target.netloc) != (asked.scheme, asked.netloc)
    return leaves and target.path.rstrip("/").endswith(f"/{name}")


async def _settle_file(served: Served, intent: Intent, file: IntentFile) -> tuple[Settlement, str]:
    listed = await holdings(served, intent.name)  # 1
    mine = [held for held in listed if held.name == file.name]
    if not mine:  # 2
        return Settlement.ABSENT, ""
    found = [await digest_of(served, held, file.size) for held in mine]  # 3
    other = next((digest for digest in found if digest != file.sha256), None)
    if other is None:
        return Settlement.PUBLISHED, ""
    siblings = sum(1 for held in listed if held.release == mine[0].release and held.name != file.name)
    removal = served.ecosystem.removal(mine[0]) if served.removable and not siblings else None  # 4
    if removal is not None:
        answer = await served.upstream.write(
            removal.method, removal.path, dict(removal.headers), _whole(removal), removal.length
        )
        if all(held.name != file.name for held in await holdings(served, intent.name)):
            return Settlement.ABSENT, "a file with other bytes was removed from the registry"
        return Settlement.DAMAGED, _problem(file, other, f"the registry answered {answer.status} to the removal")
    why = f"{siblings} other file(s) of this version would go with it" if siblings else "the registry cannot remove it"
    return Settlement.DAMAGED, _problem(file, other, why)  # 5


def _problem(file: IntentFile, found: str, why: str) -> str:
    return (
        f"the registry serves {file.name} with sha256 {found}, verified was {file.sha256} ({file.size} bytes); "
        f"it was not removed automatically: {why}. Delete this one file from the registry's storage; the gateway looks "
        f"again every {int(limits.SETTLE_SECONDS)} seconds and withholds it until then."
    )


async def _whole(write: Write) -> AsyncIterator[bytes]:
    yield write.head + write.tail
