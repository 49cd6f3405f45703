"""Images for several platforms: the index is what is signed, and what it reaches is shown with it, and not before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sandbox import github_identity
from tests.lab.image_clients import Person, Ran
from tests.lab.image_gate import sha256
from tests.lab.image_world import ImageWorld, image_world
from tests.lab.images import INDEX, MANIFEST, Image, image, index, index_of

OURS = github_identity()


@pytest.fixture(scope="module", params=["open", "verified"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    with image_world(tmp_path_factory.mktemp("indexes"), reads=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def publisher(world: ImageWorld) -> Person:
    return Person(world.folder / "ci", world.host, world.token(actions="publish,attach,read"))


@pytest.fixture(scope="module")
def reader(world: ImageWorld) -> Person:
    return Person(world.folder / "reader", world.host, world.token(actions="read"))


def parts(repository: str, *images: Image) -> list[str]:
    """The address of all that an image is made of."""
    return [
        *(f"/v2/{repository}/manifests/{one.digest}" for one in images),
        *(f"/v2/{repository}/blobs/{blob}" for one in images for blob in (one.config, *one.layers)),
    ]


def children(folder: Path, word: str) -> list[Image]:
    return [image(folder, f"{word} {name}", architecture=name) for name in ("amd64", "arm64")]


def test_an_index_is_signed_at_its_own_digest_and_released_with_all_that_it_reaches(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    inner = children(tmp_path, "all")
    made = index_of(tmp_path, inner)
    assert publisher.push(made, "team/multi:1.0.0", "--all").succeeded
    wanted = [f"/v2/team/multi/manifests/{made.digest}", *parts("team/multi", *inner)]
    assert {reader.ask("GET", path)[0] for path in wanted} == {404}
    assert {publisher.ask("GET", path)[0] for path in wanted} == {200}
    signed = publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/multi@{made.digest}")
    assert signed.succeeded, signed.output
    assert {reader.ask("GET", path)[0] for path in wanted} == {200}
    pulled = reader.skopeo(
        "copy", "--all", "--src-tls-verify=false", "--src-creds", f"r:{reader.token}",
        "docker://{host}/team/multi:1.0.0", f"dir:{tmp_path / 'pulled'}",
    )  # fmt: skip
    assert pulled.succeeded, pulled.output


def test_signing_a_child_releases_nothing_of_its_index(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    inner = children(tmp_path, "child alone")
    made = index_of(tmp_path, inner)
    assert publisher.push(made, "team/child:1.0.0", "--all").succeeded
    assert publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/child@{inner[0].digest}").succeeded
    wanted = [f"/v2/team/child/manifests/{made.digest}", *parts("team/child", *inner)]
    assert {reader.ask("GET", path)[0] for path in wanted} == {404}
    # a tag of its own is what that signature is good for: it shows this child and not its sibling
    assert publisher.ask("PUT", "/v2/team/child/manifests/amd64", inner[0].manifest, MANIFEST)[0] == 201
    assert world.upstream.tags("team/child") == {"amd64"}
    assert {reader.ask("GET", path)[0] for path in parts("team/child", inner[0])} == {200}
    assert {reader.ask("GET", path)[0] for path in parts("team/child", inner[1])} == {404}


def test_a_childs_own_tag_is_a_name_like_any_other_and_the_indexs_signature_does_not_give_it(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    inner = children(tmp_path, "own tag")
    made = index_of(tmp_path, inner)
    assert publisher.push(made, "team/own:1.0.0", "--all").succeeded
    assert publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/own@{made.digest}").succeeded
    assert publisher.ask("PUT", "/v2/team/own/manifests/1.0.0-amd64", inner[0].manifest, MANIFEST)[0] == 201
    assert world.upstream.tags("team/own") == {"1.0.0"}
    assert world.holds()[inner[0].digest] == "open"
    assert reader.ask("GET", "/v2/team/own/manifests/1.0.0-amd64")[0] == 404
    assert reader.ask("GET", f"/v2/team/own/manifests/{inner[0].digest}")[0] == 200  # the index shows it


def test_an_index_of_indexes_goes_the_same_way(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    inner = children(tmp_path, "nested")
    middle = index_of(tmp_path, inner)
    outer = index_of(tmp_path, [middle])
    pushed = oras(publisher, outer, f"{world.host}/team/nested:1.0.0")
    assert pushed.succeeded, pushed.output
    wanted = [f"/v2/team/nested/manifests/{one.digest}" for one in (outer, middle)] + parts("team/nested", *inner)
    assert {reader.ask("GET", path)[0] for path in wanted} == {404}
    assert publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/nested@{outer.digest}").succeeded
    assert {reader.ask("GET", path)[0] for path in wanted} == {200}


def test_an_index_nested_too_deep_or_of_what_is_not_there_is_refused_with_its_code(
    publisher: Person, tmp_path: Path
) -> None:
    made = index(tmp_path, "deep")
    for _ in range(3):
        assert oras(publisher, made, f"{publisher.host}/team/deep@{made.digest}").succeeded
        made = index_of(tmp_path, [made])
    status, body = publisher.ask("PUT", f"/v2/team/deep/manifests/{made.digest}", made.manifest, INDEX)
    assert (status, told(body)) == (413, ("SIZE_INVALID", "upload-too-large"))
    absent = {"mediaType": MANIFEST, "digest": sha256(b"absent"), "size": 6}
    lacking = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [absent]}).encode()
    status, body = publisher.ask("PUT", "/v2/team/deep/manifests/1.0.0", lacking, INDEX)
    assert (status, told(body)) == (400, ("MANIFEST_BLOB_UNKNOWN", "content-missing"))


def test_an_index_of_more_manifests_than_the_limit_is_refused_with_its_code(publisher: Person, tmp_path: Path) -> None:
    assert publisher.push(image(tmp_path, "one"), f"team/wide@{image(tmp_path, 'one').digest}").succeeded
    config = json.loads(image(tmp_path, "one").manifest)
    manifests = []
    for number in range(257):
        body = json.dumps({**config, "annotations": {"n": str(number)}}).encode()
        assert publisher.ask("PUT", f"/v2/team/wide/manifests/{sha256(body)}", body, MANIFEST)[0] == 201
        manifests.append({"mediaType": MANIFEST, "digest": sha256(body), "size": len(body)})
    wide = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    status, answer = publisher.ask("PUT", "/v2/team/wide/manifests/1.0.0", wide, INDEX)
    assert (status, told(answer)) == (413, ("SIZE_INVALID", "upload-too-large"))
    fits = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests[:256]}).encode()
    assert publisher.ask("PUT", "/v2/team/wide/manifests/1.0.0", fits, INDEX)[0] == 201


def oras(person: Person, made: Image, name: str) -> Ran:
    credential = ("--to-plain-http", "--to-username", "ci", "--to-password", person.token)
    return person.run("oras", "cp", "--no-tty", *credential, "--from-oci-layout", f"{made.layout}@{made.digest}", name)


def told(body: bytes) -> tuple[str, str]:
    """The protocol's code and ours."""
    (error,) = json.loads(body)["errors"]
    return error["code"], error["message"].partition(":")[0]
