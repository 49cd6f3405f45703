"""`provgate serve` that kills itself with SIGKILL at one point of its first publish: `killed.py SETTINGS POINT`.

A point is a `Step` (killed right after the step is on disk), `body` (half of the file has been sent upstream) or
`received` (the registry has answered, nothing of it is on disk).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from gateway.cli.serve import run
from gateway.config import load_settings
from gateway.ecosystems.protocol import Write
from gateway.model.intent import Step
from gateway.publish import publish
from gateway.publish.spool import SpooledBody
from gateway.service import compose
from gateway.service.serving import Parts
from gateway.upstream import Answer, Upstream


def die() -> None:
    """End as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(wanted: Step) -> None:
    """Die when the step is on disk."""

    def prepared(parts: Parts) -> Parts:
        return replace(parts, around=replace(parts.around, stepped=lambda step: die() if step is wanted else None))

    asyncio.run(run(SETTINGS, prepared))


def in_the_body() -> None:
    """Die when half of the file has gone upstream."""

    async def half(write: Write, spooled: SpooledBody) -> AsyncIterator[bytes]:
        whole = b"".join(write.encode(spooled))
        yield write.head + whole[: len(whole) // 2]
        await asyncio.sleep(0.2)  # the bytes must have left this process
        die()

    publish._parts = half
    asyncio.run(run(SETTINGS))


def when_received() -> None:
    """Die when the registry has answered."""

    class Last(Upstream):
        async def write(
            self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes], length: int | None
        ) -> Answer:
            answer = await super().write(method, path, headers, body, length)
            die()
            return answer

    setattr(compose, "Upstream", Last)  # noqa: B010 - mypy does not let a module's import be replaced
    asyncio.run(run(SETTINGS))


if __name__ == "__main__":
    SETTINGS = load_settings(Path(sys.argv[1]))
    if sys.argv[2] == "body":
        in_the_body()
    elif sys.argv[2] == "received":
        when_received()
    else:
        at_step(Step(sys.argv[2]))
