"""The real npm, pnpm and yarn, each run with nothing of this machine's settings."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.demo.clients import Run
from tests.lab.tools import need

PUBLISHERS = ("npm", "pnpm", "yarn")


@dataclass(frozen=True)
class Home:
    """Where a client finds its settings: one registry and one token. `folder` is its working directory too."""

    folder: Path
    registry: str
    token: str

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Run:
        """Run a client to its end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        address = urlsplit(self.registry)
        (self.folder / ".npmrc").write_text(
            f"registry={self.registry}/\n//{address.netloc}{address.path}/:_authToken={self.token}\n"
            "update-notifier=false\nfund=false\naudit=false\nfetch-retries=0\n"
        )
        (self.folder / ".yarnrc.yml").write_text(
            json.dumps(
                {
                    "npmRegistryServer": self.registry,
                    "npmAuthToken": self.token,
                    "unsafeHttpWhitelist": ["127.0.0.1"],
                    "enableTelemetry": False,
                    "nodeLinker": "node-modules",
                    "npmMinimalAgeGate": 0,  # what was published this minute is what we want
                    "enableGlobalCache": False,
                    "httpRetry": 0,
                }
            )
        )
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "COREPACK_ENABLE_STRICT": "0",
            **environment,
        }
        done = subprocess.run(
            [need(arguments[0]), *arguments[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd or self.folder,
            timeout=120,
            check=False,
        )
        return Run(arguments[0], done.returncode, done.stdout.decode(errors="replace"))


def lay(folder: Path, manifest: Mapping[str, object], files: Mapping[str, str] | None = None) -> Path:
    """Write a package's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps(manifest, indent=2))
    for name, text in ({"index.js": "// widget\n"} | dict(files or {})).items():
        (folder / name).write_text(text)
    return folder
