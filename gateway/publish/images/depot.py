"""`Depot`: one registry that keeps content by its digest, with its address and how its content is read and written."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import limits
from gateway.model.content import Place
from gateway.model.upload import Registry
from gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Depot:
    """One registry: its upstream, and the names that evidence may call it by.

    `public_url` is the gateway's own address, `hosts` the registry's own public host (with its port) and those that it
    is also known as. `quarantine` is the repository prefix under which held content is kept at the upstream, where
    others can reach that directly; empty: in its own repository. `verified` says that readers are shown nothing but
    what was accepted here.
    """

    registry: Registry
    upstream: Upstream
    public_url: str
    hosts: frozenset[str]
    max_blob: int = limits.UPLOAD_FILE
    quarantine: str = ""
    verified: bool = False

    def place(self, repository: str) -> Place:
        """A repository of this registry."""
        return Place(self.registry.name, repository)

    def deposits(self, repository: str) -> str:
        """The repository at the upstream in which what is not accepted yet is kept."""
        return f"{self.quarantine}/{repository}" if self.quarantine else repository

    def places(self, repository: str) -> tuple[str, ...]:
        """Where the upstream may keep what is not accepted yet: where it is deposited, then the repository itself."""
        return tuple(dict.fromkeys((self.deposits(repository), repository)))

    def permalink(self, record: str) -> str:
        """The address of a decision's page."""
        return f"{self.public_url}/-/d/{record}"
