"""The built wheel is whole: what the source tree runs from is in it, and the command starts from it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    arguments = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def tracked(folder: str) -> set[str]:
    """Return the files below a folder of the source tree that belong to the program."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run_from(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with the unpacked wheel before the source tree, from a folder that is neither."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert tracked("gateway") - set(archive.namelist()) == set()


@pytest.mark.parametrize("kind", ["gateway/py.typed", "gateway/reasons/pages/", "gateway/console/templates/"])
def test_what_is_not_python_is_in_the_wheel_too(kind: str, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.startswith(kind) for name in archive.namelist())


def test_the_shipped_trust_roots_are_in_the_wheel_as_they_are_in_the_tree(unpacked: Path) -> None:
    shipped = tracked("trust_roots")
    assert shipped
    for name in shipped:
        assert (unpacked / "gateway" / "_shipped" / name).read_bytes() == (ROOT / name).read_bytes()


def test_nothing_else_is_installed_beside_the_package(unpacked: Path) -> None:
    tops = {path.name for path in unpacked.iterdir()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gateway"}


def test_the_command_starts_from_the_wheel_alone(unpacked: Path) -> None:
    script = "import gateway; from gateway.cli import main; print(gateway.__file__, flush=True); main()"
    done = run_from(unpacked, "-c", script, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(unpacked))
    assert "serve" in done.stdout
