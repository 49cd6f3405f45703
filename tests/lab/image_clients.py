"""The real image clients, run as a CI job or a reader would run them: skopeo, and cosign against a served sandbox."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gateway.model.identity import Identity
from gateway.sandbox import Sandbox
from gateway.sandbox.server import serve
from gateway.sandbox.tokens import Issuer
from tests.lab import signers, tools
from tests.lab.images import Image

_SECONDS = 120.0


@dataclass(frozen=True)
class Ran:
    """What a client printed, and whether it was content."""

    succeeded: bool
    output: str


@dataclass(frozen=True)
class Person:
    """A home of its own for one person's or job's clients, with the token they present."""

    home: Path
    host: str
    token: str

    def skopeo(self, *arguments: str) -> Ran:
        """Run skopeo; `{host}` stands for the gateway's."""
        return self._run(tools.need("skopeo"), *(one.replace("{host}", self.host) for one in arguments))

    def push(self, image: Image, name: str, *options: str) -> Ran:
        """Push an image under `repository:tag` or `repository@digest`."""
        credential = ("--dest-tls-verify=false", "--dest-creds", f"ci:{self.token}")
        return self.skopeo("copy", *credential, *options, image.source, f"docker://{{host}}/{name}")

    def inspect(self, name: str) -> Ran:
        """Read a manifest as it stands."""
        credential = ("--tls-verify=false", "--creds", f"reader:{self.token}")
        return self.skopeo("inspect", "--raw", *credential, f"docker://{{host}}/{name}")

    def pull(self, name: str) -> Ran:
        """Pull a whole image."""
        self.home.mkdir(parents=True, exist_ok=True)
        credential = ("--src-tls-verify=false", "--src-creds", f"reader:{self.token}")
        return self.skopeo("copy", *credential, f"docker://{{host}}/{name}", f"dir:{self.home / 'pulled'}")

    def ask(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> tuple[int, bytes]:
        """Send one request with the token as password; return status and body."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        basic = base64.b64encode(f"ci:{self.token}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", **({"Content-Type": media_type} if media_type else {})}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def cosign(self, sandbox: Sandbox, by: Identity, *arguments: str, older: bool = False) -> Ran:
        """Run a cosign command as a CI job of this identity, with the sandbox as its Sigstore.

        `older` is as cosign 1 and 2 sign: into a tag beside the image, not into a bundle.
        """
        return asyncio.run(self._cosign(sandbox, by, *arguments, older=older))

    async def _cosign(self, sandbox: Sandbox, by: Identity, *arguments: str, older: bool) -> Ran:
        self.home.mkdir(parents=True, exist_ok=True)
        issuer = Issuer()
        async with serve(sandbox, signers.clock, issuer=issuer) as url:
            document = json.loads(sandbox.client_trust_config(url))
            config, root = self.home / "signing.json", self.home / "root.json"
            config.write_text(json.dumps(document["signingConfig"]))
            root.write_text(json.dumps(document["trustedRoot"]))
            token = issuer.mint(by, signers.clock())
            command, *rest = arguments
            services: tuple[str, ...] = ("--signing-config", str(config))
            if older:
                services = (
                    "--new-bundle-format=false", "--use-signing-config=false", "--fulcio-url", url, "--rekor-url", url,
                )  # fmt: skip
            known = ("--yes", *services, "--trusted-root", str(root), "--identity-token", token)
            registry = ("--registry-username", "ci", "--registry-password", self.token, "--allow-http-registry")
            return await asyncio.to_thread(
                self._run,
                tools.need("cosign"),
                command,
                *known,
                *registry,
                *(one.replace("{host}", self.host) for one in rest),
            )

    def run(self, program: str, *arguments: str) -> Ran:
        """Run any program in this home, with no other credential."""
        return self._run(tools.need(program), *arguments)

    def _run(self, *command: str) -> Ran:
        self.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home)},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
            text=True,
        )
        return Ran(done.returncode == 0, done.stdout)
