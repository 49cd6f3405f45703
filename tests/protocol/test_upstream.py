"""A registry that is down, slow, half dead or hostile: the publisher is told plainly, and the record is settled."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from gateway import limits
from gateway.demo.packages import sdist, wheel
from gateway.model.intent import Settlement
from tests.lab.gate import CREDENTIAL, GOOD, Fetched, LabGate, lab_gate, large_wheel
from tests.lab.registry import LabRegistry, lab_registry

Told = tuple[int, str, str]
SIBLING = sdist("acme-good", "1.0.0")
LARGE = large_wheel("acme-good", "1.0.0", 12 << 20)
OUTSIDE = "http://127.0.0.1:9"


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path) as running:
        yield running


@pytest.fixture
async def foreign() -> AsyncIterator[LabRegistry]:
    """Another origin, which must never hear of us."""
    async with lab_registry() as running:
        yield running


@pytest.fixture
async def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LabGate]:
    """A gateway that waits a moment and no longer."""
    monkeypatch.setattr(limits, "UPSTREAM_IDLE_SECONDS", 0.2)
    monkeypatch.setattr(limits, "DOCUMENT_SECONDS", 0.5)
    async with lab_gate(tmp_path) as running:
        yield running


async def is_told(gate: LabGate, told: Told, code: str, status: int) -> None:
    """The answer has this code alone, its status, and a link that opens."""
    got, phrase, body = told
    assert (got, phrase.partition(":")[0]) == (status, code), told
    assert code in body
    assert body.count("    about:") == 1
    link = urlsplit(phrase.rpartition(" - ")[2])
    assert (await gate.get(link.path))[0] == 200


async def page(gate: LabGate) -> Fetched:
    return await gate.fetch("/pypi/simple/acme-good/")


async def is_withheld(gate: LabGate) -> bool:
    return (await gate.fetch(f"/pypi/packages/{GOOD.name}")).code == "file-withheld"


async def stands(gate: LabGate) -> Settlement | None:
    """What the newest publish came to; None while it is open."""
    written = await gate.newest()
    assert written.intent is not None
    return written.intent.settlement


def aborted(request: web.Request) -> web.Response:
    """The connection dies before an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def kept(gate: LabGate, body: bytes) -> None:
    gate.registry.files[GOOD.name] = body


def raw_answer(gate: LabGate, sent: bytes, stored: bytes | None = GOOD.content) -> None:
    """Let the registry take a whole upload, keep something of it, and say exactly these bytes before it dies."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if stored is not None:
            kept(gate, stored)
        assert request.transport is not None
        request.transport.write(sent)
        request.transport.close()
        return web.Response()

    gate.registry.misbehave["POST"] = answer


# --- at the read of the index ---------------------------------------------------------------------------------------


async def test_a_registry_that_is_down_is_a_502_and_nothing_is_written(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, upstream=OUTSIDE) as gate:
        await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
        assert await gate.store.open_intents() == ()


async def test_a_connection_that_dies_at_the_index_is_a_502(gate: LabGate) -> None:
    gate.registry.misbehave["GET"] = aborted
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert not gate.registry.writes


@pytest.mark.parametrize("status", [204, 400, 401, 403, 409, 429, 500, 503])
async def test_an_index_that_is_refused_is_a_502(gate: LabGate, status: int) -> None:
    gate.registry.misbehave["GET"] = lambda _: web.Response(status=status)
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert not gate.registry.writes
    assert await gate.store.open_intents() == ()


async def test_a_page_over_the_bound_is_a_502(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INDEX_PAGE", 1000)
    gate.registry.pages["acme-good"] = b" " * 1000
    assert (await page(gate)).status == 200
    gate.registry.pages["acme-good"] = b" " * 1001
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert (await page(gate)).status == 502
    assert not gate.registry.writes


@pytest.mark.parametrize("body", [b"\xff\xfe<\x00a\x00", b"caf\xe9"])
async def test_a_page_that_is_not_utf8_is_a_502(gate: LabGate, body: bytes) -> None:
    gate.registry.pages["acme-good"] = body
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert (await page(gate)).status == 502
    assert not gate.registry.writes


async def test_a_compressed_page_that_nobody_asked_for_is_a_502(gate: LabGate) -> None:
    headers = {"Content-Encoding": "br"}
    gate.registry.misbehave["GET"] = lambda _: web.Response(body=b"<html></html>", headers=headers)
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert (await page(gate)).status == 502
    assert gate.registry.requests[0][2]["Accept-Encoding"] == "identity"


# --- at the write ---------------------------------------------------------------------------------------------------


async def test_a_registry_that_goes_down_before_the_write_leaves_the_name_free(gate: LabGate) -> None:
    async def last(_: web.Request) -> None:
        await gate.registry.stop_listening()

    gate.registry.misbehave["GET"] = last
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert await stands(gate) is Settlement.ABSENT
    assert not gate.store.withheld("python")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_registry_that_fails_may_still_be_at_work(gate: LabGate, status: int) -> None:
    gate.registry.misbehave["POST"] = lambda _: web.Response(status=status)
    told = await gate.upload()
    await is_told(gate, told, "upstream-refused", 502)
    assert "not known yet" in " ".join(told[2].split())
    assert await stands(gate) is None
    kept(gate, GOOD.content)
    assert await is_withheld(gate)
    assert await gate.settle()
    assert await stands(gate) is Settlement.PUBLISHED
    assert not await is_withheld(gate)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 413, 429])
async def test_a_registry_that_refuses_is_named_and_the_name_is_free(gate: LabGate, status: int) -> None:
    gate.registry.misbehave["POST"] = lambda _: web.Response(status=status, reason="not today")
    told = await gate.upload()
    await is_told(gate, told, "upstream-refused", 502)
    assert str(status) in told[1]
    assert await stands(gate) is Settlement.REFUSED
    assert not gate.store.withheld("python")
    gate.registry.misbehave.clear()
    assert (await gate.upload())[0] == 200
    assert await stands(gate) is Settlement.PUBLISHED


async def test_a_connection_that_dies_in_the_body_stays_withheld_until_it_is_looked_at_again(gate: LabGate) -> None:
    gate.registry.misbehave["POST"] = aborted
    told = await gate.upload()
    await is_told(gate, told, "upstream-unavailable", 502)
    assert "nothing was published" not in " ".join(told[2].split())
    assert await stands(gate) is None
    kept(gate, GOOD.content[:100])  # only now does the registry write what it had got
    assert await is_withheld(gate)
    assert GOOD.name.encode() not in (await page(gate)).body
    assert await gate.settle()
    assert await stands(gate) is Settlement.DAMAGED
    gate.registry.files.clear()
    assert await gate.settle()
    assert await stands(gate) is Settlement.ABSENT
    gate.registry.misbehave.clear()
    assert (await gate.upload())[0] == 200


async def test_what_cannot_be_looked_at_stays_open_and_is_settled_when_the_registry_is_back(gate: LabGate) -> None:
    async def gone(request: web.Request) -> web.Response:
        await request.read()
        kept(gate, GOOD.content)
        gate.registry.misbehave["GET"] = aborted
        return aborted(request)

    gate.registry.misbehave["POST"] = gone
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert await stands(gate) is None
    assert await is_withheld(gate)
    assert not await gate.settle()
    gate.registry.misbehave.clear()
    assert await gate.settle()
    assert await stands(gate) is Settlement.PUBLISHED
    assert (await gate.fetch(f"/pypi/packages/{GOOD.name}")).body == GOOD.content


async def test_the_next_publish_of_the_name_settles_what_was_left_open(gate: LabGate) -> None:
    gate.registry.misbehave["POST"] = aborted
    assert (await gate.upload())[0] == 502
    gate.registry.misbehave.clear()
    kept(gate, GOOD.content)
    assert (await gate.upload())[0] == 200
    assert not gate.store.withheld("python")
    assert len(gate.registry.writes) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nPub",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    ],
    ids=["nothing", "status line", "head", "body", "chunk", "another protocol", "two lengths", "a long header"],
)
async def test_an_answer_that_breaks_off_is_decided_by_what_the_registry_holds(gate: LabGate, sent: bytes) -> None:
    raw_answer(gate, sent)
    assert (await gate.upload())[0] == 200
    assert await stands(gate) is Settlement.PUBLISHED


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nPub"])
async def test_an_answer_that_breaks_off_over_nothing_is_no_success(gate: LabGate, sent: bytes) -> None:
    raw_answer(gate, sent, stored=None)
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert await stands(gate) is None
    gate.registry.misbehave.clear()
    assert (await gate.upload())[0] == 200


async def test_a_long_answer_is_not_kept_and_its_status_counts(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPLY_BODY", 1000)
    raw_answer(gate, b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"a" * 9000)
    assert (await gate.upload())[0] == 200
    raw_answer(gate, b"HTTP/1.1 403 No\r\nContent-Length: 9000\r\n\r\n" + b"a" * 9000, stored=None)
    gate.registry.files.clear()
    await is_told(gate, await gate.upload(), "upstream-refused", 502)


async def test_the_registrys_words_are_made_harmless(gate: LabGate) -> None:
    words = b"no\x1b[31m <script> caf\xe9 " + b"a" * 600
    raw_answer(gate, b"HTTP/1.1 403 " + words + b"\r\nContent-Length: 0\r\n\r\n", stored=None)
    told = await gate.upload()
    await is_told(gate, told, "upstream-refused", 502)
    assert (told[1] + told[2].replace("\n", "")).isprintable()
    assert len(told[1]) < 400
    assert await stands(gate) is Settlement.REFUSED


async def test_a_refusal_before_the_body_was_read_is_a_refusal(gate: LabGate) -> None:
    gate.registry.misbehave["POST"] = lambda _: web.Response(status=403, reason="quota")
    told = await gate.upload(LARGE)
    await is_told(gate, told, "upstream-refused", 502)
    assert "403 quota" in told[1]
    assert await stands(gate) is Settlement.REFUSED


def early(gate: LabGate, stored: bytes | None) -> None:
    """Let the registry say yes after the first bytes of the body, and read no more of it."""

    async def answer(request: web.Request) -> web.Response:
        await request.content.read(10)
        if stored is not None:
            kept(gate, stored)
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await asyncio.Event().wait()
        raise AssertionError

    gate.registry.misbehave["POST"] = answer


async def test_a_yes_before_the_body_was_read_is_not_believed(gate: LabGate) -> None:
    early(gate, None)
    await is_told(gate, await gate.upload(LARGE), "upstream-unavailable", 502)
    assert await stands(gate) is None
    assert gate.registry.files == {}


async def test_a_yes_before_the_body_was_read_is_compared(gate: LabGate) -> None:
    early(gate, LARGE.content[:1000])
    await is_told(gate, await gate.upload(LARGE), "publish-unsettled", 409)
    assert await stands(gate) is Settlement.DAMAGED
    assert await is_withheld(gate)


async def test_a_yes_over_nothing_is_believed_and_the_same_bytes_may_come_again(gate: LabGate) -> None:
    """The registry is the operator's: a plain yes is taken at its word, and only `reads: verified` looks again."""
    gate.registry.misbehave["POST"] = _swallowed
    assert (await gate.upload())[0] == 200
    assert await stands(gate) is Settlement.PUBLISHED
    assert gate.registry.files == {}
    gate.registry.misbehave.clear()
    assert (await gate.upload(wheel("acme-good", "1.0.0", source="# other\n")))[0] == 409
    assert (await gate.upload())[0] == 200
    assert gate.registry.files == {GOOD.name: GOOD.content}


async def _swallowed(request: web.Request) -> web.Response:
    await request.read()
    return web.Response()


# --- truncated ------------------------------------------------------------------------------------------------------


async def test_a_truncated_file_is_taken_out_at_once_where_the_registry_can(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, removable=True) as gate:
        gate.registry.truncate = 100
        await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
        assert await stands(gate) is Settlement.ABSENT
        assert gate.registry.files == {}
        assert (await gate.upload())[0] == 200
        assert gate.registry.files == {GOOD.name: GOOD.content}


async def test_a_truncated_file_that_stays_is_withheld_and_its_name_refused(gate: LabGate) -> None:
    gate.registry.truncate = 100
    told = await gate.upload()
    await is_told(gate, told, "publish-unsettled", 409)
    assert "Delete this one file from the registry's storage" in " ".join(told[2].split())
    assert await stands(gate) is Settlement.DAMAGED
    assert await is_withheld(gate)
    assert GOOD.name.encode() not in (await page(gate)).body
    again = await gate.upload()
    assert (again[0], again[1].partition(":")[0]) == (409, "publish-unsettled")
    gate.registry.files.clear()
    assert (await gate.upload())[0] == 200
    assert gate.registry.files == {GOOD.name: GOOD.content}


async def test_a_truncated_file_with_a_sibling_is_never_removed(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, removable=True) as gate:
        assert (await gate.upload(SIBLING))[0] == 200
        gate.registry.truncate = 100
        await is_told(gate, await gate.upload(), "publish-unsettled", 409)
        assert gate.registry.files[SIBLING.name] == SIBLING.content
        assert [form[0] for form in gate.registry.forms] == [(":action", "file_upload")] * 2
        listed = (await page(gate)).body
        assert SIBLING.name.encode() in listed
        assert GOOD.name.encode() not in listed


async def test_a_removal_that_the_registry_refuses_leaves_the_file_withheld(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, removable=True) as gate:
        gate.registry.truncate = 100
        seen = []

        def second(_: web.Request) -> web.Response | None:
            seen.append(1)
            return web.Response(status=403) if len(seen) > 1 else None

        gate.registry.misbehave["POST"] = second
        told = await gate.upload()
        await is_told(gate, told, "publish-unsettled", 409)
        assert "the registry answered 403 to the removal" in " ".join(told[2].split())
        assert await stands(gate) is Settlement.DAMAGED


async def test_a_damaged_file_without_end_is_not_read_to_its_end(gate: LabGate) -> None:
    sent = []

    async def endless(request: web.Request) -> web.StreamResponse | None:
        if not request.path.startswith("/packages/"):
            return None
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent.append(65536)

    gate.registry.truncate = 100
    gate.registry.misbehave["GET"] = endless
    async with asyncio.timeout(5):
        await is_told(gate, await gate.upload(), "publish-unsettled", 409)
    assert sum(sent) < 64 << 20


# --- slow -----------------------------------------------------------------------------------------------------------


async def never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_an_index_that_never_answers_is_a_502(impatient: LabGate) -> None:
    impatient.registry.misbehave["GET"] = never
    await is_told(impatient, await impatient.upload(), "upstream-unavailable", 502)
    assert (await page(impatient)).status == 502


async def test_a_page_that_trickles_for_ever_is_a_502(impatient: LabGate) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    impatient.registry.misbehave["GET"] = trickle
    async with asyncio.timeout(5):
        await is_told(impatient, await impatient.upload(), "upstream-unavailable", 502)


async def test_a_write_that_is_never_answered_is_a_502_and_stays_open(impatient: LabGate) -> None:
    async def silent(request: web.Request) -> web.Response:
        await request.read()
        return await never(request)

    impatient.registry.misbehave["POST"] = silent
    told = await impatient.upload()
    await is_told(impatient, told, "upstream-unavailable", 502)
    assert "did not answer in time" in told[1]
    assert await stands(impatient) is None


async def test_a_body_that_is_never_read_is_a_502_and_stays_open(impatient: LabGate) -> None:
    impatient.registry.misbehave["POST"] = never
    async with asyncio.timeout(10):
        told = await impatient.upload(LARGE)
    await is_told(impatient, told, "upstream-unavailable", 502)
    assert await stands(impatient) is None


# --- redirects ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("inside", [True, False])
async def test_a_write_that_is_redirected_is_refused_and_followed_nowhere(
    gate: LabGate, foreign: LabRegistry, status: int, *, inside: bool
) -> None:
    target = "/elsewhere" if inside else f"{foreign.base}/"
    gate.registry.misbehave["POST"] = lambda _: web.Response(status=status, headers={"Location": target})
    told = await gate.upload()
    await is_told(gate, told, "upstream-refused", 502)
    assert foreign.requests == []
    assert [path for _, path, _ in gate.registry.writes] == ["/"]
    assert foreign.base not in told[1] + told[2]


async def test_an_index_that_sends_a_project_to_another_index_does_not_have_it(
    gate: LabGate, foreign: LabRegistry
) -> None:
    """As pypiserver does with its fallback on: what is elsewhere is not here, and nobody is sent there."""
    foreign.files[GOOD.name] = b"theirs"
    location = {"Location": f"{foreign.base}/simple/acme-good/"}
    gate.registry.misbehave["GET"] = lambda r: (
        web.Response(status=302, headers=location) if r.path.startswith("/simple/") else None
    )
    assert (await gate.upload())[0] == 200
    shown = await page(gate)
    assert (shown.status, shown.code) == (404, "not-found")
    assert "Location" not in shown.headers
    assert foreign.requests == []


@pytest.mark.parametrize("target", ["{foreign}/login", "{foreign}/", "/other/acme-good/", "?next=1", ""])
async def test_an_index_that_is_redirected_anywhere_else_says_nothing_of_what_it_holds(
    gate: LabGate, foreign: LabRegistry, target: str
) -> None:
    location = {"Location": target.format(foreign=foreign.base)} if target else {}
    gate.registry.misbehave["GET"] = lambda _: web.Response(status=302, headers=location)
    await is_told(gate, await gate.upload(), "upstream-unavailable", 502)
    assert not gate.registry.writes
    assert foreign.requests == []


async def test_an_open_publish_is_not_settled_by_a_redirect_to_a_login(gate: LabGate, foreign: LabRegistry) -> None:
    gate.registry.misbehave["POST"] = aborted
    assert (await gate.upload())[0] == 502
    kept(gate, GOOD.content[:100])
    login = {"Location": f"{foreign.base}/login"}
    gate.registry.misbehave["GET"] = lambda _: web.Response(status=302, headers=login)
    assert not await gate.settle()
    assert await stands(gate) is None
    gate.registry.misbehave.clear()
    assert await is_withheld(gate)


@pytest.mark.parametrize("path", [f"/packages/{GOOD.name}", "/simple/acme-good/", "/simple/"])
async def test_a_read_that_is_redirected_is_not_here(gate: LabGate, foreign: LabRegistry, path: str) -> None:
    foreign.files[GOOD.name] = b"theirs"
    location = {"Location": f"{foreign.base}{path}", "Set-Cookie": "a=b", "Content-Location": foreign.base}
    gate.registry.misbehave["GET"] = lambda _: web.Response(status=302, headers=location)
    got = await gate.fetch(f"/pypi{path}")
    assert (got.status, got.code) == (404, "not-found")
    assert foreign.base not in str(got)
    assert foreign.requests == []
    assert [p for _, p, _ in gate.registry.requests] == [path]


# --- hostile pages --------------------------------------------------------------------------------------------------

LINK = f'<a href="/packages/{GOOD.name}">{GOOD.name}</a>'
HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "a link in a script": f"<script>{LINK}</script>",
    "a link in a comment": f"<!-- {LINK} -->",
    "an image": '<img src=x onerror="alert(1)">',
    "a base": '<base href="{foreign}/">',
    "another origin": f'<a href="{{foreign}}/packages/{GOOD.name}">{GOOD.name}</a>',
    "another scheme": f'<a href="ftp://127.0.0.1/packages/{GOOD.name}">{GOOD.name}</a>',
    "an origin that begins like ours": f'<a href="{{ours}}1/packages/{GOOD.name}">{GOOD.name}</a>',
    "an origin behind a name": f'<a href="{{ours}}@{{foreign}}/packages/{GOOD.name}">{GOOD.name}</a>',
    "without a scheme": f'<a href="//{{netloc}}/packages/{GOOD.name}">{GOOD.name}</a>',
    "a program": f'<a href="javascript:alert(1)//packages/{GOOD.name}">{GOOD.name}</a>',
    "data": f'<a href="data:text/html,/packages/{GOOD.name}">{GOOD.name}</a>',
    "dots": f'<a href="/packages/../../{GOOD.name}">{GOOD.name}</a>',
    "dots in disguise": f'<a href="/packages/%2e%2e/%2E%2E/{GOOD.name}">{GOOD.name}</a>',
    "a query": f'<a href="/packages/{GOOD.name}?to=/remove">{GOOD.name}</a>',
    "another place": f'<a href="/{GOOD.name}">{GOOD.name}</a>',
    "markup in the text": f'<a href="/packages/{GOOD.name}"><b onclick=x>{GOOD.name}</b>&lt;script&gt;</a>',
    "no name": '<a href="/packages/">../</a>',
    "a control character in the path": f'<a href="/packages/a\x01b/{GOOD.name}">{GOOD.name}</a>',
    "a control character in disguise": f'<a href="/packages/a%0ab/{GOOD.name}">{GOOD.name}</a>',
    "an address that is none": f'<a href="http://[x/packages/{GOOD.name}">{GOOD.name}</a>',
    "no distribution": '<a href="/packages/evil.exe">evil.exe</a>',
    "never closed": f'<a href="/packages/{GOOD.name}">{GOOD.name}',
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_nothing_of_a_hostile_page_reaches_a_reader(gate: LabGate, foreign: LabRegistry, what: str) -> None:
    netloc = urlsplit(foreign.base).netloc
    body = HOSTILE[what].format(foreign=foreign.base, netloc=netloc, ours=gate.registry.base)
    gate.registry.pages["acme-good"] = f"<!DOCTYPE html><html><body>{body}</body></html>".encode()
    shown = await page(gate)
    assert shown.status == 200
    empty = shown.body.replace(f"<!-- {what} -->".encode(), b"")
    assert b"<a " not in empty
    assert b"script" not in empty
    assert shown.headers["Content-Security-Policy"].startswith("sandbox")
    assert foreign.requests == []


@pytest.mark.parametrize("folder", ["a b", "a&#13;&#10;b", "caf\xe9", "a&quot;b"])
async def test_a_link_is_made_a_path_that_can_be_asked_for(gate: LabGate, folder: str) -> None:
    gate.registry.pages["acme-good"] = f'<a href="/packages/{folder}/{GOOD.name}">{GOOD.name}</a>'.encode()
    gate.registry.misbehave["GET"] = lambda r: web.Response(body=GOOD.content) if "packages" in r.path else None
    shown = (await page(gate)).body.decode()
    (link,) = re.findall('href="([^"]*)"', shown)
    got = await gate.fetch("/pypi" + html.unescape(link).removeprefix("../.."))
    assert (got.status, got.body) == (200, GOOD.content)


@pytest.mark.parametrize("what", ["dots in disguise", "a query"])
async def test_a_file_listed_in_an_odd_way_is_there_for_a_publish(gate: LabGate, what: str) -> None:
    """What a reader is not shown still stands in the way of other bytes under its name."""
    gate.registry.pages["acme-good"] = HOSTILE[what].encode()
    told = await gate.upload()
    assert told[0] in {409, 502}
    assert not gate.registry.writes


@pytest.mark.parametrize(
    ("paths", "status"),
    [(["/"], 200), (["/older/"], 409), (["/", "/older/"], 409), (["/older/", "/"], 409), (["/", "/"], 200)],
)
async def test_every_link_of_a_name_counts_by_what_is_served_there(
    gate: LabGate, paths: list[str], status: int
) -> None:
    lie = f"#sha256={GOOD.sha256}"  # what the page states is not what counts, as long as the gate has not seen the file
    links = "".join(f'<a href="/packages{path}{GOOD.name}{lie}">{GOOD.name}</a>' for path in paths)
    gate.registry.pages["acme-good"] = links.encode()
    gate.registry.misbehave["GET"] = lambda r: web.Response(body=b"other") if "older" in r.path else None
    kept(gate, GOOD.content)
    told = await gate.upload()
    assert told[0] == status
    assert told[1].partition(":")[0] == ("OK" if status == 200 else "version-exists")
    assert not gate.registry.writes


async def test_a_second_link_to_other_bytes_keeps_a_publish_from_being_settled(gate: LabGate) -> None:
    gate.registry.misbehave["POST"] = aborted
    assert (await gate.upload())[0] == 502
    other = f"/packages/older/{GOOD.name}"
    gate.registry.pages["acme-good"] = f'{LINK}<a href="{other}">{GOOD.name}</a>'.encode()
    kept(gate, GOOD.content)
    gate.registry.misbehave["GET"] = lambda r: web.Response(body=b"other") if r.path == other else None
    await gate.settle()
    assert await stands(gate) is Settlement.DAMAGED


async def test_a_page_nested_without_end_is_read_in_time(gate: LabGate) -> None:
    nested = "<div>" * 100_000 + LINK + "</div>" * 100_000 + "<a <" * 20_000 + "<![CDATA[" * 5_000 + "<!--" * 5_000
    gate.registry.pages["acme-good"] = nested.encode()
    kept(gate, GOOD.content)
    async with asyncio.timeout(10):
        shown = await page(gate)
    assert html.escape(GOOD.name).encode() in shown.body


async def test_a_page_is_read_beside_the_loop(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a great many links must not keep everybody else waiting."""
    ran: list[str] = []

    def asking(kind: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            ran.append(kind)

    protocol = type(gate.served.ecosystem)
    present, holdings = protocol.present, protocol.holdings

    def presenting(*given: Any) -> Any:
        asking("present")
        return present(*given)

    def holding(*given: Any) -> Any:
        asking("holdings")
        return holdings(*given)

    gate.registry.files[SIBLING.name] = SIBLING.content
    monkeypatch.setattr(protocol, "present", presenting)
    monkeypatch.setattr(protocol, "holdings", holding)
    assert (await gate.upload())[0] == 200
    assert (await page(gate)).status == 200
    assert ran == ["holdings", "present"]


# --- credentials ----------------------------------------------------------------------------------------------------


async def test_the_registrys_answers_teach_nobody_the_credential(gate: LabGate) -> None:
    echo = {"Set-Cookie": f"c={CREDENTIAL.split()[1]}", "WWW-Authenticate": 'Basic realm="registry"'}
    for method in ("GET", "POST"):
        gate.registry.misbehave[method] = lambda r: web.Response(
            status=401, headers=echo, text=str(r.headers["Authorization"]) if "Authorization" in r.headers else ""
        )
        told = await gate.upload()
        assert told[0] == 502
        assert CREDENTIAL.split()[1] not in told[1] + told[2]
