"""`provgate check` asks a registry: is our credential right, and does it take a write from strangers (A.8)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from gateway.cli.check import _upstream
from gateway.config import Level, RegistrySettings
from gateway.config.settings import read_settings
from tests.lab.docker_registry import docker_registry
from tests.lab.verdaccio import verdaccio
from tests.protocol.test_oci_blobs import hostile

SETTINGS = """\
registries:
  - {{name: images, ecosystem: oci, upstream: "{url}", upstream_credential: env:OCI{more}}}
"""


def settings(
    url: str, folder: Path, credential: str = "gateway:lab-registry-secret", more: str = ""
) -> RegistrySettings:
    text = SETTINGS.format(url=url, more=more)
    return read_settings(text, folder / "gateway.yaml", {"OCI": credential}).registries[0]


async def test_a_registry_that_only_we_may_write_to_is_well(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as registry:
        assert await _upstream(settings(registry.url, tmp_path)) == []
        (wrong,) = await _upstream(settings(registry.url, tmp_path, "gateway:wrong"))
    assert wrong.level is Level.ERROR
    assert "answers 401 for /v2/: is upstream_credential right?" in wrong.text


async def test_a_registry_that_takes_blobs_from_anybody_fails_and_the_upload_is_given_up(tmp_path: Path) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            location = f"http://{request.host}/v2/provgate-check/blobs/uploads/x?_state=1"
            return web.Response(status=202, headers={"Location": location})
        return web.Response(status=200 if request.method == "GET" else 204)

    async with hostile(answer) as (url, asked):
        (problem,) = await _upstream(settings(url, tmp_path))
        assert problem.level is Level.ERROR
        assert "takes blobs without our credential" in problem.text
        assert asked == [
            "GET /v2/", "POST /v2/provgate-check/blobs/uploads/", "DELETE /v2/provgate-check/blobs/uploads/x?_state=1",
        ]  # fmt: skip
        assert await _upstream(settings(url, tmp_path, more=", upstream_reachable_only_here: true")) == []


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/x", "//127.0.0.1:9/x", ""])
async def test_the_probe_follows_nothing_elsewhere(tmp_path: Path, location: str) -> None:
    async with hostile(lambda _: web.Response(status=202, headers={"Location": location})) as (url, asked):
        await _upstream(settings(url, tmp_path))
        assert [one.partition(" ")[0] for one in asked] == ["GET", "POST"]


async def test_an_npm_registry_is_asked_what_npm_registries_answer(tmp_path: Path) -> None:
    with verdaccio(tmp_path / "verdaccio") as registry:
        text = settings(registry.url, tmp_path, registry.credential)
        assert await _upstream(replace(text, ecosystem="npm")) == []
        assert registry.packages() == set()


@pytest.mark.parametrize(
    ("ecosystem", "asked"),
    [("pypi", ["GET /simple/", "POST /"]), ("npm", ["GET /-/ping", "PUT /provgate-check"])],
)
async def test_a_registry_that_would_take_a_package_from_anybody_fails(
    tmp_path: Path, ecosystem: str, asked: list[str]
) -> None:
    async with hostile(lambda one: web.Response(status=200 if one.method == "GET" else 400)) as (url, heard):
        (problem,) = await _upstream(replace(settings(url, tmp_path), ecosystem=ecosystem))
        assert "takes uploads without our credential" in problem.text
        assert heard == asked


async def test_a_registry_that_is_down_is_told(tmp_path: Path) -> None:
    (problem,) = await _upstream(settings("http://127.0.0.1:9", tmp_path))
    assert "does not answer" in problem.text
