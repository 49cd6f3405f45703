"""The demo's image: pushed by skopeo before it is signed, held, seen by nobody, released when its provenance comes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.demo.acts import Act, Step, program
from gateway.demo.clients import Run
from gateway.demo.docker_registry import DockerRegistry, docker_registry
from gateway.demo.images import Image, image
from gateway.demo.processes import Program
from gateway.demo.world import LISTENING, environment, provgate
from gateway.sandbox import Sandbox, github_identity, slsa_provenance

_SECONDS: Final = 60.0
_TOKEN: Final = re.compile(r"pvg_[a-z2-7]{16}_[A-Za-z0-9_-]{43}")
_REPOSITORY: Final = "team/app"
_TAG: Final = "1.0.0"
_SETTINGS: Final = """\
sandbox: true
listen: 127.0.0.1:0
registries:
  - {{name: images, ecosystem: oci, upstream: "{upstream}", upstream_credential: "file:upstream-credential"}}
trust_roots: trust_roots
policy: policy
store: sqlite:///provgate.db
"""
_POLICY: Final = """\
rules:
  - name: acme-images
    packages: ["pkg:oci/team/*"]
    owner: team-platform@acme.example
    hold: 30m
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sandbox]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: acme/libs
          workflow: .github/workflows/release.yml
          ref: refs/tags/v{version}
          runner: github-hosted
"""


@dataclass(frozen=True, slots=True)
class _Stage:
    """The gateway before its registry, and the tokens of a publisher and of a reader."""

    folder: Path
    upstream: DockerRegistry
    sandbox: Sandbox
    address: str
    publisher: str
    reader: str

    def skopeo(self, *arguments: str) -> Run:
        """Run skopeo; it asks no other registry than the one it is told."""
        return _run("skopeo", self.folder, str(program("skopeo")), *arguments)

    def push(self, made: Image) -> Run:
        """Push by tag, as everybody does."""
        at = f"docker://{self._host}/{_REPOSITORY}:{_TAG}"
        credential = ("--dest-tls-verify=false", "--dest-creds", f"ci:{self.publisher}")
        return self.skopeo("copy", *credential, made.source, at)

    def read(self) -> Run:
        """Look at the tag as somebody who may only read."""
        at = f"docker://{self._host}/{_REPOSITORY}:{_TAG}"
        return self.skopeo("inspect", "--tls-verify=false", "--creds", f"reader:{self.reader}", at)

    def attach(self, made: Image, at: datetime, repository: str) -> Run:
        """Send the provenance of a run of this repository's, as the job that built the image would."""
        signer = github_identity(repository, ref=f"refs/tags/v{_TAG}")
        digests = {"sha256": made.digest.removeprefix("sha256:")}
        bundle, manifest = self.folder / "bundle.json", self.folder / "manifest.json"
        bundle.write_bytes(self.sandbox.sign_statement(slsa_provenance([(_REPOSITORY, digests)], signer), signer, at))
        manifest.write_bytes(made.manifest)
        command = [*provgate(), "attach", str(manifest), str(bundle), "--gateway", self.address]
        return _run("provgate attach", self.folder, *command, "--token", self.publisher)

    @property
    def _host(self) -> str:
        return self.address.removeprefix("http://")


def _play(folder: Path, at: datetime) -> Iterator[Step]:
    with _stage(folder, at) as on:
        made = image(folder / "layout", "hello")
        pushed, tags = on.push(made), on.upstream.tags(_REPOSITORY)
        yield Step(
            "an image, pushed before it is signed",
            pushed,
            "held; the registry has no tag",
            _wrong((pushed.succeeded, "skopeo could not push"), (not tags, f"the registry has the tags {tags}")),
        )
        seen = on.read()
        yield Step(
            "somebody who may only read",
            seen,
            "not there for others",
            _wrong((not seen.succeeded, "it is shown"), ("content-hidden" in seen.output, "skopeo did not print why")),
        )
        sent, tags = on.attach(made, at, "mallory/libs"), on.upstream.tags(_REPOSITORY)
        yield Step(
            "the provenance of another repository",
            sent,
            "still held",
            _wrong((not tags, f"the registry has the tags {tags}"), (not on.read().succeeded, "it is shown")),
        )
        sent, tags = on.attach(made, at, "acme/libs"), on.upstream.tags(_REPOSITORY)
        yield Step(
            "the provenance of its own",
            sent,
            "released; the registry has the tag",
            _wrong((sent.succeeded, "it was not taken"), (tags == {_TAG}, f"the registry has the tags {tags}")),
        )
        seen = on.read()
        yield Step(
            "somebody who may only read, again",
            Run(seen.client, seen.status, _digest(seen) if seen.succeeded else seen.output),
            "read",
            _wrong((seen.succeeded and made.digest in seen.output, "it is not what was pushed")),
        )


IMAGE: Final = Act("image", "an image, signed after it was pushed", ("docker-registry", "skopeo"), _play)


@contextmanager
def _stage(folder: Path, at: datetime) -> Iterator[_Stage]:
    sandbox = Sandbox.create(at)
    with docker_registry(str(program("docker-registry")), folder / "registry") as upstream:
        sandbox.save(folder / "trust_roots" / "sandbox")
        (folder / "policy").mkdir()
        (folder / "policy" / "demo.yaml").write_text(_POLICY, encoding="utf-8")
        secret = folder / "upstream-credential"
        secret.touch(mode=0o600)
        secret.write_text(upstream.credential, encoding="utf-8")
        (folder / "gateway.yaml").write_text(_SETTINGS.format(upstream=upstream.url), encoding="utf-8")
        serve = [*provgate(), "serve", "-c", "gateway.yaml"]
        with Program(serve, folder / "gateway.log", env=environment(), cwd=folder) as gateway:
            address = gateway.wait_for_line(LISTENING).rstrip("/")
            tokens = [_token(folder, actions) for actions in ("publish,attach,read", "read")]
            yield _Stage(folder, upstream, sandbox, address, *tokens)


def _token(folder: Path, actions: str) -> str:
    create = ("token", "create", "-c", "gateway.yaml", "--registry", "images", "--packages", "pkg:oci/team/*")
    made = _run("provgate", folder, *provgate(), *create, "--actions", actions)
    found = _TOKEN.search(made.output)
    if found is None:
        raise RuntimeError(f"provgate token create: {made.output}")
    return found.group()


def _run(client: str, home: Path, *command: str) -> Run:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment(), "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "NO_COLOR": "1"},
        cwd=home,
        timeout=_SECONDS,
        check=False,
        text=True,
    )
    return Run(client, done.returncode, done.stdout.replace("\\n", "\n"))  # skopeo escapes them in a pipe


def _digest(seen: Run) -> str:
    return str(json.loads(seen.output)["Digest"])


def _wrong(*checks: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(problem for right, problem in checks if not right)
