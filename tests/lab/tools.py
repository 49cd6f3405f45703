"""The other real programs that tests speak with: found, or the test is skipped; in CI an absent one is a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE_MODULES = ROOT / ".tools" / "node_modules"
PROGRAMS = (
    "buildah",
    "conformance",
    "cosign",
    "crane",
    "docker",
    "docker-registry",
    "dockerd",
    "nginx",
    "node",
    "npm",
    "oras",
    "pnpm",
    "skopeo",
    "verdaccio",
    "yarn",
)


def find(program: str) -> str | None:
    """Return a program's path: what `make tools` installed comes before what the machine has."""
    own = [ROOT / ".tools" / "bin", NODE_MODULES / ".bin"]
    system = ["/usr/local/sbin", "/usr/sbin", "/sbin"]  # Debian keeps nginx out of a user's PATH
    return shutil.which(program, path=os.pathsep.join([*map(str, own), os.environ.get("PATH", os.defpath), *system]))


def need(program: str) -> str:
    """Return a program's path; where it is absent, skip the test, or fail it when CI=true."""
    found = find(program)
    if found is None:
        absent(f"{program} is not installed (make tools)")
    return found


def need_node_package(name: str) -> Path:
    """Return the folder of an npm package that `make tools` installed, for a script that node runs."""
    need("node")
    folder = NODE_MODULES / name
    if not folder.is_dir():
        absent(f"the npm package {name} is not installed (make tools)")
    return folder


def absent(what: str) -> NoReturn:
    """Skip the running test because something is not there, or fail it in CI, where everything must be."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
