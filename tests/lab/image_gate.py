"""A whole gateway in this process in front of an OCI registry, real or not, and its requests made by hand."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from gateway.config import ReadAuth, load_trust_roots
from gateway.credentials import mint, new_id
from gateway.model.case import Action, Grant, GrantKind
from gateway.model.upload import Registry
from gateway.policy import load_policy
from gateway.proxy.mounts import MountedDepot
from gateway.publish.images.depot import Depot
from gateway.publish.images.pushing import Images
from gateway.publish.served import Trust
from gateway.publish.spool import Spool
from gateway.publish.surroundings import Surroundings
from gateway.sandbox import Sandbox
from gateway.service.compose import surroundings
from gateway.service.serving import Parts, serve_on
from gateway.store import Store
from gateway.upstream import Upstream
from tests.lab.gate import KEY
from tests.lab.image_world import POLICY
from tests.lab.images import CONFIG, LAYER, MANIFEST

OBSERVE = POLICY.replace("    hold: 30m\n", "    mode: observe\n").replace("pkg:oci/team/**", "pkg:oci/**")


def sha256(data: bytes) -> str:
    """A blob's digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The one error's code, and the gateway's own at the start of its message."""
        (error,) = json.loads(self.body)["errors"]
        return f"{error['code']} {error['message'].partition(':')[0]}"

    @property
    def json(self) -> Any:
        """The document."""
        return json.loads(self.body)


@dataclass
class Clock:
    """The gateway's time, which tests may move."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return surroundings().now() + self.ahead


@dataclass
class ImageGate:
    """The running gateway."""

    base: str
    store: Store
    depot: Depot
    clock: Clock
    session: aiohttp.ClientSession
    images: Images
    token: str = ""
    sent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.base.removeprefix("http://")

    async def grant(self, actions: str = "publish,attach,read", packages: str = "pkg:oci/**", **changed: Any) -> str:
        """Make a token in the store."""
        at = self.clock.now()
        grant = Grant(
            id=new_id(secrets.token_bytes),
            kind=GrantKind.TOKEN,
            owner="lab",
            registry="images",
            packages=(packages,),
            actions=frozenset(Action(action) for action in actions.split(",")),
            not_before=at - timedelta(hours=1),
            expires=at + timedelta(hours=1),
        )
        grant = replace(grant, **changed)
        minted = mint(grant, KEY, secrets.token_bytes)
        await self.store.add_grant(grant, minted.keyed_hash)
        return minted.token

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answered:
        """Make one request; `token` None is the publisher's, an empty one shows no credential at all."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        shown = self.token if token is None else token
        if shown and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {shown}"
        async with self.session.request(
            method,
            URL(self.base + path, encoded=True),
            data=body,
            headers=sent,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        ) as response:
            return Answered(response.status, CIMultiDict(response.headers), await response.read())

    async def blob(self, repository: str, data: bytes, token: str | None = None) -> str:
        """Push a blob."""
        started = await self.ask("POST", f"/v2/{repository}/blobs/uploads/", token=token)
        assert started.status == 202, started
        location, digest = started.headers["Location"], sha256(data)
        done = await self.ask("PUT", f"{location}&digest={digest}", data, token=token)
        assert done.status == 201, done
        return digest

    async def image(self, repository: str, reference: str | None, *layers: bytes, token: str | None = None) -> str:
        """Push a whole image under a tag, or (None) under its digest, and return the digest."""
        described = [
            {"mediaType": LAYER, "digest": await self.blob(repository, one, token), "size": len(one)} for one in layers
        ]
        config = json.dumps({"layers": [one["digest"] for one in described]}).encode()
        configured = {"mediaType": CONFIG, "digest": await self.blob(repository, config, token), "size": len(config)}
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": configured, "layers": described,
        }).encode()  # fmt: skip
        digest = sha256(manifest)
        path = f"/v2/{repository}/manifests/{reference or digest}"
        done = await self.ask("PUT", path, manifest, token=token, Content_Type=MANIFEST)
        assert done.status == 201, done
        return digest


@asynccontextmanager
async def image_gate(
    folder: Path,
    url: str,
    authorization: str | None,
    *,
    policy: str = OBSERVE,
    read_auth: ReadAuth = ReadAuth.GRANT,
    verified: bool = False,
    **depot: Any,
) -> AsyncIterator[ImageGate]:
    """Run one; the policy lets everything through unless another is given."""
    clock = Clock()
    real = surroundings()
    roots = folder / "roots"
    if not roots.exists():
        Sandbox.create(clock.now()).save(roots / "sandbox")
    loaded = load_trust_roots(roots)
    trust = Trust(
        load_policy({"lab.yaml": policy}, trust_roots=frozenset(loaded)), tuple(loaded.values()), allow_sandbox=True
    )
    async with await Store.open(f"sqlite:///{folder}/lab.db", KEY) as store, aiohttp.ClientSession() as session:
        bound = socket.create_server(("127.0.0.1", 0))
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        made = Depot(
            Registry("images", "oci"),
            Upstream("images", url, authorization),
            f"http://{host}",
            frozenset({host}),
            verified=verified,
            **depot,
        )
        around = Surroundings(clock.now, real.identifier, real.random)
        mounts = (MountedDepot(made, made.public_url, None, read_auth),)
        parts = Parts(mounts, store, KEY, Spool(folder / "spool"), trust, around, made.public_url)
        async with serve_on(parts, [(bound, None)]) as running:
            gate = ImageGate(made.public_url, store, made, clock, session, running.images)
            gate.token = await gate.grant()
            yield gate
