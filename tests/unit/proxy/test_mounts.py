"""The registry a request is for: its host first, then the longest mount, never half a path segment."""

from __future__ import annotations

import pytest

from gateway.ecosystems.pypi import PyPI
from gateway.model.upload import Registry
from gateway.proxy.mounts import Mounted, find
from gateway.publish.served import Served
from gateway.upstream import Upstream


def _mounted(name: str, mount: str, host: str | None = None) -> Mounted:
    upstream = Upstream(name, "http://127.0.0.1:1", None)
    return Mounted(Served(Registry(name, "pypi"), PyPI(), upstream, "https://a.example"), mount, host)


MOUNTS = [
    _mounted("python", "/pypi"),
    _mounted("staging", "/pypi/staging"),
    _mounted("own-host", "", "pypi.acme.example"),
]


@pytest.mark.parametrize(
    ("host", "path", "name", "below"),
    [
        ("gate", "/pypi", "python", "/"),
        ("gate", "/pypi/", "python", "/"),
        ("gate", "/pypi/simple/a/", "python", "/simple/a/"),
        ("gate", "/pypi/staging/simple/", "staging", "/simple/"),
        ("PyPI.acme.example:8443", "/pypi/simple/", "own-host", "/pypi/simple/"),
    ],
)
def test_a_request_finds_its_registry(host: str, path: str, name: str, below: str) -> None:
    found = find(MOUNTS, host, path)
    assert found is not None
    assert (found[0].served.registry.name, found[1]) == (name, below)


@pytest.mark.parametrize("path", ["/", "/pypiserver/simple/", "/PYPI/", "/pypi%2Fsimple", "pypi/"])
def test_anything_else_is_nobodys(path: str) -> None:
    assert find(MOUNTS, "gate", path) is None
