"""The demo's verdaccio, for a test that needs one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.verdaccio import Verdaccio
from gateway.demo.verdaccio import verdaccio as running
from tests.lab.tools import need, need_node_package

__all__ = ["Verdaccio", "verdaccio"]


@contextmanager
def verdaccio(folder: Path) -> Iterator[Verdaccio]:
    """Run one whose whole state lies in `folder`; skip the test where there is none."""
    with running(need("node"), need_node_package("verdaccio") / "bin" / "verdaccio", folder) as registry:
        yield registry
