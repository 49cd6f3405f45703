"""A whole gateway in this process, in front of the lab's registry, with the sandbox's root and one rule."""

from __future__ import annotations

import base64
import io
import itertools
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from gateway.config import ReadAuth, load_trust_roots
from gateway.credentials import mint, new_id
from gateway.demo.packages import Distribution, wheel, wheel_name, write_large_wheel
from gateway.demo.scenarios import POLICY
from gateway.ecosystems import PACKAGES
from gateway.model.case import Action, Grant, GrantKind
from gateway.model.identity import Identity
from gateway.model.upload import Registry
from gateway.policy import load_policy
from gateway.proxy.mounts import Mounted
from gateway.publish.publish import Publisher
from gateway.publish.served import Served, Trust
from gateway.publish.spool import Spool
from gateway.publish.surroundings import Surroundings
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from gateway.service.compose import now
from gateway.service.serving import Parts, serve_on
from gateway.store import Query, Store, Written
from gateway.upstream import Upstream
from tests.lab.npm_registry import NpmRegistry
from tests.lab.raw import BOUNDARY, form, part
from tests.lab.registry import LabRegistry, lab_registry

KEY: Final = b"k" * 32
CREDENTIAL: Final = "Basic " + base64.b64encode(b"gateway:upstream-secret").decode()
GOOD: Final = wheel("acme-good", "1.0.0")


def large_wheel(name: str, version: str, size: int) -> Distribution:
    """A wheel that holds this many bytes, uncompressed: more than sockets and pipes hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / wheel_name(name, version)
        write_large_wheel(path, name, version, [bytes(size)])
        return Distribution(path.name, path.read_bytes())


@dataclass(frozen=True)
class Fetched:
    """An answer to a read; `cut` says that it ended before it was whole."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    cut: bool

    @property
    def code(self) -> str:
        return self.reason.partition(":")[0]


@dataclass
class LabGate:
    """A running gateway: where it listens, what stands behind it, and how to make tokens and evidence for it."""

    base: str
    registry: LabRegistry
    store: Store
    sandbox: Sandbox
    at: datetime
    served: Served
    publisher: Publisher
    spool: Spool
    database: Path
    token: str = ""

    @property
    def upload_url(self) -> str:
        return f"{self.base}/pypi/"

    async def grant(self, actions: str = "publish,attach,read", packages: str = "pkg:pypi/**", **changed: Any) -> str:
        """Make a token in the store."""
        grant = Grant(
            id=new_id(secrets.token_bytes),
            kind=GrantKind.TOKEN,
            owner="lab",
            registry="python",
            packages=(packages,),
            actions=frozenset(Action(action) for action in actions.split(",")),
            not_before=self.at - timedelta(hours=1),
            expires=self.at + timedelta(hours=1),
        )
        grant = replace(grant, **changed)
        minted = mint(grant, KEY, secrets.token_bytes)
        await self.store.add_grant(grant, minted.keyed_hash)
        return minted.token

    def attestation(self, of: Distribution = GOOD, by: Identity | None = None) -> bytes:
        """SLSA provenance of a file as a PEP 740 object."""
        signer = by or github_identity()
        return self.sandbox.attest(slsa_provenance([(of.name, {"sha256": of.sha256})], signer), signer, self.at)

    async def upload(
        self,
        of: Distribution = GOOD,
        attestations: bytes | None = b"",
        *,
        token: str | None = None,
        fields: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """Publish as twine does; returns status, reason phrase and body. `fields` changes or (None) leaves out some."""
        given: dict[str, str | None] = {
            ":action": "file_upload",
            "protocol_version": "1",
            "name": of.name.split("-")[0].replace("_", "-"),
            "version": of.name.split("-")[1].removesuffix(".tar.gz"),
            "filetype": "bdist_wheel" if of.name.endswith(".whl") else "sdist",
            "sha256_digest": of.sha256,
            "attestations": None if attestations is None else f"[{(attestations or self.attestation(of)).decode()}]",
        }
        parts = [part(name, value) for name, value in (given | dict(fields or {})).items() if value is not None]
        sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
        sent |= _authorization(self.token if token is None else token)
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                self.upload_url,
                data=io.BytesIO(form([*parts, part("content", of.content, filename=of.name)])),
                headers=sent,
            ) as response,
        ):
            return response.status, response.reason or "", await response.text()

    async def post(self, body: bytes, token: str | None = None) -> tuple[int, str, str]:
        """Publish a form that is whole already."""
        sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        sent |= _authorization(self.token if token is None else token)
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.upload_url, data=io.BytesIO(body), headers=sent) as response,
        ):
            return response.status, response.reason or "", await response.text()

    async def attach(
        self, evidence: bytes, *digests: str, token: str | None = None, query: str | None = None, **how: Any
    ) -> tuple[int, str, str]:
        """Send evidence to the locker; `query` is sent as it stands, `how` holds `method` and `headers`."""
        asked = "&".join(f"digest={digest}" for digest in digests) if query is None else query
        sent = _authorization(self.token if token is None else token) | how.get("headers", {})
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                how.get("method", "POST"),
                URL(f"{self.base}/-/evidence?{asked}", encoded=True),
                data=io.BytesIO(evidence),
                headers=sent,
                skip_auto_headers=("Content-Type",),
            ) as response,
        ):
            return response.status, response.reason or "", await response.text()

    async def settle(self) -> bool:
        """Settle what is open, as the running gateway does from time to time."""
        return await self.publisher.settle_open([self.served])

    async def newest(self) -> Written:
        """The newest record."""
        (written,) = await self.store.records(Query(limit=1))
        return written

    def trust(self, policy: str) -> Trust:
        """What the gateway trusts now, under another policy."""
        known = self.publisher.trust
        roots = frozenset(root.name for root in known.roots)
        return replace(known, policy=load_policy({"lab.yaml": policy}, trust_roots=roots))

    async def fetch(self, path: str, *, method: str = "GET", token: str = "", **headers: str) -> Fetched:
        """Read below the gateway's root: everything that came, also where it was cut off."""
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                method,
                URL(self.base + path, encoded=True),
                headers={**headers, **_authorization(token)},
                allow_redirects=False,
            ) as response,
        ):
            body, cut = b"", False
            try:
                async for chunk in response.content.iter_any():
                    body += chunk
            except (aiohttp.ClientError, OSError):
                cut = True
            return Fetched(response.status, response.reason or "", CIMultiDict(response.headers), body, cut)

    async def codes(self, **asked: Any) -> set[str]:
        """The codes of the newest recorded decision."""
        (written,) = await self.store.records(Query(limit=1, **asked))
        return {reason.code.value for reason in written.record.decision.reasons}

    async def get(self, path: str, *, token: str | None = None, **headers: str) -> tuple[int, str, str]:
        """Read below the gateway's root."""
        sent = {**headers, **_authorization(token or "")}
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.base + path, headers=sent, allow_redirects=False) as response,
        ):
            return response.status, response.reason or "", await response.text()


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth("__token__", token)} if token else {}


@asynccontextmanager
async def lab_gate(
    folder: Path,
    *,
    policy: str = POLICY,
    read_auth: ReadAuth = ReadAuth.NONE,
    verified: bool = False,
    registry: LabRegistry | None = None,
    upstream: str | None = None,
    around: Mapping[str, Any] | None = None,
    spool: Mapping[str, int] | None = None,
    ecosystem: str = "pypi",
    page_seconds: float = 0.0,
    **served: Any,
) -> AsyncIterator[LabGate]:
    """Run one; `registry` reuses a running one, `around` replaces parts of the surroundings.

    No page is shown twice unless `page_seconds` says so: a test that changes what the registry holds sees it at once.
    """
    at = now()
    roots = folder / "roots"
    if not roots.exists():
        Sandbox.create(at).save(roots / "sandbox")
    sandbox = Sandbox.load(roots / "sandbox")
    loaded = load_trust_roots(roots)
    trust = Trust(
        load_policy({"lab.yaml": policy}, trust_roots=frozenset(loaded)), tuple(loaded.values()), allow_sandbox=True
    )
    numbers = itertools.count(1)
    surroundings = Surroundings(
        **{
            "now": now,
            "identifier": lambda: f"{secrets.token_hex(8)}{next(numbers):06d}",
            "random": secrets.token_bytes,
            **(around or {}),
        }
    )
    async with _registry(registry, ecosystem) as behind, await Store.open(f"sqlite:///{folder}/lab.db", KEY) as store:
        bound = socket.create_server(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        of = Served(
            Registry("python", ecosystem),
            PACKAGES[ecosystem],
            Upstream("python", upstream or behind.base, CREDENTIAL),
            base,
            address=f"{base}/{ecosystem}",
            **served,
        )
        mounts = (Mounted(of, f"/{ecosystem}", None, read_auth, verified),)
        parts = Parts(
            mounts, store, KEY, Spool(folder / "spool", **(spool or {})), trust, surroundings, base, page_seconds
        )
        async with serve_on(parts, [(bound, None)]) as running:
            gate = LabGate(base, behind, store, sandbox, at, of, running.publisher, parts.spool, folder / "lab.db")
            gate.token = await gate.grant(packages=f"pkg:{ecosystem}/**")
            yield gate


@asynccontextmanager
async def _registry(running: LabRegistry | None, ecosystem: str) -> AsyncIterator[LabRegistry]:
    if running is not None:
        yield running
        return
    async with lab_registry(NpmRegistry if ecosystem == "npm" else LabRegistry) as made:
        yield made
