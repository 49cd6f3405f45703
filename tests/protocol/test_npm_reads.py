"""What an npm reader gets: packuments with the gateway's addresses, nothing that is withheld, and clear refusals."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from yarl import URL

from gateway.sandbox import github_identity, slsa_provenance
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import npm_package
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY

GOOD = npm_package()
FILE = "/npm/@acme/widget/-/widget-1.0.0.tgz"


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY) as running:
        registry(running).hold("@acme/widget", "1.0.0", GOOD.content)
        yield running


def registry(gate: LabGate) -> NpmRegistry:
    return cast("NpmRegistry", gate.registry)


async def send(
    gate: LabGate, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, str, dict[str, Any], str]:
    """Send a request below the mount with the lab's token; returns status, code, JSON and the body's type."""
    sent = {"Authorization": f"Bearer {gate.token}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, URL(f"{gate.base}/npm{path}", encoded=True), data=io.BytesIO(body), headers=sent
        ) as response,
    ):
        text = await response.text()
        found = json.loads(text) if text.startswith("{") else {}
        return response.status, (response.reason or "").partition(":")[0], found, response.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/@acme%2fwidget", "/@acme/widget", "/@acme%2fwidget?write=true"])
@pytest.mark.parametrize("accept", ["application/json", "application/vnd.npm.install-v1+json; q=1.0, */*"])
async def test_a_packument_has_the_gateways_addresses_and_nothing_internal(
    gate: LabGate, path: str, accept: str
) -> None:
    status, _, packument, kind = await send(gate, "GET", path, Accept=accept)
    assert (status, kind) == (200, accept.partition(";")[0])
    assert packument["versions"]["1.0.0"]["dist"]["tarball"] == gate.base + FILE
    assert packument["dist-tags"] == {"latest": "1.0.0"}
    assert "_uplinks" not in packument
    assert registry(gate).requests[-1][2]["Accept"] == accept.partition(";")[0]


async def test_a_tarball_streams_through(gate: LabGate) -> None:
    fetched = await gate.fetch(FILE)
    assert (fetched.status, fetched.body) == (200, GOOD.content)
    assert (await gate.fetch("/npm/@acme%2fwidget/-/widget-1.0.0.tgz")).body == GOOD.content


async def test_a_version_whose_tarball_is_elsewhere_is_not_shown(gate: LabGate) -> None:
    registry(gate).hold("@acme/widget", "1.0.1", b"")
    dist = registry(gate).packuments["@acme/widget"]["versions"]["1.0.1"]["dist"]
    for where in ("https://evil.example/widget-1.0.1.tgz", f"{registry(gate).base}/@acme/other/-/widget-1.0.1.tgz"):
        dist["tarball"] = where
        _, _, packument, _ = await send(gate, "GET", "/@acme%2fwidget")
        shown = {"1.0.0"} if "other" in where else {"1.0.0", "1.0.1"}
        assert set(packument["versions"]) == shown
        assert "evil" not in json.dumps(packument)


async def test_verified_reads_show_only_what_was_accepted(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY, verified=True) as gate:
        registry(gate).hold("@acme/widget", "0.9.0", b"older")
        registry(gate).hold("@acme/other", "1.0.0", b"other")
        assert (await send(gate, "GET", "/@acme%2fwidget"))[0] == 404
        signer = github_identity(ref="refs/tags/v1.0.0")
        statement = slsa_provenance([(GOOD.purl, {"sha512": GOOD.sha512})], signer)
        document = GOOD.document(gate.sandbox.sign_statement(statement, signer, gate.at))
        kind = {"Content-Type": "application/json"}
        assert (await send(gate, "PUT", GOOD.path, json.dumps(document).encode(), **kind))[0] == 201
        _, _, packument, _ = await send(gate, "GET", "/@acme%2fwidget")
        assert (set(packument["versions"]), set(packument["time"])) == ({"1.0.0"}, {"1.0.0", "modified"})
        registry(gate).packuments["@acme/widget"]["dist-tags"]["old"] = "0.9.0"
        assert (await send(gate, "GET", "/@acme%2fwidget"))[2]["dist-tags"] == {"latest": "1.0.0"}
        assert (await send(gate, "GET", "/-/package/@acme%2fwidget/dist-tags"))[2] == {"latest": "1.0.0"}
        found = (await send(gate, "GET", "/-/v1/search?text=acme"))[2]["objects"]
        assert [one["package"]["name"] for one in found] == ["@acme/widget"]
        assert (await gate.fetch("/npm/@acme/widget/-/widget-0.9.0.tgz")).code == "file-withheld"
        assert (await gate.fetch(FILE)).body == GOOD.content
        registry(gate).files["/@acme/widget/-/widget-1.0.0.tgz"] = b"swapped"
        assert (await gate.fetch(FILE)).status == 502


async def test_an_audit_passes_undecoded(gate: LabGate) -> None:
    body = gzip.compress(b'{"left-pad":["1.3.0"]}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, _, _, _ = await send(gate, "POST", "/-/npm/v1/security/advisories/bulk", body, **headers)
    assert status == 200
    assert registry(gate).bodies == [gzip.decompress(body)]  # aiohttp's server inflated it, once
    method, path, sent = registry(gate).requests[-1]
    assert (method, path, sent["Content-Encoding"]) == ("POST", "/-/npm/v1/security/advisories/bulk", "gzip")
    assert gate.token not in sent.get("Authorization", "")


async def test_ping_and_whoami_are_the_gateways_own_answers(gate: LabGate) -> None:
    assert (await send(gate, "GET", "/-/ping"))[0] == 200
    assert (await send(gate, "GET", "/-/whoami"))[2] == {"username": "lab"}
    fetched = await gate.fetch("/npm/-/whoami")
    assert (fetched.status, fetched.code) == (401, "credential-missing")
    assert "WWW-Authenticate" not in fetched.headers
    assert not registry(gate).requests


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/-/user/org.couchdb.user:evil"),
        ("GET", "/-/user/org.couchdb.user:ann"),
        ("GET", "/-/package/@acme%2fwidget/collaborators"),
        ("GET", "/-/package/@acme%2fwidget/trust"),
        ("GET", "/-/npm/v1/tokens"),
        ("GET", "/-/npm/v1/user"),
        ("GET", "/-/org/acme/user"),
        ("GET", "/-/stage"),
        ("GET", "/-/_view/starredByUser"),
        ("POST", "/-/stage/package/@acme%2fwidget"),
        ("POST", "/-/stage/1/approve"),
        ("POST", "/-/package/@acme%2fwidget/trust"),
        ("POST", "/-/package/@acme%2fwidget/access"),
        ("PUT", "/@acme%2fwidget/-rev/1-x"),
        ("DELETE", "/@acme%2fwidget/-rev/1-x"),
        ("DELETE", "/@acme/widget/-/widget-1.0.0.tgz/-rev/1-x"),
        ("POST", "/-/npm/v1/tokens"),
        ("PUT", "/-/org/acme/user"),
    ],
)
async def test_every_other_write_and_what_accounts_are_asked_is_refused_in_clear_words(
    gate: LabGate, method: str, path: str
) -> None:
    status, code, answer, _ = await send(gate, method, path, b"{}")
    assert (status, code) == (403, "operation-refused")
    assert "operation-refused" in answer["error"]
    assert not registry(gate).requests


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/-/all"),
        ("GET", "/-/_debug"),
        ("GET", "/@acme%2fwidget?evil=1"),
        ("GET", "/@acme%2fwidget/1.0.0"),
        ("GET", "/@acme/widget/-/other-1.0.0.tgz"),
        ("GET", "/@acme/widget/-/widget-latest.tgz"),
        ("GET", "/@ACME%2fwidget"),
        ("POST", "/@acme%2fwidget"),
        ("DELETE", "/@acme%2fwidget"),
        ("PATCH", "/@acme%2fwidget"),
        ("POST", "/-/npm/v1/security/evil"),
        ("PUT", "/-/ping"),
    ],
)
async def test_what_is_not_known_is_not_passed_on(gate: LabGate, method: str, path: str) -> None:
    status, code, _, _ = await send(gate, method, path)
    assert (status, code) == (404, "route-unknown")
    assert not registry(gate).requests
