"""The HTTP server's edge: the parser's own errors carry a code of the catalogue too, and echo nothing (CONTRACTS F.2).

aiohttp answers a request that its parser refuses before any handler runs, and repeats the client's bytes in the body.
Here that answer is taken over, and the server's name is ours. What a client can hold open is bounded:

* a connection that sends no whole request head is closed;
* a body whose framing breaks, or whose client went away, ends for whoever reads it, also while it is only drained;
* a body that was answered early is drained up to a number of bytes, not only of seconds;
* a client that takes nothing of its answer is cut off, since each download holds a connection to the registry.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from gateway import limits
from gateway.ecosystems.protocol import Reply
from gateway.reasons import Code, Reason

log = logging.getLogger(__name__)
SERVER: Final = "provgate"


class GateProtocol(web.RequestHandler):
    """One connection."""

    __slots__ = ("_body", "_drain_left", "_patience", "_stalled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._body: StreamReader | None = None  # of the newest request: what the parser fills
        self._drain_left: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the patience for the first request's head."""
        super().connection_made(transport)
        self._patience = asyncio.get_running_loop().call_later(limits.HEAD_SECONDS, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timers with the connection, and end the body that will not come."""
        self.head_came()
        self._taken()
        super().connection_lost(exc)
        self._end_body(ConnectionResetError("the client went away"))

    def data_received(self, data: bytes) -> None:
        """Parse, and tell the reader of a body when its framing broke: aiohttp lets it wait for ever."""
        if self._drain_left is not None:
            self._drain_left -= len(data)
            if self._drain_left < 0:
                self._end_body(ConnectionResetError("more than is drained"))
                return
        super().data_received(data)
        for message, payload in self._messages:
            if isinstance(message, RawRequestMessage):
                self._body = payload
            else:
                self._end_body(web.RequestPayloadError("its framing"))

    def answered_early(self) -> None:
        """What still comes of the body is nobody's: drain it, within bounds."""
        self._drain_left = limits.DRAIN_AFTER_REFUSAL

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it comes: it must take some of it in time."""
        super().pause_writing()
        self._stalled = asyncio.get_running_loop().call_later(limits.ANSWER_IDLE_SECONDS, self._cut_off)

    def resume_writing(self) -> None:
        """The client took some of its answer."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cut_off(self) -> None:
        if self.transport is not None:
            self.transport.abort()  # closing would wait for the client to take what is buffered

    def _end_body(self, why: Exception) -> None:
        if self._body is None or self._body.is_eof():
            return
        if self._drain_left is None:  # what is only drained ends without a word: aiohttp would log a traceback
            self._body.set_exception(why)
        self._body.feed_eof()

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
    status = reason.entry.status
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
    if status == 503:
        headers.append(("Retry-After", "30"))
    return Reply(status, reason.line(200), body, tuple(headers))


def response_of(reply: Reply) -> web.Response:
    """Turn a reply into aiohttp's response; the headers are exactly the reply's."""
    response = web.Response(status=reply.status, reason=reply.reason or None, body=reply.body, headers=reply.headers)
    response.headers["Server"] = SERVER
    return response
