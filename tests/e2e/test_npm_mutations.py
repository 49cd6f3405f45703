"""What the real npm, pnpm and yarn can change through the gateway in front of a real verdaccio, and what they print.

Each client's session is one transcript, kept as a snapshot: the commands, and all that was printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.test_npm import PUBLISH, SNAPSHOTS, attach, packed, source
from tests.lab.node_clients import PUBLISHERS, Home
from tests.lab.npm_world import NpmWorld, npm_world
from tests.lab.tools import need

LET_THROUGH: Final[dict[str, tuple[str, ...]]] = {
    "npm": (
        "npm dist-tag add @acme/npm-widget@1.0.0 stable",
        "npm dist-tag add @acme/npm-widget@1.0.0 latest",
        "npm dist-tag ls @acme/npm-widget",
        "npm dist-tag rm @acme/npm-widget stable",
        "npm deprecate @acme/npm-widget@1.0.0 use-1.1.0",
        "npm view @acme/npm-widget@1.0.0 deprecated",
        "npm undeprecate @acme/npm-widget@1.0.0",
        "npm view @acme/npm-widget@1.0.0 deprecated",
        "npm whoami",
        "npm search @acme/npm-widget",
    ),
    "pnpm": (
        "pnpm dist-tag add @acme/pnpm-widget@1.0.0 stable",
        "pnpm dist-tag add @acme/pnpm-widget@1.0.0 latest",
        "pnpm dist-tag ls @acme/pnpm-widget",
        "pnpm dist-tag rm @acme/pnpm-widget stable",
        "pnpm deprecate @acme/pnpm-widget@1.0.0 use-1.1.0",
        "pnpm undeprecate @acme/pnpm-widget@1.0.0",
        "pnpm whoami",
    ),
    "yarn": (
        "yarn npm tag add @acme/yarn-widget@1.0.0 stable",
        "yarn npm tag add @acme/yarn-widget@1.0.0 latest",
        "yarn npm tag list @acme/yarn-widget",
        "yarn npm tag remove @acme/yarn-widget stable",
        "yarn npm whoami",
    ),
}
REFUSED: Final[dict[str, tuple[str, ...]]] = {
    "npm": (
        "npm dist-tag rm @acme/npm-widget latest",
        "npm dist-tag add @acme/npm-widget@9.9.9 latest",
        "npm unpublish @acme/npm-widget@1.0.0",
        "npm unpublish @acme/npm-widget --force",
        "npm owner add ann @acme/npm-widget",
        "npm access set status=private @acme/npm-widget",
        "npm access list collaborators @acme/npm-widget",
        "npm team create acme:devs",
        "npm org ls acme",
        "npm star @acme/npm-widget",
        "npm stars",
        "npm profile get",
        "npm token list",
        "npm stage publish",
        "npm stage list",
        "npm stage approve 2c8b4cbe-7f4f-4f6b-9a52-0d3d3a1f8f10",
        "npm trust list @acme/npm-widget",
        "npm trust github @acme/npm-widget --file release.yml --repo acme/libs --allow-publish --yes",
    ),
    "pnpm": (
        "pnpm dist-tag rm @acme/pnpm-widget latest",
        "pnpm dist-tag add @acme/pnpm-widget@9.9.9 latest",
        "pnpm unpublish @acme/pnpm-widget@1.0.0",
    ),
    "yarn": (
        "yarn npm tag add @acme/yarn-widget@9.9.9 latest",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NpmWorld]:
    for client in PUBLISHERS:
        need(client)
    with npm_world(tmp_path_factory.mktemp("npm")) as made:
        yield made


@dataclass(frozen=True)
class Session:
    """A client with two versions of its own package, published through the gateway; `path` is that of a third."""

    client: str
    home: Home
    path: Path


@pytest.fixture(scope="module", params=PUBLISHERS)
def session(request: pytest.FixtureRequest, world: NpmWorld, tmp_path_factory: pytest.TempPathFactory) -> Session:
    client, folder = str(request.param), tmp_path_factory.mktemp("session")
    home = Home(folder / "home", world.registry, world.token())
    for version in ("1.0.0", "1.1.0"):
        path = source(folder / version, client, home, version=version)
        attach(world, home, packed(client, home, path), folder / f"attached-{version}")
        run = home.run(*PUBLISH[client], cwd=path)
        assert run.succeeded, run.output
    return Session(client, home, source(folder / "2.0.0", client, home, version="2.0.0"))


def transcript(world: NpmWorld, session: Session, commands: tuple[str, ...], *, succeed: bool) -> str:
    """Run commands and return what was printed, less what differs from run to run."""
    said = []
    for command in commands:
        run = session.home.run(*command.split(), cwd=session.path)
        assert run.succeeded is succeed, run.output
        text = run.output[max(run.output.find("npm error"), 0) :]
        said.append(f"$ {command}\n{text.strip()}\n")
    text = "\n".join(said).replace(world.address, "https://npm.acme.example").replace(str(session.home.folder), "~")
    for pattern, plain in (
        (r"/-/d/[A-Za-z0-9_-]{22}", "/-/d/<decision>"),
        (r"/-rev/\S+", "/-rev/<revision>"),
        (r"[0-9T_]+[0-9-]+T[0-9_]+Z-debug", "<time>-debug"),
        (r"\d{4}-\d\d-\d\d", "<date>"),
        (r"in \d+s \d+ms", "in <time>"),
        (r"[ \t]+$", ""),
    ):
        text = re.sub(pattern, plain, text, flags=re.MULTILINE)
    return text


def snapshot(name: str, text: str) -> None:
    """Compare with what was printed before."""
    assert text == (SNAPSHOTS / name).read_text()


def test_tags_and_deprecations_go_through_and_the_record_names_each(world: NpmWorld, session: Session) -> None:
    client = session.client
    snapshot(f"{client}-mutations.txt", transcript(world, session, LET_THROUGH[client], succeed=True))
    whole = json.loads((world.upstream.storage / "@acme" / f"{client}-widget" / "package.json").read_text())
    assert whole["dist-tags"] == {"latest": "1.0.0"}
    assert set(whole["versions"]) == {"1.0.0", "1.1.0"}
    purl = f"pkg:npm/%40acme/{client}-widget"
    listed = world.command("decisions", "list", "--json", "--package", purl, "-c", "gateway.yaml")
    assert f"npm dist-tag add @acme/{client}-widget@1.0.0 latest" in {one["mutation"] for one in json.loads(listed)}


def test_every_other_change_is_refused_and_the_client_says_why(world: NpmWorld, session: Session) -> None:
    client, before = session.client, world.upstream.tarballs()
    snapshot(f"{client}-mutations-refused.txt", transcript(world, session, REFUSED[client], succeed=False))
    assert world.upstream.tarballs() == before


def test_a_login_whose_password_is_a_token_gives_that_token_back(world: NpmWorld, tmp_path: Path) -> None:
    """yarn asks for name and password; what it then holds is what it was given."""
    home = Home(tmp_path / "home", world.registry, "")
    project = tmp_path / "project"
    project.mkdir()
    token = world.token()
    login = ("yarn", "npm", "login")
    given = {"TEST_ENV": "1", "YARN_IS_TEST_ENV": "1", "YARN_INJECT_NPM_USER": "ann", "YARN_INJECT_NPM_PASSWORD": token}
    run = home.run(*login, cwd=project, **given)
    assert run.succeeded, run.output
    assert token in (home.folder / ".yarnrc.yml").read_text()
    refused = home.run(*login, cwd=project, **given | {"YARN_INJECT_NPM_PASSWORD": "secret"})
    assert not refused.succeeded
    assert "provgate token create" in refused.output
    assert not (world.upstream.storage.parent / "htpasswd").read_text().count("ann:")


def test_npm_login_takes_a_token_as_the_password_and_no_other(world: NpmWorld, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", world.registry, "")
    token = world.token()
    done, said = log_in(home, "ann", token)
    assert (done, "Logged in on" in said) == (0, True), said
    assert f":_authToken={token}" in (home.folder / ".npmrc").read_text()
    done, said = log_in(home, "ann", "secret")
    assert (done, "provgate token create" in said) == (1, True), said
    assert not (world.upstream.storage.parent / "htpasswd").read_text().count("ann:")


def log_in(home: Home, name: str, password: str) -> tuple[int, str]:
    """Run npm login, and answer each prompt when it is there."""
    home.run("npm", "--version")  # lays the home out
    environment = {"PATH": os.environ["PATH"], "HOME": str(home.folder), "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        [need("npm"), "login"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=home.folder,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        said = b""
        for prompt, answer in ((b"Username:", name), (b"Password:", password)):
            while prompt not in said and (more := os.read(running.stdout.fileno(), 4096)):
                said += more
            running.stdin.write(f"{answer}\n".encode())
            running.stdin.flush()
        said += running.communicate()[0]
        return running.returncode, said.decode()


def test_npm_logout_forgets_the_token_here_and_leaves_it_good(world: NpmWorld, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", world.registry, world.token())
    run = home.run("npm", "logout")
    assert run.succeeded, run.output
    assert home.token not in (home.folder / ".npmrc").read_text()
    assert home.run("npm", "whoami").output.strip() == "team-libs@acme.example"
