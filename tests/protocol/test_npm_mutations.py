"""npm's mutations: what is let through and how it is written anew, and near misses with the exact codes."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gateway.errors import StoreError
from gateway.model.decision import Outcome
from gateway.sandbox import github_identity, slsa_provenance
from gateway.signing import RegistryKeys
from gateway.store import Query
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import NpmPackage, npm_package
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY
from tests.protocol.test_npm_signed import key

ONE: Final = npm_package()
TWO: Final = npm_package(version="2.0.0")
TAGS: Final = "/-/package/@acme%2fwidget/dist-tags"
Document = dict[str, Any]


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    """Two versions that were published through the gateway, and one that was there before it."""
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY) as running:
        registry(running).hold("@acme/widget", "0.9.0", b"old")
        for package in (ONE, TWO):
            document = signed(running, package)
            assert (await send(running, "PUT", package.path, document, token=running.token))[0] == 201
        registry(running).requests.clear()
        registry(running).documents.clear()
        yield running


def signed(gate: LabGate, package: NpmPackage) -> Document:
    """A publish document with provenance."""
    signer = github_identity(ref=f"refs/tags/v{package.version}")
    statement = slsa_provenance([(package.purl, {"sha512": package.sha512})], signer)
    return package.document(gate.sandbox.sign_statement(statement, signer, gate.at))


def registry(gate: LabGate) -> NpmRegistry:
    return cast("NpmRegistry", gate.registry)


async def send(
    gate: LabGate, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
) -> tuple[int, str]:
    """Send a mutation; returns the status and the body."""
    token = token or await gate.grant("mutate", "pkg:npm/%40acme/*")
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, URL(f"{gate.base}/npm{path}", encoded=True), data=io.BytesIO(data), headers=sent
        ) as response,
    ):
        return response.status, await response.text()


async def packument(gate: LabGate) -> Document:
    """The document as npm deprecate gets it."""
    _, _, text = await gate.get("/npm/@acme%2fwidget?write=true")
    return cast("Document", json.loads(text))


# --- npm dist-tag ----------------------------------------------------------------------------------------------------


async def test_a_tag_moves_to_a_version_that_was_published_and_the_record_says_who_moved_it(gate: LabGate) -> None:
    token = await gate.grant("mutate", "pkg:npm/%40acme/*", owner="ann")
    assert (await send(gate, "PUT", f"{TAGS}/latest", "1.0.0", token=token))[0] == 201
    assert registry(gate).packuments["@acme/widget"]["dist-tags"]["latest"] == "1.0.0"
    ((method, path, headers),) = registry(gate).writes
    assert (method, path) == ("PUT", "/-/package/@acme%2fwidget/dist-tags/latest")
    assert "pvg_" not in headers["Authorization"]
    (written,) = await gate.store.records(Query(purl="pkg:npm/%40acme/widget", limit=1))
    assert written.record.decision.outcome is Outcome.ACCEPT
    assert written.record.grant == token.split("_")[1]
    assert written.record.mutation is not None
    assert written.record.mutation.what == "npm dist-tag add @acme/widget@1.0.0 latest"


async def test_a_tag_is_taken_away_but_latest_never_is(gate: LabGate) -> None:
    assert (await send(gate, "PUT", f"{TAGS}/next", "2.0.0"))[0] == 201
    assert (await send(gate, "DELETE", f"{TAGS}/next"))[0] == 201
    assert registry(gate).packuments["@acme/widget"]["dist-tags"] == {"latest": "2.0.0"}
    registry(gate).requests.clear()
    assert (await send(gate, "DELETE", f"{TAGS}/latest"))[0] == 403
    assert await gate.codes() == {"operation-refused"}
    assert not registry(gate).writes


async def test_the_plain_form_of_a_scope_names_the_same_package(gate: LabGate) -> None:
    assert (await send(gate, "PUT", "/-/package/@acme/widget/dist-tags/latest", "1.0.0"))[0] == 201
    assert registry(gate).writes[0][1] == "/-/package/@acme%2fwidget/dist-tags/latest"


@pytest.mark.parametrize("tag", ["latest", "next"])
async def test_no_tag_leads_to_a_version_that_nobody_vouches_for(gate: LabGate, tag: str) -> None:
    assert (await send(gate, "PUT", f"{TAGS}/{tag}", "0.9.0"))[0] == 403
    assert await gate.codes() == {"operation-refused"}
    assert not registry(gate).writes


async def test_no_tag_leads_to_a_version_that_the_registry_says_is_other_bytes(gate: LabGate) -> None:
    registry(gate).packuments["@acme/widget"]["versions"]["1.0.0"]["dist"]["integrity"] = "sha512-AAAA"
    assert (await send(gate, "PUT", f"{TAGS}/latest", "1.0.0"))[0] == 403
    assert await gate.codes() == {"operation-refused"}


async def test_no_tag_leads_to_what_was_withdrawn(gate: LabGate) -> None:
    await gate.store.revoke_digest(ONE.sha256, "ann", "a backdoor", gate.at)
    assert (await send(gate, "PUT", f"{TAGS}/latest", "1.0.0"))[0] == 404
    assert await gate.codes() == {"not-found"}


TAG_MISSES: Final[dict[str, tuple[str, str, Any, int, set[str]]]] = {
    "a version that is not there": ("PUT", f"{TAGS}/latest", "3.0.0", 404, {"not-found"}),
    "a version in other words": ("PUT", f"{TAGS}/latest", "v1.0.0", 400, {"upload-malformed"}),
    "no text": ("PUT", f"{TAGS}/latest", {"latest": "1.0.0"}, 400, {"upload-malformed"}),
    "no JSON": ("PUT", f"{TAGS}/latest", b"1.0.0 ", 400, {"upload-malformed"}),
    "UTF-16": ("PUT", f"{TAGS}/latest", '"1.0.0"'.encode("utf-16"), 400, {"upload-malformed"}),
    "a tag that is a version": ("PUT", f"{TAGS}/1.0.0", "2.0.0", 400, {"upload-malformed"}),
    "a tag that is a range": ("PUT", f"{TAGS}/v1.x", "2.0.0", 400, {"upload-malformed"}),
    "a tag with a prototype": ("PUT", f"{TAGS}/__proto__", "2.0.0", 400, {"upload-malformed"}),
    "a tag with a blank": ("PUT", f"{TAGS}/a%20b", "2.0.0", 400, {"upload-malformed"}),
    "another package": ("PUT", "/-/package/other/dist-tags/latest", "1.0.0", 403, {"credential-scope"}),
    "a tag that is not there": ("DELETE", f"{TAGS}/next", None, 404, {"not-found"}),
}


@pytest.mark.parametrize("miss", TAG_MISSES)
async def test_a_tag_that_is_nearly_right_is_refused_and_the_refusal_recorded(gate: LabGate, miss: str) -> None:
    method, path, body, status, codes = TAG_MISSES[miss]
    assert (await send(gate, method, path, body))[0] == status
    assert await gate.codes() == codes
    assert not registry(gate).writes


@pytest.mark.parametrize(
    "path",
    ["/-/package/@ACME%2fwidget/dist-tags/latest", "/-/package/@acme%252fwidget/dist-tags/latest",
     f"{TAGS}/a%2fb", f"{TAGS}/a%0d%0ab", f"{TAGS}/latest?x=1", "/-/Package/@acme%2fwidget/dist-tags/latest"],
)  # fmt: skip
async def test_another_spelling_of_the_address_is_no_mutation(gate: LabGate, path: str) -> None:
    before = await gate.newest()
    assert (await send(gate, "PUT", path, "1.0.0"))[0] in {400, 404}
    assert await gate.newest() == before
    assert not registry(gate).writes


@pytest.mark.parametrize("actions", ["publish", "read", "attach"])
async def test_a_token_without_mutate_changes_nothing(gate: LabGate, actions: str) -> None:
    token = await gate.grant(actions, "pkg:npm/**")
    status, text = await send(gate, "PUT", f"{TAGS}/latest", "1.0.0", token=token)
    assert (status, "credential-scope" in text) == (403, True)
    assert not registry(gate).writes


async def test_a_body_with_an_encoding_or_too_long_is_refused(gate: LabGate) -> None:
    headers = {"Content-Encoding": "gzip"}
    assert (await send(gate, "PUT", f"{TAGS}/latest", "1.0.0", **headers))[0] == 415
    assert (await send(gate, "PUT", f"{TAGS}/latest", b" " * (1 << 17)))[0] == 413
    assert not registry(gate).writes


# --- npm deprecate ---------------------------------------------------------------------------------------------------


async def test_a_deprecation_is_written_into_the_registrys_own_document(gate: LabGate) -> None:
    registry(gate).packuments["@acme/widget"]["readme"] = "# Widget"
    document = await packument(gate)
    document["versions"]["1.0.0"]["deprecated"] = "use 2.0.0"
    assert (await send(gate, "PUT", ONE.path, document))[0] == 201
    (forwarded,) = registry(gate).documents
    held = registry(gate).packuments["@acme/widget"]
    assert set(forwarded["versions"]) == {"0.9.0", "1.0.0", "2.0.0"}
    assert forwarded["versions"]["1.0.0"]["deprecated"] == "use 2.0.0"
    assert "deprecated" not in forwarded["versions"]["2.0.0"]
    assert forwarded["versions"]["1.0.0"]["dist"] == held["versions"]["1.0.0"]["dist"]
    assert forwarded["versions"]["1.0.0"]["dist"]["tarball"].startswith(registry(gate).base)
    assert forwarded["readme"] == "# Widget"
    written = await gate.newest()
    assert written.record.mutation is not None
    assert written.record.mutation.what == "npm deprecate @acme/widget, so that these are deprecated: 1.0.0"


@pytest.mark.parametrize("said", ["", None])
async def test_a_deprecation_is_taken_back_with_an_empty_text_or_none(gate: LabGate, said: str | None) -> None:
    registry(gate).packuments["@acme/widget"]["versions"]["1.0.0"]["deprecated"] = "old"
    document = await packument(gate)
    document["versions"]["1.0.0"]["deprecated"] = said
    assert (await send(gate, "PUT", ONE.path, document))[0] == 201
    assert registry(gate).documents[0]["versions"]["1.0.0"]["deprecated"] == ""


async def test_what_is_hidden_from_readers_stays_in_the_registry(gate: LabGate) -> None:
    await gate.store.revoke_digest(TWO.sha256, "ann", "a backdoor", gate.at)
    document = await packument(gate)
    assert set(document["versions"]) == {"0.9.0", "1.0.0"}
    document["versions"]["1.0.0"]["deprecated"] = "broken"
    assert (await send(gate, "PUT", ONE.path, document))[0] == 201
    assert set(registry(gate).documents[0]["versions"]) == {"0.9.0", "1.0.0", "2.0.0"}


def one(document: Document) -> Document:
    return cast("Document", document["versions"]["1.0.0"])


REFUSED: Final = (403, {"operation-refused"})
MALFORMED: Final = (400, {"upload-malformed"})
MISSES: Final[dict[str, tuple[tuple[int, set[str]], Callable[[Document], Any]]]] = {
    "integrity": (REFUSED, lambda d: one(d)["dist"].update(integrity="sha512-AAAA")),
    "a tarball elsewhere": (REFUSED, lambda d: one(d)["dist"].update(tarball="http://evil.example/x.tgz")),
    "a version added": (REFUSED, lambda d: d["versions"].update({"3.0.0": dict(one(d), version="3.0.0")})),
    "a version taken out": (REFUSED, lambda d: d["versions"].pop("2.0.0")),
    "latest moved": (REFUSED, lambda d: d["dist-tags"].update(latest="0.9.0")),
    "a tag added": (REFUSED, lambda d: d["dist-tags"].update(next="1.0.0")),
    "time": (REFUSED, lambda d: d["time"].update({"1.0.0": "1970-01-01T00:00:00.000Z"})),
    "scripts": (REFUSED, lambda d: one(d).update(scripts={"postinstall": "evil"})),
    "dependencies added": (REFUSED, lambda d: one(d).setdefault("dependencies", {}).update(evil="1")),
    "maintainers": (REFUSED, lambda d: d.update(maintainers=[{"name": "evil"}])),
    "the name": (REFUSED, lambda d: d.update(name="@acme/other")),
    "an attachment": (REFUSED, lambda d: d.update(_attachments={"x.sigstore": {"data": "{}"}})),
    "attestations": (REFUSED, lambda d: one(d)["dist"].update(attestations={"url": "evil"})),
    "nothing deprecated": (REFUSED, lambda d: one(d).pop("deprecated")),
    "no text": (MALFORMED, lambda d: one(d).update(deprecated={"a": 1})),
    "a text too long": (MALFORMED, lambda d: one(d).update(deprecated="x" * 2049)),
    "a text with an escape": (MALFORMED, lambda d: one(d).update(deprecated="\x1b[2J")),
    "__proto__": (MALFORMED, lambda d: one(d).update({"x": {"__proto__": {"y": 1}}})),
    "a version that is no object": (MALFORMED, lambda d: d["versions"].update({"1.0.0": "x"})),
    "versions that are none": (MALFORMED, lambda d: d.update(versions=[])),
    "a star": (REFUSED, lambda d: (d.pop("versions"), d.update(users={"ann": True}))),
}


@pytest.mark.parametrize("miss", MISSES)
async def test_a_deprecation_that_changes_anything_else_is_refused_and_recorded(gate: LabGate, miss: str) -> None:
    (status, codes), change = MISSES[miss]
    document = await packument(gate)
    one(document)["deprecated"] = "use 2.0.0"
    change(document)
    assert (await send(gate, "PUT", ONE.path, document))[0] == status
    assert await gate.codes() == codes
    assert not registry(gate).writes


async def test_a_deprecation_at_another_packages_address_is_refused(gate: LabGate) -> None:
    registry(gate).hold("@acme/other", "1.0.0", b"other")
    document = await packument(gate)
    one(document)["deprecated"] = "use 2.0.0"
    assert (await send(gate, "PUT", "/@acme%2fother", document))[0] == 403
    assert await gate.codes() == {"operation-refused"}
    assert not registry(gate).writes


@pytest.mark.parametrize(("actions", "packages"), [("publish", "pkg:npm/**"), ("publish,mutate", "pkg:npm/other")])
async def test_a_deprecation_needs_mutate_for_the_package(gate: LabGate, actions: str, packages: str) -> None:
    document = await packument(gate)
    one(document)["deprecated"] = "use 2.0.0"
    token = await gate.grant(actions, packages)
    assert (await send(gate, "PUT", ONE.path, document, token=token))[0] == 403
    assert await gate.codes() == {"credential-scope"}
    assert not registry(gate).writes


async def test_mutate_alone_publishes_nothing(gate: LabGate) -> None:
    package = npm_package(version="3.0.0")
    assert (await send(gate, "PUT", package.path, package.document()))[0] == 403
    assert await gate.codes() == {"credential-scope", "evidence-missing"}
    assert not registry(gate).writes


# --- the path --------------------------------------------------------------------------------------------------------


async def test_of_two_simultaneous_deprecations_the_second_does_not_undo_the_first(gate: LabGate) -> None:
    """Both are made from one document, and the registry counts its revisions."""
    documents = [await packument(gate) for _ in range(2)]
    documents[0]["versions"]["1.0.0"]["deprecated"] = "first"
    documents[1]["versions"]["2.0.0"]["deprecated"] = "second"
    replies = await asyncio.gather(*(send(gate, "PUT", ONE.path, document) for document in documents))
    assert sorted(status for status, _ in replies) == [201, 403]
    assert "changed meanwhile" in next(text for status, text in replies if status == 403)
    assert len(registry(gate).documents) == 1


async def test_what_is_not_recorded_is_not_forwarded(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(type(gate.store), "begin", broken)
    assert (await send(gate, "PUT", f"{TAGS}/latest", "1.0.0"))[0] == 503
    assert not registry(gate).writes


async def test_a_registrys_no_is_told_and_a_lost_answer_is_told_as_unknown(gate: LabGate) -> None:
    registry(gate).misbehave["PUT"] = lambda _: web.Response(status=403)
    status, text = await send(gate, "PUT", f"{TAGS}/latest", "1.0.0")
    assert (status, "upstream-refused" in text) == (502, True)

    def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    registry(gate).misbehave["PUT"] = cut
    status, text = await send(gate, "PUT", f"{TAGS}/latest", "1.0.0")
    assert (status, "Look whether it was done" in text) == (502, True)


async def test_nothing_is_written_while_a_publish_of_the_package_is_open(gate: LabGate) -> None:
    """What it puts into the registry's document a moment later would be taken out again."""
    registry(gate).misbehave["PUT"] = lambda _: web.Response(status=504)
    document = signed(gate, npm_package(version="3.0.0"))
    assert (await send(gate, "PUT", ONE.path, document, token=gate.token))[0] == 502
    registry(gate).misbehave.clear()
    registry(gate).requests.clear()
    status, text = await send(gate, "PUT", f"{TAGS}/latest", "1.0.0")
    assert (status, "publish-unsettled" in text) == (409, True)
    assert not registry(gate).writes


async def test_while_a_publish_of_the_package_is_under_way_a_mutation_waits_for_its_turn(gate: LabGate) -> None:
    came, go = asyncio.Event(), asyncio.Event()

    async def held(_: web.Request) -> None:
        came.set()
        await go.wait()

    registry(gate).misbehave["PUT"] = held
    gate.publisher._turns._wait = 0.01  # so that who has to wait gives up
    async with asyncio.TaskGroup() as group:
        publish = group.create_task(send(gate, "PUT", ONE.path, signed(gate, npm_package(version="3.0.0")),
                                         token=gate.token))  # fmt: skip
        await came.wait()
        status, text = await send(gate, "PUT", f"{TAGS}/latest", "1.0.0")
        assert (status, "its turn" in text) == (409, True)
        go.set()
    assert publish.result()[0] == 201
    assert len(registry(gate).writes) == 1


async def test_a_mutation_whose_token_is_revoked_while_it_waits_changes_nothing(gate: LabGate) -> None:
    came, go = asyncio.Event(), asyncio.Event()

    async def held(_: web.Request) -> None:
        came.set()
        await go.wait()

    registry(gate).misbehave["PUT"] = held
    token = await gate.grant("mutate", "pkg:npm/%40acme/*")
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        publish = group.create_task(send(gate, "PUT", ONE.path, signed(gate, npm_package(version="3.0.0")),
                                         token=gate.token))  # fmt: skip
        await came.wait()
        mutation = group.create_task(send(gate, "PUT", f"{TAGS}/latest", "1.0.0", token=token))
        while max(users for _, users in gate.publisher._turns._locks.values()) < 2:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        await gate.store.revoke_grant(token.split("_")[1], gate.at)
        go.set()
    assert publish.result()[0] == 201
    status, text = mutation.result()
    assert (status, "credential-invalid" in text) == (401, True)
    assert len(registry(gate).writes) == 1


async def test_a_deprecation_is_compared_with_what_this_reader_is_shown(tmp_path: Path) -> None:
    """With reads verified and signatures that are made anew for each reader."""
    keys = RegistryKeys((key(),))
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY, verified=True, keys=keys) as gate:
        registry(gate).hold("@acme/widget", "0.9.0", b"old")
        assert (await send(gate, "PUT", ONE.path, signed(gate, ONE), token=gate.token))[0] == 201
        document = await packument(gate)
        assert set(document["versions"]) == {"1.0.0"}
        assert document["versions"]["1.0.0"]["dist"].pop("signatures")
        document["versions"]["1.0.0"]["deprecated"] = "broken"
        assert (await send(gate, "PUT", ONE.path, document))[0] == 201
        assert set(registry(gate).documents[-1]["versions"]) == {"0.9.0", "1.0.0"}
        assert "signatures" not in registry(gate).documents[-1]["versions"]["1.0.0"]["dist"]


async def test_a_mutation_uses_a_token_up(gate: LabGate) -> None:
    token = await gate.grant("mutate", "pkg:npm/**", uses_left=1)
    assert (await send(gate, "PUT", f"{TAGS}/latest", "1.0.0", token=token))[0] == 201
    status, text = await send(gate, "PUT", f"{TAGS}/latest", "2.0.0", token=token)
    assert (status, "credential-expired" in text) == (401, True)
    assert len(registry(gate).writes) == 1


# --- login -----------------------------------------------------------------------------------------------------------

LOGIN: Final = "/-/user/org.couchdb.user:ann"


async def log_in(gate: LabGate, body: Any) -> tuple[int, str]:
    """Log in as npm does, which has no credential yet."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{gate.base}/npm{LOGIN}", data=io.BytesIO(data)) as response,
    ):
        return response.status, await response.text()


async def test_a_login_with_a_token_as_password_gets_it_back_and_the_registry_hears_nothing(gate: LabGate) -> None:
    token = await gate.grant("read", "pkg:npm/**")
    status, text = await log_in(gate, {"_id": "org.couchdb.user:ann", "name": "ann", "password": token})
    assert (status, json.loads(text)["token"]) == (201, token)
    assert not registry(gate).requests


async def test_a_login_without_a_good_token_is_refused_without_saying_it_again(gate: LabGate) -> None:
    elsewhere = await gate.grant("read", "pkg:npm/**", registry="other")
    forged = gate.token[:-4] + "AAAA"
    for body, wanted in (
        ({"name": "ann", "password": "hunter2"}, "operation-refused"),
        ({"name": "ann", "password": forged}, "credential-invalid"),
        ({"name": "ann", "password": elsewhere}, "credential-scope"),
        ({"name": "ann"}, "upload-malformed"),
        (b"{", "upload-malformed"),
        (b" " * (1 << 17), "upload-too-large"),
    ):
        status, text = await log_in(gate, body)
        assert status in {400, 401, 403, 413}
        assert wanted in text
        assert "hunter2" not in text
        assert forged not in text
    assert not registry(gate).requests


async def test_a_logout_is_answered_and_the_token_in_its_address_goes_nowhere(gate: LabGate) -> None:
    status, text = await send(gate, "DELETE", f"/-/user/token/{gate.token}", token=gate.token)
    assert (status, text) == (200, '{"ok":true}')
    assert not registry(gate).requests
    status, text = await send(gate, "GET", f"/-/user/token/{gate.token}", token=gate.token)
    assert (status, gate.token in text) == (403, False)


async def test_a_login_in_a_browser_is_not_there_so_that_npm_asks_for_a_password(gate: LabGate) -> None:
    status, text = await send(gate, "POST", "/-/v1/login", {})
    assert (status, "provgate token create" in text) == (404, True)
    assert not registry(gate).requests
