"""The settings file as it is written: its keys, their forms and defaults; the JSON Schema comes from here.

Only the shape is checked here. What two keys mean together, and what a reference stands for, is `settings`' business.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway import limits

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Size = Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(KiB|MiB|GiB|TiB)$")]
Mount = Annotated[str, Field(pattern=r"^/$|^(/[A-Za-z0-9_~.-]+)+$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
HostPort = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$")]
_COMPONENT = (
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"  # of a repository's name, as the OCI distribution specification has it
)
Repository = Annotated[str, Field(pattern=rf"^{_COMPONENT}(/{_COMPONENT})*$", max_length=128)]
Address = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")]
Url = Annotated[str, Field(pattern=r"^https?://[!-~]+$")]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TlsDocument(_Part):
    """What a listener proves itself with."""

    certificate: Text = Field(description="PEM file: the certificate, then what chains it to its authority")
    key: Text = Field(description="PEM file of its private key, readable by the gateway alone")


class SigningKeyDocument(_Part):
    """A key of a registry."""

    key: Text = Field(
        description="env:NAME or file:PATH of a P-256 key in PEM; a public one is listed and signs nothing"
    )
    expires: AwareDatetime | None = Field(default=None, description="when it ceases to sign; it stays listed")


class RegistryDocument(_Part):
    """One registry behind the gate."""

    name: Name = Field(description="how policy, records and commands name it")
    ecosystem: Literal["pypi", "npm", "oci"] = Field(description="its protocol")
    mount: Mount | None = Field(default=None, description="the path it is served under; oci: always /v2")
    host: Host | None = Field(default=None, description="the host name it is served under")
    listen: Address | None = Field(default=None, description="an address of its own, host:port")
    tls: TlsDocument | None = Field(default=None, description="serve https there; for a registry with a listen")
    public_url: Url | None = Field(default=None, description="its address for clients; default: from mount or host")
    upstream: Url = Field(description="the registry's address")
    upstream_credential: Text = Field(description="env:NAME or file:PATH (user:password, or Bearer <token>), or none")
    upstream_reachable_only_here: bool = Field(
        default=False, description="states that nobody can reach the upstream but this gateway"
    )
    remove: Literal["none", "pypiserver"] = Field(
        default="none", description="how a damaged upload may be taken out of the upstream again"
    )
    reads: Literal["open", "verified"] = Field(
        default="open", description="verified: only what was accepted here is shown"
    )
    read_auth: Literal["grant", "passthrough", "none"] = Field(
        default="grant", description="who may read: a token of the gateway, the client's own credential, or anyone"
    )
    max_file: Size = Field(default=limits.UPLOAD_FILE, description="the largest file or blob, in bytes or as 500MiB")
    quarantine: Repository | None = Field(
        default=None, description="oci: repository prefix of the upstream that keeps what waits for evidence"
    )
    signing_keys: tuple[SigningKeyDocument, ...] = Field(
        default=(), description="what npm verifies registry signatures with; the first that has not expired signs"
    )
    also_known_as: tuple[HostPort, ...] = Field(default=(), description="further host names evidence may use for it")


class SpoolDocument(_Part):
    """Where bodies wait for their verdict."""

    directory: Text = "spool"
    total: Size = Field(default=limits.SPOOL_TOTAL, description="of all publishes at once")
    per_credential: Size = Field(default=limits.SPOOL_PER_GRANT, description="of one credential's publishes at once")


class SettingsDocument(_Part):
    """The settings file, gateway.yaml. Paths are relative to it."""

    listen: Address = Field(default="127.0.0.1:8080", description="host:port")
    tls: TlsDocument | None = Field(default=None, description="serve https there; absent: http")
    public_url: Url | None = Field(default=None, description="the gateway's own address, used in refusals' links")
    sandbox: bool = Field(default=False, description="admit a sandbox Sigstore's certificates; needs a loopback listen")
    # At least one, which is checked later: pydantic counts a tuple's valid items only, and would say so of any error.
    registries: tuple[RegistryDocument, ...] = Field(json_schema_extra={"minItems": 1})
    trust_roots: Text = Field(default="trust_roots", description="directory of trust roots")
    policy: Text = Field(default="policy", description="directory of policy files")
    store: Annotated[str, Field(pattern=r"^sqlite:///.")] = Field(
        default="sqlite:///provgate.db", description="sqlite:///relative/path or sqlite:////absolute/path"
    )
    key_file: Text | None = Field(
        default=None, description="what tokens are hashed with; made when it is not there; default: beside the store"
    )
    spool: SpoolDocument = SpoolDocument()
    second_opinion: bool = Field(default=True, description="have sigstore-python verify what it supports, too")


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of the settings file, for editors and CI."""
    schema = SettingsDocument.model_json_schema()
    return json.loads(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}))  # type: ignore[no-any-return]
