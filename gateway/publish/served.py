"""`Served`: one registry as the running gateway serves it; `Trust`: what it trusts while a publish runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway import limits
from gateway.ecosystems.protocol import Packages
from gateway.model.upload import Registry
from gateway.policy import Policy
from gateway.signing import RegistryKeys
from gateway.upstream import Upstream
from gateway.verification import TrustRoot


@dataclass(frozen=True, slots=True)
class Served:
    """One registry: its protocol, its upstream, and how a damaged upload may be taken back out of it.

    `public_url` is the gateway's own address, `address` the registry's for its clients, its mount included. `keys` are
    what it signs for npm with.
    """

    registry: Registry
    ecosystem: Packages
    upstream: Upstream
    public_url: str
    removable: bool = False
    max_file: int = limits.UPLOAD_FILE
    address: str = ""
    keys: RegistryKeys = field(default_factory=RegistryKeys)

    def permalink(self, record: str) -> str:
        """The address of a decision's page."""
        return f"{self.public_url}/-/d/{record}"


@dataclass(frozen=True, slots=True)
class Trust:
    """Policy and trust roots, swapped whole: a publish ends under the value that it began with (CONTRACTS E.3)."""

    policy: Policy
    roots: tuple[TrustRoot, ...]
    allow_sandbox: bool = False
    second_opinion: bool = True
