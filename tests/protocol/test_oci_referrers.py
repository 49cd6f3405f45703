"""The list of referrers that the gateway serves: what states the subject and may be seen, to each what is theirs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.digest import Digest
from tests.lab import contents
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import ImageGate, image_gate

CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


async def listed(gate: ImageGate, subject: str, token: str) -> list[str]:
    answer = await gate.ask("GET", f"/v2/team/app/referrers/{subject}", token=token)
    assert answer.status == 200
    return [entry["digest"] for entry in answer.json["manifests"]]


@pytest.mark.parametrize("verified", [True, False])
async def test_a_hidden_referrer_is_listed_to_its_publisher_alone(
    registry: DockerRegistry, tmp_path: Path, *, verified: bool
) -> None:
    async with image_gate(tmp_path, registry.url, CREDENTIAL, verified=verified) as gate:
        subject = await gate.image("team/app", "1.0", b"layer")
        waiting = replace(contents.manifest("waits"), refers=Digest.parse(subject))
        await gate.store.contents.journal(gate.depot.place("team/app"), waiting, gate.clock.now())
        assert await listed(gate, subject, gate.token) == [str(waiting.digest)]
        assert await listed(gate, subject, await gate.grant("read")) == []
