"""Pushes that want more than they may, and registries that lose what waits, before a real docker-registry."""

from __future__ import annotations

import base64
import io
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gateway import limits
from gateway.credentials import new_id
from gateway.ecosystems.oci_manifest import content, read_manifest
from gateway.model.case import Waiver
from gateway.model.content import Ending
from gateway.reasons import Code
from gateway.sandbox import Sandbox, github_identity
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import ImageGate, image_gate, sha256
from tests.lab.image_signing import attach, attach_legacy, payload, put, sandbox_in, signature
from tests.lab.image_world import POLICY
from tests.lab.images import CONFIG, INDEX, LAYER, MANIFEST
from tests.lab.manifests import BUNDLE, NOTHING, child, described, digest_of, dumped, image, index, referrer
from tests.protocol.test_oci_blobs import hostile

MALLORY = github_identity("mallory/libs")
_PASSED = frozenset({"Authorization", "Accept", "Content-Type", "Range"})
CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return sandbox_in(tmp_path)


@pytest.fixture
async def gate(registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[ImageGate]:
    assert sandbox.generations  # made before the gate, which trusts it
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY) as running:
        yield running


# --- a side door --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["image first", "evidence first"])
async def test_an_image_that_is_a_layer_of_evidence_too_is_no_image_for_readers(
    gate: ImageGate, sandbox: Sandbox, *, first: bool
) -> None:
    """A payload may say more than cosign's does, and so be an image; as evidence it shows none of its layers."""
    repository = f"team/door-{first}".lower()
    signed = await gate.image(repository, "1.0", b"good")
    assert (await attach(gate, repository, signed, signature(sandbox, signed))).status == 201
    reader = await gate.grant("read")
    assert (await gate.ask("GET", f"/v2/{repository}/manifests/1.0", token=reader)).status == 200

    config, layer = b'{"architecture": "amd64", "os": "linux"}', b"never signed"
    for blob in (config, layer):
        await gate.blob(repository, blob)
    both = payload(signed, schemaVersion=2, config=described(CONFIG, config), layers=[described(LAYER, layer)])
    digest = sha256(both)
    if first:
        assert (await put(gate, repository, digest, both)).status == 201
    assert (await attach_legacy(gate, sandbox, repository, signed, both, MALLORY)).status == 201
    if not first:
        assert (await put(gate, repository, digest, both)).status == 201
    for path in (f"blobs/{sha256(layer)}", f"blobs/{sha256(config)}", f"manifests/{digest}"):
        assert (await gate.ask("GET", f"/v2/{repository}/{path}", token=reader)).status == 404
        assert (await gate.ask("GET", f"/v2/{repository}/{path}")).status == 200
    assert (await gate.ask("GET", f"/v2/{repository}/blobs/{digest}", token=reader)).status == 200


# --- what is lost -------------------------------------------------------------------------------------------------


async def held_index(gate: ImageGate, repository: str) -> tuple[str, str]:
    """An index that waits, and its child."""
    arm = await gate.image(repository, None, b"arm")
    body = (await gate.ask("GET", f"/v2/{repository}/manifests/{arm}")).body
    whole = dumped(index(child(body)))
    done = await gate.ask("PUT", f"/v2/{repository}/manifests/1.0", whole, Content_Type=INDEX)
    assert done.status == 201
    return sha256(whole), arm


async def test_a_held_index_whose_child_was_lost_is_not_released_and_stops_nothing(
    gate: ImageGate, sandbox: Sandbox
) -> None:
    whole, arm = await held_index(gate, "team/lost")
    keeper = await gate.grant("mutate")
    assert (await gate.ask("DELETE", f"/v2/team/lost/manifests/{arm}", token=keeper)).status == 202
    answer = await attach(gate, "team/lost", whole, signature(sandbox, whole))
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN content-missing")
    (hold,) = await gate.store.contents.open_holds(None)
    assert str(hold.digest) == whole


async def test_a_child_that_comes_back_lets_the_hold_be_released_at_the_next_look(
    gate: ImageGate, sandbox: Sandbox, registry: DockerRegistry
) -> None:
    whole, arm = await held_index(gate, "team/back")
    body = (await gate.ask("GET", f"/v2/team/back/manifests/{arm}")).body
    keeper = await gate.grant("mutate")
    assert (await gate.ask("DELETE", f"/v2/team/back/manifests/{arm}", token=keeper)).status == 202
    assert (await attach(gate, "team/back", whole, signature(sandbox, whole))).status == 400
    assert not await gate.images.settle_open([gate.depot])
    assert (await put(gate, "team/back", arm, body)).status == 201
    assert await gate.images.settle_open([gate.depot])
    assert registry.tags("team/back") == {"1.0"}
    assert await endings(gate) == {whole: Ending.RELEASED}


# --- a registry that is away --------------------------------------------------------------------------------------


async def endings(gate: ImageGate) -> dict[str, Ending | None]:
    return {str(hold.digest): hold.ending for hold in await gate.store.contents.holds(None, 100)}


@asynccontextmanager
async def failing(registry: DockerRegistry, fails: Callable[[web.Request], web.Response | None]) -> AsyncIterator[str]:
    """The registry's address, behind which some requests fail before they reach it or after it has carried them out."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.Response:
            body = await request.read()
            if (answer := fails(request)) is not None and answer.headers.get("After") is None:
                return answer
            async with session.request(
                request.method, URL(registry.url + request.path_qs, encoded=True), data=body or None,
                headers={name: value for name, value in request.headers.items() if name in _PASSED},
                allow_redirects=False,
            ) as came:  # fmt: skip
                said = {
                    name: value for name, value in came.headers.items() if name not in {"Date", "Transfer-Encoding"}
                }
                whole = await came.read()
            if answer is not None:
                return answer
            if "Location" in said:
                said["Location"] = "/v2/" + said["Location"].partition("/v2/")[2]
            if request.method == "HEAD":
                return web.Response(status=came.status, headers=said)
            return web.Response(status=came.status, headers=said, body=whole)

        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        addresses: Any = runner.addresses
        try:
            yield f"http://127.0.0.1:{addresses[0][1]}"
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("after", [False, True], ids=["refused", "carried out"])
async def test_a_registry_that_fails_at_the_release_is_told_or_found_out(
    registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path, *, after: bool
) -> None:
    away = True

    def fails(request: web.Request) -> web.Response | None:
        if away and request.method == "PUT" and request.path.endswith("/manifests/1.0"):
            return web.Response(status=500, headers={"After": "yes"} if after else {})
        return None

    async with (
        failing(registry, fails) as url,
        image_gate(tmp_path, url, CREDENTIAL, policy=POLICY) as gate,
    ):
        repository = f"team/away-{after}".lower()
        digest = await gate.image(repository, "1.0", b"waits")
        answer = await attach(gate, repository, digest, signature(sandbox, digest))
        if after:
            assert answer.status == 201
        else:
            assert (answer.status, answer.code) == (502, "DENIED upstream-refused")
            assert await endings(gate) == {digest: None}
            assert not await gate.images.settle_open([gate.depot])
            away = False
            assert await gate.images.settle_open([gate.depot])
        assert await endings(gate) == {digest: Ending.RELEASED}
        assert registry.tags(repository) == {"1.0"}


async def test_a_release_whose_answer_was_lost_stays_open_until_the_registry_was_looked_at_again(
    registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path
) -> None:
    """That the tag is not there yet proves nothing: the registry may be at it still."""
    away = True

    def fails(request: web.Request) -> web.Response | None:
        if away and request.method == "PUT" and request.path.endswith("/manifests/1.0"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        return None

    async with failing(registry, fails) as url, image_gate(tmp_path, url, CREDENTIAL, policy=POLICY) as gate:
        digest = await gate.image("team/cut", "1.0", b"cut")
        answer = await attach(gate, "team/cut", digest, signature(sandbox, digest))
        assert (answer.status, answer.code) == (502, "DENIED upstream-unavailable")
        assert len(await gate.store.open_intents()) == 1
        away = False
        assert await gate.images.settle_open([gate.depot])
        assert await gate.store.open_intents() == ()
        assert await endings(gate) == {digest: Ending.RELEASED}
        assert registry.tags("team/cut") == {"1.0"}


# --- time ---------------------------------------------------------------------------------------------------------


async def test_evidence_that_comes_when_the_time_is_over_releases_nothing_although_nobody_has_looked(
    gate: ImageGate, sandbox: Sandbox, registry: DockerRegistry
) -> None:
    digest = await gate.image("team/late", "1.0", b"late")
    gate.clock.ahead = timedelta(minutes=31)
    assert (await attach(gate, "team/late", digest, signature(sandbox, digest))).status == 201
    assert registry.tags("team/late") == set()
    assert await gate.images.settle_open([gate.depot])
    assert await endings(gate) == {digest: Ending.EXPIRED}


async def test_a_push_after_the_time_is_over_has_a_time_of_its_own(gate: ImageGate) -> None:
    digest = await gate.image("team/again", "1.0", b"again")
    gate.clock.ahead = timedelta(minutes=31)
    assert await gate.image("team/again", "1.0", b"again") == digest
    await gate.images.settle_open([gate.depot])
    assert [hold.ending for hold in await gate.store.contents.holds(None, 9)] == [None, Ending.EXPIRED]


# --- others -------------------------------------------------------------------------------------------------------


async def test_another_publisher_who_pushes_the_same_does_not_end_my_hold(
    gate: ImageGate, sandbox: Sandbox, registry: DockerRegistry
) -> None:
    digest = await gate.image("team/mine", "1.0", b"mine")
    other = await gate.grant("publish", id=(id_ := new_id(secrets.token_bytes)))
    assert await gate.image("team/mine", "1.0", b"mine", token=other) == digest
    await gate.store.revoke_grant(id_, gate.clock.now())
    assert (await attach(gate, "team/mine", digest, signature(sandbox, digest))).status == 201
    assert registry.tags("team/mine") == {"1.0"}


async def test_a_waiver_releases_what_waits(gate: ImageGate, registry: DockerRegistry) -> None:
    digest = await gate.image("team/waived", "1.0", b"waived")
    assert await gate.images.settle_open([gate.depot])
    at = gate.clock.now()
    codes, until = frozenset({Code.EVIDENCE_MISSING}), at + timedelta(hours=1)
    waiver = Waiver("w1", "images", "pkg:oci/team/waived", "1.0", digest.removeprefix("sha256:"), codes, "ops", until)
    await gate.store.add_waiver(waiver, at)
    assert await gate.images.settle_open([gate.depot])
    assert registry.tags("team/waived") == {"1.0"}


# --- a quarantine ------------------------------------------------------------------------------


async def test_a_signature_under_its_tag_comes_out_of_quarantine_with_its_image(
    registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, verified=True, quarantine="held") as gate:
        digest = await gate.image("team/quarantined", "1.0", b"quarantined")
        assert (await attach_legacy(gate, sandbox, "team/quarantined", digest, payload(digest))).status == 201
        assert (await attach(gate, "team/quarantined", digest, signature(sandbox, digest))).status == 201
        reader = await gate.grant("read")
        for reference in ("1.0", digest.replace(":", "-") + ".sig"):
            path = f"/v2/team/quarantined/manifests/{reference}"
            assert (await gate.ask("GET", path, token=reader)).status == 200


async def test_what_was_in_the_repository_before_is_not_hidden_by_a_push_into_quarantine(
    registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "behind").mkdir()
    async with image_gate(tmp_path / "behind", registry.url, CREDENTIAL) as other:
        digest = await other.image("team/before", "1.0", b"before")
    assert sandbox.generations
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, quarantine="held") as gate:
        assert await gate.image("team/before", "2.0", b"before") == digest
        path = f"/v2/team/before/manifests/{digest}"
        assert (await gate.ask("GET", path, token=await gate.grant("read"))).status == 200


async def test_what_only_states_an_image_stays_in_quarantine_when_that_is_released(
    registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, quarantine="held") as gate:
        digest = await gate.image("team/stays", "1.0", b"stays")
        parts = [await gate.blob("team/stays", part) for part in (b'{"os": "linux"}', b"never signed")]
        assert parts
        made = image(
            config=described(CONFIG, b'{"os": "linux"}'), layers=[described(LAYER, b"never signed")],
            subject=described(MANIFEST, b"") | {"digest": digest},
        )  # fmt: skip
        body = dumped(made)
        assert (await put(gate, "team/stays", sha256(body), body)).status == 201
        assert (await attach(gate, "team/stays", digest, signature(sandbox, digest))).status == 201
        assert registry.tags("team/stays") == {"1.0"}
        for path in (f"manifests/{sha256(body)}", f"blobs/{sha256(b'never signed')}"):
            assert registry.get(f"/v2/team/stays/{path}", MANIFEST)[0] == 404


# --- junk ---------------------------------------------------------------------------------------------------------


async def test_what_others_attached_before_spends_none_of_the_time_for_the_publishers_own(
    gate: ImageGate, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await gate.image("team/junk", None, b"junk")
    stranger = await gate.grant("attach")
    for _ in range(3):
        assert (
            await attach(gate, "team/junk", digest, signature(sandbox, digest, MALLORY), token=stranger)
        ).status == 201
    assert (await attach(gate, "team/junk", digest, signature(sandbox, digest))).status == 201
    monkeypatch.setattr(limits, "EVIDENCE_SECONDS", 1e-9)  # one piece, and no more
    body = (await gate.ask("GET", f"/v2/team/junk/manifests/{digest}")).body
    accepted = await put(gate, "team/junk", "1.0", body)
    assert (accepted.status, accepted.headers.get("Warning")) == (201, None)


async def test_evidence_whose_blob_is_longer_than_it_says_is_refused_and_no_fault_of_the_registry(
    gate: ImageGate,
) -> None:
    digest = await gate.image("team/longer", "1.0", b"longer")
    await gate.blob("team/longer", NOTHING)
    long = b"x" * (limits.EVIDENCE_BYTES + 1)
    uploads = f"/v2/team/longer/blobs/uploads/?digest={sha256(long)}"
    assert (await gate.ask("POST", uploads, io.BytesIO(long))).status == 201
    said = described(BUNDLE, long) | {"size": 10}
    body = dumped(referrer(layers=[said], subject=described(MANIFEST, b"") | {"digest": digest}))
    answer = await put(gate, "team/longer", sha256(body), body)
    assert (answer.status, answer.code) == (403, "DENIED evidence-malformed")


# --- before the gateway -------------------------------------------------------------------------------------------


async def test_what_was_there_before_can_be_signed_by_its_digest_and_then_named(
    registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "behind").mkdir()
    async with image_gate(tmp_path / "behind", registry.url, CREDENTIAL) as other:
        digest = await other.image("team/prior", "0.9", b"prior")
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=POLICY, verified=True) as gate:
        assert await gate.image("team/prior", None, b"prior") == digest
        path, reader = f"/v2/team/prior/manifests/{digest}", await gate.grant("read")
        body = (await gate.ask("GET", path)).body
        assert sha256(body) == digest
        assert (await gate.ask("GET", path, token=reader)).status == 404
        assert (await attach(gate, "team/prior", digest, signature(sandbox, digest))).status == 201
        named = await put(gate, "team/prior", "1.0", body)
        assert (named.status, named.headers.get("Warning")) == (201, None)
        assert (await gate.ask("GET", path, token=reader)).status == 200


async def test_a_held_manifest_is_hidden_under_its_other_digest_too(tmp_path: Path) -> None:
    """Some registries serve what they have by every digest that it has."""
    body = dumped(image())
    async with (
        hostile(lambda _: web.Response(body=body, content_type=MANIFEST)) as (url, _),
        image_gate(tmp_path, url, CREDENTIAL) as gate,
    ):
        known = content(read_manifest(body, MANIFEST), digest_of(body), body)
        other, reader = f"/v2/team/app/manifests/{digest_of(body, 'sha512')}", await gate.grant("read")
        assert (await gate.ask("GET", other, token=reader)).status == 200
        await gate.store.contents.journal(gate.depot.place("team/app"), known, gate.clock.now())
        assert (await gate.ask("GET", other, token=reader)).status == 404
        assert (await gate.ask("GET", other)).status == 200
