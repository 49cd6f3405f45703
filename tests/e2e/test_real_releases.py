"""Real releases that nobody here made, with their real attestations, through the gateway with the public-good root.

No network: the trust root is the shipped one, the client is the real twine, the registry a real pypiserver.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sigstore
from cryptography import x509

from gateway.config import shipped_trust_roots
from gateway.demo import clients
from gateway.demo.scenarios import POLICY
from gateway.demo.world import World, world
from gateway.sandbox import Sandbox
from gateway.service.compose import now
from tests.lab.data import PYPI, needs_data

pytestmark = needs_data


@dataclass(frozen=True)
class Release:
    """One of the real files, and the rule that lets it in."""

    file: str
    attestation: str
    package: str
    signer: dict[str, str]
    root: str = "sigstore-public-good"

    def policy(self, **changed: str) -> str:
        """The rule, with single expectations changed."""
        signer = json.dumps(self.signer | changed)
        return f"""\
rules:
  - name: real
    packages: ["{self.package}"]
    owner: lab@acme.example
    attestations:
      - predicate: https://docs.pypi.org/attestations/publish/v1
        trust_roots: [{self.root}]
        signer: {signer}
"""


GITHUB = Release(
    "pypi_attestation_models-0.0.4a2.tar.gz",
    "pypi_attestation_models-0.0.4a2.tar.gz.attestation",
    "pkg:pypi/pypi-attestation-models",
    {
        "issuer": "https://token.actions.githubusercontent.com",
        "repository": "trailofbits/pypi-attestation-models",
        "workflow": ".github/workflows/release.yml",
        "ref": "refs/tags/v{version}",
        "runner": "github-hosted",
    },
)
GITLAB = Release(
    "gitlab_oidc_project-0.0.3.tar.gz",
    "gitlab_oidc_project-0.0.3.tar.gz.publish.attestation",
    "pkg:pypi/gitlab-oidc-project",
    {
        "issuer": "https://gitlab.com",
        "repository": "facutuesca/gitlab-oidc-project",
        "workflow": ".gitlab-ci.yml",
        "ref": "refs/heads/main",
        "runner": "gitlab-hosted",
        "visibility": "private",
    },
)
# Signed by a person with Sigstore's staging instance, whose root is not shipped.
PERSON = Release(
    "rfc8785-0.1.2-py3-none-any.whl",
    "rfc8785-0.1.2-py3-none-any.whl.publish.attestation",
    "pkg:pypi/rfc8785",
    {
        "issuer": "https://token.actions.githubusercontent.com",
        "repository": "trailofbits/rfc8785.py",
        "workflow": ".github/workflows/release.yml",
        "ref": "refs/tags/v{version}",
    },
    root="sigstore-staging",
)
STAGING = Path(sigstore.__file__).parent / "_store" / "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev" / "trusted_root.json"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway in earnest: no sandbox, one trust root, a policy that each test writes anew."""
    folder = tmp_path_factory.mktemp("real")
    with world(folder, Sandbox.create(now()), POLICY) as made:
        shutil.rmtree(folder / "trust_roots")
        name = "sigstore-public-good"
        shutil.copytree(shipped_trust_roots() / name, folder / "trust_roots" / name)
        staging = folder / "trust_roots" / "sigstore-staging"
        staging.mkdir()
        shutil.copy(STAGING, staging / "trusted_root.json")
        settings = (shipped_trust_roots() / name / "trust_root.yaml").read_text()
        (staging / "trust_root.yaml").write_text(settings.replace("embedded: public-good", "file: trusted_root.json"))
        made.settings.write_text(made.settings.read_text().replace("sandbox: true", "sandbox: false"))
        made.stop()
        (folder / "policy" / "demo.yaml").write_text(GITHUB.policy())
        made.start()
        yield made


def govern(real: World, policy: str) -> None:
    """Put a policy in force without a restart."""
    assert real.gateway is not None
    log = real.gateway.log
    before = log.read_text().count("reloaded: policy")
    (real.folder / "policy" / "demo.yaml").write_text(policy)
    os.kill(real.gateway.pid, signal.SIGHUP)
    real.gateway.wait_until(lambda: log.read_text().count("reloaded: policy") > before)


def publish(real: World, release: Release, policy: str, folder: Path) -> clients.Run:
    """Publish a real file with twine under a policy."""
    govern(real, policy)
    shutil.copy(PYPI / release.file, folder / release.file)
    shutil.copy(PYPI / release.attestation, folder / f"{release.file}.publish.attestation")
    return clients.publish("twine", folder / release.file, real.upload_url, real.token())


def codes(real: World) -> set[str]:
    """The codes of the newest decision, as the command shows them."""
    printed = real.command("decisions", "list", "--json", "--limit", "1", "-c", str(real.settings))
    (newest,) = json.loads(printed)
    return {reason["code"] for reason in newest["reasons"]}


@pytest.mark.parametrize(
    ("release", "changed", "expected"),
    [
        (GITHUB, {"repository": "trailofbits/other"}, {"repository-mismatch"}),
        (GITHUB, {"workflow": ".github/workflows/ci.yml"}, {"workflow-mismatch"}),
        (GITHUB, {"ref": "refs/heads/main"}, {"ref-mismatch"}),
        (GITHUB, {"ref": "refs/tags/{version}"}, {"tag-version-mismatch"}),
        (GITHUB, {"runner": "self-hosted"}, {"runner-mismatch"}),
        (GITLAB, {"repository": "facutuesca/other"}, {"repository-mismatch"}),
        (GITLAB, {"workflow": "release.yml"}, {"workflow-mismatch"}),
        (GITLAB, {"ref": "refs/tags/v{version}"}, {"ref-mismatch"}),
        (GITLAB, {"runner": "self-hosted"}, {"runner-mismatch"}),
        (GITLAB, {"visibility": "public"}, {"visibility-mismatch"}),
        (PERSON, {}, {"signer-not-ci"}),
    ],
)
def test_a_real_release_is_refused_under_a_rule_that_names_another_build(
    real: World, tmp_path: Path, release: Release, changed: dict[str, str], expected: set[str]
) -> None:
    run = publish(real, release, release.policy(**changed), tmp_path)
    assert not run.succeeded
    assert codes(real) == expected
    assert min(expected) in run.output
    assert release.file not in real.upstream.files()


@pytest.mark.parametrize("release", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_a_real_release_is_accepted_and_the_registry_ends_with_its_bytes(
    real: World, tmp_path: Path, release: Release
) -> None:
    run = publish(real, release, release.policy(), tmp_path)
    assert run.succeeded, run.output
    expected = hashlib.sha256((PYPI / release.file).read_bytes()).hexdigest()
    assert real.upstream.files()[release.file] == expected


def test_a_person_is_accepted_under_a_rule_that_names_the_address(real: World, tmp_path: Path) -> None:
    person = {"issuer": "https://github.com/login/oauth", "subject": _subject()}
    release = replace(PERSON, signer=person)
    almost = publish(real, release, release.policy(subject=f"x{_subject()}"), tmp_path)
    assert not almost.succeeded
    assert codes(real) == {"signer-mismatch"}
    assert publish(real, release, release.policy(), tmp_path).succeeded
    assert PERSON.file in real.upstream.files()


def test_evidence_of_staging_is_nothing_under_the_public_good_root(real: World, tmp_path: Path) -> None:
    release = replace(PERSON, root="sigstore-public-good")
    assert not publish(real, release, release.policy(), tmp_path).succeeded
    assert codes(real) == {"certificate-untrusted"}


def test_one_byte_changed_is_refused(real: World, tmp_path: Path) -> None:
    govern(real, GITLAB.policy())
    whole = (PYPI / GITLAB.file).read_bytes()
    # The gzip header's time: every reader unpacks the very same files, and yet it is not what was attested.
    (tmp_path / GITLAB.file).write_bytes(whole[:4] + bytes([whole[4] ^ 1]) + whole[5:])
    shutil.copy(PYPI / GITLAB.attestation, tmp_path / GITLAB.attestation)
    assert not clients.publish("twine", tmp_path / GITLAB.file, real.upload_url, real.token()).succeeded
    assert codes(real) - {"version-exists"} == {"digest-mismatch"}


def _subject() -> str:
    """The address in the real certificate."""
    document = json.loads((PYPI / PERSON.attestation).read_text())
    certificate = x509.load_der_x509_certificate(base64.b64decode(document["verification_material"]["certificate"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (address,) = names.get_values_for_type(x509.RFC822Name)
    return str(address)
