"""Blobs in, before a real docker-registry: every way a client sends one, near misses, mounts, what is then hidden."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.model.content import Sight
from gateway.model.digest import Digest
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import Answered, ImageGate, image_gate, sha256
from tests.lab.raw import connect, exchange

DATA = b"0123456789" * 1000
CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()
UPLOADS = "/v2/team/app/blobs/uploads/"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def gate(registry: DockerRegistry, tmp_path: Path) -> AsyncIterator[ImageGate]:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, max_blob=1 << 20) as running:
        yield running


@pytest.fixture
async def other(gate: ImageGate) -> str:
    """A grant that may only read."""
    return await gate.grant("read")


async def is_kept(gate: ImageGate, data: bytes, repository: str = "team/app") -> None:
    """The publisher reads exactly these bytes."""
    answer = await gate.ask("GET", f"/v2/{repository}/blobs/{sha256(data)}")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Docker-Content-Digest"] == sha256(data)


async def sight(gate: ImageGate, data: bytes, repository: str = "team/app") -> Sight:
    return await gate.store.contents.sight(gate.depot.place(repository), Digest.parse(sha256(data)))


async def start(gate: ImageGate, repository: str = "team/app") -> str:
    answer = await gate.ask("POST", f"/v2/{repository}/blobs/uploads/")
    assert answer.status == 202
    return answer.headers["Location"]


def is_created(answer: Answered, data: bytes, repository: str = "team/app") -> None:
    assert answer.status == 201, answer
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/{sha256(data)}"
    assert answer.headers["Docker-Content-Digest"] == sha256(data)


# --- every way ----------------------------------------------------------------------------------------------------


async def test_a_whole_blob_in_one_post_is_taken_although_the_registry_does_not_honour_it(gate: ImageGate) -> None:
    data = DATA + b"post"
    is_created(await gate.ask("POST", f"{UPLOADS}?digest={sha256(data)}", data), data)
    await is_kept(gate, data)


async def test_a_post_and_a_put_with_the_body(gate: ImageGate) -> None:
    data = DATA + b"put"
    is_created(await gate.ask("PUT", f"{await start(gate)}&digest={sha256(data)}", data), data)
    await is_kept(gate, data)


async def test_a_digest_in_sha512_is_asked_of_the_registry(gate: ImageGate) -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    answer = await gate.ask("PUT", f"{await start(gate)}&digest={digest}", DATA)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == digest


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_patch_without_a_range_as_docker_and_skopeo_send_it(gate: ImageGate, *, chunked: bool) -> None:
    data = DATA + str(chunked).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield data[:10]
        yield data[10:]

    patched = await gate.ask("PATCH", await start(gate), pieces() if chunked else data)
    assert patched.status == 202
    assert patched.headers["Range"] == f"0-{len(data) - 1}"
    assert "Docker-Upload-UUID" in patched.headers
    is_created(await gate.ask("PUT", f"{patched.headers['Location']}&digest={sha256(data)}"), data)
    await is_kept(gate, data)


async def test_chunks_with_ranges_and_the_last_of_them_in_the_put(gate: ImageGate) -> None:
    data, location = DATA + b"chunks", await start(gate)
    for first in (0, 4000):
        chunk = data[first : first + 4000]
        answer = await gate.ask("PATCH", location, chunk, Content_Range=f"{first}-{first + len(chunk) - 1}")
        assert answer.status == 202
        location = answer.headers["Location"]
    rest = f"8000-{len(data) - 1}"
    is_created(await gate.ask("PUT", f"{location}&digest={sha256(data)}", data[8000:], Content_Range=rest), data)
    await is_kept(gate, data)


async def test_an_upload_that_broke_off_is_resumed_where_it_stands(gate: ImageGate) -> None:
    data = DATA + b"resumed"
    patched = await gate.ask("PATCH", await start(gate), data[:5000])
    status = await gate.ask("GET", patched.headers["Location"])
    assert (status.status, status.headers["Range"]) == (204, "0-4999")
    patched = await gate.ask("PATCH", status.headers["Location"], data[5000:], Content_Range=f"5000-{len(data) - 1}")
    is_created(await gate.ask("PUT", f"{patched.headers['Location']}&digest={sha256(data)}"), data)
    await is_kept(gate, data)


async def test_a_client_that_goes_away_in_the_body_leaves_nothing_that_is_seen(gate: ImageGate) -> None:
    data, location = bytes(1 << 19), await start(gate)
    reader, writer = await connect(gate.base)
    head = f"PUT {location}&digest={sha256(data)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gate.token}\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[:100_000])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await gate.ask("GET", f"/v2/team/app/blobs/{sha256(data)}")).code == "BLOB_UNKNOWN not-found"
    assert await sight(gate, data) is Sight.UNKNOWN


async def test_an_upload_is_given_up(gate: ImageGate) -> None:
    location = await start(gate)
    assert (await gate.ask("DELETE", location)).status == 204
    gone = await gate.ask("GET", location)
    assert (gone.status, gone.code) == (404, "BLOB_UPLOAD_UNKNOWN not-found")


async def test_the_address_of_an_upload_is_relative_and_keeps_the_registrys_query(gate: ImageGate) -> None:
    location = await start(gate)
    assert location.startswith(f"{UPLOADS}")
    assert "_state=" in location


# --- near misses --------------------------------------------------------------------------------------------------


async def test_a_blob_whose_digest_lies_is_refused_and_not_there(gate: ImageGate) -> None:
    claimed = sha256(b"claimed")
    answer = await gate.ask("PUT", f"{await start(gate)}&digest={claimed}", b"other")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID digest-invalid")
    assert (await gate.ask("GET", f"/v2/team/app/blobs/{claimed}")).status == 404


@pytest.mark.parametrize("said", ["0-99", "200-299", "101-200"])
async def test_a_chunk_out_of_order_is_416_with_where_the_upload_stands(gate: ImageGate, said: str) -> None:
    first = await gate.ask("PATCH", await start(gate), bytes(100), Content_Range="0-99")
    answer = await gate.ask("PATCH", first.headers["Location"], bytes(100), Content_Range=said)
    assert answer.status == 416
    assert answer.code == "DENIED chunk-out-of-order"
    assert answer.headers["Range"] == "0-99"
    data = bytes(200)
    after = await gate.ask("PATCH", answer.headers["Location"], bytes(100), Content_Range="100-199")
    is_created(await gate.ask("PUT", f"{after.headers['Location']}&digest={sha256(data)}"), data)


@pytest.mark.parametrize("said", ["bytes 0-9/10", "9-0", "a-b", "0-", "-1"])
async def test_a_range_that_is_none_is_refused(gate: ImageGate, said: str) -> None:
    answer = await gate.ask("PATCH", await start(gate), bytes(10), Content_Range=said)
    assert (answer.status, answer.code.split()[1]) == (400, "upload-malformed")


@pytest.mark.parametrize("how", ["length", "chunked", "patches"])
async def test_a_blob_over_the_limit_is_refused_and_its_upload_dropped(gate: ImageGate, how: str) -> None:
    location, most = await start(gate), gate.depot.max_blob

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(most // 8)

    if how == "patches":
        first = await gate.ask("PATCH", location, io.BytesIO(bytes(most)))
        location = first.headers["Location"]
        answer = await gate.ask("PATCH", location, b"x")
    else:
        answer = await gate.ask("PATCH", location, pieces() if how == "chunked" else io.BytesIO(bytes(most + 1)))
    assert (answer.status, answer.code) == (413, "SIZE_INVALID upload-too-large")
    gone = await gate.ask("GET", location)
    assert gone.status in {400, 404}  # 2.8 says 400 while it finds out that a patch broke off


async def test_a_body_that_says_it_is_too_long_is_refused_before_it_comes(gate: ImageGate) -> None:
    head = f"PATCH {await start(gate)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gate.token}\r\n"
    said = f"{head}Content-Length: {gate.depot.max_blob + 1}\r\n\r\n"
    assert (await exchange(gate.base, said.encode()))[0] == 413


async def test_a_compressed_body_is_refused_undecoded(gate: ImageGate) -> None:
    answer = await gate.ask("PATCH", await start(gate), b"x", Content_Encoding="gzip")
    assert (answer.status, answer.code) == (415, "UNSUPPORTED content-encoding")


@pytest.mark.parametrize("grant", ["read", "mutate", "publish,attach"])
async def test_a_grant_that_may_not_push_there_opens_no_upload(gate: ImageGate, grant: str) -> None:
    token = await gate.grant(grant, "pkg:oci/other/**" if "publish" in grant else "pkg:oci/**")
    answer = await gate.ask("POST", UPLOADS, token=token)
    assert (answer.status, answer.code) == (403, "DENIED credential-scope")


async def test_a_grant_that_may_only_attach_pushes_blobs(gate: ImageGate) -> None:
    assert (await gate.ask("POST", UPLOADS, token=await gate.grant("attach"))).status == 202


# --- what is hidden -----------------------------------------------------------------------------------------------


async def test_a_blob_is_hidden_from_readers_until_something_accepted_holds_it(gate: ImageGate, other: str) -> None:
    data = b"layer of an image"
    await gate.blob("team/hidden", data)
    answer = await gate.ask("GET", f"/v2/team/hidden/blobs/{sha256(data)}", token=other)
    assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN content-hidden")
    assert (await gate.ask("HEAD", f"/v2/team/hidden/blobs/{sha256(data)}", token=other)).status == 404
    await is_kept(gate, data, "team/hidden")
    await gate.image("team/hidden", "1.0", data)
    assert (await gate.ask("GET", f"/v2/team/hidden/blobs/{sha256(data)}", token=other)).body == data


async def test_a_blob_that_was_there_before_is_never_hidden_by_a_push(
    gate: ImageGate, registry: DockerRegistry, tmp_path: Path, other: str
) -> None:
    data = b"there before the gateway"
    (tmp_path / "direct").mkdir()
    async with image_gate(tmp_path / "direct", registry.url, CREDENTIAL) as direct:  # another record: it came past ours
        await direct.blob("team/before", data)
    await gate.blob("team/before", data)
    assert await sight(gate, data, "team/before") is Sight.UNKNOWN
    assert (await gate.ask("GET", f"/v2/team/before/blobs/{sha256(data)}", token=other)).body == data


# --- mounts -------------------------------------------------------------------------------------------------------


async def mount(gate: ImageGate, data: bytes, source: str, to: str, token: str | None = None) -> Answered:
    query = f"mount={sha256(data)}&from={source.replace('/', '%2F')}"
    return await gate.ask("POST", f"/v2/{to}/blobs/uploads/?{query}", token=token)


async def test_what_is_shown_is_mounted_and_hidden_in_its_new_place(gate: ImageGate, other: str) -> None:
    data = b"shared layer"
    await gate.image("team/base", "1.0", data)
    is_created(await mount(gate, data, "team/base", "team/derived"), data, "team/derived")
    await is_kept(gate, data, "team/derived")
    assert (await gate.ask("GET", f"/v2/team/derived/blobs/{sha256(data)}", token=other)).status == 404


async def test_what_is_hidden_is_not_mounted_not_even_for_its_publisher(gate: ImageGate) -> None:
    data = b"hidden layer"
    await gate.blob("team/waiting", data)
    answer = await mount(gate, data, "team/waiting", "team/derived2")
    assert answer.status == 202
    assert answer.headers["Location"].startswith("/v2/team/derived2/blobs/uploads/")


async def test_a_mount_tells_nothing_of_a_repository_that_the_grant_may_not_pull(gate: ImageGate) -> None:
    data = b"secret layer"
    await gate.image("secret/app", "1.0", data)
    token = await gate.grant(packages="pkg:oci/team/**")
    there, absent = (
        await mount(gate, data, "secret/app", "team/thief", token),
        await mount(gate, b"no such", "secret/app", "team/thief", token),
    )
    assert there.status == absent.status == 202
    assert set(there.headers) == set(absent.headers)
    assert (await gate.ask("GET", f"/v2/team/thief/blobs/{sha256(data)}", token=token)).status == 404


async def test_a_mount_of_what_is_not_there_becomes_an_upload(gate: ImageGate) -> None:
    answer = await mount(gate, b"nowhere", "team/base", "team/derived3")
    assert answer.status == 202
    assert (await gate.ask("GET", answer.headers["Location"])).status == 204


# --- the quarantine -----------------------------------------------------------------------------------------------


async def test_with_a_quarantine_a_blob_lies_there_and_only_its_publisher_reads_it(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    data = b"quarantined"
    async with image_gate(tmp_path, registry.url, CREDENTIAL, quarantine="held") as gate:
        await gate.blob("team/q", data)
        await is_kept(gate, data, "team/q")
        assert registry.get(f"/v2/held/team/q/blobs/{sha256(data)}") == (200, data)
        assert registry.get(f"/v2/team/q/blobs/{sha256(data)}")[0] == 404
        for repository in ("held", "held/team/q"):
            answer = await gate.ask("GET", f"/v2/{repository}/blobs/{sha256(data)}")
            assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN not-found")
            assert (await gate.ask("POST", f"/v2/{repository}/blobs/uploads/")).status == 404


# --- a hostile registry -------------------------------------------------------------------------------------------


@asynccontextmanager
async def hostile(
    answer: Callable[[web.Request], web.StreamResponse], *, patient: bool = True
) -> AsyncIterator[tuple[str, list[str]]]:
    """A registry that answers all in one way, once the body is there unless it is impatient; what it was asked."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path_qs}")
        if patient:
            await request.read()
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    addresses: Any = runner.addresses
    try:
        yield f"http://127.0.0.1:{addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:9/v2/team/app/blobs/uploads/x", "//127.0.0.1:9/v2/team/app/blobs/uploads/x",
        "/v2/other/app/blobs/uploads/x", "/v2/team/app/blobs/uploads/../../../other/x", "/v2/team/app/blobs/uploads/",
        "/v2/team/app/blobs/uploads/a/b", "/v2/team/app/blobs/uploads/x?a b", "", "/elsewhere",
    ],
)  # fmt: skip
async def test_a_location_that_leads_elsewhere_is_neither_followed_nor_relayed(tmp_path: Path, location: str) -> None:
    async with (
        hostile(lambda _: web.Response(status=202, headers={"Location": location, "Range": "0-0"})) as (url, asked),
        image_gate(tmp_path, url, CREDENTIAL) as gate,
    ):
        answer = await gate.ask("POST", f"{UPLOADS}?digest={sha256(DATA)}", DATA)
        assert (answer.status, answer.code) == (502, "DENIED upstream-unavailable")
        assert "Location" not in answer.headers
        assert asked == [f"POST {UPLOADS}"]


@pytest.mark.parametrize("status", [307, 401, 500, 200])
async def test_any_other_answer_is_told_in_words_of_ours(tmp_path: Path, status: int) -> None:
    headers = {"Location": "http://127.0.0.1:9/"}
    async with (
        hostile(lambda _: web.Response(status=status, headers=headers, text="<b>secret</b>")) as (url, _),
        image_gate(tmp_path, url, CREDENTIAL) as gate,
    ):
        answer = await gate.ask("POST", UPLOADS)
        assert (answer.status, answer.code) == (502, "DENIED upstream-refused")
        assert b"secret" not in answer.body
        assert "Location" not in answer.headers


async def test_a_yes_before_the_whole_body_was_sent_is_no_yes(tmp_path: Path) -> None:
    location = {"Location": f"{UPLOADS}x?_state=1", "Range": "0-0"}

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    async with (
        hostile(lambda _: web.Response(status=202, headers=location), patient=False) as (url, asked),
        image_gate(tmp_path, url, CREDENTIAL) as gate,
    ):
        answer = await gate.ask("PUT", f"{UPLOADS}x?_state=1&digest={sha256(DATA)}", pieces())
        assert (answer.status, answer.code) == (502, "DENIED upstream-refused")
        assert asked == [f"PATCH {UPLOADS}x?_state=1"]
