"""Documents that are shown again: only while nothing could have changed them, and never to another kind of reader."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

from gateway import limits
from gateway.config import ReadAuth
from gateway.demo.packages import wheel
from gateway.sandbox import github_identity
from gateway.service.compose import now
from tests.lab.gate import GOOD, LabGate, lab_gate
from tests.lab.npm_registry import NpmRegistry

PAGE = "/pypi/simple/acme-good/"
LATER = wheel("acme-good", "1.1.0")
LONG = 3600.0


def asked(gate: LabGate) -> int:
    """How often the registry was asked for a document."""
    return sum(method == "GET" and "/simple/" in path for method, path, _ in gate.registry.requests)


async def later(gate: LabGate) -> tuple[int, str, str]:
    """Publish the next version."""
    return await gate.upload(LATER, gate.attestation(LATER, github_identity(ref="refs/tags/v1.1.0")))


async def test_a_page_is_fetched_once_for_many_readers(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        first = await gate.fetch(PAGE)
        again = [await gate.fetch(PAGE, method=method) for method in ("GET", "HEAD")]
        assert asked(gate) == 1
        assert [(got.status, got.headers["Content-Type"]) for got in again] == [
            (200, first.headers["Content-Type"])
        ] * 2
        assert [got.body for got in again] == [first.body, b""]


async def test_another_type_or_registry_path_is_another_page(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        index = await gate.fetch("/pypi/simple/")
        assert (await gate.fetch(PAGE)).body != index.body
    async with lab_gate(tmp_path / "npm", ecosystem="npm", page_seconds=LONG) as gate:
        gate.registry.hold("widget", "1.0.0", b"")  # type: ignore[attr-defined]
        for accept in ("application/json", "application/vnd.npm.install-v1+json"):
            for _ in range(2):
                assert (await gate.fetch("/npm/widget", Accept=accept)).headers["Content-Type"] == accept
        assert [headers["Accept"] for _, _, headers in gate.registry.requests] == [
            "application/json",
            "application/vnd.npm.install-v1+json",
        ]


@pytest.mark.parametrize("verified", [False, True])
async def test_what_is_published_through_the_gateway_is_there_at_once(tmp_path: Path, verified: bool) -> None:  # noqa: FBT001
    async with lab_gate(tmp_path, page_seconds=LONG, verified=verified) as gate:
        assert (await gate.upload())[0] == 200
        for _ in range(2):
            assert LATER.name not in (await gate.fetch(PAGE)).body.decode()
        assert (await later(gate))[0] == 200
        shown = (await gate.fetch(PAGE)).body.decode()
        assert GOOD.name in shown
        assert LATER.name in shown


async def test_what_is_revoked_is_gone_at_once(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        assert (await gate.upload())[0] == 200
        assert GOOD.name in (await gate.fetch(PAGE)).body.decode()
        await gate.store.revoke_digest(GOOD.sha256, "lab", "a test", now())
        assert GOOD.name not in (await gate.fetch(PAGE)).body.decode()


async def test_what_was_fetched_while_a_publish_was_under_way_is_not_shown_after_it(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        seen: list[str] = []

        async def read_first(_: web.Request) -> None:
            seen.extend([(await gate.fetch(PAGE)).body.decode() for _again in range(2)])

        gate.registry.files[LATER.name] = LATER.content
        gate.registry.misbehave["POST"] = read_first
        assert (await gate.upload())[0] == 200
        assert [GOOD.name in page for page in seen] == [False, False]
        assert GOOD.name in (await gate.fetch(PAGE)).body.decode()


async def test_another_gateway_of_the_same_record_shows_it_within_the_bound(tmp_path: Path) -> None:
    async with (
        lab_gate(tmp_path, page_seconds=LONG) as one,
        lab_gate(tmp_path, page_seconds=LONG, registry=one.registry) as other,
    ):
        assert (await one.upload())[0] == 200
        assert GOOD.name in (await other.fetch(PAGE)).body.decode()
        assert (await later(one))[0] == 200
        async with asyncio.timeout(20 * limits.STORE_WATCH_SECONDS):
            while LATER.name not in (await other.fetch(PAGE)).body.decode():
                await asyncio.to_thread(lambda: None)


async def test_a_page_of_readers_whom_the_registry_judges_is_never_kept(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG, read_auth=ReadAuth.PASSTHROUGH) as gate:

        def only_alice(request: web.Request) -> web.Response | None:
            allowed = request.headers.get("Authorization") == "Basic YWxpY2U6cHc="
            return None if allowed else web.Response(status=401)

        gate.registry.files[GOOD.name] = GOOD.content
        gate.registry.misbehave["GET"] = only_alice
        assert (await gate.fetch(PAGE, Authorization="Basic YWxpY2U6cHc=")).status == 200
        assert (await gate.fetch(PAGE)).status == 401
        assert asked(gate) == 2


async def test_a_tag_that_moved_is_shown_at_once(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, ecosystem="npm", page_seconds=LONG) as gate:
        registry = cast("NpmRegistry", gate.registry)
        registry.hold("widget", "1.0.0", b"")
        path, token = "/npm/widget", await gate.grant("mutate", "pkg:npm/**")

        async def read_first(
            _: web.Request,
        ) -> None:  # when the record is written, and the registry has changed nothing
            await gate.fetch(path)

        registry.packuments["widget"]["dist-tags"]["old"] = "1.0.0"
        registry.misbehave["DELETE"] = read_first
        assert b'"old"' in (await gate.fetch(path)).body
        gone = await gate.fetch("/npm/-/package/widget/dist-tags/old", method="DELETE", token=token)
        assert gone.status < 300, gone.reason
        assert b'"old"' not in (await gate.fetch(path)).body


async def test_a_reader_without_a_grant_gets_no_kept_page(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG, read_auth=ReadAuth.GRANT) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        assert (await gate.fetch(PAGE, token=gate.token)).status == 200
        assert (await gate.fetch(PAGE)).status == 401
        other = await gate.grant(packages="pkg:pypi/other")
        assert (await gate.fetch(PAGE, token=other)).status == 403
        assert asked(gate) == 1


async def test_an_old_page_is_shown_again_only_where_the_registry_says_so(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=0.0) as gate:
        tag = {"now": '"1"'}

        def validate(request: web.Request) -> web.Response:
            if request.headers.get("If-None-Match") == tag["now"]:
                return web.Response(status=304)
            text = f'<a href="/packages/{GOOD.name}">{GOOD.name}</a>' if tag["now"] == '"2"' else ""
            return web.Response(text=text, content_type="text/html", headers={"ETag": tag["now"]})

        gate.registry.misbehave["GET"] = validate
        first = await gate.fetch(PAGE)
        assert (await gate.fetch(PAGE)).body == first.body
        assert gate.registry.requests[-1][2]["If-None-Match"] == '"1"'
        tag["now"] = '"2"'
        assert GOOD.name in (await gate.fetch(PAGE)).body.decode()
        # A change of the record makes the page anew: the registry's word on its own document is not enough.
        await gate.store.revoke_digest(GOOD.sha256, "lab", "a test", now())
        await gate.fetch(PAGE)
        assert "If-None-Match" not in gate.registry.requests[-1][2]


async def test_an_answer_of_not_modified_that_nobody_asked_for_is_no_page(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=0.0) as gate:
        gate.registry.misbehave["GET"] = lambda _: web.Response(status=304)
        assert (await gate.fetch(PAGE)).status == 404


async def test_a_refusal_is_not_kept_and_an_old_page_does_not_stand_in_for_a_registry_that_is_down(
    tmp_path: Path,
) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        assert (await gate.fetch(PAGE)).status == 404
        gate.registry.files[GOOD.name] = GOOD.content
        assert (await gate.fetch(PAGE)).status == 200
    async with lab_gate(tmp_path / "old", page_seconds=0.0) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        assert (await gate.fetch(PAGE)).status == 200
        gate.registry.misbehave["GET"] = lambda _: web.Response(status=500)
        assert (await gate.fetch(PAGE)).status == 502


async def test_a_search_is_asked_each_time(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, ecosystem="npm", page_seconds=LONG) as gate:
        for _ in range(2):
            assert (await gate.fetch("/npm/-/v1/search?text=acme")).status == 200
        assert len(gate.registry.requests) == 2


async def test_many_readers_of_a_slow_registry_ask_it_once(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        gate.registry.files[GOOD.name] = GOOD.content
        go = asyncio.Event()

        async def slow(_: web.Request) -> None:
            await go.wait()

        gate.registry.misbehave["GET"] = slow
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(gate.fetch(PAGE)) for _ in range(20)]
            while not asked(gate):
                await asyncio.to_thread(lambda: None)
            go.set()
        assert {reader.result().status for reader in readers} == {200}
        assert asked(gate) == 1


async def test_nobody_waits_a_second_time_for_a_registry_that_fails(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, page_seconds=LONG) as gate:
        go = asyncio.Event()

        async def failing(_: web.Request) -> web.Response:
            await go.wait()
            return web.Response(status=500)

        gate.registry.misbehave["GET"] = failing
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(gate.fetch(PAGE)) for _ in range(5)]
            while not asked(gate):
                await asyncio.to_thread(lambda: None)
            go.set()
        assert {reader.result().status for reader in readers} == {502}
        assert asked(gate) == len(readers)
