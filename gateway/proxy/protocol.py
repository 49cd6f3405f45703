"""The HTTP server's edge: the parser's own errors carry a code of the catalogue too, and echo nothing (CONTRACTS F.2).

aiohttp answers a request that its parser refuses before any handler runs, and repeats the client's bytes in the body.
Here that answer is taken over, a connection that sends no whole request head is closed, and the server's name is ours.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway import limits
from gateway.ecosystems.protocol import Reply
from gateway.reasons import Code, Reason

log = logging.getLogger(__name__)
SERVER: Final = "provgate"


class GateProtocol(web.RequestHandler):
    """One connection."""

    __slots__ = ("_patience",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the patience for the first request's head."""
        super().connection_made(transport)
        self._patience = asyncio.get_running_loop().call_later(limits.HEAD_SECONDS, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the patience with the connection."""
        self.head_came()
        super().connection_lost(exc)

    def head_came(self) -> None:
        """A whole request head has come: patience is no longer needed (later heads have the keep-alive timer)."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; it holds the client's bytes
    ) -> web.StreamResponse:
        """Answer what the parser refused, or a fault of ours, with a code and without the client's bytes."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way")
        if isinstance(exc, HttpProcessingError) or status < 500:
            reason = Reason(Code.REQUEST_MALFORMED, "the request", "HTTP/1.1 as RFC 9112 says", type(exc).__name__)
        else:
            log.error("fault while answering %s", request.method, exc_info=exc)
            reason = Reason(Code.INTERNAL, "the gateway")
        response = response_of(plain_reply(reason))
        response.force_close()
        return response


class GateServer(web.Server):
    """aiohttp's low-level server with our protocol for each connection."""

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of one connection."""
        return GateProtocol(self, loop=asyncio.get_running_loop(), **self._kwargs)


def plain_reply(reason: Reason) -> Reply:
    """A refusal where no protocol's client is known: the line as reason phrase, the same with its remedy as text."""
    body = f"{reason.line()}\n{reason.remedy}\n".encode("ascii", "replace")
    return Reply(reason.entry.status, reason.line(200), body, (("Content-Type", "text/plain; charset=utf-8"),))


def response_of(reply: Reply) -> web.Response:
    """Turn a reply into aiohttp's response; the headers are exactly the reply's."""
    response = web.Response(status=reply.status, reason=reply.reason or None, body=reply.body, headers=reply.headers)
    response.headers["Server"] = SERVER
    return response
