"""The gateway's own addresses below `/-/`: decision pages, the catalogue, health, the doors of locker and tokens.

A decision's page is served to whoever holds its link: the 128 random bits in it are the capability (CONTRACTS A.6).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from gateway.console import (
    SECURITY_HEADERS,
    decision_html,
    decision_json,
    reason_html,
    reason_markdown,
    reasons_index_html,
)
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import StoreError
from gateway.proxy.gate import Own
from gateway.proxy.protocol import plain_reply
from gateway.reasons import Code, Reason
from gateway.store import Store

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_HTML: Final = ("Content-Type", "text/html; charset=utf-8")
_JSON: Final = ("Content-Type", "application/json")
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")


def own(store: Store, locker: Own, tokens: Own, ready: Callable[[], Awaitable[str | None]]) -> Own:
    """Make the handler of `/-/`; `ready` says what keeps the gateway from publishing, or None."""

    async def answer(head: Head, body: AsyncIterator[bytes]) -> Reply:
        if head.path == "/-/evidence":
            return await locker(head, body)
        if head.path == "/-/token":
            return await tokens(head, body)
        if head.method not in {"GET", "HEAD"}:
            return plain_reply(Reason(Code.METHOD_UNKNOWN, f"{head.method} {head.path}", "GET"))
        reply = await _page(store, head, ready)
        return reply if head.method == "GET" else Reply(reply.status, reply.reason, b"", reply.headers)

    return answer


async def _page(store: Store, head: Head, ready: Callable[[], Awaitable[str | None]]) -> Reply:
    match head.path.split("/")[2:]:
        case ["healthz"]:
            return Reply(200, "OK", b"alive\n", (_TEXT,))
        case ["readyz"]:
            problem = await ready()
            text = "ready" if problem is None else problem
            return Reply(200 if problem is None else 503, "", f"{text}\n".encode("ascii", "replace"), (_TEXT,))
        case ["d", record_id] if _ID.fullmatch(record_id):
            return await _decision(store, record_id, head)
        case ["reasons", ""] | ["reasons"]:
            return _reply(reasons_index_html(), _HTML)
        case ["reasons", slug] if slug in set(Code):
            return _reason(Code(slug), head)
    return plain_reply(Reason(Code.ROUTE_UNKNOWN, f"{head.method} {head.path}"))


async def _decision(store: Store, record_id: str, head: Head) -> Reply:
    try:
        written = await store.record(record_id)
        hold = await store.contents.hold_of(record_id)
    except StoreError:
        return plain_reply(Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))
    if written is None:
        return plain_reply(Reason(Code.NOT_FOUND, "this decision"))
    if _wants(head, "application/json"):
        return _reply(json.dumps(decision_json(written.record, written.intent, hold), indent=1), _JSON)
    return _reply(decision_html(written.record, written.intent, hold), _HTML)


def _reason(code: Code, head: Head) -> Reply:
    if _wants(head, "text/html") or not head.header("accept") or _wants(head, "*/*"):
        return _reply(reason_html(code), _HTML)
    return _reply(reason_markdown(code), _TEXT)


def _wants(head: Head, media_type: str) -> bool:
    """Whether the Accept header names this type first; quality values are not weighed."""
    first = (head.header("accept") or "").partition(",")[0]
    return first.partition(";")[0].strip().lower() == media_type


def _reply(text: str, content_type: tuple[str, str]) -> Reply:
    return Reply(200, "OK", text.encode(), (content_type, *SECURITY_HEADERS.items()))
