"""The demo's docker-registry (Debian's 2.8, without a referrers API), for a test that needs one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.docker_registry import DockerRegistry
from gateway.demo.docker_registry import docker_registry as running
from tests.lab.tools import need

__all__ = ["DockerRegistry", "docker_registry"]


@contextmanager
def docker_registry(folder: Path) -> Iterator[DockerRegistry]:
    """Run one whose whole state lies in `folder`; skip the test where there is none."""
    with running(need("docker-registry"), folder) as registry:
        yield registry
