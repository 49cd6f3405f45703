"""The demo's image: pushed by skopeo before it is signed, held, seen by nobody, released when its provenance comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.demo.acts import Act, Step, program
from gateway.demo.clients import Run
from gateway.demo.docker_registry import DockerRegistry, docker_registry
from gateway.demo.gate import Gate, gate, run, wrong
from gateway.demo.images import Image, image
from gateway.demo.scenarios import policy
from gateway.sandbox import github_identity, slsa_provenance

_REPOSITORY: Final = "team/app"
_TAG: Final = "1.0.0"
_POLICY: Final = policy("acme-images", "pkg:oci/team/*", "hold: 30m")


@dataclass(frozen=True, slots=True)
class _Stage:
    """The gateway before its registry, and the tokens of a publisher and of a reader."""

    gate: Gate
    upstream: DockerRegistry
    publisher: str
    reader: str

    def skopeo(self, *arguments: str) -> Run:
        """Run skopeo; in a pipe it escapes the lines of what it was told."""
        done = run("skopeo", self.gate.folder, str(program("skopeo")), *arguments)
        return Run(done.client, done.status, done.output.replace("\\n", "\n"))

    def push(self, made: Image) -> Run:
        """Push by tag, as everybody does."""
        credential = ("--dest-tls-verify=false", "--dest-creds", f"ci:{self.publisher}")
        return self.skopeo("copy", *credential, made.source, self._tag)

    def read(self) -> Run:
        """Look at the tag as somebody who may only read."""
        return self.skopeo("inspect", "--tls-verify=false", "--creds", f"reader:{self.reader}", self._tag)

    def attach(self, made: Image, at: datetime, repository: str) -> Run:
        """Send the provenance of a run of this repository's, as the job that built the image would."""
        signer = github_identity(repository, ref=f"refs/tags/v{_TAG}")
        digests = {"sha256": made.digest.removeprefix("sha256:")}
        statement = slsa_provenance([(_REPOSITORY, digests)], signer)
        manifest = self.gate.folder / "manifest.json"
        manifest.write_bytes(made.manifest)
        return self.gate.attach(manifest, self.gate.sandbox.sign_statement(statement, signer, at), self.publisher)

    @property
    def _tag(self) -> str:
        return f"docker://{self.gate.host}/{_REPOSITORY}:{_TAG}"


def _play(folder: Path, at: datetime) -> Iterator[Step]:
    with _stage(folder, at) as on:
        made = image(folder / "layout", "hello")
        pushed, tags = on.push(made), on.upstream.tags(_REPOSITORY)
        yield Step(
            "an image, pushed before it is signed",
            pushed,
            "held; the registry has no tag",
            wrong((pushed.succeeded, "skopeo could not push"), (not tags, f"the registry has the tags {tags}")),
        )
        seen = on.read()
        yield Step(
            "somebody who may only read",
            seen,
            "not there for others",
            wrong((not seen.succeeded, "it is shown"), ("content-hidden" in seen.output, "skopeo did not print why")),
        )
        sent, tags = on.attach(made, at, "mallory/libs"), on.upstream.tags(_REPOSITORY)
        yield Step(
            "the provenance of another repository",
            sent,
            "still held",
            wrong((not tags, f"the registry has the tags {tags}"), (not on.read().succeeded, "it is shown")),
        )
        sent, tags = on.attach(made, at, "acme/libs"), on.upstream.tags(_REPOSITORY)
        yield Step(
            "the provenance of its own",
            sent,
            "released; the registry has the tag",
            wrong((sent.succeeded, "it was not taken"), (tags == {_TAG}, f"the registry has the tags {tags}")),
        )
        seen = on.read()
        yield Step(
            "somebody who may only read, again",
            Run(seen.client, seen.status, _digest(seen) if seen.succeeded else seen.output),
            "read",
            wrong((seen.succeeded and made.digest in seen.output, "it is not what was pushed")),
        )


IMAGE: Final = Act("image", "an image, signed after it was pushed", ("docker-registry", "skopeo"), _play)


@contextmanager
def _stage(folder: Path, at: datetime) -> Iterator[_Stage]:
    with (
        docker_registry(str(program("docker-registry")), folder / "registry") as upstream,
        gate(
            folder,
            at,
            registry="name: images, ecosystem: oci",
            upstream=upstream.url,
            credential=upstream.credential,
            policy=_POLICY,
        ) as running,
    ):
        tokens = [running.token("images", "pkg:oci/team/*", actions) for actions in ("publish,attach,read", "read")]
        yield _Stage(running, upstream, *tokens)


def _digest(seen: Run) -> str:
    return str(json.loads(seen.output)["Digest"])
