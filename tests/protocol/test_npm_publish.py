"""npm publish documents from a good one with one thing spoilt: the exact codes, and a registry asked nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import pytest
from yarl import URL

from gateway.sandbox import github_identity, slsa_provenance
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import MANIFEST, NpmPackage, npm_package, tarball
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY

GOOD: Final = npm_package()
TARBALL: Final = "@acme/widget-1.0.0.tgz"
BUNDLE: Final = "@acme/widget-1.0.0.sigstore"
Document = dict[str, Any]


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY) as running:
        yield running


def registry(gate: LabGate) -> NpmRegistry:
    return cast("NpmRegistry", gate.registry)


def bundle(gate: LabGate, of: NpmPackage = GOOD, name: str | None = None, **digests: str) -> bytes:
    """Provenance of a package as npm's signer makes it."""
    signer = github_identity(ref=f"refs/tags/v{of.version}")
    statement = slsa_provenance([(name or of.purl, digests or {"sha512": of.sha512})], signer)
    return gate.sandbox.sign_statement(statement, signer, gate.at)


async def put(
    gate: LabGate,
    body: bytes | Document,
    path: str = GOOD.path,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Send a document; returns status, reason phrase and body."""
    sent = {"Content-Type": "application/json"}
    if token != "":
        sent["Authorization"] = f"Bearer {token or gate.token}"
    whole = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.put(
            URL(f"{gate.base}/npm{path}", encoded=True), data=io.BytesIO(whole), headers={**sent, **(headers or {})}
        ) as response,
    ):
        return response.status, response.reason or "", await response.text()


# --- what is accepted ------------------------------------------------------------------------------------------------


async def test_a_signed_publish_reaches_the_registry_written_anew(gate: LabGate) -> None:
    document = GOOD.document(bundle(gate))
    document["versions"]["1.0.0"]["dist"] |= {"signatures": [{"keyid": "x"}], "attestations": {"url": "evil"}}
    document["versions"]["1.0.0"] |= {"_npmUser": {"name": "root"}, "_hasShrinkwrap": True, "engines": {"node": ">=18"}}
    document |= {"time": {"1.0.0": "1970"}, "users": {"root": True}, "maintainers": [{"name": "evil"}], "readme": "# W"}
    assert (await put(gate, document))[0] == 201
    (forwarded,) = registry(gate).documents
    dist = {
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(GOOD.content).digest()).decode(),
        "shasum": hashlib.sha1(GOOD.content).hexdigest(),
        "tarball": "http://localhost/@acme/widget/-/widget-1.0.0.tgz",
    }
    own = {"_id": "@acme/widget@1.0.0", "_nodeVersion": "20.20.2", "_npmVersion": "11.19.1"}
    assert forwarded == {
        "_id": "@acme/widget",
        "name": "@acme/widget",
        "description": "a widget",
        "readme": "# W",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {**MANIFEST, **own, "engines": {"node": ">=18"}, "dist": dist}},
        "access": None,
        "_attachments": {
            TARBALL: {
                "content_type": "application/octet-stream",
                "data": base64.b64encode(GOOD.content).decode(),
                "length": len(GOOD.content),
            }
        },
    }
    ((_, path, headers),) = registry(gate).writes
    assert path == "/@acme%2fwidget"
    assert "pvg_" not in headers["Authorization"]


async def test_the_three_lengths_of_base64_reach_the_registry_whole(gate: LabGate) -> None:
    for version, padding in (("1.0.0", b""), ("1.0.1", b"x"), ("1.0.2", b"xy"), ("1.0.3", bytes(range(256)) * 9000)):
        package = npm_package({"data.bin": hashlib.sha512(padding).digest() + padding}, version=version)
        assert (await put(gate, package.document(bundle(gate, package))))[0] == 201
        assert registry(gate).files[f"/@acme/widget/-/widget-{version}.tgz"] == package.content


async def test_evidence_from_the_locker_does_as_well(gate: LabGate) -> None:
    assert (await gate.attach(bundle(gate), f"sha512:{GOOD.sha512}"))[0] == 201
    assert (await put(gate, GOOD.document()))[0] == 201


async def test_evidence_may_name_the_file_as_npm_pack_does(gate: LabGate) -> None:
    assert (await put(gate, GOOD.document(bundle(gate, name="acme-widget-1.0.0.tgz"))))[0] == 201


@pytest.mark.parametrize("path", ["/@acme%2fwidget", "/@acme%2Fwidget", "/@acme/widget", "/%40acme%2fwidget"])
async def test_every_way_to_write_the_address_is_the_same_package(gate: LabGate, path: str) -> None:
    assert (await put(gate, GOOD.document(bundle(gate)), path))[0] == 201
    assert [request[1] for request in registry(gate).writes] == ["/@acme%2fwidget"]


async def test_two_packages_whose_files_have_one_name_are_two(gate: LabGate) -> None:
    one = npm_package(name="@acme/a", version="1.0.0-2.0.0")
    other = npm_package(name="@acme/a-1.0.0", version="2.0.0")
    for package in (one, other):
        assert (await put(gate, package.document(bundle(gate, package)), package.path))[0] == 201


# --- near misses -----------------------------------------------------------------------------------------------------


def version(document: Document) -> Document:
    return cast("Document", document["versions"]["1.0.0"])


def rename(mapping: Document, old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


MISSES: Final[dict[str, tuple[int, set[str], Callable[[Document], Any]]]] = {
    "_id": (403, {"package-metadata-mismatch"}, lambda d: d.update(_id="@acme/other")),
    "name": (403, {"package-metadata-mismatch"}, lambda d: d.update(name="@acme/other")),
    "versions key": (403, {"package-metadata-mismatch"}, lambda d: rename(d["versions"], "1.0.0", "1.0.1")),
    "manifest name": (403, {"package-metadata-mismatch"}, lambda d: version(d).update(name="@acme/other")),
    "manifest version": (403, {"package-metadata-mismatch"}, lambda d: version(d).update(version="1.0.1")),
    "manifest version spelt otherwise": (
        403,
        {"package-metadata-mismatch"},
        lambda d: version(d).update(version="v1.0.0"),
    ),
    "manifest _id": (403, {"package-metadata-mismatch"}, lambda d: version(d).update(_id="@acme/widget@1.0.1")),
    "attachment's name": (
        403,
        {"package-metadata-mismatch"},
        lambda d: rename(d["_attachments"], TARBALL, "@acme/widget-1.0.1.tgz"),
    ),
    "attachment's way up": (
        403,
        {"package-metadata-mismatch"},
        lambda d: rename(d["_attachments"], TARBALL, "../widget-1.0.0.tgz"),
    ),
    "bundle's name": (
        403,
        {"package-metadata-mismatch"},
        lambda d: rename(d["_attachments"], BUNDLE, "@acme/widget-1.0.1.sigstore"),
    ),
    "dist-tag": (403, {"package-metadata-mismatch"}, lambda d: d["dist-tags"].update(latest="0.9.0")),
    "a second dist-tag": (403, {"package-metadata-mismatch"}, lambda d: d["dist-tags"].update(next="0.9.0")),
    "dependencies": (403, {"package-metadata-mismatch"}, lambda d: version(d).update(dependencies={"evil": "1"})),
    "scripts": (403, {"package-metadata-mismatch"}, lambda d: version(d)["scripts"].update(postinstall="evil")),
    "scripts hidden": (403, {"package-metadata-mismatch"}, lambda d: version(d).pop("scripts")),
    "bin": (403, {"package-metadata-mismatch"}, lambda d: version(d).update(bin={"node": "cli.js"})),
    "length": (403, {"package-metadata-mismatch"}, lambda d: d["_attachments"][TARBALL].update(length=7)),
    "shasum": (400, {"form-digest-mismatch"}, lambda d: version(d)["dist"].update(shasum="0" * 40)),
    "integrity": (
        400,
        {"form-digest-mismatch"},
        lambda d: version(d)["dist"].update(integrity="sha512-" + base64.b64encode(bytes(64)).decode()),
    ),
    "integrity of a kind": (400, {"upload-malformed"}, lambda d: version(d)["dist"].update(integrity="md5-AAAA")),
    "integrity that is none": (400, {"upload-malformed"}, lambda d: version(d)["dist"].update(integrity="sha512-A")),
    "no versions": (400, {"upload-malformed"}, lambda d: d.update(versions={})),
    "two versions": (400, {"upload-malformed"}, lambda d: d["versions"].update({"1.0.1": version(d)})),
    "no tags": (400, {"upload-malformed"}, lambda d: d.update({"dist-tags": {}})),
    "a tag that is a range": (400, {"upload-malformed"}, lambda d: d["dist-tags"].update({"1.x": "1.0.0"})),
    "a tag for a terminal": (400, {"upload-malformed"}, lambda d: d["dist-tags"].update({"\x1b[2J": "1.0.0"})),
    "a tag that could not be moved": (400, {"upload-malformed"}, lambda d: d["dist-tags"].update({"a/b": "1.0.0"})),
    "access": (400, {"upload-malformed"}, lambda d: d.update(access="everybody")),
    "no attachments, so a mutation": (403, {"credential-scope"}, lambda d: d.pop("_attachments")),
    "no tarball, so a mutation": (403, {"credential-scope"}, lambda d: d["_attachments"].pop(TARBALL)),
    "two tarballs": (
        400,
        {"upload-malformed"},
        lambda d: d["_attachments"].update({"@acme/widget-1.0.1.tgz": d["_attachments"][TARBALL]}),
    ),
    "two bundles": (
        400,
        {"upload-malformed"},
        lambda d: d["_attachments"].update({"x.sigstore": d["_attachments"][BUNDLE]}),
    ),
    "another attachment": (
        400,
        {"upload-malformed"},
        lambda d: d["_attachments"].update({"evil.js": d["_attachments"][TARBALL]}),
    ),
    "base64 that is lenient": (
        400,
        {"upload-malformed"},
        lambda d: d["_attachments"][TARBALL].update(data="QUJD=QUJD"),
    ),
    "a tarball that is none": (400, {"archive-malformed"}, lambda d: d["_attachments"][TARBALL].update(data="QUJD")),
    "__proto__": (400, {"upload-malformed"}, lambda d: version(d).update({"x": {"__proto__": {"y": 1}}})),
    "bundle that is none": (403, {"evidence-malformed"}, lambda d: d["_attachments"][BUNDLE].update(data="{}")),
    "bundle in base64": (
        403,
        {"evidence-malformed"},
        lambda d: d["_attachments"][BUNDLE].update(
            data=base64.b64encode(d["_attachments"][BUNDLE]["data"].encode()).decode()
        ),
    ),
    "no bundle": (403, {"evidence-missing"}, lambda d: d["_attachments"].pop(BUNDLE)),
}


@pytest.mark.parametrize("miss", MISSES)
async def test_one_thing_spoilt_is_refused_and_the_registry_asked_nothing(gate: LabGate, miss: str) -> None:
    status, codes, change = MISSES[miss]
    document = GOOD.document(bundle(gate))
    change(document)
    assert (await put(gate, document))[0] == status
    assert await gate.codes() == codes
    assert not registry(gate).writes


@pytest.mark.parametrize(
    "path", ["/@acme%2fother", "/widget", "/@acme%2fwidget-", "/@acme%2fwidget2", "/@other%2fwidget"]
)
async def test_another_packages_address_is_refused(gate: LabGate, path: str) -> None:
    assert (await put(gate, GOOD.document(bundle(gate)), path))[0] == 403
    assert await gate.codes() == {"package-metadata-mismatch"}
    assert not registry(gate).writes


@pytest.mark.parametrize(
    "path",
    ["/@ACME%2fwidget", "/@acme%252fwidget", "/@acme%2fwidget/", "/@acme%2fwidget/1.0.0", "/@acme", "/..%2fwidget"],
)
async def test_what_is_no_packages_address_is_no_publish(gate: LabGate, path: str) -> None:
    status, reason, _ = await put(gate, GOOD.document(bundle(gate)), path)
    assert status in {400, 404}
    assert reason.partition(":")[0] in {"route-unknown", "request-malformed"}
    assert not registry(gate).writes


@pytest.mark.parametrize(
    ("pattern", "twice"),
    [
        (b'"_id": "@acme/widget"', b'"_id": "@acme/evil", "_id": "@acme/widget"'),
        (b'"versions": {', b'"versions": {}, "versions": {'),
        (b'"version": "1.0.0"', b'"version": "9.9.9", "version": "1.0.0"'),
        (b'"latest": "1.0.0"', b'"latest": "9.9.9", "latest": "1.0.0"'),
        (b'"_attachments": {', b'"_attachments": {}, "_attachments": {'),
    ],
)
async def test_a_key_twice_is_refused(gate: LabGate, pattern: bytes, twice: bytes) -> None:
    body = json.dumps(GOOD.document(bundle(gate))).encode()
    assert pattern in body
    assert (await put(gate, body.replace(pattern, twice, 1)))[0] == 400
    assert await gate.codes() == {"upload-malformed"}
    assert not registry(gate).writes


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/vnd.npm.install-v1+json"}, 400),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_a_document_of_another_kind_is_refused(gate: LabGate, headers: dict[str, str], status: int) -> None:
    body = json.dumps(GOOD.document(bundle(gate))).encode()
    whole = gzip.compress(body) if "Content-Encoding" in headers else body
    assert (await put(gate, whole, headers=headers))[0] == status
    assert not registry(gate).writes


async def test_evidence_for_other_bytes_or_another_name_is_refused(gate: LabGate) -> None:
    other = npm_package({"evil.js": b""})
    for sent, codes in (
        (bundle(gate, other), {"digest-mismatch"}),
        (bundle(gate, name="pkg:npm/%40acme/widget@1.0.1"), {"evidence-name-mismatch"}),
        (bundle(gate, name="pkg:npm/widget@1.0.0"), {"evidence-name-mismatch"}),
        (bundle(gate, sha512=GOOD.sha512, sha1="0" * 40), {"digest-mismatch"}),
    ):
        assert (await put(gate, GOOD.document(sent)))[0] == 403
        assert await gate.codes() == codes
    assert not registry(gate).writes


async def test_a_link_in_the_tarball_is_refused(gate: LabGate) -> None:
    files = {"package/package.json": json.dumps(MANIFEST).encode(), "package/index.js": b""}
    package = NpmPackage(MANIFEST, tarball(files, {"package/link": "index.js"}))
    assert (await put(gate, package.document(bundle(gate, package))))[0] == 400
    assert await gate.codes() == {"archive-malformed"}


async def test_a_tarball_over_the_bound_is_refused(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY, max_file=len(GOOD.content) - 1) as gate:
        assert (await put(gate, GOOD.document(bundle(gate))))[0] == 413
        assert await gate.codes() == {"upload-too-large"}
        assert not registry(gate).writes


# --- versions that are there -----------------------------------------------------------------------------------------


async def test_other_bytes_under_a_published_version_are_refused(gate: LabGate) -> None:
    assert (await put(gate, GOOD.document(bundle(gate))))[0] == 201
    other = npm_package({"evil.js": b""})
    assert (await put(gate, other.document(bundle(gate, other))))[0] == 409
    assert await gate.codes() == {"version-exists"}
    assert len(registry(gate).writes) == 1


async def test_the_same_bytes_again_conflict_as_npm_says(gate: LabGate) -> None:
    assert (await put(gate, GOOD.document(bundle(gate))))[0] == 201
    status, _, body = await put(gate, GOOD.document(bundle(gate)))
    assert (status, json.loads(body)["error"].partition(",")[0]) == (409, "This version is already there")
    assert len(registry(gate).writes) == 1


async def test_a_version_that_was_there_before_the_gate_is_bound_too(gate: LabGate) -> None:
    registry(gate).hold("@acme/widget", "1.0.0", b"older bytes")
    assert (await put(gate, GOOD.document(bundle(gate))))[0] == 409
    assert await gate.codes() == {"version-exists"}
    assert not registry(gate).writes


# --- who asks, and in which words it is refused ----------------------------------------------------------------------


async def test_without_a_credential_the_answer_has_no_challenge(gate: LabGate) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.put(URL(f"{gate.base}/npm{GOOD.path}", encoded=True), json=GOOD.document()) as response,
    ):
        assert response.status == 401
        assert "WWW-Authenticate" not in response.headers
        assert "credential-missing" in (await response.json())["error"]
        assert (response.reason or "").startswith("credential-missing: ")


async def test_a_token_for_another_package_does_not_do(gate: LabGate) -> None:
    token = await gate.grant(packages="pkg:npm/%40acme/other")
    assert (await put(gate, GOOD.document(bundle(gate)), token=token))[0] == 403
    assert await gate.codes() == {"credential-scope"}
    assert not registry(gate).writes


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("npm/11.19.1 node/v20.20.2 linux x64 workspaces/false", "application/json"),
        ("got (https://github.com/sindresorhus/got)", "application/json"),
        ("pnpm/12.21.0 npm/? node/v20.20.2 linux x64", "text/plain; charset=utf-8"),
    ],
)
async def test_every_reason_is_in_the_words_of_the_client(gate: LabGate, agent: str, kind: str) -> None:
    document = GOOD.document()
    document["_id"] = "@acme/other"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {gate.token}", "User-Agent": agent}
    async with (
        aiohttp.ClientSession() as session,
        session.put(URL(f"{gate.base}/npm{GOOD.path}", encoded=True), json=document, headers=headers) as response,
    ):
        assert response.headers["Content-Type"] == kind
        text = await response.text()
        said = text if kind.startswith("text") else json.loads(text)["error"]
        assert list(json.loads(text)) == ["error"] if kind.endswith("json") else True
        assert {"package-metadata-mismatch:", "evidence-missing:"} <= set(said.split())
        assert (response.reason or "").startswith("package-metadata-mismatch: ")
