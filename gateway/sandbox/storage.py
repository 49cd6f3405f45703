"""A sandbox on disk: one private file with every key and log, and beside it what verifiers read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from gateway.errors import ConfigurationError
from gateway.sandbox import authority, keys
from gateway.sandbox.authority import Authority, CertificateLog
from gateway.sandbox.generation import Generation
from gateway.sandbox.log import Log
from gateway.sandbox.merkle import Tree
from gateway.sandbox.timestamps import TimestampAuthority

PRIVATE_FILE: Final = "sandbox.json"


def write(directory: Path, generations: Sequence[Generation], public: Mapping[str, bytes]) -> None:
    """Write a sandbox; the directory is 0700, the private file 0600 from its first byte, each file whole or not."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = {"note": "private keys of a sandbox, worth nothing", "generations": [_plain(g) for g in generations]}
    _replace(directory / PRIVATE_FILE, json.dumps(record, indent=2).encode(), 0o600)
    for name, content in public.items():
        _replace(directory / name, content, 0o644)


def read(directory: Path) -> list[Generation]:
    """Read what `write` wrote; raises `ConfigurationError` for anything else."""
    path = directory / PRIVATE_FILE
    try:
        record = json.loads(path.read_bytes())
        return [_generation(item) for item in record["generations"]]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; make a sandbox first") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{path}: not a sandbox of this program; make a new one") from error


def _replace(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(draft, flags, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask, or a draft left by a crash
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _plain(generation: Generation) -> dict[str, object]:
    return {
        "starts": generation.starts.isoformat(),
        "ends": generation.ends.isoformat() if generation.ends else None,
        "authority": {
            "root_key": keys.to_pem(generation.authority.root_key).decode(),
            "root": authority.to_pem(generation.authority.root).decode(),
            "key": keys.to_pem(generation.authority.key).decode(),
            "intermediate": authority.to_pem(generation.authority.intermediate).decode(),
        },
        "certificates": keys.to_pem(generation.certificates.key).decode(),
        "log_v1": _plain_log(generation.log_v1),
        "log_v2": _plain_log(generation.log_v2),
        "timestamps": {
            "key": keys.to_pem(generation.timestamps.key).decode(),
            "certificate": authority.to_pem(generation.timestamps.certificate).decode(),
            "root": authority.to_pem(generation.timestamps.root).decode(),
        },
    }


def _plain_log(log: Log) -> dict[str, object]:
    return {"key": keys.to_pem(log.key).decode(), "leaves": [leaf.hex() for leaf in log.tree.leaves]}


def _generation(item: Mapping[str, Any]) -> Generation:
    issuing, stamping = item["authority"], item["timestamps"]
    return Generation(
        datetime.fromisoformat(item["starts"]),
        datetime.fromisoformat(item["ends"]) if item["ends"] else None,
        Authority(
            keys.ecdsa_from_pem(issuing["root_key"].encode()),
            _certificate(issuing["root"]),
            keys.ecdsa_from_pem(issuing["key"].encode()),
            _certificate(issuing["intermediate"]),
        ),
        CertificateLog(keys.ecdsa_from_pem(item["certificates"].encode())),
        _log(item["log_v1"]),
        _log(item["log_v2"]),
        TimestampAuthority(
            keys.ecdsa_from_pem(stamping["key"].encode()),
            _certificate(stamping["certificate"]),
            _certificate(stamping["root"]),
        ),
    )


def _log(item: Mapping[str, Any]) -> Log:
    return Log(keys.from_pem(item["key"].encode()), Tree(bytes.fromhex(leaf) for leaf in item["leaves"]))


def _certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())
