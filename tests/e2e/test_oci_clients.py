"""The real image clients: an image is held, read by whoever may sign it alone, and each client shows why it is refused.

What they print is kept in `snapshots/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.lab.image_pushers import PUSHERS, Pusher
from tests.lab.image_world import POLICY, ImageWorld, image_world
from tests.lab.images import image, index

SNAPSHOTS = Path(__file__).parent / "snapshots"
STRICT = POLICY.partition("rules:\n")[2].replace("acme-images", "acme-strict").replace("hold: 30m", "hold: never")
CLIENTS = pytest.mark.parametrize("client", PUSHERS)


@pytest.fixture(scope="module", params=["open", "verified"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    policy = POLICY + STRICT.replace("team/**", "strict/**")
    with image_world(tmp_path_factory.mktemp("images"), policy=policy, reads=request.param) as made:
        yield made


def person(world: ImageWorld, home: Path, client: str, *, actions: str = "", token: str = "") -> Pusher:
    return PUSHERS[client](home, world.host, token or _token(world, actions))


@cache
def _token(world: ImageWorld, actions: str) -> str:
    return world.token(actions=actions)


@CLIENTS
def test_an_image_is_held_and_read_by_its_publisher_alone(world: ImageWorld, tmp_path: Path, client: str) -> None:
    publisher = person(world, tmp_path / "ci", client, actions="publish,attach,read")
    reader = person(world, tmp_path / "reader", client, actions="read")
    name = f"team/{client}:1.0"
    pushed = publisher.push(image(tmp_path / "layout", f"by {client}"), name)
    assert pushed.succeeded, pushed.output
    assert world.upstream.tags(f"team/{client}") == set()
    seen = publisher.read(name)
    assert seen.succeeded, seen.output
    hidden = reader.read(name)
    assert not hidden.succeeded
    assert (client == "oras" and "not found" in hidden.output) or "content-hidden" in hidden.output
    again = publisher.push(image(tmp_path / "layout2", f"by {client}"), name)  # the same: a client finds it there
    assert again.succeeded, again.output


@pytest.mark.parametrize("client", ["skopeo", "oras"])
def test_a_multi_platform_index_goes_the_same_way(world: ImageWorld, tmp_path: Path, client: str) -> None:
    publisher = person(world, tmp_path / "ci", client, actions="publish,attach,read")
    made = index(tmp_path / "layout", f"{client} one", f"{client} two")
    name = f"team/{client}-index:1.0"
    if client == "skopeo":
        credential = ("--dest-tls-verify=false", "--dest-creds", f"ci:{publisher.token}")
        pushed = publisher.run("skopeo", "copy", "--all", *credential, made.source, f"docker://{world.host}/{name}")
    else:
        pushed = publisher.push(made, name)
    assert pushed.succeeded, pushed.output
    assert publisher.read(name).succeeded
    reader = person(world, tmp_path / "reader", client, actions="read")
    for hidden in (name, *(f"team/{client}-index@{child}" for child in made.layers)):
        assert not reader.read(hidden).succeeded


@CLIENTS
def test_each_client_shows_why_it_is_refused(world: ImageWorld, tmp_path: Path, client: str) -> None:
    made = image(tmp_path / "layout", "refused")
    publisher = person(world, tmp_path / "ci", client, actions="publish,attach,read")
    reader = person(world, tmp_path / "reader", client, actions="read")
    stranger = person(world, tmp_path / "stranger", client, token="hunter2")
    assert publisher.push(made, f"team/shown-{client}:1").succeeded
    ran = {
        "a push without evidence, under hold: never": publisher.push(made, f"strict/shown-{client}:1"),
        "a read of what is held": reader.read(f"team/shown-{client}:1"),
        "a read of what is not there": reader.read(f"team/shown-{client}:2"),
        "a push with a token that may only read": reader.push(made, f"team/shown-{client}:3"),
        "a read with a wrong token": stranger.read(f"team/shown-{client}:1"),
    }
    assert not any(one.succeeded for one in ran.values())
    told = "\n".join(f"### {what}\n{publisher.told(one).strip()}\n" for what, one in ran.items())
    assert told == (SNAPSHOTS / f"oci-{client}.txt").read_text()


def test_oras_pushes_an_artifact_attaches_to_it_and_finds_what_it_attached(world: ImageWorld, tmp_path: Path) -> None:
    oras = person(world, tmp_path / "ci", "oras", actions="publish,attach,read")
    oras.home.mkdir()
    (oras.home / "a.txt").write_text(f"hello {world.host}")
    known = ("--plain-http", "--no-tty", "--username", "ci", "--password", oras.token)
    plain = tuple(one for one in known if one != "--no-tty")
    name = f"{world.host}/team/artifact:1"
    for command in (
        ("push", *known, name, "a.txt:text/plain"),
        ("attach", *known, "--artifact-type", "text/sbom", name, "a.txt:text/plain"),
        ("blob", "push", *known, f"{world.host}/team/artifact", "a.txt"),
        ("pull", *known, "--output", "out", name),
    ):
        done = oras.run("oras", *command)
        assert done.succeeded, done.output
    assert (oras.home / "out" / "a.txt").read_text() == f"hello {world.host}"
    found = oras.run("oras", "discover", *plain, name)
    assert "text/sbom" in found.output
    reader = person(world, tmp_path / "reader", "oras", actions="read")
    assert not reader.read("team/artifact:1").succeeded


@pytest.mark.parametrize("client", ["skopeo", "crane", "oras"])
def test_a_delete_needs_a_token_that_may_change_the_repository(world: ImageWorld, tmp_path: Path, client: str) -> None:
    keeper = person(world, tmp_path / "keeper", client, actions="publish,attach,read,mutate")
    publisher = person(world, tmp_path / "ci", client, actions="publish,attach,read")
    made = image(tmp_path / "layout", f"to be deleted by {client}")
    name = f"team/deleted-{client}"
    assert publisher.push(made, f"{name}:1").succeeded
    refused = publisher.delete(f"{name}@{made.digest}")
    assert not refused.succeeded
    assert "credential-scope" in refused.output or "insufficient_scope" in refused.output
    assert publisher.read(f"{name}:1").succeeded
    deleted = keeper.delete(f"{name}@{made.digest}")
    assert deleted.succeeded, deleted.output
    assert not keeper.read(f"{name}:1").succeeded


def test_skopeo_logs_in_and_a_wrong_token_does_not(world: ImageWorld, tmp_path: Path) -> None:
    publisher = person(world, tmp_path / "ci", "skopeo", actions="publish,attach,read")
    for token, content in ((publisher.token, True), ("hunter2", False), (publisher.token[:-1], False)):
        done = publisher.run("skopeo", "login", "--tls-verify=false", "-u", "ci", "-p", token, world.host)
        assert done.succeeded is content, done.output


def test_what_is_behind_the_gateway_is_read_through_it_under_open_and_hidden_under_verified(
    world: ImageWorld, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    reader = person(world, tmp_path / "reader", "skopeo", actions="read")
    made = image(tmp_path / "layout", "past the gate")
    direct = world.upstream.url.removeprefix("http://")
    credential = ("--dest-tls-verify=false", "--dest-creds", world.upstream.credential)
    assert reader.run("skopeo", "copy", *credential, made.source, f"docker://{direct}/team/past:1").succeeded
    read = reader.read("team/past:1")
    if request.node.callspec.params["world"] == "open":
        assert read.succeeded, read.output
        return
    assert "content-hidden" in read.output
    assert world.gateway is not None
    assert "content-behind-gateway: registry=images repository=team/past" in world.gateway.log.read_text()
