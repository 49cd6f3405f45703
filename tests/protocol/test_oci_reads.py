"""Reads of an OCI registry, before a real docker-registry: what each sort of reader sees, in each mode of reading."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.config import ReadAuth
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import ImageGate, image_gate, sha256
from tests.lab.image_world import POLICY
from tests.lab.images import INDEX, MANIFEST
from tests.protocol.test_oci_blobs import hostile

CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()
MODES = pytest.mark.parametrize("verified", [False, True], ids=["open", "verified"])


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def gate(registry: DockerRegistry, tmp_path: Path) -> AsyncIterator[ImageGate]:
    async with image_gate(tmp_path, registry.url, CREDENTIAL) as running:
        yield running


@asynccontextmanager
async def behind(registry: DockerRegistry, folder: Path) -> AsyncIterator[ImageGate]:
    """A way to the registry past our record: another gateway's."""
    (folder / "behind").mkdir()
    async with image_gate(folder / "behind", registry.url, CREDENTIAL) as running:
        yield running


# --- manifests ----------------------------------------------------------------------------------------------------


@MODES
async def test_an_accepted_image_is_read_by_tag_and_digest(
    registry: DockerRegistry, tmp_path: Path, *, verified: bool
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=verified) as gate:
        reader = await gate.grant("read")
        digest = await gate.image("team/read", "1.0", b"layer")
        for reference in ("1.0", digest):
            got = await gate.ask("GET", f"/v2/team/read/manifests/{reference}", token=reader)
            assert got.status == 200
            assert sha256(got.body) == got.headers["Docker-Content-Digest"] == digest
            assert got.headers["Content-Type"] == MANIFEST
            head = await gate.ask("HEAD", f"/v2/team/read/manifests/{reference}", token=reader)
            assert (head.status, head.body) == (200, b"")
            assert head.headers["Content-Length"] == str(len(got.body))
            assert head.headers["Docker-Content-Digest"] == digest


@MODES
async def test_a_tag_that_moves_is_read_anew(registry: DockerRegistry, tmp_path: Path, *, verified: bool) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=verified) as gate:
        for layer in (b"one", b"two", b"one"):
            digest = await gate.image("team/moves", "latest", layer)
            got = await gate.ask("HEAD", "/v2/team/moves/manifests/latest", token=await gate.grant("read"))
            assert got.headers["Docker-Content-Digest"] == digest


async def test_what_is_nowhere_is_told_in_the_protocols_words(gate: ImageGate) -> None:
    nowhere = sha256(b"nowhere")
    for path, code in (
        (f"manifests/{nowhere}", "MANIFEST_UNKNOWN not-found"), ("manifests/nosuch", "MANIFEST_UNKNOWN not-found"),
        (f"blobs/{nowhere}", "BLOB_UNKNOWN not-found"), ("tags/list", "NAME_UNKNOWN not-found"),
    ):  # fmt: skip
        answer = await gate.ask("GET", f"/v2/team/nowhere/{path}")
        assert (answer.status, answer.code) == (404, code)


@pytest.mark.parametrize("path", ["_catalog", "team/app", "team/app/manifests/", "team/app/blobs/x", "../x"])
async def test_an_unknown_address_is_nobodys(gate: ImageGate, path: str) -> None:
    assert (await gate.ask("GET", f"/v2/{path}")).status in {400, 404}


# --- held ---------------------------------------------------------------------------------------------------------


@MODES
async def test_a_held_image_is_there_for_who_may_sign_it_and_for_nobody_else(
    registry: DockerRegistry, tmp_path: Path, *, verified: bool
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, verified=verified) as gate:
        digest = await gate.image("team/held", "1.0", layer := f"held layer {verified}".encode())
        paths = [f"manifests/{digest}", "manifests/1.0", f"blobs/{sha256(layer)}"]
        for actions in ("publish", "attach"):
            signer = await gate.grant(actions, "pkg:oci/team/held")
            for path in paths:
                assert (await gate.ask("GET", f"/v2/team/held/{path}", token=signer)).status == 200
        for actions, packages in (("read", "pkg:oci/**"), ("publish,attach,read", "pkg:oci/team/else")):
            other = await gate.grant(actions, packages)
            for path in paths:
                answer = await gate.ask("GET", f"/v2/team/held/{path}", token=other)
                if actions == "read":
                    assert answer.status == 404
                    assert answer.code.split()[1] == "content-hidden"
                else:
                    assert answer.status == 403
        assert "1.0" not in registry.tags("team/held")
        listed = await gate.ask("GET", "/v2/team/held/tags/list")
        assert listed.status == 404 or listed.json["tags"] == []


async def test_the_newest_push_that_waits_is_what_its_tag_is_to_who_may_sign_it(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as gate:
        for layer in (b"first", b"second"):
            digest = await gate.image("team/newest", "1.0", layer)
            got = await gate.ask("HEAD", "/v2/team/newest/manifests/1.0")
            assert got.headers["Docker-Content-Digest"] == digest


# --- behind the gateway's back ------------------------------------------------------------------------------------


async def test_what_never_came_through_is_shown_under_open(
    registry: DockerRegistry, tmp_path: Path, gate: ImageGate
) -> None:
    async with behind(registry, tmp_path) as other:
        digest = await other.image("team/past", "1.0", b"past layer")
    reader = await gate.grant("read")
    for path in (f"manifests/{digest}", "manifests/1.0", f"blobs/{sha256(b'past layer')}"):
        assert (await gate.ask("GET", f"/v2/team/past/{path}", token=reader)).status == 200
    assert (await gate.ask("GET", "/v2/team/past/tags/list", token=reader)).json["tags"] == ["1.0"]


async def test_what_never_came_through_is_a_404_with_an_event_under_verified(
    registry: DockerRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with behind(registry, tmp_path) as other:
        digest = await other.image("team/past2", "1.0", b"past layer 2")
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=True) as gate:
        for token in (await gate.grant("read"), gate.token):
            for path in (f"manifests/{digest}", "manifests/1.0", f"blobs/{sha256(b'past layer 2')}"):
                answer = await gate.ask("GET", f"/v2/team/past2/{path}", token=token)
                assert (answer.status, answer.code.split()[1]) == (404, "content-hidden")
        assert (await gate.ask("GET", "/v2/team/past2/tags/list")).status == 404
    events = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [one.partition(":")[0] for one in events] == ["content-behind-gateway"] * 2  # each reference once
    assert all("repository=team/past2" in one and digest in one for one in events)


async def test_a_tag_moved_behind_the_gateways_back_does_not_move_under_verified(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=True) as gate:
        digest = await gate.image("team/moved", "1.0", b"ours")
        async with behind(registry, tmp_path) as other:
            await other.image("team/moved", "1.0", b"theirs")
        got = await gate.ask("GET", "/v2/team/moved/manifests/1.0")
        assert got.headers["Docker-Content-Digest"] == digest


async def test_a_tag_that_is_pointed_at_hidden_content_shows_nothing_under_open(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as gate:
        digest = await gate.image("team/pointed", "1.0", b"held")
        async with behind(registry, tmp_path) as other:
            assert await other.image("team/pointed", "stolen", b"held") == digest
        assert "stolen" in registry.tags("team/pointed")
        answer = await gate.ask("GET", "/v2/team/pointed/manifests/stolen", token=await gate.grant("read"))
        assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN content-hidden")


async def test_an_image_of_before_the_gateway_that_is_pushed_anew_is_there_to_be_signed_under_verified(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    async with behind(registry, tmp_path) as other:
        digest = await other.image("team/anew", "1.0", b"anew")
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, verified=True) as gate:
        assert (await gate.ask("GET", f"/v2/team/anew/manifests/{digest}")).status == 404
        await gate.image("team/anew", "1.0", b"anew")
        for reference in (digest, "1.0"):
            got = await gate.ask("GET", f"/v2/team/anew/manifests/{reference}")
            assert got.headers["Docker-Content-Digest"] == digest
            assert (
                await gate.ask("GET", f"/v2/team/anew/manifests/{reference}", token=await gate.grant("read"))
            ).status == 404


@MODES
async def test_a_revoked_image_is_gone_for_readers(registry: DockerRegistry, tmp_path: Path, *, verified: bool) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=verified) as gate:
        reader = await gate.grant("read")
        digest = await gate.image("team/revoked", "1.0", b"bad layer")
        assert (await gate.ask("GET", f"/v2/team/revoked/manifests/{digest}", token=reader)).status == 200
        await gate.store.revoke_digest(digest.partition(":")[2], "jane", "compromised", gate.clock.now())
        for path in (f"manifests/{digest}", "manifests/1.0", f"blobs/{sha256(b'bad layer')}"):
            answer = await gate.ask("GET", f"/v2/team/revoked/{path}", token=reader)
            assert answer.status == 404
        assert "1.0" not in (await gate.ask("GET", "/v2/team/revoked/tags/list", token=reader)).json["tags"]


# --- lists --------------------------------------------------------------------------------------------------------


@MODES
async def test_tags_come_in_pages_and_in_order(registry: DockerRegistry, tmp_path: Path, *, verified: bool) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=verified) as gate:
        for tag in ("c", "a", "b"):
            await gate.image("team/pages", tag, b"same")
        assert (await gate.ask("GET", "/v2/team/pages/tags/list")).json == {
            "name": "team/pages",
            "tags": ["a", "b", "c"],
        }
        first = await gate.ask("GET", "/v2/team/pages/tags/list?n=2")
        assert first.json["tags"] == ["a", "b"]
        assert first.headers["Link"] == '</v2/team/pages/tags/list?n=2&last=b>; rel="next"'
        rest = await gate.ask("GET", "/v2/team/pages/tags/list?n=2&last=b")
        assert rest.json["tags"] == ["c"]
        assert "Link" not in rest.headers


async def test_referrers_are_an_empty_index_where_there_are_none_and_never_a_404(gate: ImageGate) -> None:
    answer = await gate.ask("GET", f"/v2/team/nowhere/referrers/{sha256(b'nowhere')}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, INDEX)
    assert answer.json["manifests"] == []
    answer = await gate.ask("GET", f"/v2/team/nowhere/referrers/{sha256(b'nowhere')}?artifactType=text%2Fplain")
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"


async def test_under_open_clients_own_list_of_referrers_is_read_where_the_registry_keeps_none(
    registry: DockerRegistry, tmp_path: Path, gate: ImageGate
) -> None:
    subject = sha256(b"subject")
    async with behind(registry, tmp_path) as other:
        child = await other.image("team/refers", "child", b"x")
        size = len((await other.ask("GET", f"/v2/team/refers/manifests/{child}")).body)
        entry = {"mediaType": MANIFEST, "digest": child, "size": size, "artifactType": "text/plain"}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        body = json.dumps(index).encode()
        tag = subject.replace(":", "-")
        put = await other.ask("PUT", f"/v2/team/refers/manifests/{tag}", body, Content_Type=INDEX)
        assert put.status == 201
    listed = await gate.ask("GET", f"/v2/team/refers/referrers/{subject}", token=await gate.grant("read"))
    assert [one["digest"] for one in listed.json["manifests"]] == [child]


# --- blobs --------------------------------------------------------------------------------------------------------


async def test_a_part_of_a_blob_is_read_and_its_head_has_its_length(gate: ImageGate) -> None:
    digest = await gate.blob("team/part", b"0123456789")
    part = await gate.ask("GET", f"/v2/team/part/blobs/{digest}", Range="bytes=2-4")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    head = await gate.ask("HEAD", f"/v2/team/part/blobs/{digest}")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "10", b"")
    beyond = await gate.ask("GET", f"/v2/team/part/blobs/{digest}", Range="bytes=20-30")
    assert beyond.status == 416


# --- anybody ------------------------------------------------------------------------------------------------------


@MODES
async def test_where_anybody_may_read_what_was_accepted_is_there_and_the_rest_is_the_registrys_to_show(
    registry: DockerRegistry, tmp_path: Path, *, verified: bool
) -> None:
    """The lab's registry shows nothing to whoever has no credential."""
    async with behind(registry, tmp_path) as other:
        past = await other.image("team/any", "past", b"past")
    nobody: dict[str, Any] = {"token": "", "Authorization": "Basic Og=="}
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=verified, read_auth=ReadAuth.NONE) as gate:
        digest = await gate.image("team/any", "ours", b"ours")
        for path in (f"manifests/{digest}", "manifests/ours", f"blobs/{sha256(b'ours')}"):
            assert (await gate.ask("GET", f"/v2/team/any/{path}", **nobody)).status == 200
        for path in (f"manifests/{past}", "manifests/past", f"blobs/{sha256(b'past')}"):
            assert (await gate.ask("GET", f"/v2/team/any/{path}", **nobody)).status == 404
        assert (await gate.ask("GET", "/v2/team/any/tags/list", **nobody)).json["tags"] == ["ours"]
        reader = await gate.grant("read")
        assert (await gate.ask("GET", f"/v2/team/any/manifests/{past}", token=reader)).status == (
            404 if verified else 200
        )
        assert (await gate.ask("GET", f"/v2/team/any/manifests/{past}", **nobody)).status == 404  # not from memory


# --- a hostile registry -------------------------------------------------------------------------------------------


async def test_other_bytes_under_a_digest_are_never_served(tmp_path: Path) -> None:
    def lie(_: web.Request) -> web.Response:
        return web.Response(body=b'{"schemaVersion":2}', content_type=MANIFEST)

    async with hostile(lie) as (url, _), image_gate(tmp_path, url, CREDENTIAL) as gate:
        answer = await gate.ask("GET", f"/v2/team/app/manifests/{sha256(b'other')}")
        assert (answer.status, answer.code) == (502, "DENIED upstream-unavailable")


@pytest.mark.parametrize("what", ["manifests", "blobs"])
async def test_a_redirect_is_neither_followed_nor_relayed(tmp_path: Path, what: str) -> None:
    def away(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/secret"})

    async with hostile(away) as (url, asked), image_gate(tmp_path, url, CREDENTIAL) as gate:
        answer = await gate.ask("GET", f"/v2/team/app/{what}/{sha256(b'x')}")
        assert (answer.status, answer.code) == (502, "DENIED upstream-unavailable")
        assert "Location" not in answer.headers
        assert b"secret" not in answer.body
        assert len(asked) == 1
