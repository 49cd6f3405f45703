"""docker and its daemon: a push is held and told as taken, and a pull by another says why there is nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo.processes import Program
from gateway.sandbox import github_identity
from tests.lab import tools
from tests.lab.image_clients import Person, Ran
from tests.lab.image_pushers import told
from tests.lab.image_world import POLICY, ImageWorld, image_world
from tests.lab.images import Image, image

SNAPSHOT = Path(__file__).parent / "snapshots" / "oci-docker.txt"
STRICT = POLICY.partition("rules:\n")[2].replace("acme-images", "acme-strict").replace("hold: 30m", "hold: never")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    policy = POLICY + STRICT.replace("team/**", "strict/**")
    with image_world(tmp_path_factory.mktemp("images"), policy=policy, reads="verified") as made:
        yield made


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon that runs nothing: it pulls and pushes; the address of its socket."""
    program = tools.need("dockerd")
    if os.getuid() != 0:
        pytest.skip("the docker daemon runs as root only")
    folder = tmp_path_factory.mktemp("d")
    address = f"unix://{folder}/sock"
    places = ("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid")
    alone = ("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs")
    running = Program([program, *alone, *places, "--host", address], folder / "log", cwd=folder)
    with running:
        running.wait_until(lambda: "API listen on" in (folder / "log").read_text())
        yield address


def docker(person: Person, daemon: str, *arguments: str) -> Ran:
    return person.run("docker", "--host", daemon, *arguments)


def logged_in(world: ImageWorld, name: str, actions: str, daemon: str) -> Person:
    person = Person(world.folder / name, world.host, world.token(actions=actions))
    done = docker(person, daemon, "login", "--username", "ci", "--password", person.token, world.host)
    assert done.succeeded, done.output
    return person


def loaded(person: Person, daemon: str, made: Image, folder: Path, name: str) -> None:
    """Have an image in the daemon under this name."""
    archive = folder / "image.tar"
    done = person.run("skopeo", "copy", made.source, f"docker-archive:{archive}:{name}")
    assert done.succeeded, done.output
    assert docker(person, daemon, "load", "--quiet", "--input", str(archive)).succeeded


def test_docker_pushes_what_is_held_and_shows_why_there_is_nothing_for_another(
    world: ImageWorld, daemon: str, tmp_path: Path
) -> None:
    publisher = logged_in(world, "ci", "publish,attach,read", daemon)
    made = image(tmp_path / "layout", "by docker")
    held, strict = f"{world.host}/team/docker:1.0.0", f"{world.host}/strict/docker:1.0.0"
    loaded(publisher, daemon, made, tmp_path, held)
    pushed = docker(publisher, daemon, "push", "--quiet", held)
    assert pushed.succeeded, pushed.output
    assert world.upstream.tags("team/docker") == set()
    assert docker(publisher, daemon, "tag", held, strict).succeeded
    refused = docker(publisher, daemon, "push", "--quiet", strict)
    reader = logged_in(world, "reader", "read", daemon)
    hidden = docker(reader, daemon, "pull", "--quiet", held)
    absent = docker(reader, daemon, "pull", "--quiet", f"{world.host}/team/docker:2.0.0")
    ran = {
        "a push without evidence, under hold: never": refused,
        "a read of what is held": hidden,
        "a read of what is not there": absent,
    }
    assert not any(one.succeeded for one in ran.values())
    text = "\n".join(f"### {what}\n{told(one, world.host).strip()}\n" for what, one in ran.items())
    assert text == SNAPSHOT.read_text()
    (digest,) = world.holds()
    signed = publisher.cosign(world.sandbox, github_identity(), "sign", f"{{host}}/team/docker@{digest}")
    assert signed.succeeded, signed.output
    pulled = docker(reader, daemon, "pull", "--quiet", held)
    assert pulled.succeeded, pulled.output
