"""Framing as no honest client sends it: one clear refusal each, nothing recorded, nothing for the registry to read."""

from __future__ import annotations

import asyncio
import gzip
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway import limits
from gateway.demo.packages import Distribution, wheel
from gateway.publish.publish import Publisher
from gateway.store import Query
from tests.lab.gate import CREDENTIAL, LabGate, lab_gate
from tests.lab.raw import answer, code, connect, everything, exchange, form, part, post

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = b" HTTP/1.1\r\nHost: gate\r\n"
READ = b"GET /pypi/simple/" + HOST
CLOSE = b"Connection: close\r\n\r\n"
MARK = b"MARKofTHEclient"
BOMB = gzip.compress(bytes(50 * limits.MIB))
CHUNKED = "Transfer-Encoding: chunked"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[LabGate, Path]]:
    folder = tmp_path_factory.mktemp("gate")
    async with lab_gate(folder) as gate:
        yield gate, folder / "spool"


@pytest.fixture
def gate(running: tuple[LabGate, Path], caplog: pytest.LogCaptureFixture) -> Iterator[LabGate]:
    """The module's gate; whatever a client does, it is no fault of ours that would be logged."""
    running[0].registry.requests.clear()
    yield running[0]
    assert not [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING]


@pytest.fixture
def spool(running: tuple[LabGate, Path]) -> Path:
    return running[1]


async def recorded(gate: LabGate) -> int:
    return len(await gate.store.records(Query(limit=1000)))


def empty(spool: Path) -> bool:
    return not any(spool.iterdir())


def body(gate: LabGate, of: Distribution) -> bytes:
    """A form that is accepted."""
    fields: dict[str, str | bytes] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "name": of.name.split("-", maxsplit=1)[0].replace("_", "-"),
        "version": "1.0.0",
        "filetype": "bdist_wheel",
        "attestations": b"[" + gate.attestation(of) + b"]",
    }
    return form([*(part(name, value) for name, value in fields.items()), part("content", of.content, filename=of.name)])


def framed(gate: LabGate, headers: str, sent: bytes, *, version: str = "1.1") -> bytes:
    """A publish with a good credential whose framing is the test's own."""
    whole = post(b"", gate.token).replace(b"Content-Length: 0", headers.encode())
    return whole.replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1) + sent


def chunks(sent: bytes, size: int = 1000) -> bytes:
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def until(holds: Callable[[], bool], gate: LabGate) -> None:
    """Let the gateway go on until something holds: each turn is one small request to it."""
    async with asyncio.timeout(10):
        while not holds():
            assert (await gate.get("/-/healthz"))[0] == 200


# --- the length of a body ------------------------------------------------------------------------------------------

UNFRAMED = {
    "both framings": ("Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n"),
    "both framings the other way round": (CHUNKED + "\r\nContent-Length: 5", b"0\r\n\r\n"),
    "two lengths": ("Content-Length: 5\r\nContent-Length: 6", b"MARKo!"),
    "the same length twice": ("Content-Length: 5\r\nContent-Length: 5", b"MARKo"),
    "a list of lengths": ("Content-Length: 5, 5", b"MARKo"),
    "a negative length": ("Content-Length: -5", b""),
    "a signed length": ("Content-Length: +5", b"MARKo"),
    "a length in hexadecimal": ("Content-Length: 0x5", b"MARKo"),
    "an empty length": ("Content-Length: ", b""),
    "a length past 64 bits": ("Content-Length: 18446744073709551616", b""),
    "a length with a space before its colon": ("Content-Length : 5", b"MARKo"),
    "an unknown coding": ("Transfer-Encoding: MARKofTHEclient", b"0\r\n\r\n"),
    "a coding that only ends like chunked": ("Transfer-Encoding: xchunked", b"0\r\n\r\n"),
    "identity": ("Transfer-Encoding: identity", b""),
    "a coding before chunked": ("Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
    "chunked twice": (CHUNKED + ", chunked", b"0\r\n\r\n"),
    "chunked in two headers": (CHUNKED + "\r\n" + CHUNKED, b"0\r\n\r\n"),
    "chunked and then another": (CHUNKED + ", gzip", b"0\r\n\r\n"),
    "a chunk size that is no number": (CHUNKED, b"MARKofTHEclient\r\n"),
    "a chunk size with a sign": (CHUNKED, b"+1\r\na\r\n0\r\n\r\n"),
    "a chunk size with a prefix": (CHUNKED, b"0x1\r\na\r\n0\r\n\r\n"),
    "a chunk size with a space": (CHUNKED, b"1 \r\na\r\n0\r\n\r\n"),
    "a chunk size past 64 bits": (CHUNKED, b"10000000000000000\r\na\r\n0\r\n\r\n"),
    "a chunk that is longer than its size": (CHUNKED, b"1\r\nMARKo\r\n0\r\n\r\n"),
    "a chunk size ended by a bare LF": (CHUNKED, b"1\na\n0\n\n"),
}


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("spoiled", UNFRAMED)
async def test_a_body_whose_length_is_doubtful_is_refused_at_once(gate: LabGate, spoiled: str, pieces: int) -> None:
    headers, sent = UNFRAMED[spoiled]
    before = await recorded(gate)
    reader, writer = await connect(gate.base)
    head = framed(gate, headers, b"")
    writer.write(head + sent if pieces == 1 else head)
    if pieces == 2:
        await gate.get("/-/healthz")  # the head is read alone, and the body awaited
        writer.write(sent)
    async with asyncio.timeout(5):
        status, got = await answer(reader)
        assert await reader.read() == b""
    writer.close()
    assert (status, code(got)) == (400, "request-malformed")
    assert b"MARK" not in got
    assert gate.token.encode() not in got
    assert not gate.registry.requests
    assert await recorded(gate) == before


async def test_a_chunked_publish_is_taken_whatever_its_pieces(gate: LabGate) -> None:
    for number, size in enumerate((7, 1000, 1 << 20)):
        of = wheel(f"acme-chunked-{number}", "1.0.0")
        status, _ = await exchange(gate.base, framed(gate, CHUNKED, chunks(body(gate, of), size)))
        assert status == 200
        assert gate.registry.files[of.name] == of.content
    assert all("Transfer-Encoding" not in headers for _, _, headers in gate.registry.requests)


async def test_chunk_extensions_and_trailers_change_nothing(gate: LabGate) -> None:
    of = wheel("acme-extended", "1.0.0")
    sent = body(gate, of)
    extended = b"%x;a=b;%b\r\n%b\r\n0\r\nAuthorization: Basic TUFSSw==\r\nX-A: b\r\n\r\n"
    status, _ = await exchange(gate.base, framed(gate, CHUNKED, extended % (len(sent), b"c" * 100_000, sent)))
    assert status == 200
    assert gate.registry.files[of.name] == of.content
    assert "c" * 100 not in str(gate.registry.requests)


async def test_trailers_without_end_are_refused(gate: LabGate) -> None:
    endless = b"0\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(200)) + b"\r\n"
    status, got = await exchange(gate.base, framed(gate, CHUNKED, endless))
    assert (status, code(got)) == (400, "request-malformed")


async def test_chunked_is_of_http_1_1_only(gate: LabGate) -> None:
    got = await everything(gate.base, framed(gate, CHUNKED, b"0\r\n\r\n", version="1.0"))
    assert code(got) == "request-malformed"


# --- headers -------------------------------------------------------------------------------------------------------

HEADERS = {
    "obs-fold": b"X-A: b\r\n MARKofTHEclient\r\n",
    "a bare LF between headers": b"X-A: b\nX-B: MARKofTHEclient\r\n",
    "a bare CR in a value": b"X-A: b\rMARKofTHEclient\r\n",
    "NUL in a value": b"X-A: MARKofTHEclient\x00\r\n",
    "ESC in a value": b"X-A: \x1b[31mMARKofTHEclient\r\n",
    "NUL in a name": b"X-\x00A: MARKofTHEclient\r\n",
    "a name with a space": b"X A: MARKofTHEclient\r\n",
    "a name that is not ASCII": b"X-\xc3\xa9: MARKofTHEclient\r\n",
    "no name": b": MARKofTHEclient\r\n",
    "no colon": b"MARKofTHEclient\r\n",
    "a second Host": b"Host: MARKofTHEclient\r\n",
    "a second Content-Type": b"Content-Type: a/b\r\nContent-Type: MARKofTHEclient\r\n",
    "a line over the limit": b"X-A: MARKofTHEclient" + b"a" * limits.HEADER_LINE + b"\r\n",
    "a name over the limit": b"MARKofTHEclient" + b"a" * limits.HEADER_LINE + b": b\r\n",
    "more headers than the limit": b"".join(b"X-%d: MARKofTHEclient\r\n" % number for number in range(200)),
    "more bytes than the limit": b"".join(b"X-%d: MARKofTHEclient%b\r\n" % (n, b"a" * 8000) for n in range(9)),
    "an old websocket's key": b"Sec-WebSocket-Key1: MARKofTHEclient\r\n",
}


@pytest.mark.parametrize("spoiled", HEADERS)
async def test_headers_that_break_the_rules_are_refused_without_an_echo(gate: LabGate, spoiled: str) -> None:
    got = await everything(gate.base, READ + HEADERS[spoiled] + CLOSE)
    assert got.startswith(b"HTTP/1.")
    assert code(got) == "request-malformed"
    assert b" 400 " in got.split(b"\r\n")[0]
    assert b"MARK" not in got
    assert b"a" * 50 not in got
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in got
    assert not gate.registry.requests


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /pypi/simple/ HTTP/1.1\r\n\r\n",
        b"GET /pypi/simple/\r\n\r\n",
        b"GET /pypi/simple/ HTTP/0.9\r\n\r\n",
        b"GET /pypi/simple/ HTTP/1.2\r\nHost: gate\r\n\r\n",
        b"GET /pypi/simple/ HTTP/2.0\r\nHost: gate\r\n\r\n",
        b"GET /pypi/simple/ HTTP/3.0\r\nHost: gate\r\n\r\n",
        b"GET /pypi/simple/ http/1.1\r\nHost: gate\r\n\r\n",
        b"GET\t/pypi/simple/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        b"get /pypi/simple/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        b"MARK /pypi/simple/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        b" GET /pypi/simple/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nHost: gate\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
        bytes.fromhex("160301020001000001fc0303") + b"MARK" * 64,
        b"SSH-2.0-MARK\r\n",
        b"\x00\x01\x02MARK\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
async def test_what_is_no_http_1_request_is_told_so(gate: LabGate, sent: bytes) -> None:
    got = await everything(gate.base, sent)
    assert code(got) == "request-malformed"
    assert b"MARK" not in got
    assert not gate.registry.requests


async def test_http_1_0_is_answered_and_closed(gate: LabGate) -> None:
    got = await everything(gate.base, b"GET /pypi/simple/ HTTP/1.0\r\n\r\n")
    assert got.startswith(b"HTTP/1.0 200 OK\r\n")


# --- the target ----------------------------------------------------------------------------------------------------

WHEEL = "acme_good-1.0.0-py3-none-any.whl"
UNCLEAR = [
    "/pypi/../simple/",
    "/pypi/simple/../../admin",
    "/pypi/./simple/",
    "/pypi/%2e%2e/simple/",
    "/pypi/%2E%2E%2Fsimple/",
    "/pypi/simple/%2e%2e%2fadmin/",
    f"/pypi/packages/../{WHEEL}",
    f"/pypi/packages/%2e%2e%2fadmin/{WHEEL}",
    f"/pypi/packages/a%2f..%2f..%2fadmin/{WHEEL}",
    f"/pypi/packages/%252e%252e%252fadmin/{WHEEL}",
    f"/pypi/packages/a%5c..%5cb/{WHEEL}",
    f"/pypi/packages/a%00b/{WHEEL}",
    f"/pypi/packages/a%0d%0aX-A:%20b/{WHEEL}",
    f"/pypi/packages/a%7fb/{WHEEL}",
    f"/pypi/packages/..;a=b/{WHEEL}",
    f"/pypi/packages\\{WHEEL}",
    "/pypi/simple/#a",
    "/pypi/\x01simple/",
    "/pypi/simple/\x7f",
    "/pypi/simple/\u00e9/",
    "/pypi/" + "a" * limits.HEADER_LINE,
    "/-/../pypi/simple/",
    "*",
    "gate:443",
    "http://gate?a=b",
    "pypi/simple/",
    "http://user@gate/pypi/simple/",
    "http://user:secret@gate/pypi/simple/",
    "http:///pypi/simple/",
    "http://[::1/pypi/simple/",
    "http://gate:99999999/pypi/simple/",
    "ftp://gate/pypi/simple/",
    "file:///etc/passwd",
    "http://gate/pypi/../simple/",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", UNCLEAR)
async def test_a_target_that_can_be_read_in_two_ways_is_refused(gate: LabGate, method: str, target: str) -> None:
    sent = post(b"", gate.token, path=target).replace(b"POST", method.encode(), 1)
    got = await everything(gate.base, sent.replace(b"\r\n\r\n", b"\r\n" + CLOSE))
    assert code(got) == "request-malformed"
    assert not gate.registry.requests


UNKNOWN = [
    "//pypi/simple/",
    "/pypi//simple/",
    "/pypi/simple//acme-good/",
    "/pypi/simple/;a/",
    "/pypi/simple/acme-good;a=b/",
    "/pypi/simple/a%2fb/",
    f"/pypi/packages//{WHEEL}",
    f"/pypi/packages/{WHEEL}/",
    f"/pypi/packages/a;b/{WHEEL}",
    "/pypi/packages/",
    "/pypi/packages/notes.txt",
    "/pypi/+status",
    "/pypi/" + "a" * 8000,
    "/PYPI/simple/",
    "/pypi%2fsimple/",
    "/pypisimple/",
    "/%2d/healthz",
    "/",
    "/simple/",
    "/v2/_catalog",
    "http://gate/nothing",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("target", UNKNOWN)
async def test_an_address_that_nobody_serves_is_not_there(gate: LabGate, method: str, target: str) -> None:
    sent = post(b"", gate.token, path=target).replace(b"POST", method.encode(), 1)
    got = await everything(gate.base, sent.replace(b"\r\n\r\n", b"\r\n" + CLOSE))
    assert got.startswith(b"HTTP/1.1 404 ")
    assert code(got) == "route-unknown"
    assert not gate.registry.requests


@pytest.mark.parametrize("authority", ["gate", "other.example", "gate:8080", "[::1]:80"])
async def test_an_absolute_target_is_its_path(gate: LabGate, authority: str) -> None:
    got = await everything(gate.base, f"GET http://{authority}/pypi/simple/".encode() + HOST + CLOSE)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert [path for _, path, _ in gate.registry.requests] == ["/simple/"]


async def test_a_query_is_not_passed_on(gate: LabGate) -> None:
    got = await everything(gate.base, b"GET /pypi/simple/acme-good/?a=..%2f&b" + HOST + CLOSE)
    assert got.startswith(b"HTTP/1.1 404 ")
    assert [path for _, path, _ in gate.registry.requests] == ["/simple/acme-good/"]


# --- methods -------------------------------------------------------------------------------------------------------

PATHS = ["/pypi/", "/pypi/legacy/", "/pypi/simple/", f"/pypi/packages/{WHEEL}", "/-/healthz", "/-/evidence", "/"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PURGE"])
@pytest.mark.parametrize("path", PATHS)
async def test_no_other_method_does_anything(gate: LabGate, method: str, path: str) -> None:
    before = await recorded(gate)
    sent = post(b"", gate.token, path=path, extra="Cookie: MARKofTHEclient\r\n").replace(b"POST", method.encode(), 1)
    status, got = await exchange(gate.base, sent.replace(b"\r\n\r\n", b"\r\n" + CLOSE))
    assert (status, code(got)) in {(404, "route-unknown"), (405, "method-unknown")}
    assert b"MARK" not in got
    assert not gate.registry.requests
    assert await recorded(gate) == before


@pytest.mark.parametrize(
    "path",
    [*PATHS, "/pypi/simple", "/pypi/simple/acme-headed/", "/pypi/packages/acme_headed-1.0.0-py3-none-any.whl",
     "/-/readyz", "/-/reasons/", "/-/reasons/no-rule", "/-/reasons/nothing", "/-/d/" + "a" * 22],
)  # fmt: skip
async def test_head_answers_as_get_does_and_sends_no_body(gate: LabGate, path: str) -> None:
    gate.registry.files["acme_headed-1.0.0-py3-none-any.whl"] = b"bytes"
    get, head = [await everything(gate.base, f"{method} {path}".encode() + HOST + CLOSE) for method in ("GET", "HEAD")]
    assert head.partition(b"\r\n\r\n")[2] == b""
    assert head.split(b" ")[1] == get.split(b" ")[1]


async def test_an_upgrade_is_not_taken_and_nothing_after_it_is_read(gate: LabGate) -> None:
    for offer in (b"h2c", b"websocket", b"TLS/1.0"):
        upgrade = READ + b"Connection: Upgrade\r\nUpgrade: " + offer + b"\r\n\r\n"
        got = await everything(gate.base, upgrade + post(body(gate, wheel("acme-upgraded", "1.0.0")), gate.token))
        assert got.count(b"HTTP/1.1 ") == 1
        assert got.startswith(b"HTTP/1.1 200 ")
    assert not gate.registry.writes


# --- what the registry sees ----------------------------------------------------------------------------------------

FORGED = "".join(
    f"{header}\r\n"
    for header in (
        "Connection: authorization, x-a, keep-alive",
        "Keep-Alive: 5",
        "TE: trailers",
        "Proxy-Authorization: Basic TUFSSw==",
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Host: MARKofTHEclient",
        "X-Forwarded-Proto: https",
        "X-Real-IP: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "Via: 1.1 MARKofTHEclient",
        "Cookie: a=MARKofTHEclient",
        "X-A: b",
        "X-HTTP-Method-Override: DELETE",
        "Referer: MARKofTHEclient",
        "User-Agent: MARKofTHEclient",
    )
)
KNOWN = {
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Encoding",
    "Content-Type",
    "Content-Length",
    "Authorization",
    "Connection",
}


async def test_the_registry_sees_no_header_of_the_client(gate: LabGate) -> None:
    of = wheel("acme-forged", "1.0.0")
    gate.registry.files["acme_read-1.0.0-py3-none-any.whl"] = b"bytes"
    assert (await exchange(gate.base, post(body(gate, of), gate.token, extra=FORGED)))[0] == 200
    for path in ("simple/", "simple/acme-read/", "packages/acme_read-1.0.0-py3-none-any.whl"):
        sent = f"GET /pypi/{path}".encode() + HOST + FORGED.encode() + b"\r\n"
        assert (await exchange(gate.base, sent))[0] == 200
    for method, _, headers in gate.registry.requests:
        assert set(headers) <= KNOWN
        assert "MARK" not in str(headers)
        assert headers.get("Connection", "close") == "close"
        assert headers.get("Authorization") in {CREDENTIAL, None}
        assert method == "GET" or headers["Authorization"] == CREDENTIAL


async def test_bytes_that_are_not_utf_8_in_a_conditional_header_do_no_harm(gate: LabGate) -> None:
    gate.registry.files["acme_read-1.0.0-py3-none-any.whl"] = b"bytes"
    sent = b"GET /pypi/packages/acme_read-1.0.0-py3-none-any.whl" + HOST + b'If-None-Match: "\xff"\r\n' + CLOSE
    assert (await everything(gate.base, sent)).startswith(b"HTTP/1.1 200 ")


# --- Expect --------------------------------------------------------------------------------------------------------


async def test_a_client_that_expects_100_gets_it_before_its_body_is_read(gate: LabGate) -> None:
    of = wheel("acme-expecting", "1.0.0")
    whole = post(body(gate, of), gate.token, extra="Expect: 100-Continue\r\n")
    head, _, sent = whole.partition(b"\r\n\r\n")
    reader, writer = await connect(gate.base)
    writer.write(head + b"\r\n\r\n")
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(sent)
        assert (await answer(reader))[0] == 200
    writer.close()
    assert gate.registry.files[of.name] == of.content


@pytest.mark.parametrize(
    ("token", "extra", "code_"),
    [("", "", "credential-invalid"), (None, "Content-Encoding: gzip\r\n", "content-encoding")],
)
async def test_a_client_that_expects_100_is_refused_without_it(
    gate: LabGate, token: str | None, extra: str, code_: str
) -> None:
    sent = post(b"x" * 1000, gate.token if token is None else token, extra=f"Expect: 100-continue\r\n{extra}")
    status, got = await exchange(gate.base, sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert (status, code(got)) == ({"credential-invalid": 401, "content-encoding": 415}[code_], code_)


async def test_a_fault_of_ours_after_100_is_still_told(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*given: Any) -> None:
        async for _ in given[-1]:
            raise RuntimeError("MARKofTHEfault")

    monkeypatch.setattr(Publisher, "publish", broken)
    reader, writer = await connect(gate.base)
    writer.write(post(b"x", gate.token, extra="Expect: 100-continue\r\n"))
    async with asyncio.timeout(5):
        assert (await answer(reader))[0] == 100
        status, got = await answer(reader)
    writer.close()
    assert (status, code(got)) == (500, "internal-error")
    assert b"MARK" not in got
    assert "MARKofTHEfault" in caplog.text
    caplog.clear()


@pytest.mark.parametrize(("version", "expect"), [("1.1", "MARKofTHEclient"), ("1.1", ""), ("1.0", "100-continue")])
async def test_another_expectation_is_not_answered(gate: LabGate, version: str, expect: str) -> None:
    sent = post(form([]), gate.token, extra=f"Expect: {expect}\r\n").replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    status, got = await exchange(gate.base, sent)
    assert (status, code(got)) == (400, "upload-malformed")
    assert b"MARK" not in got


# --- one request after another -------------------------------------------------------------------------------------


async def test_two_publishes_on_one_connection_are_two_publishes(gate: LabGate) -> None:
    one, two = wheel("acme-first", "1.0.0"), wheel("acme-second", "1.0.0")
    reader, writer = await connect(gate.base)
    writer.write(post(body(gate, one), gate.token) + post(body(gate, two), gate.token))
    async with asyncio.timeout(10):
        assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]
    writer.close()
    assert gate.registry.files[one.name] == one.content
    assert gate.registry.files[two.name] == two.content


@pytest.mark.parametrize("whose", ["inside its body", "behind its body", "behind a body that was cut short"])
async def test_a_request_behind_one_that_was_refused_early_is_never_carried_out(gate: LabGate, whose: str) -> None:
    smuggled = post(body(gate, wheel("acme-smuggled", "1.0.0")), gate.token)
    first = {
        "inside its body": post(smuggled, "wrong"),
        "behind its body": post(b"x" * 500_000, "wrong") + smuggled,
        "behind a body that was cut short": post(b"x" * 500_000, "wrong")[:-100_000] + smuggled,
    }[whose]
    before = await recorded(gate)
    reader, writer = await connect(gate.base)
    writer.write(first)
    async with asyncio.timeout(10):
        status, got = await answer(reader)
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    assert (status, code(got)) == (401, "credential-invalid")
    assert not gate.registry.requests
    assert await recorded(gate) == before


# --- time ----------------------------------------------------------------------------------------------------------


async def test_a_client_that_goes_away_in_its_body_leaves_nothing(gate: LabGate, spool: Path) -> None:
    before = await recorded(gate)
    whole = post(body(gate, wheel("acme-aborted", "1.0.0")), gate.token)
    _, writer = await connect(gate.base)
    writer.write(whole[:-100])
    await until(lambda: not empty(spool), gate)
    writer.transport.abort()
    await until(lambda: empty(spool), gate)
    assert await recorded(gate) == before
    assert not gate.registry.requests


async def test_a_client_that_half_closes_in_its_body_leaves_nothing(gate: LabGate, spool: Path) -> None:
    before = await recorded(gate)
    reader, writer = await connect(gate.base)
    writer.write(post(body(gate, wheel("acme-aborted", "1.0.0")), gate.token)[:-1])
    writer.write_eof()
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    await until(lambda: empty(spool), gate)
    assert await recorded(gate) == before
    assert not gate.registry.requests


@pytest.mark.parametrize("path", ["/pypi/", "/-/evidence?digest=sha256:" + "0" * 64])
@pytest.mark.parametrize("framing", ["Content-Length: 100", CHUNKED, "Content-Length: 100\r\nExpect: 100-continue"])
async def test_a_body_that_stops_coming_is_told_so(
    gate: LabGate, spool: Path, monkeypatch: pytest.MonkeyPatch, framing: str, path: str
) -> None:
    monkeypatch.setattr(limits, "BODY_IDLE_SECONDS", 0.05)
    before = await recorded(gate)
    sent = framed(gate, framing, b"").replace(b"/pypi/", path.encode(), 1)
    reader, writer = await connect(gate.base)
    writer.write(sent)
    async with asyncio.timeout(5):
        if "Expect" in framing:
            assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        status, got = await answer(reader)
    writer.close()
    assert (status, code(got)) == (408, "request-timeout")
    assert empty(spool)
    assert not gate.registry.requests
    assert await recorded(gate) == before


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"GET /pypi/", READ, READ + b"X-A: b\r\n"], ids=repr)
async def test_a_head_that_stops_coming_ends_the_connection(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.05)
    assert await everything(gate.base, sent, seconds=5) == b""
    assert not gate.registry.requests


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ANSWER_IDLE_SECONDS", 0.05)
    before = asyncio.all_tasks()
    name = "acme_large-1.0.0-py3-none-any.whl"
    gate.registry.files[name] = bytes(64 * limits.MIB)
    reader, writer = await connect(gate.base)
    writer.write(f"GET /pypi/packages/{name}".encode() + HOST + CLOSE)
    got = await reader.readuntil(b"\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert isinstance(writer.transport, asyncio.Transport)
    writer.transport.pause_reading()
    started = asyncio.all_tasks() - before
    await until(lambda: all(task.done() for task in started), gate)
    writer.close()


# --- refused early -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_body_that_is_refused_early_still_gets_the_reason(gate: LabGate, framing: str) -> None:
    sent = bytes(30 * limits.MIB)
    whole = (
        post(sent, "wrong")
        if framing == "length"
        else post(b"", "wrong").replace(b"Content-Length: 0", CHUNKED.encode()) + chunks(sent, limits.MIB)
    )
    reader, writer = await connect(gate.base)
    writer.write(whole)
    async with asyncio.timeout(20):
        await writer.drain()
        status, got = await answer(reader)
    writer.close()
    assert (status, code(got)) == (401, "credential-invalid")


async def test_a_body_that_was_refused_is_not_drained_for_ever(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DRAIN_AFTER_REFUSAL", limits.MIB)
    reader, writer = await connect(gate.base)
    writer.write(post(b"", "wrong").replace(b"Content-Length: 0", b"Content-Length: 1000000000"))
    assert (await answer(reader))[0] == 401
    with pytest.raises(ConnectionError):
        await _pour(writer, 100 * limits.MIB)
    writer.close()


async def _pour(writer: asyncio.StreamWriter, size: int) -> None:
    async with asyncio.timeout(10):
        for _ in range(size // limits.MIB):
            writer.write(bytes(limits.MIB))
            await writer.drain()


async def test_what_drains_ends_with_its_client(gate: LabGate) -> None:
    before = asyncio.all_tasks()
    reader, writer = await connect(gate.base)
    writer.write(post(bytes(1000), "wrong")[:-500])
    assert (await answer(reader))[0] == 401
    (draining,) = asyncio.all_tasks() - before
    writer.transport.abort()
    await until(draining.done, gate)


async def test_a_body_that_trickles_after_its_refusal_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.1)
    async with lab_gate(tmp_path) as gate:
        got = await everything(gate.base, post(bytes(1000), "wrong")[:-500], seconds=5)
        assert code(got) == "credential-invalid"


@pytest.mark.parametrize("path", ["/pypi/", "/-/evidence?digest=sha256:" + "0" * 64])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "identity", "", "gzip, gzip"])
async def test_a_compressed_body_is_refused_and_not_inflated(gate: LabGate, path: str, coding: str) -> None:
    before = await recorded(gate)
    tracemalloc.start()
    try:
        status, got = await exchange(
            gate.base, post(BOMB, gate.token, path=path, extra=f"Content-Encoding: {coding}\r\n")
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (status, code(got)) == (415, "content-encoding")
    assert peak < 10 * limits.MIB
    assert not gate.registry.requests
    assert await recorded(gate) == before
