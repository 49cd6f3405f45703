"""`Mounted` and `MountedDepot`: where a registry is reached, and how it is read; `find` picks a request's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.config import ReadAuth
from gateway.publish.images.depot import Depot
from gateway.publish.served import Served


@dataclass(frozen=True, slots=True)
class Mounted:
    """One registry with its address: `mount` has no slash at its end (empty: the whole host).

    `host` None means any, `port` None that it is served wherever the gateway listens.
    """

    served: Served
    mount: str
    host: str | None = None
    read_auth: ReadAuth = ReadAuth.GRANT
    verified: bool = False
    port: int | None = None


@dataclass(frozen=True, slots=True)
class MountedDepot:
    """One registry of content by digest (OCI), always at `/v2` of its host; `host` and `port` as above.

    `address` is the registry's public one. Its clients get their tokens there too: what they trust, they trust by host.
    """

    depot: Depot
    address: str
    host: str | None = None
    read_auth: ReadAuth = ReadAuth.GRANT
    port: int | None = None
    mount: str = "/v2"

    @property
    def verified(self) -> bool:
        """Whether readers are shown nothing but what was accepted here."""
        return self.depot.verified


Mount = Mounted | MountedDepot
_M = TypeVar("_M", bound=Mount)


def find(mounts: Sequence[_M], host: str, path: str, port: int | None = None) -> tuple[_M, str] | None:
    """The registry a request is for and the path below its mount; a registry with the host's name beats any host.

    `port` is the one the request came in by.
    """
    for mounted in sorted(mounts, key=lambda m: (m.host is None, -len(m.mount))):
        if mounted.host is not None and mounted.host != _bare(host):
            continue
        if mounted.port is not None and mounted.port != port:
            continue
        if path == mounted.mount or path.startswith(mounted.mount + "/"):
            return mounted, path[len(mounted.mount) :] or "/"
    return None


def _bare(host: str) -> str:
    """A Host header's name in lower case, without its port."""
    name, _, port = host.lower().rpartition(":")
    return name if name and port.isascii() and port.isdigit() else host.lower()
