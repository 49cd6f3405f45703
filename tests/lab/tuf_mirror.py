"""A mirror of Sigstore's public TUF repository, to which npm is led by a proxy and an authority of this machine.

npm asks that repository before it verifies anything, and hangs without a network. Nothing of npm is changed here: its
settings name a proxy (`HTTPS_PROXY`), a further authority for TLS (`NODE_EXTRA_CA_CERTS`), and a cache whose TUF root
is this mirror's. The proxy leads to one host alone, the repository's. npm's whole TUF client runs: it reads the root,
the timestamp, the snapshot and the targets, and takes the trusted root that the public instance really has.
"""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner
from tuf.api import metadata

from gateway.service.compose import now

HOST: Final = "tuf-repo-cdn.sigstore.dev"


@dataclass
class TufMirror:
    """A running mirror; `asked` is what was asked of it, other hosts too."""

    root: bytes
    authority: Path
    proxy: str
    asked: list[str] = field(default_factory=list)

    def environment(self, cache: Path) -> dict[str, str]:
        """Settings for an npm whose cache is the folder."""
        seeded = cache / "_tuf" / HOST / "root.json"
        seeded.parent.mkdir(parents=True, exist_ok=True)
        seeded.write_bytes(self.root)
        return {
            "npm_config_cache": str(cache),
            "NODE_EXTRA_CA_CERTS": str(self.authority),
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def tuf_mirror(folder: Path, trusted_root: bytes) -> Iterator[TufMirror]:
    """Run a mirror whose targets are the trusted root alone."""
    folder.mkdir(parents=True, exist_ok=True)
    files = _repository(trusted_root)
    authority, certificate = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"files": files, "context": context, "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield TufMirror(files["/root.json"], authority, f"http://127.0.0.1:{server.server_port}", asked)
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    """A proxy that opens a tunnel to one host, and is that host at its other end."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    context: ssl.SSLContext
    asked: list[str]

    def do_CONNECT(self) -> None:
        if self.path != f"{HOST}:443":
            self.asked.append(self.path)
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.files.get(self.path)
        self.send_response(HTTPStatus.OK if body is not None else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Say nothing."""


def _repository(trusted_root: bytes) -> dict[str, bytes]:
    """Every file of a TUF repository by its path, signed by a key made for it."""
    signer = CryptoSigner.generate_ed25519()
    expires = now() + timedelta(hours=1)
    target = metadata.TargetFile.from_data("trusted_root.json", trusted_root, ["sha256"])
    root = metadata.Root(expires=expires, consistent_snapshot=True)
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.add_key(signer.public_key, role)
    parts = {
        "/root.json": root,
        "/timestamp.json": metadata.Timestamp(expires=expires),
        "/1.snapshot.json": metadata.Snapshot(expires=expires),
        "/1.targets.json": metadata.Targets(expires=expires, targets={"trusted_root.json": target}),
    }
    files = {path: _signed(part, signer) for path, part in parts.items()}
    return {**files, f"/targets/{target.hashes['sha256']}.trusted_root.json": trusted_root}


def _signed(part: Any, signer: CryptoSigner) -> bytes:
    signed = metadata.Metadata(part)
    signed.sign(signer)
    return signed.to_bytes()


def _certificates(folder: Path) -> tuple[Path, Path]:
    """An authority, and what it issued for the host, with its key."""
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _issue("lab authority", key, "lab authority", key, x509.BasicConstraints(ca=True, path_length=0))
    leaf = _issue(HOST, own, "lab authority", key, x509.SubjectAlternativeName([x509.DNSName(HOST)]))
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "authority.pem").write_bytes(authority)
    (folder / "host.pem").write_bytes(leaf + private)
    return folder / "authority.pem", folder / "host.pem"


def _issue(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    by: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    made = (
        x509.CertificateBuilder(names[1], names[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(hours=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(by, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
