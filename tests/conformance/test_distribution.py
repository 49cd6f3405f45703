"""The OCI distribution specification's own suite, before a real docker-registry: directly, and through the gateway.

One rule in observe mode lets everything in on the same code path as ever. Never is a test less content with the gateway
than with the registry alone, but for those named here with the reason (docs/ecosystems/oci.md tells them too).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.lab.image_world import image_world
from tests.lab.tools import need

POLICY = """\
rules:
  - name: observed
    packages: ["pkg:oci/conformance/**"]
    mode: observe
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sandbox]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: acme/libs
          workflow: .github/workflows/release.yml
"""
PREFIX = "OCI Conformance Test/"
# What the gateway does not do as the registry does, by the end of the test's name, and why.
_HIDDEN = "a blob that nothing accepted holds is not mounted; the answer is 202, and the client sends it"
WORSE = {
    "sha256 blobs/mount/blob-mount": _HIDDEN,  # "not supported" to the suite
    "sha256 blobs/mount/blob-get": _HIDDEN,  # which is then not asked
    "sha256 blobs/mount/blob-head": _HIDDEN,
}


def run(folder: Path, host: str, user: str, password: str) -> dict[str, str]:
    """Run the suite; return what each test came to, the worst where a name is there twice."""
    folder.mkdir()
    settings = {
        "PATH": os.environ["PATH"],
        "OCI_REGISTRY": host,
        "OCI_TLS": "disabled",
        "OCI_USERNAME": user,
        "OCI_PASSWORD": password,
        "OCI_REPO1": "conformance/one",
        "OCI_REPO2": "conformance/two",
        "OCI_RESULTS_DIR": str(folder),
    }
    program = need("conformance")
    subprocess.run([program], env=settings, cwd=folder, capture_output=True, timeout=300, check=False)
    worst: dict[str, str] = {}
    for case in ET.parse(folder / "junit.xml").iter("testcase"):
        name, status = case.attrib["name"].removeprefix(PREFIX), case.attrib["status"]
        if worst.get(name) != "failure":
            worst[name] = status
    return worst


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    need("conformance")
    folder = tmp_path_factory.mktemp("conformance")
    with image_world(folder, policy=POLICY) as world:
        user, _, password = world.upstream.credential.partition(":")
        direct = run(folder / "direct", world.upstream.url.removeprefix("http://"), user, password)
        yield direct, run(folder / "gateway", world.host, "ci", world.token())


def test_no_test_is_less_content_with_the_gateway_than_without(
    results: tuple[dict[str, str], dict[str, str]],
) -> None:
    direct, through = results
    passed = [{name for name, status in one.items() if status == "passed"} for one in results]
    better = len(passed[1] - passed[0])
    failed = {name for name, status in through.items() if status == "failure" and direct.get(name) != "failure"}
    worse = failed | (passed[0] - passed[1])
    told = (
        f"{len(passed[0])} passed directly, {len(passed[1])} through the gateway: {better} better, {len(worse)} worse"
    )
    print(told)  # noqa: T201 - shown with -s and with a failure
    assert len(direct) > 300, told
    assert {name for name in worse if not any(name.endswith(end) for end in WORSE)} == set(), told
    assert [end for end in WORSE if not any(name.endswith(end) for name in worse)] == [], f"gone by now; {told}"


def test_the_gateway_lists_referrers_where_the_registry_does_not(
    results: tuple[dict[str, str], dict[str, str]],
) -> None:
    direct, through = results
    lists = [name for name in direct if name.endswith("/referrers")]
    assert lists
    assert {direct[name] for name in lists} == {"failure"}
    assert {through[name] for name in lists} == {"passed"}
