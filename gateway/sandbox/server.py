"""The sandbox over HTTP, so that real signers sign against it: issuer, Fulcio, Rekor v1 and v2, RFC 3161.

Whoever reaches it signs as anybody: it listens on 127.0.0.1 and nowhere else, and every answer says what it is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from gateway import limits
from gateway.model.identity import Identity
from gateway.model.marker import SANDBOX_ORGANIZATION
from gateway.sandbox import authority, identities, intake, keys, tokens
from gateway.sandbox.authority import Profile
from gateway.sandbox.log import LogEntry
from gateway.sandbox.sandbox import Sandbox
from gateway.sandbox.tokens import Issuer

Clock = Callable[[], datetime]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST: Final = "127.0.0.1"
_MAKERS: Final[dict[str, Callable[..., Identity]]] = {
    "github": identities.github_identity,
    "gitlab": identities.gitlab_identity,
    "person": identities.person,
}


class Services:
    """The handlers of one sandbox; `clock` is the time that certificates, entries and stamps get."""

    def __init__(self, sandbox: Sandbox, issuer: Issuer, clock: Clock) -> None:
        self._sandbox = sandbox
        self._issuer = issuer
        self._clock = clock

    def application(self) -> web.Application:
        """Return the application with its routes."""
        application = web.Application(client_max_size=limits.EVIDENCE_BYTES, middlewares=[_refusing])
        application.on_response_prepare.append(_mark)
        application.add_routes(
            [
                web.get("/", self.about),
                web.get("/trusted_root.json", self.trusted_root),
                web.get("/client_trust_config.json", self.client_trust_config),
                web.get("/oauth/.well-known/openid-configuration", self.openid_configuration),
                web.get("/oauth/jwks", self.jwks),
                web.get("/oauth/token", self.token),
                web.post("/api/v2/signingCert", self.signing_certificate),
                web.get("/api/v2/trustBundle", self.trust_bundle),
                web.post("/api/v1/log/entries", self.log_v1),
                web.post("/api/v2/log/entries", self.log_v2),
                web.post("/api/v1/timestamp", self.timestamp),
            ]
        )
        return application

    async def about(self, _: web.Request) -> web.Response:
        """Say what this is."""
        return web.Response(text=f"{SANDBOX_ORGANIZATION}: whoever reaches this signs as anybody.\n")

    async def trusted_root(self, _: web.Request) -> web.Response:
        """Return what verifiers trust."""
        return web.Response(body=self._sandbox.trusted_root(), content_type="application/json")

    async def client_trust_config(self, request: web.Request) -> web.Response:
        """Return what signers need, for Rekor v1 or, with `?log=2`, v2."""
        second = request.query.get("log") == "2"
        config = self._sandbox.client_trust_config(_base(request), second_log=second)
        return web.Response(body=config, content_type="application/json")

    async def openid_configuration(self, request: web.Request) -> web.Response:
        """Return the issuer's discovery document; its tokens name the issuer that they play."""
        issuer = f"{_base(request)}/oauth"
        return web.json_response(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/jwks",
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def jwks(self, _: web.Request) -> web.Response:
        """Return the issuer's key."""
        return web.json_response(self._issuer.jwks())

    async def token(self, request: web.Request) -> web.Response:
        """Return a token for the identity in the query, as GitHub's runners hand theirs out.

        A client that asks `ACTIONS_ID_TOKEN_REQUEST_URL` can be pointed here: `…/oauth/token?repository=acme/libs`.
        """
        wanted = dict(request.query)
        make = _MAKERS.get(wanted.pop("provider", "github"))
        audience = wanted.pop("audience", tokens.AUDIENCE)
        if make is None:
            raise intake.RefusedError("the providers are github, gitlab and person")
        try:
            token = self._issuer.mint(make(**wanted), self._clock(), audience=audience)
        except TypeError as error:
            raise intake.RefusedError(f"no such identity: {error}") from error
        return web.json_response({"value": token})

    async def signing_certificate(self, request: web.Request) -> web.Response:
        """Issue a certificate for a token of this issuer (Fulcio's `CreateSigningCertificate`)."""
        document = await _document(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        token = given if scheme.lower() == "bearer" else intake.token(document)
        now = self._clock().replace(microsecond=0)
        claims = self._issuer.read(token, now)
        key = intake.public_key(document, claims.get("email", claims["sub"]))
        generation = self._sandbox.generation(now)
        profile = Profile(now, now + authority.LIFETIME)
        issuer = generation.authority
        leaf = issuer.issue(key, tokens.identity_of(claims), profile, generation.certificates)
        chain = [authority.to_pem(one).decode() for one in (leaf, issuer.intermediate, issuer.root)]
        return web.json_response({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    async def trust_bundle(self, _: web.Request) -> web.Response:
        """Return the authorities' certificates."""
        chains = [
            {"certificates": [authority.to_pem(one).decode() for one in (g.authority.intermediate, g.authority.root)]}
            for g in self._sandbox.generations
        ]
        return web.json_response({"chains": chains})

    async def log_v1(self, request: web.Request) -> web.Response:
        """Take an entry into the first log."""
        body = intake.log_v1_body(await _document(request))
        now = self._clock()
        entry = self._sandbox.generation(now).log_v1.append(body, now)
        name = entry.leaf.hex()  # sigstore-go looks the entry up in the reply under its ETag
        headers = {"ETag": name, "Location": f"{request.path}/{name}"}
        return web.json_response(_rekor_reply(entry), status=201, headers=headers)

    async def log_v2(self, request: web.Request) -> web.Response:
        """Take an entry into the second log."""
        body = intake.log_v2_body(await _document(request))
        now = self._clock()
        return web.json_response(self._sandbox.generation(now).log_v2.append(body, now).to_json(), status=201)

    async def timestamp(self, request: web.Request) -> web.Response:
        """Stamp a digest with the time."""
        if request.content_type == "application/json":
            digest, nonce = intake.timestamp_json(await _document(request))
        else:
            digest, nonce = intake.timestamp_query(await request.read())
        now = self._clock()
        response = self._sandbox.generation(now).timestamps.stamp_digest(digest, now, nonce)
        return web.Response(body=response, status=201, content_type="application/timestamp-reply")


@asynccontextmanager
async def serve(sandbox: Sandbox, clock: Clock, *, issuer: Issuer | None = None, port: int = 0) -> AsyncIterator[str]:
    """Serve a sandbox on this machine's loopback and give its address; port 0 lets the kernel choose."""
    runner = web.AppRunner(Services(sandbox, issuer or Issuer(), clock).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@web.middleware
async def _refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as error:  # what the request asks for cannot be made, whichever part of it
        return web.json_response({"code": 3, "message": str(error)}, status=400)


async def _mark(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Sandbox"] = SANDBOX_ORGANIZATION


async def _document(request: web.Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.read())
    except ValueError as error:
        raise intake.RefusedError("not JSON") from error
    if not isinstance(document, dict):
        raise intake.RefusedError("not a JSON object")
    return document


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _rekor_reply(entry: LogEntry) -> dict[str, object]:
    """Return an entry as Rekor v1 answers: keyed by its leaf, hashes in hexadecimal."""
    return {
        entry.leaf.hex(): {
            "body": keys.b64(entry.body),
            "integratedTime": entry.integrated,
            "logID": entry.log_id.hex(),
            "logIndex": entry.log_index,
            "verification": {
                "inclusionProof": {
                    "checkpoint": entry.checkpoint,
                    "hashes": [value.hex() for value in entry.hashes],
                    "logIndex": entry.proof_index,
                    "rootHash": entry.root.hex(),
                    "treeSize": entry.tree_size,
                },
                "signedEntryTimestamp": keys.b64(entry.promise or b""),
            },
        }
    }
