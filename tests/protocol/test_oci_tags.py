"""Tags of an OCI registry, before a real docker-registry: which of them move, and what a hold's end does to them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.model.content import Ending
from gateway.model.upload import Upload
from gateway.policy import Policy
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import OBSERVE, Answered, ImageGate, image_gate, sha256
from tests.lab.image_world import POLICY
from tests.lab.images import CONFIG, INDEX, MANIFEST

CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()
IMMUTABLE = OBSERVE.replace("    attestations:", '    tags: {immutable: ["v*"]}\n    attestations:')


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def gate(registry: DockerRegistry, tmp_path: Path) -> AsyncIterator[ImageGate]:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=IMMUTABLE) as running:
        yield running


async def manifest(gate: ImageGate, repository: str, word: str) -> bytes:
    """A manifest whose one blob is there."""
    config = json.dumps({"word": word}).encode()
    described = {"mediaType": CONFIG, "digest": await gate.blob(repository, config), "size": len(config)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}).encode()


async def put(gate: ImageGate, repository: str, tag: str, body: bytes) -> Answered:
    return await gate.ask("PUT", f"/v2/{repository}/manifests/{tag}", body, Content_Type=MANIFEST)


async def has(gate: ImageGate, repository: str, tag: str) -> str:
    return (await gate.ask("HEAD", f"/v2/{repository}/manifests/{tag}")).headers["Docker-Content-Digest"]


async def test_a_tag_moves_on_and_back_and_an_immutable_one_stays(gate: ImageGate) -> None:
    one, two = [await manifest(gate, "team/tags", word) for word in ("one", "two")]
    for body in (one, two, one):
        assert (await put(gate, "team/tags", "latest", body)).status == 201
        assert await has(gate, "team/tags", "latest") == sha256(body)
    for body in (one, one):
        assert (await put(gate, "team/tags", "v1", body)).status == 201
    refused = await put(gate, "team/tags", "v1", two)
    assert (refused.status, refused.code) == (409, "DENIED version-exists")
    assert "This tag is immutable here" in refused.json["errors"][0]["message"]
    assert await has(gate, "team/tags", "v1") == sha256(one)


async def test_an_immutable_tag_that_was_deleted_comes_back_with_the_same_digest_alone(gate: ImageGate) -> None:
    one, two = [await manifest(gate, "team/back", word) for word in ("one", "two")]
    assert (await put(gate, "team/back", "v1", one)).status == 201
    mutate = await gate.grant("mutate")
    await gate.ask("DELETE", f"/v2/team/back/manifests/{sha256(one)}", token=mutate)
    refused = await put(gate, "team/back", "v1", two)
    assert (refused.status, refused.code) == (409, "DENIED version-exists")
    assert (await put(gate, "team/back", "v1", one)).status == 201


async def test_of_two_pushes_at_once_of_an_immutable_tag_one_has_it(gate: ImageGate) -> None:
    bodies = [await manifest(gate, "team/race", str(n)) for n in range(4)]
    answers = await asyncio.gather(*(put(gate, "team/race", "v1", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    (won,) = [body for body, answer in zip(bodies, answers, strict=True) if answer.status == 201]
    assert await has(gate, "team/race", "v1") == sha256(won)


async def test_an_immutable_tag_does_not_move_even_where_it_was_decided_to_move_it(
    gate: ImageGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a decision and its publish another gateway, or another release, may have given the tag away."""
    one, two = [await manifest(gate, "team/late", word) for word in ("one", "two")]
    assert (await put(gate, "team/late", "latest", one)).status == 201

    def fixed(_: Policy, __: Upload) -> bool:
        return False

    monkeypatch.setattr(Policy, "moves", fixed)
    refused = await put(gate, "team/late", "latest", two)
    assert (refused.status, refused.code) == (409, "DENIED version-exists")
    assert await has(gate, "team/late", "latest") == sha256(one)


async def test_a_tag_has_its_newest_push_however_its_older_holds_end(registry: DockerRegistry, tmp_path: Path) -> None:
    """Under the new policy the holds may be released, before the push or never; none comes after it."""
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as gate:
        one, two = [await manifest(gate, "team/ends", word) for word in ("one", "two")]
        for body in (two, one):
            assert (await put(gate, "team/ends", "1.0", body)).status == 201
    async with image_gate(tmp_path, registry.url, CREDENTIAL) as gate:
        assert (await put(gate, "team/ends", "1.0", two)).status == 201
        ended = {str(hold.digest): hold.ending for hold in await gate.store.contents.holds(None, 9)}
        assert ended[sha256(two)] is Ending.RELEASED
        assert ended[sha256(one)] in {Ending.RELEASED, Ending.SUPERSEDED}
        assert await has(gate, "team/ends", "1.0") == sha256(two)


async def test_the_page_of_a_hold_says_how_it_stands(registry: DockerRegistry, tmp_path: Path) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as gate:
        held = await put(gate, "team/page", "1.0", await manifest(gate, "team/page", "one"))
        (hold,) = await gate.store.contents.open_holds(None)
        page = f"/-/d/{hold.id}"
        assert page in held.headers["Warning"]
        waits = await gate.ask("GET", page, token="")
        assert b"Waits for its evidence until" in waits.body
        await gate.store.contents.end_hold(hold.id, Ending.EXPIRED, "its evidence did not come", gate.clock.now())
        ended = await gate.ask("GET", page, token="", Accept="application/json")
        assert (ended.json["outcome"], ended.json["hold"]["ending"]) == ("hold", "expired")
        assert b"Waits" not in (await gate.ask("GET", page, token="")).body


@pytest.mark.parametrize("inside", ["layer", "child", "child's layer"])
async def test_what_was_withdrawn_does_not_come_back_inside_of_something_else(gate: ImageGate, inside: str) -> None:
    name = f"team/{inside.replace(' ', '-').replace(chr(39), '')}"
    child = await manifest(gate, name, f"withdrawn {inside}")
    layer = json.loads(child)["config"]["digest"]
    assert (await put(gate, name, sha256(child), child)).status == 201
    described = {"mediaType": MANIFEST, "digest": sha256(child), "size": len(child)}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}).encode()
    body, kind = (child, MANIFEST) if inside == "layer" else (index, INDEX)
    gone = sha256(child) if inside == "child" else layer
    path = f"/v2/{name}/manifests/1.0"
    assert (await gate.ask("PUT", path, body, Content_Type=kind)).status == 201
    await gate.store.revoke_digest(gone.removeprefix("sha256:"), "ops@acme.example", "leaked", gate.clock.now())
    refused = await gate.ask("PUT", path, body, Content_Type=kind)
    assert (refused.status, refused.code) == (403, "DENIED digest-revoked")
    assert gone in refused.json["errors"][0]["message"]


async def test_what_holds_something_withdrawn_is_refused_and_not_held(registry: DockerRegistry, tmp_path: Path) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as gate:
        body = await manifest(gate, "team/at-once", "withdrawn before it is pushed")
        layer = json.loads(body)["config"]["digest"].removeprefix("sha256:")
        await gate.store.revoke_digest(layer, "ops@acme.example", "leaked", gate.clock.now())
        refused = await put(gate, "team/at-once", "1.0", body)
        assert (refused.status, refused.code) == (403, "DENIED digest-revoked")
        assert await gate.store.contents.holds(None, 10) == ()


async def test_a_hold_is_not_released_once_a_part_of_its_image_was_withdrawn(
    registry: DockerRegistry, tmp_path: Path
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as gate:
        body = await manifest(gate, "team/part", "withdrawn while it waits")
        assert (await put(gate, "team/part", "1.0", body)).status == 201
        layer = json.loads(body)["config"]["digest"].removeprefix("sha256:")
        await gate.store.revoke_digest(layer, "ops@acme.example", "leaked", gate.clock.now())
        (hold,) = await gate.store.contents.open_holds(None)
    async with image_gate(tmp_path, registry.url, CREDENTIAL) as gate:  # another policy decides it again
        async with asyncio.timeout(20):
            while await gate.store.contents.open_holds(None):
                continue  # each look takes its turn in another thread
        ended = await gate.store.contents.hold_of(hold.id)
        assert ended is not None
        assert ended.ending is Ending.REFUSED
        assert ended.problem.startswith("digest-revoked")
        assert "1.0" not in registry.tags("team/part")
