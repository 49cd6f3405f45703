"""The runners of real programs, against a bare pypiserver: what they do without the gateway between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo import clients, packages
from gateway.demo.upstreams import Pypiserver, pypiserver


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Pypiserver]:
    with pypiserver(tmp_path / "registry") as running:
        yield running


@pytest.mark.parametrize("client", clients.PUBLISHERS)
def test_a_client_publishes_exactly_the_bytes_it_was_given(client: str, upstream: Pypiserver, tmp_path: Path) -> None:
    wheel = packages.wheel("acme-lib", "1.0.0")
    path = clients.lay(tmp_path / "dist", wheel, {"publish": b"{}"})
    run = clients.publish(client, path, f"{upstream.url}/", upstream.password, user=upstream.user)
    assert run.succeeded, run.output
    assert upstream.files() == {wheel.name: wheel.sha256}


@pytest.mark.parametrize("client", clients.PUBLISHERS)
def test_a_client_without_the_credential_is_refused_by_the_registry(
    client: str, upstream: Pypiserver, tmp_path: Path
) -> None:
    path = clients.lay(tmp_path / "dist", packages.wheel("acme-lib", "1.0.0"))
    run = clients.publish(client, path, f"{upstream.url}/", "guessed", user=upstream.user)
    assert not run.succeeded
    assert "403 Forbidden" in run.output
    assert upstream.files() == {}


@pytest.mark.parametrize("client", clients.INSTALLERS)
def test_an_installer_installs_from_the_given_index_alone(client: str, upstream: Pypiserver, tmp_path: Path) -> None:
    wheel = packages.wheel("acme-lib", "1.0.0")
    (upstream.packages / wheel.name).write_bytes(wheel.content)
    run = clients.install(client, "acme-lib", f"{upstream.url}/simple/", tmp_path / "target")
    assert run.succeeded, run.output
    assert (tmp_path / "target" / "acme_lib" / "__init__.py").read_text(encoding="utf-8") == '__version__ = "1.0.0"\n'
    assert not clients.install(client, "six", f"{upstream.url}/simple/", tmp_path / "other").succeeded


@pytest.mark.parametrize("client", clients.PUBLISHERS)
def test_a_client_sees_no_setting_of_the_person_who_runs_it(
    client: str, upstream: Pypiserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TWINE_USERNAME", "TWINE_CERT", "UV_PUBLISH_TOKEN", "UV_PUBLISH_CHECK_URL", "HTTP_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9/wrong")
    path = clients.lay(tmp_path / "dist", packages.wheel("acme-lib", "1.0.0"))
    run = clients.publish(client, path, f"{upstream.url}/", upstream.password, user=upstream.user)
    assert run.succeeded, run.output
