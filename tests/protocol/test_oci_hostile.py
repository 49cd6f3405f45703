"""Pushes that want more than they may, and registries that lose what waits, before a real docker-registry."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.sandbox import Sandbox, github_identity
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import ImageGate, image_gate, sha256
from tests.lab.image_signing import attach, attach_legacy, payload, put, sandbox_in, signature
from tests.lab.image_world import POLICY
from tests.lab.images import CONFIG, LAYER
from tests.lab.manifests import described

MALLORY = github_identity("mallory/libs")
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
