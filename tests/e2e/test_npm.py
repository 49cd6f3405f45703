"""The real npm, pnpm and yarn against a real verdaccio, with the gateway between; what each prints is kept.

Needs node, npm, and what `make tools` installs (verdaccio, pnpm, yarn); where one is absent the tests are skipped, and
in CI they fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.clients import Run
from tests.lab.node_clients import PUBLISHERS, Home, lay
from tests.lab.npm import NpmPackage
from tests.lab.npm_world import NpmWorld, npm_world
from tests.lab.tools import need

SNAPSHOTS = Path(__file__).parent / "snapshots"
PUBLISH = {
    "npm": ("npm", "publish"),
    "pnpm": ("pnpm", "publish", "--no-git-checks"),
    "yarn": ("yarn", "npm", "publish"),
}
PACK = {
    "npm": ("npm", "pack", "--json"),
    "pnpm": ("pnpm", "pack", "--out", "packed.tgz"),
    "yarn": ("yarn", "pack", "-o", "packed.tgz"),
}

INSTALL = {"npm": ("npm", "install"), "pnpm": ("pnpm", "add"), "yarn": ("yarn", "add")}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NpmWorld]:
    for client in PUBLISHERS:
        need(client)
    with npm_world(tmp_path_factory.mktemp("npm")) as made:
        yield made


@pytest.fixture
def home(world: NpmWorld, tmp_path: Path) -> Home:
    return Home(tmp_path / "home", world.registry, world.token())


def source(folder: Path, client: str, home: Home, **manifest: Any) -> Path:
    """A package's folder, ready for this client; each client publishes a package of its own."""
    whole = {
        "name": f"@acme/{client}-widget",
        "version": "1.0.0",
        "description": "a widget",
        "license": "Apache-2.0",
        "main": "index.js",
        "bin": "./cli.js",
        "scripts": {"test": "node_modules/.bin/jest"},
        "peerDependencies": {"react": ">=18"},
        "peerDependenciesMeta": {"react": {"optional": True}},
        "optionalDependencies": {"fsevents": "~2.3.2"},
    }
    if client == "yarn":  # it wants its dependencies in a lockfile before it publishes, and none of these is here
        whole = {key: value for key, value in whole.items() if "Dependencies" not in key}
    path = lay(folder, {**whole, **manifest}, {"cli.js": "#!/usr/bin/env node\n", "README.md": "# Widget\n"})
    if client == "yarn":
        (path / "yarn.lock").touch()
        run = home.run("yarn", "install", cwd=path)
        assert run.succeeded, run.output
    return path


def packed(client: str, home: Home, path: Path) -> NpmPackage:
    """The tarball that this client would publish."""
    run = home.run(*PACK[client], cwd=path)
    assert run.succeeded, run.output
    file = path / "packed.tgz" if client != "npm" else path / json.loads(run.output)[0]["filename"]
    content = file.read_bytes()
    file.unlink()
    return NpmPackage(json.loads((path / "package.json").read_text()), content)


def attach(world: NpmWorld, home: Home, of: NpmPackage, folder: Path) -> None:
    """Send provenance to the locker, as a release job does before it publishes."""
    folder.mkdir(exist_ok=True)
    (folder / "package.tgz").write_bytes(of.content)
    (folder / "bundle.json").write_bytes(world.bundle(of))
    where = ("--gateway", world.address, "--token", home.token)
    world.command("attach", str(folder / "package.tgz"), str(folder / "bundle.json"), *where)


def shown(run: Run, world: NpmWorld, home: Home) -> str:
    """What a client printed, less what differs from run to run."""
    text = run.output.replace(world.address, "https://npm.acme.example").replace(str(home.folder), "~")
    for pattern, plain in (
        (r"/-/d/[A-Za-z0-9_-]{22}", "/-/d/<decision>"),
        (r"[0-9T_]+[0-9-]+T[0-9_]+Z-debug", "<time>-debug"),
        (r"(shasum: |integrity: ).*", r"\1<digest>"),
        (r"(size: ).*", r"\1<size>"),
        (r"in \d+m?s(?: \d+ms)?", "in <time>"),
        (r"[ \t]+$", ""),
    ):
        text = re.sub(pattern, plain, text, flags=re.MULTILINE)
    if run.client == "npm":  # before it comes what is in the tarball, in each version's own words
        text = text[text.index("npm error") :]
    return text.strip() + "\n"


@pytest.mark.parametrize("client", PUBLISHERS)
def test_what_is_signed_is_published_and_installs_from_the_gateway(
    client: str, world: NpmWorld, home: Home, tmp_path: Path
) -> None:
    path = source(tmp_path / "source", client, home)
    package = packed(client, home, path)
    attach(world, home, package, tmp_path / "attached")
    run = home.run(*PUBLISH[client], cwd=path)
    assert run.succeeded, run.output
    stored = world.upstream.tarballs()[f"@acme/{client}-widget/{client}-widget-1.0.0.tgz"]
    assert stored == package.sha256
    consumer = lay(tmp_path / "consumer", {"name": "consumer", "version": "1.0.0", "private": True})
    (consumer / "yarn.lock").touch()
    installed = home.run(*INSTALL[client], f"@acme/{client}-widget", cwd=consumer)
    assert installed.succeeded, installed.output
    assert (consumer / "node_modules" / "@acme" / f"{client}-widget" / "index.js").read_text() == "// widget\n"
    (version,) = (json.loads(home.run("npm", "view", "--json", f"@acme/{client}-widget").output)["versions"],)
    assert version == ["1.0.0"]


@pytest.mark.parametrize("client", PUBLISHERS)
def test_what_is_unsigned_is_refused_and_the_client_says_why(
    client: str, world: NpmWorld, home: Home, tmp_path: Path
) -> None:
    path = source(tmp_path / "source", client, home, name=f"@acme/{client}-unsigned")
    run = home.run(*PUBLISH[client], cwd=path)
    assert not run.succeeded
    assert world.codes() == {"evidence-missing"}
    assert f"@acme/{client}-unsigned" not in world.upstream.packages()
    assert shown(run, world, home) == (SNAPSHOTS / f"{client}-refused.txt").read_text()
