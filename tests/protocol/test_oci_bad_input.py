"""Each bad input that an image's publisher may send, one thing off from a good one, before a real docker-registry."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import limits
from gateway.model.identity import Identity
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.image_gate import ImageGate, image_gate
from tests.lab.image_signing import attach, attach_legacy, payload, put, sandbox_in, signature
from tests.lab.image_world import POLICY
from tests.lab.images import INDEX, MANIFEST
from tests.lab.manifests import described, dumped
from tests.lab.signers import clock

CREDENTIAL = "Basic " + base64.b64encode(b"gateway:lab-registry-secret").decode()
REPOSITORY = "team/app"
LOWERED = POLICY.replace("runner: github-hosted", "runner: github-hosted\n          ref: refs/tags/v{version}")
PROVENANCE = LOWERED.replace("https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return sandbox_in(tmp_path)


@pytest.fixture
async def gate(registry: DockerRegistry, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[ImageGate]:
    assert sandbox.generations  # made before the gate, which trusts it
    async with image_gate(tmp_path, registry.url, CREDENTIAL, policy=PROVENANCE) as running:
        yield running


def provenance(sandbox: Sandbox, digest: str, by: Identity, name: str = REPOSITORY) -> bytes:
    """A bundle of SLSA provenance that names the repository."""
    statement = slsa_provenance([(name, {"sha256": digest.removeprefix("sha256:")})], by)
    return sandbox.sign_statement(statement, by, clock())


GOOD = github_identity(ref="refs/tags/v1.0.0")
OTHERS = {
    "repository-mismatch": github_identity("mallory/libs", ref="refs/tags/v1.0.0"),
    "workflow-mismatch": github_identity(workflow=".github/workflows/ci.yml", ref="refs/tags/v1.0.0"),
    "runner-mismatch": github_identity(runner="self-hosted", ref="refs/tags/v1.0.0"),
    "tag-version-mismatch": github_identity(ref="refs/tags/v1.0.1"),
}


@pytest.mark.parametrize("code", OTHERS)
async def test_an_attestation_of_the_right_digest_by_another_is_refused_with_one_reason(
    gate: ImageGate, sandbox: Sandbox, code: str
) -> None:
    digest = await gate.image(REPOSITORY, "1.0.0", f"image {code}".encode())
    refused = await attach(gate, REPOSITORY, digest, provenance(sandbox, digest, OTHERS[code]))
    assert (refused.status, refused.code) == (403, f"DENIED {code}")
    message = refused.json["errors"][0]["message"]
    assert "Refused: 1 reason." in message
    assert "detail" not in refused.json["errors"][0]
    reader = await gate.grant("read")
    assert (await gate.ask("GET", f"/v2/{REPOSITORY}/manifests/{digest}", token=reader)).status == 404
    assert (await attach(gate, REPOSITORY, digest, provenance(sandbox, digest, GOOD))).status == 201
    assert (await gate.ask("GET", f"/v2/{REPOSITORY}/manifests/1.0.0", token=reader)).status == 200


async def test_evidence_that_names_another_repository_is_no_evidence_for_this_one(
    gate: ImageGate, sandbox: Sandbox
) -> None:
    named = PROVENANCE.replace("          unsafe_unbound_name: true\n", "")
    assert named != PROVENANCE
    digest = await gate.image(REPOSITORY, "1.0.0", b"named")
    refused = await attach(gate, REPOSITORY, digest, provenance(sandbox, digest, GOOD, "team/other"))
    assert (refused.status, refused.code) == (403, "DENIED evidence-name-mismatch")


async def test_a_referrer_whose_statement_is_of_another_digest_is_refused(gate: ImageGate, sandbox: Sandbox) -> None:
    digest = await gate.image(REPOSITORY, "1.0.0", b"one")
    other = await gate.image(REPOSITORY, None, b"another")
    refused = await attach(gate, REPOSITORY, digest, provenance(sandbox, other, GOOD))
    assert (refused.status, refused.code) == (403, "DENIED digest-mismatch")


async def test_a_signature_copied_from_another_image_is_evidence_for_that_one_alone(
    gate: ImageGate, sandbox: Sandbox
) -> None:
    signed = await gate.image(REPOSITORY, None, b"signed")
    assert (await attach_legacy(gate, sandbox, REPOSITORY, signed, payload(signed), GOOD)).status == 201
    other = await gate.image(REPOSITORY, None, b"not signed")
    tag = f"{signed.replace(':', '-')}.sig"
    body = (await gate.ask("GET", f"/v2/{REPOSITORY}/manifests/{tag}")).body
    copied = await put(gate, REPOSITORY, f"{other.replace(':', '-')}.sig", body)
    assert copied.status == 201  # under another's tag it is an image, and waits like one
    assert "Held" in copied.headers["Warning"]
    assert (await gate.ask("GET", f"/v2/{REPOSITORY}/referrers/{other}")).json["manifests"] == []


async def test_an_annotation_bundle_of_another_entry_is_refused(gate: ImageGate, sandbox: Sandbox) -> None:
    one, two = [await gate.image(REPOSITORY, None, word) for word in (b"entry one", b"entry two")]
    for digest in (one, two):
        assert (await attach_legacy(gate, sandbox, REPOSITORY, digest, payload(digest), GOOD)).status == 201
    tags = [f"{digest.replace(':', '-')}.sig" for digest in (one, two)]
    first, second = [json.loads((await gate.ask("GET", f"/v2/{REPOSITORY}/manifests/{tag}")).body) for tag in tags]
    bundle = "dev.sigstore.cosign/bundle"
    first["layers"][0]["annotations"][bundle] = second["layers"][0]["annotations"][bundle]
    refused = await put(gate, REPOSITORY, tags[0], dumped(first))
    assert (refused.status, refused.code) == (403, "DENIED log-entry-mismatch")


async def test_a_hundred_referrers_of_junk_beside_a_good_one_stop_nothing(gate: ImageGate, sandbox: Sandbox) -> None:
    digest = await gate.image(REPOSITORY, "1.0.0", b"popular")
    stranger = await gate.grant("attach")
    for number in range(50):  # what verifies under no root is not kept
        junk = await attach(gate, REPOSITORY, digest, b'{"junk": %d}' % number, token=stranger)
        assert (junk.status, junk.code) == (403, "DENIED evidence-malformed")
    for number in range(50):  # what verifies and nobody asks for is kept, and harms nothing
        by = github_identity("mallory/libs", run=str(number))
        assert (await attach(gate, REPOSITORY, digest, signature(sandbox, digest, by), token=stranger)).status == 201
    assert (await attach(gate, REPOSITORY, digest, provenance(sandbox, digest, GOOD))).status == 201
    reader = await gate.grant("read")
    assert (await gate.ask("GET", f"/v2/{REPOSITORY}/manifests/1.0.0", token=reader)).status == 200
    listed = (await gate.ask("GET", f"/v2/{REPOSITORY}/referrers/{digest}", token=reader)).json["manifests"]
    assert len(listed) == 51


def _manifest(**changed: Any) -> bytes:
    return dumped(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": described(MANIFEST, b"{}"), "layers": []} | changed
    )


FOREIGN = described("application/vnd.oci.image.layer.nondistributable.v1.tar", b"x") | {"urls": ["https://x.example/"]}
MALFORMED = {
    "a key twice": (_manifest()[:-1] + b', "layers": []}', MANIFEST, 400, "MANIFEST_INVALID upload-malformed"),
    "another media type": (_manifest(), INDEX, 400, "MANIFEST_INVALID upload-malformed"),
    "no media type of a manifest": (_manifest(), "application/json", 403, "DENIED operation-refused"),
    "an image and an index": (_manifest(manifests=[]), MANIFEST, 400, "MANIFEST_INVALID upload-malformed"),
    "a layer from elsewhere": (_manifest(layers=[FOREIGN]), MANIFEST, 403, "DENIED operation-refused"),
    "no JSON": (b"\x00\x01", MANIFEST, 400, "MANIFEST_INVALID upload-malformed"),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_manifest_that_two_clients_could_read_differently_is_refused(gate: ImageGate, what: str) -> None:
    body, media_type, status, code = MALFORMED[what]
    refused = await gate.ask("PUT", f"/v2/{REPOSITORY}/manifests/1.0.0", body, Content_Type=media_type)
    assert (refused.status, refused.code) == (status, code)


async def test_a_manifest_of_100_megabytes_is_refused_before_it_is_held(gate: ImageGate) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1_000_000)

    refused = await gate.ask("PUT", f"/v2/{REPOSITORY}/manifests/1.0.0", endless(), Content_Type=MANIFEST)
    assert (refused.status, refused.code) == (413, "SIZE_INVALID upload-too-large")
    assert str(limits.MANIFEST_BYTES) in refused.json["errors"][0]["message"]


async def test_a_manifest_under_another_digest_than_its_own_is_refused(gate: ImageGate) -> None:
    body = _manifest()
    refused = await put(gate, REPOSITORY, f"sha256:{hashlib.sha256(b'other').hexdigest()}", body)
    assert (refused.status, refused.code) == (400, "DIGEST_INVALID digest-invalid")


async def test_a_hold_that_ends_leaves_the_image_to_nobody_and_says_so(gate: ImageGate, sandbox: Sandbox) -> None:
    digest = await gate.image("team/late", "1.0.0", b"forgotten")
    gate.clock.ahead = timedelta(minutes=31)
    token = await gate.grant("publish,attach,read")
    late = await attach(gate, "team/late", digest, provenance(sandbox, digest, GOOD), token=token)
    assert late.status == 201  # it is evidence, and releases nothing
    reader = await gate.grant("read")
    assert (await gate.ask("GET", "/v2/team/late/manifests/1.0.0", token=reader)).status == 404
    await gate.images.holding.look(gate.depot)
    (hold,) = await gate.store.contents.holds("images", 10)
    assert (str(hold.digest), hold.ending and hold.ending.value) == (digest, "expired")
