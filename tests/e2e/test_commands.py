"""The commands as an operator and a release engineer run them, beside a gateway that serves."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.demo import clients
from gateway.demo.packages import Distribution, wheel
from gateway.demo.processes import Program, ProgramError, free_port
from gateway.demo.scenarios import POLICY
from gateway.demo.world import World, environment, provgate, world
from gateway.sandbox import Sandbox
from gateway.service.compose import now

GOOD = wheel("acme-good", "1.0.0")
BAD = wheel("acme-bad", "1.0.0")


@dataclass
class Bench:
    """A world, and a way to run a command that may fail."""

    world: World

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*provgate(), *map(str, arguments)],
            capture_output=True,
            env=environment(),
            cwd=self.world.folder,
            timeout=60,
            check=False,
            text=True,
        )

    def lay(self, of: Distribution) -> Path:
        return clients.lay(self.world.folder / "dist", of)

    @property
    def root(self) -> Path:
        return self.world.folder / "trust_roots" / "sandbox"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with world(tmp_path_factory.mktemp("commands"), Sandbox.create(now()), POLICY) as made:
        yield Bench(made)


def test_rehearse_verify_publish_and_look(bench: Bench) -> None:
    """The whole way of a release, by commands alone."""
    path = bench.lay(GOOD)
    signed = bench.run("sandbox", "sign", path, "--sandbox", bench.root)
    assert "SANDBOX" in signed.stdout
    attestation = path.with_name(f"{path.name}.slsa.attestation")
    policy = ("--policy", bench.world.folder / "policy", "--trust-roots", bench.world.folder / "trust_roots")
    verified = bench.run("verify", path, "--evidence", attestation, *policy, "--allow-sandbox")
    assert (verified.returncode, verified.stdout.splitlines()[-1][:6]) == (0, "accept")
    assert clients.publish("twine", path, bench.world.upload_url, bench.world.token()).succeeded
    listed = json.loads(bench.world.command("decisions", "list", "--json"))
    (entry,) = [one for one in listed if one["files"][0]["name"] == GOOD.name]
    assert entry["outcome"] == "accept"
    shown = bench.world.command("decisions", "show", entry["id"])
    assert GOOD.sha256 in shown
    assert "passed" in shown
    by_digest = json.loads(bench.world.command("decisions", "show", "--digest", f"sha256:{GOOD.sha256}", "--json"))
    assert by_digest["id"] == entry["id"]
    assert GOOD.name in bench.world.command("decisions", "list")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--repository", "mallory/libs"], "repository-mismatch"),
        (["--workflow", ".github/workflows/ci.yml"], "workflow-mismatch"),
        (["--runner", "self-hosted"], "runner-mismatch"),
        (["--ref", "refs/heads/main"], "ref-mismatch"),
        (["--person", "dev@acme.example"], "signer-not-ci"),
        (["--name", "acme_other-1.0.0-py3-none-any.whl"], "evidence-name-mismatch"),
    ],
)
def test_verify_says_before_publishing_what_the_gateway_would_say(
    bench: Bench, tmp_path: Path, options: list[str], code: str
) -> None:
    path = clients.lay(tmp_path, BAD)
    bench.run("sandbox", "sign", path, "--sandbox", bench.root, *options)
    evidence = path.with_name(f"{path.name}.slsa.attestation")
    policy = ("--policy", bench.world.folder / "policy", "--trust-roots", bench.world.folder / "trust_roots")
    verified = bench.run("verify", path, "--evidence", evidence, *policy, "--allow-sandbox", "--json")
    assert verified.returncode == 1
    assert {reason["code"] for reason in json.loads(verified.stdout)["reasons"]} == {code}
    assert not clients.publish("twine", path, bench.world.upload_url, bench.world.token()).succeeded
    newest = json.loads(bench.world.command("decisions", "list", "--json", "--limit", "1"))[0]
    assert {reason["code"] for reason in newest["reasons"]} == {code}


def test_verify_without_evidence_or_with_another_package_is_no_accept(bench: Bench) -> None:
    path = bench.lay(BAD)
    policy = ("--policy", bench.world.folder / "policy", "--trust-roots", bench.world.folder / "trust_roots")
    missing = bench.run("verify", path, *policy)
    assert (missing.returncode, "evidence-missing" in missing.stdout) == (1, True)
    other = bench.run("verify", path, *policy, "--package", "pkg:pypi/acme-other")
    assert (other.returncode, "pkg:pypi/acme-bad" in other.stderr) == (2, True)
    assert bench.run("verify", path, "--policy", bench.world.folder / "nowhere").returncode == 2


def test_evidence_in_the_locker_serves_a_client_that_carries_none(bench: Bench) -> None:
    of = wheel("acme-locker", "1.0.0")
    path = bench.lay(of)
    bench.run("sandbox", "sign", path, "--sandbox", bench.root, "--format", "bundle")
    bundle = path.with_name(f"{path.name}.sigstore.json")
    token = bench.world.token()
    attached = bench.run("attach", path, bundle, "--gateway", bench.world.address, "--token", token)
    assert attached.returncode == 0, attached.stderr
    assert f"sha256:{of.sha256}" in attached.stdout
    assert clients.publish("twine", path, bench.world.upload_url, token, attestations=False).succeeded
    wrong = bench.run("attach", bench.lay(BAD), bundle, "--gateway", bench.world.address, "--token", token)
    assert (wrong.returncode, "digest-mismatch" in wrong.stderr) == (1, True)


def test_each_line_of_a_jsonl_file_is_a_piece_of_evidence(bench: Bench) -> None:
    """As `gh attestation download` writes them; a line that speaks for another file is told apart and hides nothing."""
    of = wheel("acme-lines", "1.0.0")
    lines = []
    for laid in (bench.lay(BAD), bench.lay(of)):
        bench.run("sandbox", "sign", laid, "--sandbox", bench.root, "--format", "bundle")
        lines.append(json.dumps(json.loads(laid.with_name(f"{laid.name}.sigstore.json").read_text())))
    path = bench.lay(of)
    both, one = bench.world.folder / "both.jsonl", bench.world.folder / "one.jsonl"
    both.write_text("\n".join(lines) + "\n")
    one.write_text(lines[1] + "\n")
    policy = ("--policy", bench.world.folder / "policy", "--trust-roots", bench.world.folder / "trust_roots")
    assert bench.run("verify", path, "--evidence", both, *policy, "--allow-sandbox").returncode == 0
    token = bench.world.token()
    where = ("--gateway", bench.world.address, "--token", token)
    attached = bench.run("attach", path, both, *where)
    assert (attached.returncode, "digest-mismatch" in attached.stderr) == (1, True)
    assert attached.stdout.count("kept for") == 1
    assert bench.run("attach", path, one, *where).returncode == 0
    assert clients.publish("twine", path, bench.world.upload_url, token, attestations=False).succeeded
    one.write_text((lines[1] + "\n") * 17)
    assert bench.run("attach", path, one, *where).returncode == 2
    assert bench.run("verify", path, "--evidence", one, *policy).returncode == 2


def test_a_revoked_token_is_refused_at_once(bench: Bench) -> None:
    token = bench.world.token()
    listed = json.loads(bench.world.command("token", "list", "--json"))
    assert token.split("_")[1] in [one["grant"]["id"] for one in listed]
    assert token not in bench.world.command("token", "list")
    bench.world.command("token", "revoke", token)
    run = clients.publish("twine", bench.lay(GOOD), bench.world.upload_url, token)
    assert "credential-invalid" in run.output
    assert "revoked" in bench.world.command("token", "list")
    with pytest.raises(ProgramError, match="no token has the id"):
        bench.world.command("token", "revoke", "aaaaaaaaaaaaaaaa")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--registry", "nowhere", "--packages", "pkg:pypi/**"),
        ("--registry", "python", "--packages", "acme-*"),
        ("--registry", "python", "--packages", "pkg:pypi/**", "--actions", "fly"),
        ("--registry", "python", "--packages", "pkg:pypi/**", "--expires", "never"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(bench: Bench, arguments: tuple[str, ...]) -> None:
    done = bench.run("token", "create", *arguments)
    assert done.returncode == 2
    assert "Invalid value" in done.stderr


def test_check_is_content_with_this_world_and_names_what_is_unsafe(bench: Bench) -> None:
    good = bench.run("check")
    assert good.returncode == 0, good.stdout
    assert "sandbox: true" in good.stdout
    settings = bench.world.settings.read_text()
    broken = bench.world.settings.with_name("broken.yaml")
    broken.write_text(settings.replace("read_auth:", "read_oath:"))
    unknown = bench.run("check", "-c", broken)
    assert unknown.returncode == 1
    assert "broken.yaml:" in unknown.stderr
    assert "read_auth" in unknown.stderr
    broken.write_text(settings.replace("upstream_credential: file:upstream-credential", "upstream_credential: none"))
    open_door = json.loads(bench.run("check", "-c", broken, "--json").stdout)
    assert open_door["ok"] is False


def test_an_upstream_that_takes_uploads_from_anybody_fails_the_check(bench: Bench, tmp_path: Path) -> None:
    with _open_pypiserver(tmp_path) as url:
        settings = bench.world.settings.read_text().replace(bench.world.upstream.url, url)
        broken = bench.world.settings.with_name("open.yaml")
        broken.write_text(settings)
        done = bench.run("check", "-c", broken)
    assert done.returncode == 1
    assert "can be walked around" in done.stdout.replace("\n", " ")


def test_only_one_gateway_serves_from_a_store(bench: Bench) -> None:
    second = bench.run("serve")
    assert second.returncode == 1
    assert "another gateway is serving" in second.stderr


def test_the_schemas_are_json(bench: Bench) -> None:
    for command in ("policy", "settings"):
        assert json.loads(bench.world.command(command, "schema"))["type"] == "object"


@contextmanager
def _open_pypiserver(folder: Path) -> Iterator[str]:
    """A pypiserver that takes uploads from anybody."""
    (folder / "packages").mkdir()
    port = free_port()
    command = [str(Path(sys.executable).with_name("pypi-server")), "run", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--authenticate", ".", "--passwords", ".", "--disable-fallback", "--server", "wsgiref"]
    with Program([*command, str(folder / "packages")], folder / "log") as program:

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        program.wait_until(answers)
        yield f"http://127.0.0.1:{port}"
