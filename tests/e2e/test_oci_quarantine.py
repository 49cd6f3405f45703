"""`quarantine: held`: what waits lies in another repository of the registry, and moves over when it is released."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.intent import Step
from gateway.sandbox import github_identity
from tests.lab.image_clients import Person
from tests.lab.image_world import ImageWorld, image_world
from tests.lab.images import INDEX, MANIFEST, Image, image, index_of

OURS = github_identity()


@pytest.fixture(scope="module", params=["open", "verified"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    folder = tmp_path_factory.mktemp("quarantine")
    with image_world(folder, reads=request.param, extra="    quarantine: held\n") as made:
        yield made


@pytest.fixture
def publisher(world: ImageWorld) -> Person:
    return Person(world.folder / "ci", world.host, world.token(actions="publish,attach,read"))


@pytest.fixture
def reader(world: ImageWorld) -> Person:
    return Person(world.folder / "reader", world.host, world.token(actions="read"))


def upstream(world: ImageWorld, repository: str, *images: Image) -> set[int]:
    """What the registry itself answers of everything that these images are made of."""
    paths = [f"manifests/{one.digest}" for one in images]
    paths += [f"blobs/{blob}" for one in images if one.config for blob in (one.config, *one.layers)]
    return {world.upstream.get(f"/v2/{repository}/{path}", f"{MANIFEST}, {INDEX}")[0] for path in paths}


def sign(world: ImageWorld, person: Person, name: str, made: Image) -> None:
    signed = person.cosign(world.sandbox, OURS, "sign", f"{{host}}/{name}@{made.digest}")
    assert signed.succeeded, signed.output


def test_what_is_held_lies_elsewhere_and_comes_over_with_its_evidence_on_release(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    inner = [image(tmp_path, f"quarantined {name}", architecture=name) for name in ("amd64", "arm64")]
    made = index_of(tmp_path, inner)
    pushed = publisher.push(made, "team/multi:1.0.0", "--all")
    assert pushed.succeeded, pushed.output
    assert upstream(world, "team/multi", made, *inner) == {404}
    assert upstream(world, "held/team/multi", made, *inner) == {200}
    assert publisher.inspect("team/multi:1.0.0").succeeded
    assert not reader.inspect("team/multi:1.0.0").succeeded
    for person in (publisher, reader):
        assert person.ask("GET", f"/v2/held/team/multi/manifests/{made.digest}")[0] == 404
    sign(world, publisher, "team/multi", made)
    assert upstream(world, "team/multi", made, *inner) == {200}
    assert world.upstream.tags("team/multi") == {"1.0.0"}
    pulled = reader.skopeo(
        "copy", "--all", "--src-tls-verify=false", "--src-creds", f"r:{reader.token}",
        "docker://{host}/team/multi:1.0.0", f"dir:{tmp_path / 'pulled'}",
    )  # fmt: skip
    assert pulled.succeeded, pulled.output
    assert manifests(world, "team/multi") == manifests(world, "held/team/multi")  # its evidence too
    seen = reader.ask("GET", f"/v2/team/multi/referrers/{made.digest}")
    assert b"application/vnd.dev.sigstore.bundle" in seen[1]


def manifests(world: ImageWorld, repository: str) -> set[str]:
    """Every manifest that the registry has of a repository."""
    folder = world.upstream.storage / "docker/registry/v2/repositories" / repository / "_manifests/revisions/sha256"
    return {one.name for one in folder.iterdir()}


def test_attached_first_it_is_shown_with_its_tag(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "quarantined, attached first")
    assert publisher.push(made, f"team/first@{made.digest}").succeeded
    sign(world, publisher, "team/first", made)
    assert upstream(world, "team/first", made) == {404}
    pushed = publisher.push(made, "team/first:1.0.0")
    assert pushed.succeeded, pushed.output
    assert upstream(world, "team/first", made) == {200}
    assert reader.pull("team/first:1.0.0").succeeded
    assert len(manifests(world, "team/first")) == 2


def test_what_was_accepted_is_pushed_again_and_gets_more_evidence(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "quarantined, again")
    assert publisher.push(made, "team/again:1.0.0").succeeded
    sign(world, publisher, "team/again", made)
    again = publisher.push(made, "team/again:1.0.0")
    assert again.succeeded, again.output
    assert publisher.push(made, "team/again:latest").succeeded
    sign(world, publisher, "team/again", made)
    assert world.upstream.tags("team/again") == {"1.0.0", "latest"}
    assert reader.pull("team/again:latest").succeeded
    assert len(manifests(world, "team/again")) == 3


def test_cosigns_older_signature_comes_over_under_its_tag(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "quarantined, older")
    assert publisher.push(made, "team/older:1.0.0").succeeded
    name, tag = f"{{host}}/team/older@{made.digest}", f"{made.digest.replace(':', '-')}.sig"
    for _ in range(2):  # the second adds a layer to the first
        signed = publisher.cosign(world.sandbox, OURS, "sign", name, older=True)
        assert signed.succeeded, signed.output
    assert not reader.inspect(f"team/older:{tag}").succeeded
    sign(world, publisher, "team/older", made)  # this rule wants a bundle
    assert reader.pull("team/older:1.0.0").succeeded
    assert len(json.loads(reader.inspect(f"team/older:{tag}").output)["layers"]) == 2
    assert publisher.cosign(world.sandbox, OURS, "sign", name, older=True).succeeded
    assert len(json.loads(reader.inspect(f"team/older:{tag}").output)["layers"]) == 3


def test_what_a_childs_own_signature_is_comes_over_with_the_index(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    child = image(tmp_path, "quarantined, signed child")
    made = index_of(tmp_path, [child])
    assert publisher.push(made, "team/child:1.0.0", "--all").succeeded
    sign(world, publisher, "team/child", child)
    sign(world, publisher, "team/child", made)
    (listed,) = json.loads(reader.ask("GET", f"/v2/team/child/referrers/{child.digest}")[1])["manifests"]
    assert reader.ask("GET", f"/v2/team/child/manifests/{listed['digest']}")[0] == 200


@pytest.mark.parametrize("point", [*Step, "received"])
def test_killed_at_any_step_of_a_release_it_is_whole_after_a_restart(tmp_path: Path, point: str) -> None:
    with image_world(tmp_path, reads="verified", extra="    quarantine: held\n") as world:
        made = image(tmp_path / "layout", "killed")
        publisher = Person(world.folder / "ci", world.host, world.token())
        assert publisher.push(made, "team/app:1.0.0").succeeded
        world.stop()
        world.start(dying_at=point)
        publisher = replace(publisher, host=world.host)
        publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/app@{made.digest}")
        assert world.died()
        world.start()
        publisher = replace(publisher, host=world.host)
        if point == "received":
            sign(world, publisher, "team/app", made)
        reader = Person(world.folder / "reader", world.host, world.token(actions="read"))
        pulled = reader.pull("team/app:1.0.0")
        assert pulled.succeeded, pulled.output
        assert upstream(world, "team/app", made) == {200}
        assert world.holds() == {made.digest: "released"}
