"""What the gateway signs in an npm packument, and what it never does."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from gateway.config import ReadAuth
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.vouched import Proof, Vouched
from gateway.publish.existing import Asked, Looked, State, vouch_existing
from gateway.sandbox import github_identity, slsa_provenance
from gateway.signing import RegistryKey, RegistryKeys, read_key
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import NpmPackage, npm_package
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY

GOOD = npm_package()
OLD = npm_package(name="@acme/old")
AT = datetime(2026, 11, 24, tzinfo=UTC)
FORGED = [{"keyid": "SHA256:evil", "sig": "AAAA"}]


def key(expires: datetime | None = None) -> RegistryKey:
    private = ec.generate_private_key(ec.SECP256R1())
    return read_key(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        expires,
    )


KEY = key()


@dataclass
class Read:
    """A gateway with keys, and what a reader of it sees."""

    gate: LabGate

    @property
    def registry(self) -> NpmRegistry:
        return cast("NpmRegistry", self.gate.registry)

    async def get(self, path: str) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(URL(f"{self.gate.base}/npm{path}", encoded=True)) as response,
        ):
            return response.status, await response.json(content_type=None)

    async def dist(self, of: NpmPackage) -> dict[str, Any]:
        _, packument = await self.get(of.path)
        found: dict[str, Any] = packument["versions"][of.version]["dist"]
        return found

    def bundle(self, of: NpmPackage = GOOD) -> bytes:
        signer = github_identity(ref="refs/tags/v1.0.0")
        statement = slsa_provenance([(of.purl, {"sha512": of.sha512})], signer)
        return self.gate.sandbox.sign_statement(statement, signer, self.gate.at)

    async def publish(self, of: NpmPackage = GOOD, *, attached: bytes | None = None) -> None:
        bundle = self.bundle(of) if attached is None else None
        if attached is not None:
            assert (await self.gate.attach(attached, f"sha512:{of.sha512}"))[0] == 201
        headers = {"Authorization": f"Bearer {self.gate.token}", "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.put(
                URL(f"{self.gate.base}/npm{of.path}", encoded=True),
                data=io.BytesIO(json.dumps(of.document(bundle)).encode()),
                headers=headers,
            ) as response,
        ):
            assert response.status == 201

    def hold(self, of: NpmPackage = OLD, **stated: Any) -> None:
        """Have the registry hold a version from before the gate."""
        self.registry.hold(of.name, of.version, of.content, **stated)

    async def sign_existing(self, of: NpmPackage = OLD, *, rehearsal: bool = False) -> list[Looked]:
        asked = Asked("me", AT, rehearsal)
        return [one async for one in vouch_existing(self.gate.served, self.gate.store, of.name, asked)]


def integrity(of: NpmPackage) -> str:
    return "sha512-" + base64.b64encode(bytes.fromhex(of.sha512)).decode()


def verifies(dist: dict[str, Any], of: NpmPackage, by: RegistryKey = KEY) -> bool:
    """Whether npm would say that the registry signed this version with this key."""
    (signature,) = dist["signatures"]
    assert signature["keyid"] == by.keyid
    public = serialization.load_der_public_key(base64.b64decode(by.public))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    message = f"{of.name}@{of.version}:{dist['integrity']}"
    try:
        public.verify(base64.b64decode(signature["sig"]), message.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return bool(dist["integrity"] == integrity(of))


@asynccontextmanager
async def reading(folder: Path, *keys: RegistryKey, **how: Any) -> AsyncIterator[Read]:
    async with lab_gate(folder, ecosystem="npm", policy=POLICY, keys=RegistryKeys(keys), **how) as gate:
        yield Read(gate)


@pytest.fixture
async def read(tmp_path: Path) -> AsyncIterator[Read]:
    async with reading(tmp_path, KEY) as made:
        yield made


async def test_what_is_published_through_the_gateway_is_signed(read: Read) -> None:
    await read.publish()
    assert verifies(await read.dist(GOOD), GOOD)
    (forwarded,) = read.registry.documents
    assert "signatures" not in forwarded["versions"]["1.0.0"]["dist"]  # the registry is not believed, so not told
    status, listed = await read.get("/-/npm/v1/keys")
    assert (status, [one["keyid"] for one in listed["keys"]]) == (200, [KEY.keyid])


async def test_what_was_there_before_is_not_signed_and_its_own_word_is_taken_out(read: Read) -> None:
    read.hold(integrity=integrity(OLD), signatures=FORGED, attestations={"url": "https://evil.example/"})
    assert set(await read.dist(OLD)) == {"tarball", "integrity"}


async def test_without_keys_nothing_is_signed_and_none_are_served(tmp_path: Path) -> None:
    async with reading(tmp_path, read_auth=ReadAuth.GRANT) as read:
        status, answer = await read.get("/-/npm/v1/keys")  # a 401 would end npm's audit of every other registry
        assert (status, answer) == (404, {"error": "this registry has no signing keys"})
    async with reading(tmp_path) as read:
        read.hold(integrity=integrity(OLD), signatures=FORGED)
        assert "signatures" not in await read.dist(OLD)


async def test_keys_are_public_where_reading_is_not(tmp_path: Path) -> None:
    async with reading(tmp_path, KEY, read_auth=ReadAuth.GRANT) as read:
        assert (await read.get("/-/npm/v1/keys"))[0] == 200
        assert (await read.get("/-/npm/v1/attestations/@acme%2fwidget@1.0.0"))[0] == 401
        assert (await read.get("/-/provenance/@acme%2fwidget@1.0.0"))[0] == 401


async def test_a_rotated_key_stays_listed_and_the_next_one_signs_everything(tmp_path: Path) -> None:
    async with reading(tmp_path, KEY) as read:
        await read.publish()
        registry = read.registry
        old, new = RegistryKey(KEY.keyid, KEY.public, read.gate.at - timedelta(seconds=1), KEY.private), key()
        async with reading(tmp_path, old, new, registry=registry) as after:
            assert verifies(await after.dist(GOOD), GOOD, new)
            _, listed = await after.get("/-/npm/v1/keys")
            assert [one["keyid"] for one in listed["keys"]] == [old.keyid, new.keyid]
        async with reading(tmp_path, old, registry=registry) as after:
            assert "signatures" not in await after.dist(GOOD)


@pytest.mark.parametrize("stated", [{}, {"shasum": True}, {"integrity": "sha1"}])
async def test_an_old_version_without_a_sha512_gets_the_measured_one(read: Read, stated: dict[str, Any]) -> None:
    await read.publish()
    dist = read.registry.packuments[GOOD.name]["versions"]["1.0.0"]["dist"]
    sha1 = hashlib.sha1(GOOD.content)
    del dist["integrity"], dist["shasum"]
    dist |= {"shasum": sha1.hexdigest()} if "shasum" in stated else {}
    dist |= {"integrity": f"sha1-{base64.b64encode(sha1.digest()).decode()}"} if "integrity" in stated else {}
    assert verifies(await read.dist(GOOD), GOOD)


@pytest.mark.parametrize("stated", [integrity(OLD), f"{integrity(GOOD)} {integrity(OLD)}", "sha512-AAAA"])
async def test_what_the_registry_states_otherwise_is_not_signed(read: Read, stated: str) -> None:
    await read.publish()
    read.registry.packuments[GOOD.name]["versions"]["1.0.0"]["dist"]["integrity"] = stated
    dist = await read.dist(GOOD)
    assert (dist["integrity"], "signatures" in dist) == (stated, False)


# --- what was there before the gate -----------------------------------------------------------------------------------


async def test_what_was_there_is_signed_once_an_operator_had_it_measured(read: Read) -> None:
    read.hold(integrity=integrity(OLD), shasum=hashlib.sha1(OLD.content).hexdigest())
    signed = Looked("@acme/old@1.0.0", State.SIGNED)
    assert await read.sign_existing(rehearsal=True) == [signed]
    assert "signatures" not in await read.dist(OLD)
    assert await read.sign_existing() == [signed]
    assert verifies(await read.dist(OLD), OLD)
    assert await read.sign_existing() == [Looked("@acme/old@1.0.0", State.ALREADY)]


@pytest.mark.parametrize("rehearsal", [True, False])
@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({}, "the registry states no digest of it"),
        ({"integrity": integrity(GOOD)}, "the registry states sha512"),
        ({"integrity": f"{integrity(OLD)} {integrity(GOOD)}"}, "the registry states sha512"),
        ({"integrity": integrity(OLD), "shasum": "0" * 40}, "the registry states sha1"),
        ({"integrity": f"{integrity(OLD)} sha999-AAAA"}, "the registry states sha999"),
        ({"integrity": f"{integrity(OLD)} junk"}, "the registry states junk"),
    ],
)
async def test_what_is_not_what_the_registry_states_is_never_signed(
    read: Read, stated: dict[str, Any], problem: str, *, rehearsal: bool
) -> None:
    read.hold(**stated)
    (looked,) = await read.sign_existing(rehearsal=rehearsal)
    assert (looked.state, looked.problem[: len(problem)]) == (State.REFUSED, problem)
    assert "signatures" not in await read.dist(OLD)


@pytest.mark.parametrize("rehearsal", [True, False])
async def test_what_was_accepted_with_other_bytes_is_never_signed(read: Read, *, rehearsal: bool) -> None:
    await read.publish()
    read.registry.hold(GOOD.name, GOOD.version, OLD.content, integrity=integrity(OLD))
    (looked,) = await read.sign_existing(GOOD, rehearsal=rehearsal)
    assert looked.problem == f"the record has other bytes under this name: sha256 {GOOD.sha256}"
    assert "signatures" not in await read.dist(GOOD)


async def test_what_was_withdrawn_is_never_signed(read: Read) -> None:
    read.hold(integrity=integrity(OLD))
    await read.gate.store.revoke_digest(OLD.sha256, "me", "evil", AT)
    (looked,) = await read.sign_existing()
    assert looked.problem == "these bytes were withdrawn"


async def test_what_cannot_be_fetched_is_refused_and_the_rest_is_signed(read: Read) -> None:
    read.hold(integrity=integrity(OLD))
    other = npm_package(name="@acme/old", version="2.0.0")
    read.hold(other, integrity=integrity(other))
    del read.registry.files["/@acme/old/-/old-1.0.0.tgz"]
    assert [one.state for one in await read.sign_existing()] == [State.REFUSED, State.SIGNED]


# --- attestations -----------------------------------------------------------------------------------------------------

BUNDLE = b'{"mediaType":"a bundle","dsseEnvelope":{"signatures":[{"keyid":"","sig":"AAAA"}]}}'
SLSA = "https://slsa.dev/provenance/v1"


async def vouch(read: Read, *, root: str, subject: str | None, bundle: bytes = BUNDLE) -> None:
    """Have a kept bundle that verified under a root."""
    identifier = hashlib.sha256(bundle).hexdigest()
    piece = Evidence(EvidenceRef(identifier, Format.BUNDLE, Source.REQUEST), bundle)
    await read.gate.store.keep_evidence(piece, [Digest("sha256", OLD.sha256)], "grant", AT)
    vouched = Vouched(OLD.sha256, OLD.sha512, (Proof(identifier, root, SLSA, subject),))
    await read.gate.store.vouch("python", "@acme/old@1.0.0", vouched, "me", AT)
    read.hold(integrity=integrity(OLD))


def public(read: Read) -> None:
    """Take the sandbox's root for the public instance's."""
    trust = read.gate.publisher.trust
    roots = tuple(replace(root, public_good=True) for root in trust.roots)
    read.gate.publisher.trust = replace(trust, roots=roots)


@pytest.mark.parametrize("path", ["/-/npm/v1/attestations/@acme%2fold@1.0.0", "/-/npm/v1/attestations/@acme/old@1.0.0"])
async def test_public_provenance_is_named_to_npm_and_served(read: Read, path: str) -> None:
    await vouch(read, root="sandbox", subject=OLD.purl)
    public(read)
    assert (await read.dist(OLD))["attestations"] == {
        "url": f"{read.gate.base}/npm/-/npm/v1/attestations/@acme/old@1.0.0",
        "provenance": {"predicateType": SLSA},
    }
    assert await read.get(path) == (200, {"attestations": [{"predicateType": SLSA, "bundle": json.loads(BUNDLE)}]})


async def test_a_publisher_cannot_end_npms_audit_by_naming_a_key(read: Read) -> None:
    """A key's name in an envelope is not signed, and npm stops at one that the registry does not list."""
    bundle = BUNDLE.replace(b'"keyid":""', b'"keyid":"SHA256:evil"')
    await vouch(read, root="sandbox", subject=OLD.purl, bundle=bundle)
    public(read)
    _, found = await read.get("/-/npm/v1/attestations/@acme/old@1.0.0")
    assert [one["bundle"] for one in found["attestations"]] == [json.loads(BUNDLE)]
    _, found = await read.get("/-/provenance/@acme/old@1.0.0")
    assert [one["bundle"] for one in found["attestations"]] == [json.loads(bundle)]


async def test_a_bundle_that_came_by_the_locker_is_served_too(read: Read) -> None:
    bundle = read.bundle()
    await read.publish(attached=bundle)
    status, found = await read.get("/-/provenance/@acme/widget@1.0.0")
    assert (status, [one["bundle"] for one in found["attestations"]]) == (200, [json.loads(bundle)])


@pytest.mark.parametrize(
    ("root", "subject", "is_public"),
    [
        ("sandbox", OLD.purl, False),
        ("other", OLD.purl, True),
        ("sandbox", "acme-old-1.0.0.tgz", True),
        ("sandbox", None, True),
    ],
)
async def test_what_npm_cannot_verify_has_our_own_address_alone(
    read: Read, root: str, subject: str | None, *, is_public: bool
) -> None:
    await vouch(read, root=root, subject=subject)
    if is_public:
        public(read)
    dist = await read.dist(OLD)
    assert ("signatures" in dist, "attestations" in dist) == (True, False)
    assert (await read.get("/-/npm/v1/attestations/@acme/old@1.0.0"))[0] == 404
    one = {"predicateType": SLSA, "bundle": json.loads(BUNDLE), "trustRoot": root}
    assert await read.get("/-/provenance/@acme/old@1.0.0") == (200, {"attestations": [one]})


async def test_what_was_there_before_and_is_withdrawn_is_shown_no_more(read: Read) -> None:
    await vouch(read, root="sandbox", subject=OLD.purl)
    await read.gate.store.revoke_digest(OLD.sha256, "me", "evil", AT)
    assert (await read.get("/-/provenance/@acme/old@1.0.0"))[0] == 404
    assert (await read.get(OLD.path))[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/-/npm/v1/attestations/",
        "/-/npm/v1/attestations/@acme/old",
        "/-/npm/v1/attestations/@acme/old@latest",
        "/-/npm/v1/attestations/old/1.0.0",
        "/-/npm/v1/keys/evil",
    ],
)
async def test_what_names_no_version_is_unknown(read: Read, path: str) -> None:
    assert (await read.get(path))[0] == 404
    assert not read.registry.requests
