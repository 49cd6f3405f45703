"""Charts, modules and other artifacts, other ways of sending them, and holds under a policy that changes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sandbox import github_identity
from tests.lab.image_clients import Person, Ran
from tests.lab.image_world import POLICY, ImageWorld, image_world
from tests.lab.images import CONFIG, LAYER, MANIFEST, image

OURS = github_identity()
STRICT = POLICY.partition("rules:\n")[2].replace("acme-images", "acme-strict").replace("hold: 30m", "hold: never")
PROVENANCE = POLICY.partition("attestations:\n")[2].replace("sigstore.dev/cosign/sign/v1", "slsa.dev/provenance/v1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    policy = POLICY + STRICT.replace("team/**", "strict/**")
    with image_world(tmp_path_factory.mktemp("artifacts"), policy=policy, reads="verified") as made:
        yield made


@pytest.fixture
def publisher(world: ImageWorld) -> Person:
    return Person(world.folder / "ci", world.host, world.token(actions="publish,attach,read"))


@pytest.fixture
def reader(world: ImageWorld) -> Person:
    return Person(world.folder / "reader", world.host, world.token(actions="read"))


def sign(world: ImageWorld, person: Person, name: str) -> None:
    signed = person.cosign(world.sandbox, OURS, "sign", f"{{host}}/{name}")
    assert signed.succeeded, signed.output


def oras(person: Person, command: str, *arguments: str) -> Ran:
    known = ("--plain-http", "--no-tty", "--username", "ci", "--password", person.token)
    return person.run("oras", command, *known, *arguments)


def chart() -> bytes:
    """A Helm chart as `helm package` makes it."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        text = b"apiVersion: v2\nname: acme\nversion: 1.0.0\n"
        entry = tarfile.TarInfo("acme/Chart.yaml")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return held.getvalue()


HELM, WASM, SPDX = "application/vnd.cncf.helm", "application/vnd.wasm.config.v0+json", "application/spdx+json"
KINDS = [
    ("chart", chart(), f"{HELM}.chart.content.v1.tar+gzip", f"--config=config.json:{HELM}.config.v1+json"),
    ("module", b"\0asm\1\0\0\0", "application/wasm", f"--config=config.json:{WASM}"),
    ("sbom", b"{}\n", SPDX, f"--artifact-type={SPDX}"),
]


@pytest.mark.parametrize(("name", "content", "layer", "kind"), KINDS)
def test_a_chart_a_module_and_an_sbom_are_held_and_released_like_an_image(
    world: ImageWorld, publisher: Person, reader: Person, name: str, content: bytes, layer: str, kind: str
) -> None:
    publisher.home.mkdir(parents=True, exist_ok=True)
    (publisher.home / name).write_bytes(content)
    (publisher.home / "config.json").write_text('{"name": "acme", "version": "1.0.0"}')
    where = f"{world.host}/team/{name}:1.0.0"
    pushed = oras(publisher, "push", kind, where, f"{name}:{layer}")
    assert pushed.succeeded, pushed.output
    assert not oras(reader, "pull", where).succeeded
    status, manifest = publisher.ask("GET", f"/v2/team/{name}/manifests/1.0.0")
    assert status == 200
    sign(world, publisher, f"team/{name}@sha256:{hashlib.sha256(manifest).hexdigest()}")
    pulled = oras(reader, "pull", where)
    assert pulled.succeeded, pulled.output
    assert (reader.home / name).read_bytes() == content


def test_content_addressed_by_sha512_is_held_and_released(world: ImageWorld, publisher: Person, reader: Person) -> None:
    def blob(body: bytes, media_type: str) -> dict[str, object]:
        digest = f"sha512:{hashlib.sha512(body).hexdigest()}"
        status, _ = publisher.ask("POST", f"/v2/team/longer/blobs/uploads/?digest={digest}", body, media_type)
        assert status == 201
        return {"mediaType": media_type, "digest": digest, "size": len(body)}

    parts = [blob(b"{}", CONFIG), blob(b"a layer", LAYER)]
    body = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": parts[0], "layers": parts[1:],
    }).encode()  # fmt: skip
    assert publisher.ask("PUT", "/v2/team/longer/manifests/1.0.0", body, MANIFEST)[0] == 201
    paths = [f"/v2/team/longer/blobs/{part['digest']}" for part in parts]
    assert {reader.ask("GET", path)[0] for path in [*paths, "/v2/team/longer/manifests/1.0.0"]} == {404}
    sign(world, publisher, f"team/longer@sha256:{hashlib.sha256(body).hexdigest()}")
    assert {reader.ask("GET", path)[0] for path in [*paths, "/v2/team/longer/manifests/1.0.0"]} == {200}


def test_clients_mount_from_a_repository_that_the_same_grant_covers(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "mounted elsewhere")
    assert publisher.push(made, "team/origin:1.0.0").succeeded
    sign(world, publisher, f"team/origin@{made.digest}")
    copied = publisher.run(
        "skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds", f"ci:{publisher.token}",
        "--dest-creds", f"ci:{publisher.token}", f"docker://{world.host}/team/origin:1.0.0",
        f"docker://{world.host}/team/by-skopeo:1.0.0",
    )  # fmt: skip
    assert copied.succeeded, copied.output
    login = ("auth", "login", world.host, "--username", "ci", "--password", publisher.token)
    assert publisher.run("crane", *login).succeeded
    copied = publisher.run("crane", "copy", f"{world.host}/team/origin:1.0.0", f"{world.host}/team/by-crane:1.0.0")
    assert copied.succeeded, copied.output
    assert "mounted" in copied.output, copied.output
    for name in ("by-skopeo", "by-crane"):
        assert not reader.inspect(f"team/{name}:1.0.0").succeeded
        assert reader.ask("GET", f"/v2/team/{name}/blobs/{made.layers[0]}")[0] == 404
        sign(world, publisher, f"team/{name}@{made.digest}")
        assert reader.pull(f"team/{name}:1.0.0").succeeded


@pytest.mark.parametrize("how", ["SIGHUP", "a restart"])
def test_a_hold_is_decided_again_under_a_policy_that_changed(tmp_path: Path, how: str) -> None:
    with image_world(tmp_path, policy=POLICY + PROVENANCE, reads="verified") as world:
        made = image(tmp_path / "layout", "under another policy")
        publisher = Person(world.folder / "ci", world.host, world.token())
        assert publisher.push(made, "team/app:1.0.0").succeeded
        sign(world, publisher, f"team/app@{made.digest}")
        assert world.holds() == {made.digest: "open"}  # provenance is wanted too
        if how == "SIGHUP":
            world.govern(POLICY)
        else:
            world.stop()
            (world.folder / "policy" / "lab.yaml").write_text(POLICY)
            world.start()
        assert world.gateway is not None
        world.gateway.wait_until(lambda: world.holds() == {made.digest: "released"})
        reader = Person(world.folder / "reader", world.host, world.token(actions="read"))
        assert reader.pull("team/app:1.0.0").succeeded


def test_a_refused_push_that_a_client_sends_five_times_is_one_refusal(
    world: ImageWorld, publisher: Person, tmp_path: Path
) -> None:
    """As the Python SDK of oras does, which takes no 403 for an answer."""
    made = image(tmp_path, "sent five times")
    assert publisher.push(made, f"strict/often@{made.digest}").succeeded
    path = "/v2/strict/often/manifests/1.0.0"
    answers = {publisher.ask("PUT", path, made.manifest, MANIFEST) for _ in range(5)}
    assert [status for status, _ in answers] == [403]
    listed = world.command(
        "decisions", "list", "--json", "--package", "pkg:oci/strict/often", "-c", "gateway.yaml"
    )  # fmt: skip
    assert len(json.loads(listed)) == 1
