"""What a verifier is told to trust: `trusted_root.json`, the gateway's `trust_root.yaml`, a signer's configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from gateway.model.marker import SANDBOX_ORGANIZATION
from gateway.sandbox import authority, keys
from gateway.sandbox.generation import Generation
from gateway.sandbox.log import Log

ROOT_TYPE: Final = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
CONFIG_TYPE: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING_TYPE: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
TRUSTED_ROOT: Final = "trusted_root.json"
_OWN_EXPIRY: Final = timedelta(days=365)


def trusted_root(generations: Iterable[Generation]) -> dict[str, object]:
    """Return the root of several generations, each with its window, oldest first."""
    ordered = sorted(generations, key=lambda generation: generation.starts)
    return {
        "mediaType": ROOT_TYPE,
        "tlogs": [_log(log, g) for g in ordered for log in (g.log_v1, g.log_v2)],
        "certificateAuthorities": [
            _authority("https://fulcio.sandbox.invalid", "sandbox", [g.authority.intermediate, g.authority.root], g)
            for g in ordered
        ],
        "ctlogs": [
            _key("https://ctfe.sandbox.invalid", g.certificates.key, keys.key_id(g.certificates.key), g)
            for g in ordered
        ],
        "timestampAuthorities": [
            _authority(
                "https://timestamp.sandbox.invalid/api/v1/timestamp",
                "sandbox-timestamping-root",
                [g.timestamps.certificate, g.timestamps.root],
                g,
            )
            for g in ordered
        ],
    }


def trust_root_yaml(made: datetime, *, sct: int, log: int, timestamp: int) -> str:
    """Return the gateway's file beside `trusted_root.json`."""
    return (
        f"# A {SANDBOX_ORGANIZATION}: admitted only where gateway.yaml says `sandbox: true`.\n"
        "kind: sigstore\n"
        f"source: {{file: {TRUSTED_ROOT}}}\n"
        f"thresholds: {{sct: {sct}, log: {log}, timestamp: {timestamp}}}\n"
        "owner: sandbox@acme.example\n"
        f"not_after: {(made + _OWN_EXPIRY).date().isoformat()}\n"
    )


def client_trust_config(
    generations: Iterable[Generation], base_url: str, made: datetime, *, second_log: bool
) -> dict[str, object]:
    """Return what `sigstore --trust-config` reads, for a sandbox served under this address."""
    window = {"start": _text(made)}

    def service(path: str, version: int) -> dict[str, object]:
        return {"url": base_url + path, "majorApiVersion": version, "validFor": window, "operator": "sandbox"}

    return {
        "mediaType": CONFIG_TYPE,
        "trustedRoot": trusted_root(generations),
        "signingConfig": {
            "mediaType": SIGNING_TYPE,
            "caUrls": [service("", 1)],
            "oidcUrls": [service("/oauth", 1)],
            "rekorTlogUrls": [service("", 2 if second_log else 1)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [service("/api/v1/timestamp", 1)],
            "tsaConfig": {"selector": "ANY"},
        },
    }


def to_bytes(document: dict[str, object]) -> bytes:
    """Return a document as indented JSON, which people may read."""
    return json.dumps(document, indent=2).encode() + b"\n"


def _window(generation: Generation) -> dict[str, str]:
    window = {"start": _text(generation.starts)}
    if generation.ends is not None:
        window["end"] = _text(generation.ends)
    return window


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _log(log: Log, generation: Generation) -> dict[str, object]:
    return _key(f"https://{log.host}", log.key, log.id, generation)


def _key(url: str, key: keys.PrivateKey, key_id: bytes, generation: Generation) -> dict[str, object]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": keys.b64(keys.spki(key)),
            "keyDetails": keys.details(key),
            "validFor": _window(generation),
        },
        "logId": {"keyId": keys.b64(key_id)},
    }


def _authority(url: str, name: str, chain: list[x509.Certificate], generation: Generation) -> dict[str, object]:
    return {
        "subject": {"organization": SANDBOX_ORGANIZATION, "commonName": name},
        "uri": url,
        "certChain": {"certificates": [{"rawBytes": keys.b64(authority.to_der(one))} for one in chain]},
        "validFor": _window(generation),
    }
