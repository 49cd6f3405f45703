"""Holds and releases through kills, restarts, a second gateway and races for a tag: one outcome, nothing half named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.intent import Step
from gateway.sandbox import github_identity
from tests.lab.image_clients import Person, Ran
from tests.lab.image_world import POLICY, ImageWorld, image_world
from tests.lab.images import MANIFEST, Image, image

OURS = github_identity()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ImageWorld]:
    with image_world(tmp_path, reads="verified") as made:
        yield made


@pytest.fixture
def publisher(world: ImageWorld) -> Person:
    return Person(world.folder / "ci", world.host, world.token())


@pytest.fixture
def reader(world: ImageWorld) -> Person:
    return Person(world.folder / "reader", world.host, world.token(actions="read"))


def again(world: ImageWorld, person: Person) -> Person:
    """The same person, at the gateway that was started again."""
    return replace(person, host=world.host)


def sign(world: ImageWorld, person: Person, made: Image) -> Ran:
    return person.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/app@{made.digest}")


def digest(person: Person, name: str) -> str | None:
    """What a tag is to a reader; None where there is nothing."""
    seen = person.skopeo(
        "inspect", "--format", "{{.Digest}}", "--tls-verify=false", "--creds", f"r:{person.token}",
        f"docker://{{host}}/{name}",
    )  # fmt: skip
    return seen.output.strip() if seen.succeeded else None


@pytest.mark.parametrize("point", [*Step, "received"])
def test_killed_at_any_step_of_a_release_the_tag_is_there_after_a_restart(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path, point: str
) -> None:
    made = image(tmp_path / "layout", "released")
    assert publisher.push(made, "team/app:1.0.0").succeeded
    world.stop()
    world.start(dying_at=point)
    signed = sign(world, again(world, publisher), made)
    assert world.died()
    assert not signed.succeeded or point == Step.SETTLED
    world.start()
    if point == "received":  # killed when the registry had taken the signature: it is signed again
        assert digest(again(world, reader), "team/app:1.0.0") is None
        assert sign(world, again(world, publisher), made).succeeded
    assert digest(again(world, reader), "team/app:1.0.0") == made.digest
    assert world.holds() == {made.digest: "released"}
    assert world.upstream.tags("team/app") == {"1.0.0"}


def test_killed_when_a_held_manifest_was_stored_it_is_hidden_and_can_be_pushed_again(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path / "layout", "stored")
    assert publisher.push(made, f"team/app@{made.digest}").succeeded  # so that only the manifest is written below
    other = image(tmp_path / "other", "stored")
    world.stop()
    world.start(dying_at="received")
    assert not again(world, publisher).push(image(tmp_path / "new", "killed"), "team/app:1.0.0").succeeded
    assert world.died()
    world.start()
    assert digest(again(world, reader), f"team/app@{made.digest}") is None
    assert again(world, publisher).push(other, "team/app:1.0.0").succeeded
    assert world.holds() == {made.digest: "open"}


def test_a_hold_outlives_a_restart_and_is_released_after_it(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path / "layout", "waits")
    assert publisher.push(made, "team/app:1.0.0").succeeded
    world.stop()
    world.start()
    assert digest(again(world, reader), "team/app:1.0.0") is None
    assert sign(world, again(world, publisher), made).succeeded
    assert digest(again(world, reader), "team/app:1.0.0") == made.digest


def test_a_hold_that_waited_too_long_has_ended_and_a_late_signature_names_nothing(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    world.govern(POLICY.replace("hold: 30m", "hold: 1s"))
    made = image(tmp_path / "layout", "too late")
    assert publisher.push(made, "team/app:1.0.0").succeeded
    for _ in range(9):  # each start looks at the holds, and takes a second or nearly
        world.stop()
        world.start()
        if world.holds() == {made.digest: "expired"}:
            break
    assert world.holds() == {made.digest: "expired"}
    assert sign(world, again(world, publisher), made).succeeded
    assert digest(again(world, reader), "team/app:1.0.0") is None
    assert world.upstream.tags("team/app") == set()
    assert again(world, publisher).push(made, "team/app:1.0.0").succeeded  # signed by now: accepted at once
    assert digest(again(world, reader), "team/app:1.0.0") == made.digest


def test_an_older_hold_never_rolls_a_tag_back(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    older, newer = image(tmp_path / "older", "older"), image(tmp_path / "newer", "newer")
    for one in (older, newer):
        assert publisher.push(one, "team/app:latest").succeeded
    assert sign(world, publisher, newer).succeeded
    assert digest(reader, "team/app:latest") == newer.digest
    assert sign(world, publisher, older).succeeded
    assert digest(reader, "team/app:latest") == newer.digest
    assert world.holds() == {older.digest: "superseded", newer.digest: "released"}
    assert publisher.push(older, "team/app:latest").succeeded  # a roll back that somebody asks for
    assert digest(reader, "team/app:latest") == older.digest


def test_holds_of_one_tag_that_are_signed_in_order_are_released_in_order(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    older, newer = image(tmp_path / "older", "older"), image(tmp_path / "newer", "newer")
    for one in (older, newer):
        assert publisher.push(one, "team/app:latest").succeeded
    for one in (older, newer):
        assert sign(world, publisher, one).succeeded
        assert digest(reader, "team/app:latest") == one.digest
    assert world.holds() == {older.digest: "released", newer.digest: "released"}


def test_a_tag_that_somebody_moved_behind_the_gateway_is_left_alone(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    held, moved = image(tmp_path / "held", "held"), image(tmp_path / "moved", "moved")
    assert publisher.push(held, "team/app:1.0.0").succeeded
    direct = replace(publisher, host=world.upstream.url.removeprefix("http://"))
    user, _, password = world.upstream.credential.partition(":")
    pushed = direct.skopeo(
        "copy", "--dest-tls-verify=false", "--dest-creds", f"{user}:{password}", moved.source,
        "docker://{host}/team/app:1.0.0",
    )  # fmt: skip
    assert pushed.succeeded, pushed.output
    assert sign(world, publisher, held).succeeded
    assert digest(reader, "team/app:1.0.0") is None
    assert world.holds() == {held.digest: "superseded"}


def test_two_clients_that_race_for_one_tag_end_in_one_outcome(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = [image(tmp_path / word, word) for word in ("one", "two", "three", "four")]
    for one in made:
        assert publisher.push(one, f"team/app@{one.digest}").succeeded
        assert sign(world, publisher, one).succeeded
    with ThreadPoolExecutor() as clients:
        pushed = list(clients.map(lambda one: publisher.push(one, "team/app:latest"), made))
    assert all(one.succeeded for one in pushed), pushed
    written = digest(reader, "team/app:latest")
    assert written in {one.digest for one in made}
    status, body = world.upstream.get("/v2/team/app/manifests/latest", MANIFEST)
    assert (status, f"sha256:{hashlib.sha256(body).hexdigest()}") == (200, written)


def test_a_held_blob_is_neither_read_nor_mounted_by_others(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path / "layout", "secret until signed")
    assert publisher.push(made, "team/app:1.0.0").succeeded
    mallory = replace(reader, token=world.token(packages="pkg:oci/mallory/**"))
    for blob in (made.config, *made.layers):
        assert reader.ask("GET", f"/v2/team/app/blobs/{blob}")[0] == 404
        assert publisher.ask("GET", f"/v2/team/app/blobs/{blob}")[0] == 200
        mount = f"/v2/mallory/app/blobs/uploads/?mount={blob}&from=team/app"
        assert mallory.ask("POST", mount)[0] == 202
    assert sign(world, publisher, made).succeeded
    assert reader.ask("GET", f"/v2/team/app/blobs/{made.layers[0]}")[0] == 200
    assert mallory.ask("POST", f"/v2/mallory/app/blobs/uploads/?mount={made.config}&from=team/app")[0] == 202
    both = replace(mallory, token=world.token())
    assert both.ask("POST", f"/v2/mallory/app/blobs/uploads/?mount={made.config}&from=team/app")[0] == 201
