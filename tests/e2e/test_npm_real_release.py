"""A real npm package that nobody here made, with its real provenance, through the gateway to a real verdaccio.

No network: the trust root is the shipped public-good one. The publish document is built as libnpmpublish builds it.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.config import shipped_trust_roots
from tests.lab.data import GITHUB, needs_data
from tests.lab.npm import NpmPackage
from tests.lab.npm_world import NpmWorld, npm_world

pytestmark = needs_data
ROOT = "sigstore-public-good"
SIGNER = {
    "issuer": "https://token.actions.githubusercontent.com",
    "repository": "sigstore/sigstore-js",
    "workflow": ".github/workflows/release.yml",
    "ref": "refs/heads/main",
    "runner": "github-hosted",
}


def policy(**changed: str) -> str:
    """The rule that lets the release in, with single expectations changed."""
    asked = {"predicate": "https://slsa.dev/provenance/v1", "trust_roots": [ROOT], "signer": SIGNER | changed}
    rule = {"name": "real", "packages": ["pkg:npm/sigstore"], "owner": "lab@acme.example", "attestations": [asked]}
    return json.dumps({"rules": [rule]})


def lay_roots(folder: Path) -> None:
    shutil.copytree(shipped_trust_roots() / ROOT, folder / ROOT)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NpmWorld]:
    with npm_world(tmp_path_factory.mktemp("real"), policy=policy(), roots=lay_roots) as made:
        yield made


def release(content: bytes) -> NpmPackage:
    """The package in a tarball."""
    with tarfile.open(fileobj=io.BytesIO((GITHUB / "sigstore-js-2.1.0.tgz").read_bytes())) as archive:
        member = archive.extractfile("package/package.json")
        assert member is not None
        return NpmPackage(json.load(member), content)


def publish(real: NpmWorld, content: bytes) -> int:
    """Publish as libnpmpublish does, the bundle attached; returns the status."""
    bundle = (GITHUB / "sigstore-js-2.1.0-bundle.json").read_bytes()
    body = json.dumps(release(content).document(bundle))
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {real.token()}"}
    connection = http.client.HTTPConnection(urlsplit(real.address).netloc, timeout=60)
    connection.request("PUT", "/npm/sigstore", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


WHOLE = "sigstore-js-2.1.0.tgz"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"repository": "sigstore/other"}, {"repository-mismatch"}),
        ({"workflow": ".github/workflows/ci.yml"}, {"workflow-mismatch"}),
        ({"ref": "refs/heads/other"}, {"ref-mismatch"}),
        ({"runner": "self-hosted"}, {"runner-mismatch"}),
        ({"repository_id": "1"}, {"repository-id-mismatch"}),
    ],
)
def test_a_real_release_is_refused_under_a_rule_that_names_another_build(
    real: NpmWorld, changed: dict[str, str], expected: set[str]
) -> None:
    real.govern(policy(**changed))
    assert publish(real, (GITHUB / WHOLE).read_bytes()) == 403
    assert real.codes() == expected
    assert "sigstore" not in real.upstream.packages()


def test_one_byte_changed_is_refused(real: NpmWorld) -> None:
    real.govern(policy(repository="sigstore/sigstore-js"))
    whole = (GITHUB / WHOLE).read_bytes()
    # The gzip header's time: every reader unpacks the very same files, and yet it is not what was attested.
    assert publish(real, whole[:4] + bytes([whole[4] ^ 1]) + whole[5:]) == 403
    assert real.codes() == {"digest-mismatch"}
    assert "sigstore" not in real.upstream.packages()


def test_a_real_release_is_accepted_and_verdaccio_ends_with_its_bytes(real: NpmWorld) -> None:
    real.govern(policy())
    whole = (GITHUB / WHOLE).read_bytes()
    assert publish(real, whole) == 201
    assert real.upstream.tarballs() == {"sigstore/sigstore-2.1.0.tgz": hashlib.sha256(whole).hexdigest()}
