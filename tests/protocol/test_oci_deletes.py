"""Deletes of an OCI registry, before a real docker-registry: who may, what is recorded, and what readers see then."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from gateway.model.content import Ending
from gateway.model.decision import Outcome
from gateway.store import Query
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import ImageGate, image_gate, sha256
from tests.lab.image_world import POLICY
from tests.protocol.test_oci_blobs import hostile

CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def gate(registry: DockerRegistry, tmp_path: Path) -> AsyncIterator[ImageGate]:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=True) as running:
        yield running


@pytest.fixture
async def keeper(gate: ImageGate) -> str:
    """A grant that may change, and nothing else."""
    return await gate.grant("mutate", "pkg:oci/team/**")


async def newest(gate: ImageGate) -> tuple[str, Outcome]:
    """What the newest record is of, and what it came to."""
    (written,) = await gate.store.records(Query(limit=1))
    assert written.record.mutation is not None
    return written.record.mutation.what, written.record.decision.outcome


async def test_a_manifest_is_deleted_and_its_tag_is_gone_with_it(
    gate: ImageGate, registry: DockerRegistry, keeper: str
) -> None:
    digest = await gate.image("team/del", "1.0", b"layer")
    reader = await gate.grant("read")
    assert (await gate.ask("GET", f"/v2/team/del/manifests/{digest}", token=reader)).status == 200
    deleted = await gate.ask("DELETE", f"/v2/team/del/manifests/{digest}", token=keeper)
    assert (deleted.status, deleted.body) == (202, b"")
    assert await newest(gate) == (f"delete team/del@{digest}", Outcome.ACCEPT)
    for token in (reader, gate.token):
        for reference in (digest, "1.0"):
            assert (await gate.ask("GET", f"/v2/team/del/manifests/{reference}", token=token)).status == 404
    assert registry.get(f"/v2/team/del/manifests/{digest}")[0] == 404
    again = await gate.image("team/del", "1.0", b"layer")
    assert again == digest
    assert (await gate.ask("GET", "/v2/team/del/manifests/1.0", token=reader)).status == 200


@pytest.mark.parametrize("actions", ["read", "publish,attach,read"])
async def test_without_a_grant_to_change_nothing_is_deleted_nor_recorded(gate: ImageGate, actions: str) -> None:
    digest = await gate.image("team/kept", "1.0", b"layer")
    before = len(await gate.store.records(Query(limit=100)))
    for path in (f"manifests/{digest}", "manifests/1.0", f"blobs/{sha256(b'layer')}"):
        answer = await gate.ask("DELETE", f"/v2/team/kept/{path}", token=await gate.grant(actions))
        assert (answer.status, answer.code) == (403, "DENIED credential-scope")
    assert len(await gate.store.records(Query(limit=100))) == before
    assert (await gate.ask("GET", f"/v2/team/kept/manifests/{digest}")).status == 200


async def test_a_grant_of_another_repository_does_not_do(gate: ImageGate) -> None:
    digest = await gate.image("team/kept2", "1.0", b"layer")
    other = await gate.grant("mutate", "pkg:oci/other/**")
    assert (await gate.ask("DELETE", f"/v2/team/kept2/manifests/{digest}", token=other)).status == 403


async def test_a_blob_that_an_accepted_image_holds_is_not_deleted_until_the_image_is(
    gate: ImageGate, keeper: str
) -> None:
    digest = await gate.image("team/layers", "1.0", layer := b"held by an image")
    refused = await gate.ask("DELETE", f"/v2/team/layers/blobs/{sha256(layer)}", token=keeper)
    assert (refused.status, refused.code) == (403, "DENIED operation-refused")
    assert await newest(gate) == (f"delete blob team/layers@{sha256(layer)}", Outcome.REJECT)
    assert (await gate.ask("DELETE", f"/v2/team/layers/manifests/{digest}", token=keeper)).status == 202
    assert (await gate.ask("DELETE", f"/v2/team/layers/blobs/{sha256(layer)}", token=keeper)).status == 202
    assert (await gate.ask("GET", f"/v2/team/layers/blobs/{sha256(layer)}")).status == 404


async def test_a_registry_that_deletes_no_tags_is_told_in_the_protocols_words(gate: ImageGate, keeper: str) -> None:
    await gate.image("team/tags", "1.0", b"layer")
    answer = await gate.ask("DELETE", "/v2/team/tags/manifests/1.0", token=keeper)
    assert (answer.status, answer.code) == (405, "UNSUPPORTED method-unknown")
    assert (await gate.ask("GET", "/v2/team/tags/manifests/1.0")).status == 200


async def test_what_is_not_there_is_a_404(gate: ImageGate, keeper: str) -> None:
    answer = await gate.ask("DELETE", f"/v2/team/none/manifests/{sha256(b'none')}", token=keeper)
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN not-found")


async def test_deleting_what_waits_ends_its_hold(registry: DockerRegistry, tmp_path: Path) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, quarantine="held") as gate:
        digest = await gate.image("team/waits", "1.0", b"layer")
        assert len(await gate.store.contents.open_holds("images")) == 1
        keeper = await gate.grant("mutate")
        assert (await gate.ask("DELETE", f"/v2/team/waits/manifests/{digest}", token=keeper)).status == 202
        assert await gate.store.contents.open_holds("images") == ()
        (hold,) = await gate.store.contents.holds("images", 10)
        assert (hold.ending, hold.problem) == (Ending.REFUSED, "it was deleted")
        assert registry.get(f"/v2/held/team/waits/manifests/{digest}")[0] == 404


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "DENIED upstream-refused"), (401, "DENIED upstream-refused"), (307, "DENIED upstream-refused")],
)
async def test_a_registry_that_says_anything_else_leaves_the_record_as_it_was(
    tmp_path: Path, status: int, code: str
) -> None:
    async with (
        hostile(lambda _: web.Response(status=status, headers={"Location": "http://127.0.0.1:9/"})) as (url, asked),
        image_gate(tmp_path, url, CREDENTIAL) as gate,
    ):
        keeper = await gate.grant("mutate")
        answer = await gate.ask("DELETE", f"/v2/team/app/manifests/{sha256(b'x')}", token=keeper)
        assert (answer.status, answer.code) == (502, code)
        assert asked == [f"DELETE /v2/team/app/manifests/{sha256(b'x')}"]


async def test_a_delete_that_the_registry_finished_unseen_is_followed_when_it_is_asked_again(
    gate: ImageGate, keeper: str, registry: DockerRegistry, tmp_path: Path
) -> None:
    digest = await gate.image("team/unseen", "1.0", b"layer")
    (tmp_path / "behind").mkdir()
    async with image_gate(tmp_path / "behind", registry.url, CREDENTIAL) as behind:
        other = await behind.grant("mutate")
        assert (await behind.ask("DELETE", f"/v2/team/unseen/manifests/{digest}", token=other)).status == 202
    assert (await gate.ask("DELETE", f"/v2/team/unseen/manifests/{digest}", token=keeper)).status == 202
    assert await gate.store.contents.tags(gate.depot.place("team/unseen")) == {}
    assert (await gate.ask("DELETE", f"/v2/team/unseen/manifests/{digest}", token=keeper)).status == 404
