"""What a reader gets: links below the mount, nothing withheld, none of the registry's own headers, no false bytes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from aiohttp import web

from gateway import limits
from gateway.config import ReadAuth
from gateway.demo.packages import sdist, wheel
from tests.lab.gate import CREDENTIAL, GOOD, Fetched, LabGate, lab_gate
from tests.lab.raw import answer, connect
from tests.lab.registry import Misbehaviour

OTHER = sdist("acme-good", "1.0.0")
FILE = f"/pypi/packages/{GOOD.name}"
PAGE = "/pypi/simple/acme-good/"
REPLACED = b"p" * len(GOOD.content)


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    """A gateway with one file that was published through it."""
    async with lab_gate(tmp_path) as running:
        assert (await running.upload())[0] == 200
        running.registry.requests.clear()
        yield running


@pytest.fixture
async def verified(tmp_path: Path) -> AsyncIterator[LabGate]:
    """The same under `reads: verified`, with a second file that nobody verified."""
    async with lab_gate(tmp_path, verified=True) as running:
        assert (await running.upload())[0] == 200
        running.registry.files[OTHER.name] = OTHER.content
        running.registry.requests.clear()
        yield running


def links(got: Fetched) -> list[tuple[str, str]]:
    """Every link of a page, and its text."""
    found = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', got.body.decode())
    return [(unescape(href), text) for href, text in found]


# --- documents ------------------------------------------------------------------------------------------------------


async def test_links_stay_under_the_mount_and_keep_their_hash(gate: LabGate) -> None:
    got = await gate.fetch(PAGE)
    ((href, text),) = links(got)
    where, _, digest = urljoin(gate.base + PAGE, href).partition("#")
    assert (where, text, digest) == (gate.base + FILE, GOOD.name, f"sha256={GOOD.sha256}")
    assert (await gate.fetch(urlsplit(where).path)).body == GOOD.content
    ((project, name),) = links(await gate.fetch("/pypi/simple/"))
    assert (urljoin(f"{gate.base}/pypi/simple/", project), name) == (gate.base + PAGE, "acme-good")


@pytest.mark.parametrize(
    ("linked", "shown"),
    [
        (f"sha256={GOOD.sha256}", f"sha256={GOOD.sha256}"),
        ("sha512=" + "a" * 128, "sha512=" + "a" * 128),
        ("sha384=" + "a" * 96, "sha384=" + "a" * 96),
        ("md5=" + "a" * 32, "md5=" + "a" * 32),
        ("sha256=" + "a" * 63, ""),
        ("sha256=" + "A" * 64, ""),
        ("sha256=" + "a" * 64 + "&amp;egg=evil", ""),
        ("egg=evil", ""),
        ("rot13=" + "a" * 64, ""),
        ("", ""),
    ],
)
async def test_a_hash_is_kept_and_nothing_else_behind_it(gate: LabGate, linked: str, shown: str) -> None:
    gate.registry.pages["acme-good"] = f'<a href="/packages/{GOOD.name}#{linked}">{GOOD.name}</a>'.encode()
    ((href, _),) = links(await gate.fetch(PAGE))
    assert href.partition("#")[2] == shown


@pytest.mark.parametrize("path", [PAGE, "/pypi/simple/", FILE])
async def test_the_registrys_own_headers_stay_behind(gate: LabGate, path: str) -> None:
    said = {
        "Set-Cookie": "a=b", "Server": "secret/1.0", "Location": "/x", "X-Powered-By": "y", "Link": "</x>; rel=preload",
        "Access-Control-Allow-Origin": "*", "Content-Security-Policy": "default-src *", "Refresh": "0; url=/x",
        "Alt-Svc": 'h3="127.0.0.1:1"', "Strict-Transport-Security": "max-age=1", "Content-Disposition": "inline",
        "X-Content-Type-Options": "no",
    }  # fmt: skip
    gate.registry.misbehave["GET"] = lambda _: web.Response(
        text="<script>alert(1)</script>", content_type="text/html", headers=said
    )
    got = await gate.fetch(path)
    assert got.status == 200
    assert {name.title() for name in got.headers} <= {
        "Content-Type", "Content-Length", "Content-Security-Policy", "X-Content-Type-Options", "Server", "Date",
        "Etag", "Last-Modified", "Accept-Ranges",
    }  # fmt: skip
    assert got.headers["Server"] == "provgate"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"].split(";")[0] == "sandbox"


async def test_a_page_carries_no_validator_of_the_registrys_own(gate: LabGate) -> None:
    """What a page shows depends on what is withheld now, which the registry's ETag knows nothing of."""
    gate.registry.misbehave["GET"] = lambda _: web.Response(text="", content_type="text/html", headers={"ETag": '"x"'})
    got = await gate.fetch(PAGE, **{"If-None-Match": '"x"'})
    assert got.status == 200
    assert "ETag" not in got.headers
    assert "If-None-Match" not in gate.registry.requests[-1][2]


@pytest.mark.parametrize("path", ["/pypi/simple/Acme_Good/", "/pypi/simple/acme.good", "/pypi/simple/acme-good"])
async def test_a_projects_name_is_sent_to_its_normal_form(gate: LabGate, path: str) -> None:
    got = await gate.fetch(path)
    assert (got.status, got.headers["Location"]) == (301, PAGE)
    assert gate.registry.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/", "/+status", "/pypi", "/pypi/", "/pypi/+status", "/pypi/packages/", "/pypi/packages", "/pypi/simple/a/b",
        "/pypi/simple/-bad-/", "/pypi/simple//", "/pypi/packages/evil.exe", f"/pypi/{GOOD.name}", "/pypi/favicon.ico",
        f"/pypi/packages/sub//{GOOD.name}", "/pypi/simple/?:action=x", "/pypi/health", "/pypiserver", "/pypi/legacy/",
    ],
)  # fmt: skip
async def test_an_address_that_is_unknown_is_refused_without_asking(gate: LabGate, path: str) -> None:
    got = await gate.fetch(path)
    if "?" in path:  # a query is no part of what is asked for
        assert got.status == 200
        assert [p for _, p, _ in gate.registry.requests] == ["/simple/"]
        return
    assert (got.status, got.code) == (404, "route-unknown")
    assert gate.registry.requests == []


@pytest.mark.parametrize("path", ["/pypi/simple/absent/", "/pypi/packages/absent-1.0-py3-none-any.whl"])
async def test_what_the_registry_has_not_is_a_404(gate: LabGate, path: str) -> None:
    for method in ("GET", "HEAD"):
        got = await gate.fetch(path, method=method)
        assert (got.status, got.code) == (404, "not-found")


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
@pytest.mark.parametrize("path", [PAGE, "/pypi/simple/", FILE])
async def test_what_the_registry_will_not_say_is_a_502(gate: LabGate, path: str, status: int) -> None:
    gate.registry.misbehave["GET"] = lambda _: web.Response(status=status, text="secret")
    got = await gate.fetch(path)
    assert (got.status, got.code) == (502, "upstream-unavailable")
    assert b"secret" not in got.body


async def test_a_project_called_simple_has_files(gate: LabGate) -> None:
    name = "simple-1.0-py3-none-any.whl"
    gate.registry.files[name] = b"x"
    ((href, text),) = links(await gate.fetch("/pypi/simple/simple/"))
    assert text == name
    assert urljoin(f"{gate.base}/pypi/simple/simple/", href).startswith(f"{gate.base}/pypi/packages/{name}#")


# --- who asks -------------------------------------------------------------------------------------------------------


async def test_a_private_registry_is_read_with_a_grant_and_our_own_credential(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, read_auth=ReadAuth.GRANT) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        for path in (FILE, PAGE):
            assert (await gate.fetch(path)).code == "credential-missing"
            other = await gate.grant(packages="pkg:pypi/other")
            assert (await gate.fetch(path, token=other)).code == "credential-scope"
            assert gate.registry.requests == []
            assert (await gate.fetch(path, token=gate.token)).status == 200
            (asked,) = gate.registry.requests
            assert asked[2]["Authorization"] == CREDENTIAL
            gate.registry.requests.clear()


async def test_a_public_registry_is_read_without_any_credential(gate: LabGate) -> None:
    assert (await gate.fetch(FILE, token=gate.token)).status == 200
    assert "Authorization" not in gate.registry.requests[0][2]


async def test_a_readers_own_credential_is_passed_and_the_registrys_no_is_heard(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, read_auth=ReadAuth.PASSTHROUGH) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        good = "Basic YWxpY2U6c2VjcmV0"
        gate.registry.misbehave["GET"] = lambda r: (
            None if r.headers.get("Authorization") == good else web.Response(status=401)
        )
        for path in (FILE, PAGE):
            asked = await gate.fetch(path)
            assert (asked.status, asked.code) == (401, "credential-missing")
            assert asked.headers["WWW-Authenticate"].startswith("Basic ")  # pip sends one only when asked
            wrong = await gate.fetch(path, Authorization="Basic YWxpY2U6d3Jvbmc=")
            assert (wrong.status, wrong.code) == (401, "credential-invalid")
            assert (await gate.fetch(path, Authorization=good)).status == 200
            ours = await gate.fetch(path, token=gate.token)
            assert ours.status == 401
            assert gate.token not in str(gate.registry.requests)
        gate.registry.misbehave["GET"] = lambda _: web.Response(status=403)
        for path in (FILE, PAGE):
            got = await gate.fetch(path, Authorization=good)
            assert (got.status, got.code) == (403, "credential-scope")


# --- files ----------------------------------------------------------------------------------------------------------


async def test_a_range_and_a_validator_pass_in_open_mode(gate: LabGate) -> None:
    def ranged(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304, headers={"ETag": '"v1"'})
        assert request.headers["Range"] == "bytes=0-3"
        span = {"Content-Range": f"bytes 0-3/{len(GOOD.content)}", "ETag": '"v1"'}
        return web.Response(status=206, body=GOOD.content[:4], headers=span)

    gate.registry.misbehave["GET"] = ranged
    got = await gate.fetch(FILE, Range="bytes=0-3")
    assert (got.status, got.body, got.headers["ETag"]) == (206, GOOD.content[:4], '"v1"')
    assert got.headers["Content-Range"] == f"bytes 0-3/{len(GOOD.content)}"
    same = await gate.fetch(FILE, **{"If-None-Match": '"v1"'})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", '"v1"')
    gate.registry.misbehave["GET"] = lambda _: web.Response(status=416)
    assert (await gate.fetch(FILE, Range="bytes=900-")).status == 416


async def test_head_tells_the_length_and_sends_nothing(gate: LabGate) -> None:
    got = await gate.fetch(FILE, method="HEAD")
    assert (got.status, got.body, got.headers["Content-Length"]) == (200, b"", str(len(GOOD.content)))
    assert [method for method, _, _ in gate.registry.requests] == ["HEAD"]


async def test_a_connection_serves_a_head_a_file_and_a_page_in_turn(gate: LabGate) -> None:
    reader, writer = await connect(gate.base)
    for method, path, status in (("HEAD", FILE, 200), ("GET", FILE, 200), ("GET", "/pypi/x", 404), ("GET", PAGE, 200)):
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
        if method == "HEAD":
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        else:
            assert (await answer(reader))[0] == status
    writer.close()


@pytest.mark.parametrize("value", ['"a\x01b"', '"caf\xe9"'])
async def test_a_header_of_the_registrys_that_is_no_plain_text_stays_behind(gate: LabGate, value: str) -> None:
    async def answers(request: web.Request) -> web.Response:
        assert request.transport is not None
        head = f"HTTP/1.1 200 OK\r\nETag: {value}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        request.transport.write(head.encode("latin-1"))
        request.transport.close()
        return web.Response()

    gate.registry.misbehave["GET"] = answers
    got = await gate.fetch(FILE)
    if got.status == 200:
        assert "ETag" not in got.headers
    else:
        assert (got.status, got.code) == (502, "upstream-unavailable")


def cut_after(body: bytes, length: int | None) -> Misbehaviour:
    """Send this much of a file and die."""

    async def answers(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={} if length is None else {"Content-Length": str(length)})
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answers


@pytest.mark.parametrize("length", [None, len(GOOD.content)], ids=["chunked", "counted"])
@pytest.mark.parametrize("mode", [False, True], ids=["open", "verified"])
async def test_a_body_that_the_registry_cuts_is_cut_for_the_reader_too(
    tmp_path: Path, length: int | None, *, mode: bool
) -> None:
    async with lab_gate(tmp_path, verified=mode) as gate:
        assert (await gate.upload())[0] == 200
        await is_cut(gate, length)


async def is_cut(gate: LabGate, length: int | None) -> None:
    gate.registry.misbehave["GET"] = cut_after(GOOD.content[:-10], length)
    try:
        got = await gate.fetch(FILE)
    except aiohttp.ClientError:  # cut before anything came
        return
    assert got.cut or got.status == 502
    assert got.body != GOOD.content


async def test_a_big_file_streams_in_bounded_memory(gate: LabGate) -> None:
    """The registry is held back while the reader takes his time: no more than the buffers lie between them."""
    sent = 0
    whole = 256 << 20

    async def big(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Length": str(whole)})
        await response.prepare(request)
        while sent < whole:
            await response.write(bytes(1 << 20))
            sent += 1 << 20
        return response

    gate.registry.misbehave["GET"] = big
    reader, writer = await connect(gate.base)
    writer.write(f"GET {FILE} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    before = -1
    while sent != before:  # until nothing moves any more
        before = sent
        for _ in range(200):
            await asyncio.sleep(0)
        await asyncio.to_thread(sys.getsizeof, before)
    assert sent < 40 << 20
    writer.transport.abort()


async def test_a_reader_who_takes_nothing_is_let_go(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_IDLE_SECONDS", 0.2)
    over = asyncio.Event()

    async def big(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 20))
        finally:
            over.set()

    gate.registry.misbehave["GET"] = big
    reader, writer = await connect(gate.base)
    writer.write(f"GET {FILE} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(5):
        await over.wait()
    writer.transport.abort()


# --- withheld -------------------------------------------------------------------------------------------------------


async def test_withdrawn_bytes_are_hidden_from_everyone(gate: LabGate) -> None:
    await gate.store.revoke_digest(GOOD.sha256, "ops", "stolen", gate.at)
    for token in ("", gate.token):
        for method in ("GET", "HEAD"):
            got = await gate.fetch(FILE, token=token, method=method)
            assert (got.status, got.code) == (404, "file-withheld")
        assert links(await gate.fetch(PAGE, token=token)) == []
    respelled = await gate.fetch("/pypi/packages/Acme.Good-1.0-py3-none-any.whl")
    assert respelled.code == "file-withheld"
    assert (await gate.fetch(FILE + ".metadata")).code == "file-withheld"
    assert not [path for _, path, _ in gate.registry.requests if path.startswith("/packages/")]


# --- reads: verified ------------------------------------------------------------------------------------------------


async def test_only_what_was_accepted_is_listed_with_the_digest_that_was(verified: LabGate) -> None:
    gate = verified
    lie = "".join(f'<a href="/packages/{n}#sha256={"0" * 64}">{n}</a>' for n in (GOOD.name, OTHER.name))
    gate.registry.pages["acme-good"] = lie.encode()
    assert links(await gate.fetch(PAGE)) == [(f"../../packages/{GOOD.name}#sha256={GOOD.sha256}", GOOD.name)]
    gate.registry.files["other-1.0-py3-none-any.whl"] = b"x"
    assert links(await gate.fetch("/pypi/simple/")) == [("acme-good/", "acme-good")]
    got = await gate.fetch(f"/pypi/packages/{OTHER.name}")
    assert (got.status, got.code) == (404, "file-withheld")
    assert (await gate.fetch(FILE)).body == GOOD.content


@pytest.mark.parametrize(
    "body",
    [REPLACED, GOOD.content[:-1] + b"!", GOOD.content + b"!", GOOD.content[:-1], b"", b"!" * (3 << 20)],
    ids=["other bytes", "another last byte", "one byte more", "one byte less", "nothing", "three MiB"],
)
async def test_a_file_that_was_replaced_is_never_delivered_whole(verified: LabGate, body: bytes) -> None:
    verified.registry.files[GOOD.name] = body
    try:
        got = await verified.fetch(FILE)
    except aiohttp.ClientError:
        assert len(body) > 1 << 20
        return
    if len(body) > 1 << 20:
        assert got.cut
        assert len(got.body) < len(body)
    else:  # so small that nothing of it was on its way: said in words
        assert (got.status, got.code) == (502, "upstream-unavailable")


async def test_a_replaced_file_in_small_pieces_is_cut_before_its_last(verified: LabGate) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(REPLACED))})
        await response.prepare(request)
        for start in range(0, len(REPLACED), 100):
            await response.write(REPLACED[start : start + 100])
            await asyncio.sleep(0)
        return response

    verified.registry.misbehave["GET"] = trickle
    try:
        got = await verified.fetch(FILE)
    except aiohttp.ClientError:
        return
    assert got.cut
    assert len(got.body) < len(REPLACED)


@pytest.mark.parametrize(("status", "told"), [(206, 502), (304, 404), (416, 502), (204, 502)])
async def test_a_part_of_a_file_is_never_delivered_as_verified(verified: LabGate, status: int, told: int) -> None:
    span = {"Content-Range": f"bytes 0-3/{len(GOOD.content)}"}
    verified.registry.misbehave["GET"] = lambda _: web.Response(
        status=status, body=GOOD.content[:4] if status == 206 else None, headers=span
    )
    got = await verified.fetch(FILE, Range="bytes=0-3")
    assert got.status == told
    asked = verified.registry.requests[-1][2]
    assert "Range" not in asked


async def test_a_range_gets_the_whole_file_where_it_is_verified(verified: LabGate) -> None:
    ranges = {"Accept-Ranges": "bytes"}
    verified.registry.misbehave["GET"] = lambda _: web.Response(body=GOOD.content, headers=ranges)
    got = await verified.fetch(FILE, Range="bytes=0-3", **{"If-None-Match": "*"})
    assert (got.status, hashlib.sha256(got.body).hexdigest()) == (200, GOOD.sha256)
    assert "Accept-Ranges" not in got.headers
    assert not {"Range", "If-None-Match"} & set(verified.registry.requests[-1][2])


async def test_metadata_that_cannot_be_verified_is_not_here(verified: LabGate) -> None:
    verified.registry.misbehave["GET"] = lambda _: web.Response(text="Metadata-Version: 2.1\nRequires-Dist: evil\n")
    got = await verified.fetch(FILE + ".metadata")
    assert (got.status, got.code) == (404, "file-withheld")
    assert verified.registry.requests == []


async def test_what_was_there_before_the_gate_is_shown_once_it_was_published_with_evidence(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, verified=True) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        assert links(await gate.fetch(PAGE)) == []
        status, _, body = await gate.upload()
        assert (status, body) == (200, "This file is already there.\n")
        assert not gate.registry.writes
        assert [text for _, text in links(await gate.fetch(PAGE))] == [GOOD.name]
        assert (await gate.fetch(FILE)).body == GOOD.content


async def test_what_only_claims_to_be_the_same_bytes_is_not_taken_in(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, verified=True) as gate:
        gate.registry.files[GOOD.name] = wheel("acme-good", "1.0.0", source="# evil\n").content
        lie = f'<a href="/packages/{GOOD.name}#sha256={GOOD.sha256}">{GOOD.name}</a>'
        gate.registry.pages["acme-good"] = lie.encode()
        told = await gate.upload()
        assert (told[0], told[1].partition(":")[0]) == (409, "version-exists")
        assert links(await gate.fetch(PAGE)) == []
        assert (await gate.fetch(FILE)).code == "file-withheld"
