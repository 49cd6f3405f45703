"""A gateway that serves https itself, and a registry on an address of its own."""

from __future__ import annotations

import ssl
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config import Listen, Tls, load_settings
from gateway.errors import ConfigurationError
from gateway.service.compose import bind, now, parts_of
from gateway.service.serving import serve_on
from tests.lab.registry import LabRegistry, lab_registry

SETTINGS = """\
listen: 127.0.0.1:0
tls: {certificate: cert.pem, key: key.pem}
registries:
  - {name: python, ecosystem: pypi, mount: /pypi, upstream: UPSTREAM, upstream_credential: none, read_auth: none,
     upstream_reachable_only_here: true}
  - {name: other, ecosystem: pypi, listen: "127.0.0.1:0", mount: /other, upstream: UPSTREAM,
     upstream_credential: none, read_auth: none, upstream_reachable_only_here: true}
"""
POLICY = """\
rules:
  - name: a
    packages: ["pkg:pypi/**"]
    owner: lab@acme.example
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sigstore-public-good]
        signer: {issuer: https://gitlab.com, repository: a/b, workflow: .gitlab-ci.yml}
"""


def certificate(folder: Path) -> None:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


def lay(folder: Path, registry: LabRegistry) -> Path:
    certificate(folder)
    (folder / "policy").mkdir()
    (folder / "policy" / "a.yaml").write_text(POLICY)
    root = Path(__file__).parents[2] / "trust_roots" / "sigstore-public-good"
    (folder / "trust_roots").mkdir()
    (folder / "trust_roots" / root.name).symlink_to(root)
    path = folder / "gateway.yaml"
    path.write_text(SETTINGS.replace("UPSTREAM", registry.base))
    return path


async def test_each_address_serves_its_own_registry_and_the_first_speaks_https(tmp_path: Path) -> None:
    async with lab_registry() as registry:
        settings = load_settings(lay(tmp_path, registry))
        other = settings.registries[1].listen
        assert other is not None
        bound = {settings.listen: bind(settings.listen), other: bind(other)}
        ports = {listen: one.port for listen, one in bound.items()}
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        async with (
            parts_of(settings, ports) as parts,
            serve_on(parts, [(one.socket, one.tls) for one in bound.values()]),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as client,
        ):
            assert parts.public_url == f"https://127.0.0.1:{ports[settings.listen]}"
            secure, plain = parts.public_url, f"http://127.0.0.1:{ports[other]}"
            for base, path, status in (
                (secure, "/pypi/simple/", 200),
                (secure, "/other/simple/", 404),
                (plain, "/other/simple/", 200),
                (plain, "/pypi/simple/", 404),
            ):
                async with client.get(base + path) as response:
                    assert response.status == status, base + path


def test_a_key_that_is_not_the_certificates_is_an_error_with_the_files(tmp_path: Path) -> None:
    certificate(tmp_path)
    key = (tmp_path / "key.pem").read_bytes()
    certificate(tmp_path)
    (tmp_path / "key.pem").write_bytes(key)
    tls = Tls(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(ConfigurationError, match=r"cert\.pem with .*key\.pem"):
        bind(Listen("127.0.0.1", 0, tls))
