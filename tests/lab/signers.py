"""The real signers, `sigstore` and `cosign`, run against a served sandbox as a CI job would run them."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.lab import tools

_SECONDS: Final = 60.0


def clock() -> datetime:
    """The real time, for real programs that look at their own clock."""
    return datetime.now(UTC)  # noqa: TID251 - sigstore checks tokens and services against it


async def sigstore(home: Path, config: bytes, *arguments: str | Path) -> Path:
    """Run the installed sigstore command with this client trust config; return the bundle it wrote into `home`."""
    trust, bundle = home / "config.json", home / "bundle.json"
    trust.write_bytes(config)
    command = [sys.executable, "-m", "sigstore", "--trust-config", trust, *arguments, "--bundle", bundle]
    await _run(home, *map(str, command))
    return bundle


async def cosign(home: Path, *arguments: str | Path) -> None:
    """Run cosign; where it is not installed, skip the test."""
    await _run(home, tools.need("cosign"), *map(str, arguments))


async def _run(home: Path, *command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], "HOME": str(home / "home")},  # no ambient credentials, no cache of ours
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
    assert process.returncode == 0, output.decode()
