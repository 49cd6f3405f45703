"""Four real clients that push and read images: how each is called, with a home of its own, for one person or job."""

from __future__ import annotations

import os
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.image_clients import Ran
from tests.lab.images import Image
from tests.lab.tools import need

_SECONDS = 120.0
_PROGRESS = re.compile(
    r"^(Getting image|Cop(ying|ied) |Writing manifest|Storing sig|Trying to pull|Upload(ing|ed)|Exists"
    r"|\d{4}/\d\d/\d\d \S+ (pushed|existing|No)).*\n",
    re.MULTILINE,
)


@dataclass
class Pusher(ABC):
    """One client with one credential; `host` is the registry's."""

    home: Path
    host: str
    token: str

    @abstractmethod
    def push(self, image: Image, name: str) -> Ran:
        """Push an image under `repository:tag`."""

    @abstractmethod
    def read(self, name: str) -> Ran:
        """Read an image's manifest, or all of it where the client has no other way."""

    @abstractmethod
    def delete(self, name: str) -> Ran:
        """Delete `repository@digest`."""

    def run(self, program: str, *arguments: str) -> Ran:
        """Run a program in this home and no other."""
        self.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [need(program), *arguments],
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

    def told(self, ran: Ran) -> str:
        """What a client printed of a failure, the same in every run."""
        return told(ran, self.host)


def told(ran: Ran, host: str) -> str:
    """What a client printed of a failure at this host, the same in every run."""
    text = _PROGRESS.sub("", ran.output).replace(host, "oci.acme.example")
    for pattern, instead in (
        (r"/-/d/[A-Za-z0-9_-]{22}", "/-/d/<decision>"),
        (r"sha256:[0-9a-f]{64}", "sha256:<digest>"),
        (r"token [a-z2-7]{16}", "token <token>"),
        (r"\"[0-9a-f]{12}\"", '"<image>"'),
        (r"time=\"[^\"]*\"", 'time="<time>"'),
    ):
        text = re.sub(pattern, instead, text)
    return text.replace("http://", "https://")


class Skopeo(Pusher):
    """skopeo."""

    def push(self, image: Image, name: str) -> Ran:
        credential = ("--dest-tls-verify=false", "--dest-creds", f"ci:{self.token}")
        return self.run("skopeo", "copy", *credential, image.source, f"docker://{self.host}/{name}")

    def read(self, name: str) -> Ran:
        credential = ("--tls-verify=false", "--creds", f"ci:{self.token}")
        return self.run("skopeo", "inspect", "--raw", *credential, f"docker://{self.host}/{name}")

    def delete(self, name: str) -> Ran:
        credential = ("--tls-verify=false", "--creds", f"ci:{self.token}")
        return self.run("skopeo", "delete", *credential, f"docker://{self.host}/{name}")


class Buildah(Pusher):
    """buildah, with a storage of its own."""

    def push(self, image: Image, name: str) -> Ran:
        pulled = self._run("pull", "--quiet", image.source)
        assert pulled.succeeded, pulled.output
        what = pulled.output.split()[-1]
        return self._run(
            "push", "--tls-verify=false", "--creds", f"ci:{self.token}", what, f"docker://{self.host}/{name}"
        )

    def read(self, name: str) -> Ran:
        return self._run("pull", "--tls-verify=false", "--creds", f"ci:{self.token}", f"docker://{self.host}/{name}")

    def delete(self, name: str) -> Ran:
        raise NotImplementedError("buildah deletes nothing in a registry")

    def _run(self, *arguments: str) -> Ran:
        storage = ("--storage-driver", "vfs", "--root", str(self.home / "root"), "--runroot", str(self.home / "run"))
        return self.run("buildah", *storage, *arguments)


class Crane(Pusher):
    """crane, which logs in first; what login does not try is found out later."""

    def push(self, image: Image, name: str) -> Ran:
        self._login()
        return self.run("crane", "push", str(image.layout), f"{self.host}/{name}")

    def read(self, name: str) -> Ran:
        self._login()
        return self.run("crane", "manifest", f"{self.host}/{name}")

    def delete(self, name: str) -> Ran:
        self._login()
        return self.run("crane", "delete", f"{self.host}/{name}")

    def _login(self) -> None:
        done = self.run("crane", "auth", "login", self.host, "--username", "ci", "--password", self.token)
        assert done.succeeded, done.output


class Oras(Pusher):
    """oras."""

    def push(self, image: Image, name: str) -> Ran:
        credential = ("--to-plain-http", "--to-username", "ci", "--to-password", self.token)
        return self.run(
            "oras", "cp", "--no-tty", *credential, "--from-oci-layout", f"{image.layout}:it", f"{self.host}/{name}"
        )

    def read(self, name: str) -> Ran:
        credential = ("--plain-http", "--username", "ci", "--password", self.token)
        return self.run("oras", "manifest", "fetch", *credential, f"{self.host}/{name}")

    def delete(self, name: str) -> Ran:
        credential = ("--plain-http", "--username", "ci", "--password", self.token)
        return self.run("oras", "manifest", "delete", "--force", *credential, f"{self.host}/{name}")


PUSHERS: Mapping[str, Callable[[Path, str, str], Pusher]] = {
    "skopeo": Skopeo,
    "buildah": Buildah,
    "crane": Crane,
    "oras": Oras,
}
