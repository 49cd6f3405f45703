"""The real clients, twine, uv and pip, each run as a program with nothing of this machine's settings.

Every call gets a home of its own, no keyring, no configuration file and no credential but the one it is given, which
goes through the environment so that no list of processes shows it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.demo.packages import Distribution

SECONDS: Final = 120.0
PUBLISHERS: Final = ("twine", "uv")
INSTALLERS: Final = ("pip", "uv")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a client came to: its exit status, and all it printed."""

    client: str
    status: int
    output: str

    @property
    def succeeded(self) -> bool:
        """Whether the client says that it did what it was asked to."""
        return self.status == 0


def lay(folder: Path, distribution: Distribution, attestations: Mapping[str, bytes] | None = None) -> Path:
    """Write a distribution into a folder, and beside it its PEP 740 attestations as `<file>.<kind>.attestation`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / distribution.name
    path.write_bytes(distribution.content)
    for kind, attestation in (attestations or {}).items():
        (folder / f"{distribution.name}.{kind}.attestation").write_bytes(attestation)
    return path


def publish(
    client: str,
    path: Path,
    url: str,
    token: str,
    *,
    user: str = "__token__",
    attestations: bool = True,
    verbose: bool = False,
) -> Run:
    """Publish a file with `twine` or `uv`, with the attestations laid beside it; `url` is the upload address."""
    flags = ["--verbose"] if verbose else []
    # Both attach only what they are given by name (uv's own default is `dist/*`).
    beside = sorted(str(found) for found in path.parent.glob(f"{path.name}.*.attestation")) if attestations else []
    if client == "twine":
        # twine calls it a mistake when it is asked to attach and given nothing.
        flags += ["--attestations"] if beside else []
        arguments = [_program("twine"), "--no-color", "upload", "--non-interactive", "--disable-progress-bar"]
        arguments += [*flags, str(path), *beside]
        settings = {"TWINE_REPOSITORY_URL": url, "TWINE_USERNAME": user, "TWINE_PASSWORD": token}
    elif client == "uv":
        flags += [] if attestations else ["--no-attestations"]
        arguments = [_program("uv"), "publish", "--trusted-publishing", "never", *flags, str(path), *beside]
        settings = {"UV_PUBLISH_URL": url, "UV_PUBLISH_USERNAME": user, "UV_PUBLISH_PASSWORD": token}
    else:
        raise ValueError(f"no publisher called {client}")
    return _run(client, arguments, settings)


def install(client: str, requirement: str, index: str, target: Path) -> Run:
    """Install one requirement without its dependencies into a folder, from the simple index at `index` alone."""
    common = ["install", "--no-deps", "--target", str(target), "--index-url", index]
    if client == "pip":
        arguments = [sys.executable, "-m", "pip", *common, "--no-cache-dir", "--disable-pip-version-check"]
        arguments += ["--no-input", "--root-user-action", "ignore", "--only-binary", ":all:", requirement]
    elif client == "uv":
        arguments = [_program("uv"), "pip", *common, "--no-cache", "--python", sys.executable]
        arguments += ["--only-binary", ":all:", requirement]
    else:
        raise ValueError(f"no installer called {client}")
    return _run(client, arguments, {})


def _program(name: str) -> str:
    """Return the path of a client that is installed beside this interpreter."""
    return str(Path(sys.executable).with_name(name))


def _run(client: str, arguments: list[str], settings: Mapping[str, str]) -> Run:
    with tempfile.TemporaryDirectory(prefix="provgate-client-") as home:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_CACHE_HOME": home,
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PIP_CONFIG_FILE": os.devnull,
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            "UV_KEYRING_PROVIDER": "disabled",
            "UV_PYTHON_DOWNLOADS": "never",
            **settings,
        }
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=home,
            timeout=SECONDS,
            check=False,
        )
    return Run(client, done.returncode, done.stdout.decode(errors="replace"))
