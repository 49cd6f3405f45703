"""A publisher that costs almost nothing itself: the form as twine sends it, the file streamed from disk."""

from __future__ import annotations

import base64
import http.client
import secrets
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True)
class Target:
    """Where to publish: a name for the table, the upload address, and the credential."""

    name: str
    url: str
    user: str
    password: str


@dataclass(frozen=True)
class File:
    """What to publish: a wheel on disk, its sha256, and its attestations as the form carries them."""

    path: Path
    name: str
    version: str
    sha256: str
    attestations: bytes


def upload(target: Target, file: File) -> float:
    """Publish one file and return the seconds from connecting to the whole answer; anything but 200 is an error."""
    boundary = secrets.token_hex(16)
    fields = {
        ":action": b"file_upload",
        "protocol_version": b"1",
        "metadata_version": b"2.1",
        "name": file.name.encode(),
        "version": file.version.encode(),
        "filetype": b"bdist_wheel",
        "pyversion": b"py3",
        "sha256_digest": file.sha256.encode(),
        "attestations": file.attestations,
    }
    head = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{file.path.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    address = urllib.parse.urlsplit(target.url)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
    connection.putrequest("POST", address.path)
    connection.putheader("User-Agent", "twine/7.0.0 (bench)")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("Content-Length", str(len(head) + file.path.stat().st_size + len(tail)))
    basic = base64.b64encode(f"{target.user}:{target.password}".encode()).decode()
    connection.putheader("Authorization", f"Basic {basic}")
    connection.endheaders(head)
    with file.path.open("rb") as content:
        while chunk := content.read(CHUNK):
            connection.send(chunk)
    connection.send(tail)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{target.name}: {answer.status} {answer.reason}\n{body[:2000].decode(errors='replace')}")
    return took
