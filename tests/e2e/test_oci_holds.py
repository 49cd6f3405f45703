"""Hold and release with real clients: skopeo pushes, cosign signs afterwards, a second grant reads, docker-registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sandbox import github_identity
from tests.lab.image_clients import Person
from tests.lab.image_world import ImageWorld, image_world
from tests.lab.images import image

OURS = github_identity()
OTHERS = github_identity("mallory/libs")


@pytest.fixture(scope="module", params=["open", "verified"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    with image_world(tmp_path_factory.mktemp("images"), reads=request.param) as made:
        yield made


def person(world: ImageWorld, name: str, actions: str) -> Person:
    return Person(world.folder / name, world.host, world.token(actions=actions))


def test_an_image_is_held_until_it_is_signed_and_seen_by_nobody_else_before(world: ImageWorld, tmp_path: Path) -> None:
    publisher, reader = person(world, "ci", "publish,attach,read"), person(world, "reader", "read")
    made = image(tmp_path / "layout", "held until signed")
    pushed = publisher.push(made, "team/app:1.0.0")
    assert pushed.succeeded, pushed.output
    assert world.upstream.tags("team/app") == set()
    assert publisher.inspect(f"team/app@{made.digest}").succeeded
    for name in ("team/app:1.0.0", f"team/app@{made.digest}"):
        seen = reader.inspect(name)
        assert not seen.succeeded
        assert "manifest unknown" in seen.output
    signed = publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/app@{made.digest}")
    assert signed.succeeded, signed.output
    assert world.upstream.tags("team/app") == {"1.0.0"}
    pulled = reader.pull("team/app:1.0.0")
    assert pulled.succeeded, pulled.output


def test_a_signature_by_another_repository_is_refused_and_the_hold_goes_on(world: ImageWorld, tmp_path: Path) -> None:
    publisher, reader = person(world, "ci", "publish,attach,read"), person(world, "reader", "read")
    made = image(tmp_path / "layout", "signed by another")
    assert publisher.push(made, "team/wrong:1.0.0").succeeded
    signed = publisher.cosign(world.sandbox, OTHERS, "sign", f"{{host}}/team/wrong@{made.digest}")
    assert not signed.succeeded
    assert "repository-mismatch" in signed.output
    assert not reader.inspect("team/wrong:1.0.0").succeeded
    signed = publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/wrong@{made.digest}")
    assert signed.succeeded, signed.output
    assert reader.inspect("team/wrong:1.0.0").succeeded


def test_attached_before_the_tag_it_is_accepted_or_refused_at_once(world: ImageWorld, tmp_path: Path) -> None:
    publisher, reader = person(world, "ci", "publish,attach,read"), person(world, "reader", "read")
    made = image(tmp_path / "layout", "attached first")
    assert publisher.push(made, f"team/first@{made.digest}").succeeded
    assert not reader.inspect(f"team/first@{made.digest}").succeeded
    assert publisher.cosign(world.sandbox, OTHERS, "sign", f"{{host}}/team/first@{made.digest}").succeeded
    refused = publisher.push(made, "team/first:1.0.0")
    assert not refused.succeeded
    assert "repository-mismatch" in refused.output
    assert publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/first@{made.digest}").succeeded
    assert publisher.push(made, "team/first:1.0.0").succeeded
    assert reader.pull("team/first:1.0.0").succeeded
    assert world.newest()["outcome"] == "accept"
