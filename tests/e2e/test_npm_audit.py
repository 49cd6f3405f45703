"""The real `npm audit signatures` against the gateway, in front of a real verdaccio, without a network.

npm is left as it is: a mirror of Sigstore's TUF repository stands behind a proxy (`tests/lab/tuf_mirror.py`), and the
installed tree has the same digest before and after.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config import shipped_trust_roots
from gateway.demo.clients import Run
from gateway.demo.world import environment, provgate
from gateway.signing import read_key
from tests.lab.data import GITHUB, needs_data
from tests.lab.node_clients import Home, lay
from tests.lab.npm import NpmPackage, npm_package, packed_by
from tests.lab.npm_world import POLICY, NpmWorld, npm_world
from tests.lab.tools import need
from tests.lab.tuf_mirror import TufMirror, tuf_mirror

pytestmark = needs_data
PUBLIC = "sigstore-public-good"
KEYS = "    signing_keys: [{key: file:npm.pem, expires: 2098-01-01T00:00:00Z}]\n"
RELEASE = """\
  - name: real
    packages: ["pkg:npm/sigstore"]
    owner: lab@acme.example
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sigstore-public-good]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: sigstore/sigstore-js
          workflow: .github/workflows/release.yml
          ref: refs/heads/main
          runner: github-hosted
"""
INSTALL = {"npm": ("npm", "install"), "pnpm": ("pnpm", "add")}
THROUGH = npm_package(name="@acme/through")
BEFORE = npm_package(name="@acme/before")


@dataclass(frozen=True)
class World:
    """A gateway with signing keys, what npm needs to start, and the packages that a project has installed."""

    npm: NpmWorld
    mirror: TufMirror

    def audit(self, folder: Path, *packages: NpmPackage, registry: str | None = None) -> Run:
        """Lay a project out that has these packages, and audit it."""
        names = {package.name: package.version for package in packages}
        project = lay(folder / "project", {"name": "project", "version": "1.0.0", "dependencies": names})
        for package in packages:
            place = project / "node_modules" / package.name
            place.mkdir(parents=True)
            (place / "package.json").write_text(json.dumps(package.manifest))
        home = Home(folder / "home", registry or self.npm.registry, self.npm.token())
        return home.run("npm", "audit", "signatures", cwd=project, **self.mirror.environment(folder / "cache"))

    def packument(self, name: str) -> dict[str, Any]:
        """What a reader gets."""
        return fetched(f"{self.npm.registry}/{name.replace('/', '%2f')}")


@pytest.fixture(scope="module")
def release() -> NpmPackage:
    content = (GITHUB / "sigstore-js-2.1.0.tgz").read_bytes()
    return NpmPackage(packed_by(content), content)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, release: NpmPackage) -> Iterator[World]:
    need("npm")
    folder = tmp_path_factory.mktemp("audit")
    shutil.copytree(shipped_trust_roots() / PUBLIC, folder / "trust_roots" / PUBLIC)
    run("npm", "new-key", "npm.pem", cwd=folder)
    trusted_root = (shipped_trust_roots() / PUBLIC / "trusted_root.json").read_bytes()
    with (
        npm_world(folder, policy=POLICY + RELEASE, more=KEYS) as npm,
        tuf_mirror(folder / "mirror", trusted_root) as mirror,
    ):
        put(f"{npm.registry}{THROUGH.path}", THROUGH.document(npm.bundle(THROUGH)), f"Bearer {npm.token()}")
        bundle = (GITHUB / "sigstore-js-2.1.0-bundle.json").read_bytes()
        put(f"{npm.registry}{release.path}", release.document(bundle), f"Bearer {npm.token()}")
        behind(npm, BEFORE)
        run("npm", "sign-existing", "-c", "gateway.yaml", BEFORE.name, cwd=folder)
        yield World(npm, mirror)


def told(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the gateway's that may fail."""
    return subprocess.run(
        [*provgate(), *arguments], env=environment(), cwd=cwd, capture_output=True, text=True, check=False
    )


def run(*arguments: str, cwd: Path) -> str:
    """Run a command of the gateway's and return what it printed."""
    done = told(*arguments, cwd=cwd)
    done.check_returncode()
    return done.stdout


def behind(npm: NpmWorld, package: NpmPackage, **dist: Any) -> None:
    """Publish past the gateway, as was done before it was there."""
    document = package.document()
    document["versions"][package.version]["dist"] |= dist
    credential = "Basic " + b64encode(npm.upstream.credential.encode()).decode()
    put(f"{npm.upstream.url}{package.path}", document, credential)


def put(url: str, document: Mapping[str, Any], authorization: str) -> None:
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    request = urllib.request.Request(url, json.dumps(document).encode(), headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 201


def fetched(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=60) as response:
        found: dict[str, Any] = json.load(response)
        return found


def installed_tree() -> str:
    """The digest of npm as it is installed."""
    whole = hashlib.sha256()
    for path in sorted(Path(need("npm")).resolve().parents[1].rglob("*")):
        if path.is_file():
            whole.update(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def test_every_package_has_a_verified_signature_and_public_provenance_is_verified_too(
    world: World, release: NpmPackage, tmp_path: Path
) -> None:
    before = installed_tree()
    audited = world.audit(tmp_path, THROUGH, BEFORE, release)
    assert audited.succeeded, audited.output
    assert "3 packages have verified registry signatures" in audited.output
    assert "1 package has a verified attestation" in audited.output
    assert installed_tree() == before
    assert "/timestamp.json" in world.mirror.asked
    assert not [asked for asked in world.mirror.asked if not asked.startswith("/")]  # no other host


def test_a_package_that_nobody_signed_fails_the_audit(world: World, tmp_path: Path) -> None:
    unsigned = npm_package(name="@acme/unsigned")
    behind(world.npm, unsigned, signatures=world.packument(THROUGH.name)["versions"]["1.0.0"]["dist"]["signatures"])
    audited = world.audit(tmp_path, THROUGH, unsigned)
    assert not audited.succeeded
    assert "1 package has a missing registry signature" in audited.output
    assert "@acme/unsigned@1.0.0" in audited.output


def stored(world: World, name: str) -> Path:
    """Where verdaccio keeps a package's document."""
    return world.npm.upstream.storage / name / "package.json"


@contextmanager
def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """Change a document that verdaccio keeps, for a while."""
    before = path.read_text()
    document = json.loads(before)
    change(document)
    path.write_text(json.dumps(document))
    try:
        yield
    finally:
        path.write_text(before)


def one_byte_off(integrity: str) -> str:
    """Another digest, of which one character differs."""
    place = len("sha512-") + 5
    return integrity[:place] + ("A" if integrity[place] != "A" else "B") + integrity[place + 1 :]


def test_what_the_registry_gives_another_digest_has_no_signature(world: World, tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        dist = document["versions"]["1.0.0"]["dist"]
        dist["integrity"] = one_byte_off(dist["integrity"])

    with changed(stored(world, THROUGH.name), change):
        audited = world.audit(tmp_path, THROUGH, BEFORE)
    assert not audited.succeeded
    assert "1 package has a missing registry signature" in audited.output
    assert "@acme/through@1.0.0" in audited.output


@pytest.mark.parametrize(("at", "expected"), [("2097-12-31T23:59:59.000Z", True), ("2098-01-01T00:00:00.000Z", False)])
def test_a_key_that_had_expired_when_a_package_was_published_fails_the_audit(
    world: World, tmp_path: Path, at: str, *, expected: bool
) -> None:
    with changed(stored(world, BEFORE.name), lambda document: document["time"].update({"1.0.0": at})):
        audited = world.audit(tmp_path, BEFORE)
    assert audited.succeeded == expected, audited.output
    assert ("the corresponding public key has expired" in audited.output) != expected


def test_a_byte_changed_on_the_way_to_npm_fails_the_audit(world: World, tmp_path: Path) -> None:
    packument = world.packument(THROUGH.name)
    keys = fetched(f"{world.npm.registry}/-/npm/v1/keys")
    dist = packument["versions"]["1.0.0"]["dist"]
    for integrity, expected in ((dist["integrity"], True), (one_byte_off(dist["integrity"]), False)):
        dist["integrity"] = integrity
        with between({"/-/npm/v1/keys": keys, THROUGH.path: packument}) as registry:
            audited = world.audit(tmp_path / str(expected), THROUGH, registry=registry)
        assert audited.succeeded == expected, audited.output
        assert ("1 package has an invalid registry signature" in audited.output) != expected


@contextmanager
def between(documents: Mapping[str, Any]) -> Iterator[str]:
    """Someone between the gateway and npm, who answers with these documents."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(documents[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_bundles_of_a_private_instance_have_an_address_of_their_own(world: World) -> None:
    assert "attestations" not in world.packument(THROUGH.name)["versions"]["1.0.0"]["dist"]
    private = fetched(f"{world.npm.registry}/-/provenance/@acme/through@1.0.0")["attestations"]
    assert [(one["trustRoot"], one["predicateType"]) for one in private] == [
        ("sandbox", "https://slsa.dev/provenance/v1")
    ]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(f"{world.npm.registry}/-/npm/v1/attestations/@acme/through@1.0.0")
    named = world.packument("sigstore")["versions"]["2.1.0"]["dist"]["attestations"]
    assert named == {
        "url": f"{world.npm.registry}/-/npm/v1/attestations/sigstore@2.1.0",
        "provenance": {"predicateType": "https://slsa.dev/provenance/v1"},
    }
    (served,) = fetched(named["url"])["attestations"]
    assert served["bundle"] == json.loads((GITHUB / "sigstore-js-2.1.0-bundle.json").read_bytes())
    assert fetched(f"{world.npm.registry}/-/provenance/sigstore@2.1.0")["attestations"] == [
        {**served, "trustRoot": PUBLIC}
    ]


def test_everything_that_was_there_is_signed_by_one_command(world: World, tmp_path: Path) -> None:
    more = [npm_package(name=f"@acme/more-{number}") for number in range(3)]
    broken = npm_package(name="@acme/more-broken")
    for package in (*more, broken):
        behind(world.npm, package)
    settings = ("-c", "gateway.yaml", "--all", "--json")

    def lie(document: dict[str, Any]) -> None:
        dist = document["versions"]["1.0.0"]["dist"]
        dist["integrity"] = one_byte_off(dist["integrity"])

    with changed(stored(world, broken.name), lie):
        for flags, fresh in ((("--dry-run",), "signed"), ((), "signed"), ((), "already signed")):
            done = told("npm", "sign-existing", *settings, *flags, cwd=world.npm.folder)
            states = {one["version"]: one["state"] for one in json.loads(done.stdout)["versions"]}
            assert {states[f"{package.name}@1.0.0"] for package in more} == {fresh}
            assert (states["@acme/more-broken@1.0.0"], states["@acme/through@1.0.0"]) == ("refused", "already signed")
            assert (done.returncode, "states sha512" in done.stderr) == (1, True)
            shown = world.packument(more[0].name)["versions"]["1.0.0"]["dist"]
            assert "signatures" not in shown or not flags
    audited = world.audit(tmp_path, *more)
    assert "3 packages have verified registry signatures" in audited.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name packages, or say --all"),
        (("--all", "@acme/through"), "name packages, or say --all"),
        (("--registry", "other", "--all"), "no such registry with signing_keys; the settings have node"),
        (("@ACME/x",), "Invalid value for PACKAGE"),
    ],
)
def test_what_to_sign_is_said_exactly(world: World, arguments: tuple[str, ...], said: str) -> None:
    done = told("npm", "sign-existing", "-c", "gateway.yaml", *arguments, cwd=world.npm.folder)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_package_that_is_not_there_is_told(world: World) -> None:
    done = told("npm", "sign-existing", "-c", "gateway.yaml", "@acme/absent", cwd=world.npm.folder)
    assert (done.returncode, "the registry has no version of it" in done.stderr) == (1, True)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    keyid = run("npm", "new-key", "npm.pem", cwd=tmp_path).strip()
    assert (tmp_path / "npm.pem").stat().st_mode & 0o777 == 0o600
    assert read_key((tmp_path / "npm.pem").read_bytes()).keyid == keyid
    again = told("npm", "new-key", "npm.pem", cwd=tmp_path)
    assert (again.returncode, again.stderr.strip()) == (1, "Error: npm.pem: File exists")
    assert read_key((tmp_path / "npm.pem").read_bytes()).keyid == keyid


@pytest.mark.parametrize("client", ["npm", "pnpm"])
def test_what_a_client_installed_itself_is_audited_by_it(world: World, tmp_path: Path, client: str) -> None:
    signed = npm_package(name=f"@acme/{client}-signed", dependencies=None)
    unsigned = npm_package(name=f"@acme/{client}-unsigned", dependencies=None)
    npm = world.npm
    put(f"{npm.registry}{signed.path}", signed.document(npm.bundle(signed)), f"Bearer {npm.token()}")
    behind(npm, unsigned)
    project = lay(tmp_path / "project", {"name": "project", "version": "1.0.0", "private": True})
    home = Home(tmp_path / "home", npm.registry, npm.token())
    settings = world.mirror.environment(tmp_path / "cache")
    said = "1 package has a verified registry signature"
    for package, expected in ((signed, True), (unsigned, False)):
        installed = home.run(*INSTALL[client], package.name, cwd=project, **settings)
        assert installed.succeeded, installed.output
        audited = home.run(client, "audit", "signatures", cwd=project, **settings)
        assert (audited.succeeded, said in audited.output) == (expected, True), audited.output
        assert (f"{unsigned.name}@1.0.0" in audited.output) != expected
