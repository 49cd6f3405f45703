"""The demo's npm package: refused without evidence and with another repository's, published with its own, installed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.demo.acts import Act, Step, program
from gateway.demo.clients import Run
from gateway.demo.gate import Gate, gate, run, wrong
from gateway.demo.scenarios import policy
from gateway.demo.verdaccio import Verdaccio, verdaccio
from gateway.sandbox import github_identity, slsa_provenance

_NAME: Final = "@acme/widget"
_VERSION: Final = "1.0.0"
_TARBALL: Final = "acme-widget-1.0.0.tgz"
_SOURCE: Final = "module.exports = 1\n"
_POLICY: Final = policy("acme-node", "pkg:npm/%40acme/*")


@dataclass(frozen=True, slots=True)
class _Stage:
    """The gateway before verdaccio, a publisher's token, and the folder of a package."""

    gate: Gate
    upstream: Verdaccio
    token: str
    package: Path

    def npm(self, *arguments: str, cwd: Path | None = None) -> Run:
        """Run npm with this registry and token, and no settings of the person's own."""
        home = self.gate.folder
        (home / ".npmrc").write_text(
            f"registry={self.gate.address}/npm/\n//{self.gate.host}/npm/:_authToken={self.token}\n"
            "update-notifier=false\nfund=false\naudit=false\nfetch-retries=0\nloglevel=warn\n"
        )
        return run("npm", home, str(program("npm")), *arguments, cwd=cwd or self.package)

    def pack(self) -> Path:
        """Pack the package."""
        self.package.mkdir(exist_ok=True)
        manifest = {"name": _NAME, "version": _VERSION, "description": "a widget", "license": "Apache-2.0"}
        (self.package / "package.json").write_text(json.dumps(manifest))
        (self.package / "index.js").write_text(_SOURCE)
        self.npm("pack", "--silent")
        return self.package / _TARBALL

    def attach(self, tarball: Path, at: datetime, repository: str) -> Run:
        """Send the provenance of a run of this repository's, as the job that built the package would."""
        signer = github_identity(repository, ref=f"refs/tags/v{_VERSION}")
        sha512 = hashlib.sha512(tarball.read_bytes()).hexdigest()
        statement = slsa_provenance([(f"pkg:npm/%40acme/widget@{_VERSION}", {"sha512": sha512})], signer)
        return self.gate.attach(tarball, self.gate.sandbox.sign_statement(statement, signer, at), self.token)


def _play(folder: Path, at: datetime) -> Iterator[Step]:
    with _stage(folder, at) as on:
        tarball = on.pack()
        yield _refused(on, tarball, "no evidence at all", "evidence-missing")
        on.attach(tarball, at, "mallory/libs")
        yield _refused(on, tarball, "the provenance of another repository", "repository-mismatch")
        on.attach(tarball, at, "acme/libs")
        published = on.npm("publish", str(tarball))
        digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
        held = list(on.upstream.tarballs().values())
        yield Step(
            "the provenance of its own",
            published,
            "published; the registry holds these bytes",
            wrong((published.succeeded, "npm could not publish"), (held == [digest], f"the registry holds {held}")),
        )
        room = folder / "installed"
        room.mkdir()
        installed = on.npm("install", _NAME, "--no-save", cwd=room)
        there = room / "node_modules" / "@acme" / "widget" / "index.js"
        right = there.is_file() and there.read_text() == _SOURCE
        yield Step(
            "install it through the gateway",
            installed,
            "installed",
            wrong((installed.succeeded, "npm could not install"), (right, "it is not what was published")),
        )


NPM: Final = Act("npm", "an npm package", ("node", "npm", "verdaccio"), _play)


def _refused(on: _Stage, tarball: Path, title: str, code: str) -> Step:
    """Publish what must be refused with this code, npm's own output saying so."""
    done = on.npm("publish", str(tarball))
    there = on.upstream.tarballs()
    problems = wrong(
        (not done.succeeded, "npm says that it published"),
        (f"{code}:" in done.output, f"npm did not print {code}"),
        (not there, f"the registry holds {there}"),
    )
    return Step(title, done, f"refused: {code}", problems)


@contextmanager
def _stage(folder: Path, at: datetime) -> Iterator[_Stage]:
    server = Path(str(program("verdaccio"))).resolve()
    with (
        verdaccio(str(program("node")), server, folder / "registry") as upstream,
        gate(
            folder,
            at,
            registry="name: node, ecosystem: npm, mount: /npm, read_auth: none",
            upstream=upstream.url,
            credential=upstream.credential,
            policy=_POLICY,
        ) as running,
    ):
        token = running.token("node", "pkg:npm/%40acme/*", "publish,attach,read")
        yield _Stage(running, upstream, token, folder / "package")
