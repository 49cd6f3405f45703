"""The parts of a gateway made of one settings file; where time, randomness and secrets enter the program."""

from __future__ import annotations

import base64
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from gateway.config import (
    Listen,
    Reads,
    RegistrySettings,
    Removal,
    Settings,
    Tls,
    load_trust_roots,
    read_policy_files,
)
from gateway.ecosystems import PACKAGES
from gateway.errors import ConfigurationError, StoreError
from gateway.model.upload import Registry
from gateway.policy import load_policy
from gateway.proxy.mounts import Mount, Mounted, MountedDepot
from gateway.publish.images.depot import Depot
from gateway.publish.served import Served, Trust
from gateway.publish.spool import Spool
from gateway.publish.surroundings import Surroundings
from gateway.service.serving import Parts
from gateway.signing import RegistryKeys
from gateway.store import Store, load_or_create_key
from gateway.upstream import Upstream

BACKLOG: Final = 512


def now() -> datetime:
    """The program's clock; everything below `service` takes the time as an argument."""
    return datetime.now(UTC)  # noqa: TID251 - this is the injected clock


def surroundings() -> Surroundings:
    """The real clock and the real randomness; a record's id carries 128 random bits in 22 characters."""
    return Surroundings(
        now, lambda: base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[:22], secrets.token_bytes
    )


def trust_of(settings: Settings) -> Trust:
    """Read policy and trust roots anew; raises `ConfigurationError`."""
    roots = load_trust_roots(settings.trust_roots)
    names = frozenset(registry.name for registry in settings.registries)
    kinds = {name: root.kind for name, root in roots.items()}
    policy = load_policy(read_policy_files(settings.policy), trust_roots=kinds, registries=names)
    return Trust(policy, tuple(roots.values()), settings.sandbox, settings.second_opinion)


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket that is bound already, so that the public address is known before anything is composed."""

    listen: Listen
    socket: socket.socket
    tls: ssl.SSLContext | None

    @property
    def port(self) -> int:
        """The port, also where the kernel chose it."""
        return int(self.socket.getsockname()[1])


def bind(listen: Listen) -> Bound:
    """Bind an address; raises `ConfigurationError` where it is taken or not ours, or its TLS files are wrong."""
    tls = _tls(listen.tls) if listen.tls else None
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        bound = socket.create_server((listen.host, listen.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"listen {listen}: {error.strerror}") from error
    return Bound(listen, bound, tls)


def _tls(files: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, files)
    return context


def load_certificate(context: ssl.SSLContext, files: Tls) -> None:
    """Read a certificate and its key, also anew for connections to come; raises `ConfigurationError`."""
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        what = error.strerror or str(error)
        raise ConfigurationError(f"tls: {files.certificate} with {files.key}: {what}") from error


@asynccontextmanager
async def parts_of(settings: Settings, ports: Mapping[Listen, int]) -> AsyncIterator[Parts]:
    """Open the store and make everything else; `ports` are those that the addresses were bound to."""
    trust = trust_of(settings)
    try:
        key = load_or_create_key(settings.key_file)
        store = await Store.open(settings.store, key)
    except StoreError as error:
        raise ConfigurationError(str(error)) from error
    own = _actual(settings.public_url, settings.listen, ports[settings.listen])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(store)
        mounts = tuple(
            _mounted(registry, own, listen, ports[listen])
            for registry in settings.registries
            for listen in [registry.listen or settings.listen]
        )
        spool = Spool(settings.spool.directory, settings.spool.total, settings.spool.per_grant)
        yield Parts(mounts, store, key, spool, trust, surroundings(), own)


def _mounted(settings: RegistrySettings, own: str, listen: Listen, port: int) -> Mount:
    upstream = upstream_of(settings)
    address = _actual(settings.public_url, listen, port)
    verified = settings.reads is Reads.VERIFIED
    if settings.ecosystem not in PACKAGES:
        depot = Depot(
            registry=Registry(settings.name, settings.ecosystem),
            upstream=upstream,
            public_url=own,
            hosts=frozenset({urlsplit(address).netloc, *settings.also_known_as}),
            max_blob=settings.max_file,
            quarantine=settings.quarantine,
            verified=verified,
        )
        return MountedDepot(depot, address, settings.host, settings.read_auth, port)
    served = served_of(settings, upstream, own, address)
    return Mounted(served, settings.mount, settings.host, settings.read_auth, verified, port)


def served_of(settings: RegistrySettings, upstream: Upstream, own: str, address: str) -> Served:
    """A registry of packages as it is served; `own` is the gateway's public address, `address` the registry's."""
    return Served(
        registry=Registry(settings.name, settings.ecosystem),
        ecosystem=PACKAGES[settings.ecosystem],
        upstream=upstream,
        public_url=own,
        removable=settings.remove is Removal.PYPISERVER,
        max_file=settings.max_file,
        address=address,
        keys=RegistryKeys(settings.signing_keys),
    )


def upstream_of(settings: RegistrySettings) -> Upstream:
    """The client towards a registry, with the gateway's credential."""
    credential = settings.upstream_credential
    return Upstream(settings.name, settings.upstream, credential.reveal() if credential else None)


def _actual(public_url: str, listen: Listen, port: int) -> str:
    """The public address, with the port that the kernel chose where the settings left it to the kernel."""
    if listen.port:
        return public_url
    return public_url.replace(f"{listen.scheme}://{listen}", f"{listen.scheme}://{replace(listen, port=port)}")
