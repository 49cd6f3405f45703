"""The parts of a gateway made of one settings file; where time, randomness and secrets enter the program."""

from __future__ import annotations

import base64
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.config import (
    Listen,
    Reads,
    RegistrySettings,
    Removal,
    Settings,
    load_trust_roots,
    read_policy_files,
)
from gateway.ecosystems import ECOSYSTEMS
from gateway.errors import ConfigurationError, StoreError
from gateway.model.upload import Registry
from gateway.policy import load_policy
from gateway.proxy.mounts import Mounted
from gateway.publish.publish import Surroundings
from gateway.publish.served import Served, Trust
from gateway.publish.spool import Spool
from gateway.service.serving import Parts
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
    policy = load_policy(read_policy_files(settings.policy), trust_roots=frozenset(roots), registries=names)
    return Trust(policy, tuple(roots.values()), settings.sandbox, settings.second_opinion)


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket that is bound already, so that the public address is known before anything is composed."""

    listen: Listen
    socket: socket.socket

    @property
    def port(self) -> int:
        """The port, also where the kernel chose it."""
        return int(self.socket.getsockname()[1])


def bind(listen: Listen) -> Bound:
    """Bind an address; raises `ConfigurationError` where it is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        bound = socket.create_server((listen.host, listen.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"listen {listen}: {error.strerror}") from error
    return Bound(listen, bound)


@asynccontextmanager
async def parts_of(settings: Settings, port: int) -> AsyncIterator[Parts]:
    """Open the store and make everything else; `port` is the gateway's own, known once it is bound."""
    trust = trust_of(settings)
    try:
        key = load_or_create_key(settings.key_file)
        store = await Store.open(settings.store, key)
    except StoreError as error:
        raise ConfigurationError(str(error)) from error
    own = _actual(settings.public_url, settings.listen, port)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(store)
        mounts = tuple(_mounted(registry, own) for registry in settings.registries)
        spool = Spool(settings.spool.directory, settings.spool.total, settings.spool.per_grant)
        yield Parts(mounts, store, key, spool, trust, surroundings(), own)


def _mounted(registry: RegistrySettings, own: str) -> Mounted:
    credential = registry.upstream_credential
    served = Served(
        registry=Registry(registry.name, registry.ecosystem),
        ecosystem=ECOSYSTEMS[registry.ecosystem],
        upstream=Upstream(registry.name, registry.upstream, credential.reveal() if credential else None),
        public_url=own,
        removable=registry.remove is Removal.PYPISERVER,
        max_file=registry.max_file,
    )
    return Mounted(served, registry.mount, registry.host, registry.read_auth, registry.reads is Reads.VERIFIED)


def _actual(public_url: str, listen: Listen, port: int) -> str:
    """The public address, with the port that the kernel chose where the settings left it to the kernel."""
    return (
        public_url.replace(f"http://{listen}", f"http://{Listen(listen.host, port)}") if not listen.port else public_url
    )
