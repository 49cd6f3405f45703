"""The container files, as far as they can be checked without an engine: copies, mounts, what is written, rights."""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load_settings, load_trust_roots, read_policy_files
from gateway.policy import load_policy

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = sorted(COMPOSE["services"])


def copied_from_outside() -> list[str]:
    """The sources of every COPY that does not come from another stage."""
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, flags=re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_the_gateways_settings_load_where_the_container_finds_them(tmp_path: Path) -> None:
    # /etc/provgate as the image and the mounts make it.
    shutil.copytree(ROOT / "trust_roots", tmp_path / "trust_roots")
    for mount in COMPOSE["services"]["gateway"]["volumes"]:
        if mount["type"] == "bind":
            source, target = DOCKER / mount["source"], tmp_path / Path(mount["target"]).relative_to("/etc/provgate")
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    settings = load_settings(tmp_path / "gateway.yaml", {"PYPI_UPSTREAM": "gateway:secret"})
    roots = load_trust_roots(settings.trust_roots)
    policy = load_policy(
        read_policy_files(settings.policy),
        trust_roots=frozenset(roots),
        registries=[registry.name for registry in settings.registries],
    )
    assert [rule.name for rule in policy.rules] == ["acme-python"]
    assert str(settings.listen) == "0.0.0.0:8080"
    written = [settings.store_path, settings.key_file, settings.spool.directory]
    assert [path for path in written if not path.is_relative_to("/var/lib/provgate")] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs(service: str) -> None:
    described = COMPOSE["services"][service]
    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in described
    assert all(mount["type"] == "volume" or mount["read_only"] for mount in described["volumes"])


def test_only_the_gateway_reaches_the_registry() -> None:
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert COMPOSE["services"]["registry"]["networks"] == ["back"]
    assert "ports" not in COMPOSE["services"]["registry"]
    assert [port for port in COMPOSE["services"]["gateway"]["ports"] if not port.startswith("127.0.0.1:")] == []


def test_the_registry_falls_back_to_no_public_index_and_takes_uploads_with_a_password_only() -> None:
    stage = DOCKERFILE.split("AS registry", 1)[1].split("\nFROM ", 1)[0]
    assert '"--disable-fallback"' in stage
    assert '"--authenticate", "update"' in stage
    assert '"--passwords", "/run/registry/htpasswd"' in stage


def test_the_compose_file_builds_targets_that_the_dockerfile_has() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE))
    assert {service["build"]["target"] for service in COMPOSE["services"].values()} <= stages


def test_the_base_is_pinned_by_tag_and_each_service_runs_as_a_user_without_rights() -> None:
    froms = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    names = {name for _, name in froms}
    assert [base for base, _ in froms if base not in names] == ["python:3.13-slim-trixie"]
    for stage in ("registry", "gateway"):
        assert "\nUSER app\n" in DOCKERFILE.split(f" AS {stage}\n", 1)[1].split("\nFROM ", 1)[0]


def test_everything_from_an_index_is_held_by_a_hash() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", DOCKERFILE)
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []
    for name in ("docker/build.txt", "docker/registry.txt", "requirements/runtime.txt"):
        requirements = re.split(r"^(?=\S)", (ROOT / name).read_text(), flags=re.MULTILINE)
        pinned = [part for part in requirements if re.match(r"[A-Za-z0-9]", part)]
        assert pinned
        assert [part for part in pinned if "==" not in part or "--hash=sha256:" not in part] == []


def test_the_extra_pins_are_those_of_the_project() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), flags=re.MULTILINE))

    project = pins("requirements/dev.txt")
    for name in ("docker/build.txt", "docker/registry.txt"):
        assert {key: value for key, value in pins(name).items() if project.get(key, value) != value} == {}


def test_what_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    assert [source for source in copied_from_outside() if not (ROOT / source).exists()] == []
    assert [source for source in copied_from_outside() if not any(fnmatch(source, one) for one in allowed)] == []


def test_the_credential_is_made_once_and_for_both_sides(tmp_path: Path) -> None:
    script = shutil.copy(DOCKER / "prepare", tmp_path)
    subprocess.run([script], check=True, capture_output=True)
    again = subprocess.run([script], check=False, capture_output=True)
    assert again.returncode == 1
    user, _, password = (tmp_path / ".env").read_text().strip().removeprefix("PYPI_UPSTREAM=").partition(":")
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert user == "gateway"
    apache = pytest.importorskip("passlib.apache")
    assert apache.HtpasswdFile(str(tmp_path / "htpasswd")).check_password(user, password)
