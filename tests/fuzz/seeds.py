"""Good inputs to start from: the sandbox's evidence in every shape, small archives, and real evidence where it is."""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from gateway.sandbox import Shape
from gateway.strict.multipart import encode
from tests.lab import archives
from tests.lab import layouts as lab_layouts
from tests.lab import manifests as lab_manifests
from tests.lab import sigstore as lab
from tests.lab.data import CONFORMANCE, GITHUB, PYPI
from tests.lab.findings import made

BOUNDARY: Final = "b"
WHEEL: Final = "acme_lib-1.0-py3-none-any.whl"
ROOT: Final = Path(__file__).parents[2]


@cache
def bundles() -> list[bytes]:
    """The sandbox's in each shape, and real ones."""
    own = [made(None, shape, kind) for shape in Shape for kind in ("statement", "digest")]
    return own + _files(CONFORMANCE.glob("*/bundle.sigstore.json")) + _files(GITHUB.glob("*bundle*.json*"))


@cache
def attestations() -> list[bytes]:
    return [lab.publish_attestation_of(), *_files(PYPI.glob("*attestation"))]


def envelopes() -> list[bytes]:
    bare = [json.dumps(found["dsseEnvelope"]).encode() for found in _parsed() if "dsseEnvelope" in found]
    signed = json.loads(bare[0])
    signed["signatures"][0] |= {"keyid": "k", "cert": _pem(certificates()[0])}
    return [*bare, json.dumps(signed).encode()]


def cosign() -> list[bytes]:
    """A layer with every annotation that cosign writes: a simple signing payload, and an envelope."""
    body = _b64(json.dumps({"kind": "hashedrekord", "apiVersion": "0.0.1"}).encode())
    payload = {"body": body, "integratedTime": 1, "logIndex": 1, "logID": "00"}
    annotations = {
        "dev.sigstore.cosign/certificate": _pem(certificates()[0]),
        "dev.sigstore.cosign/chain": _pem(certificates()[0]) * 2,
        "dev.sigstore.cosign/bundle": json.dumps({"Payload": payload, "SignedEntryTimestamp": "AA=="}),
        "dev.sigstore.cosign/rfc3161timestamp": json.dumps({"SignedRFC3161Timestamp": _b64(timestamps()[0])}),
    }
    signature = {"dev.cosignproject.cosign/signature": _b64(b"signature")}
    layers = [(simple_signing()[0], annotations | signature), (envelopes()[0], annotations)]
    return [json.dumps({"payload": _b64(layer), "annotations": given}).encode() for layer, given in layers]


def simple_signing() -> list[bytes]:
    image = {"docker-manifest-digest": f"sha256:{'0' * 64}"}
    identity = {"docker-reference": "registry.example/app"}
    critical = {"identity": identity, "image": image, "type": "cosign container image signature"}
    return [json.dumps({"critical": critical, "optional": None}).encode()]


def statements() -> list[bytes]:
    return [base64.b64decode(json.loads(envelope)["payload"]) for envelope in envelopes()]


def layouts() -> list[bytes]:
    return [lab_layouts.layout(envelope=envelope) for envelope in (False, True)]


def links() -> list[bytes]:
    """Links and sublayouts, both of which a functionary sends."""
    forms = (False, True)
    return [made(envelope=envelope) for made in (lab_layouts.fetch, lab_layouts.sublayout) for envelope in forms]


def manifests() -> list[bytes]:
    """An image, an index, a referrer, and cosign's older way."""
    made = lab_manifests
    documents = [made.image(), made.index(made.child()), made.referrer(), made.cosign(made.payload())]
    return [made.dumped(document) for document in documents]


def checkpoints() -> list[bytes]:
    proofs = [entry["inclusionProof"] for entry in _entries() if entry.get("inclusionProof")]
    return [proof["checkpoint"]["envelope"].encode() for proof in proofs if proof.get("checkpoint")]


def certificates() -> list[bytes]:
    singles = [found["verificationMaterial"].get("certificate") for found in _parsed()]
    return [base64.b64decode(single["rawBytes"]) for single in singles if single]


def timestamps() -> list[bytes]:
    data = [found["verificationMaterial"].get("timestampVerificationData") or {} for found in _parsed()]
    stamps = [stamp for one in data for stamp in one.get("rfc3161Timestamps") or ()]
    return [base64.b64decode(stamp["signedTimestamp"]) for stamp in stamps]


def trust_roots() -> list[bytes]:
    return [lab.sandbox().trusted_root(), *_files((ROOT / "trust_roots").glob("*/trusted_root.json"))]


def documents() -> list[bytes]:
    return [b'{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00"], "b": {"c": ""}}', b"[[[]]]", b'"x"', b"0"]


def forms() -> list[bytes]:
    """Bodies with the byte before them that says in what pieces they come."""
    fields = [("name", "acme-lib"), ("classifiers", "a"), ("classifiers", "b"), ("md5_digest", "0")]
    form = encode(fields, "content", WHEEL, 3, randomness=bytes(16))
    own = (form.head + b"abc" + form.tail).replace(b"provgate-" + bytes(16).hex().encode(), BOUNDARY.encode())
    return [step + own for step in (b"\x00", b"\x07", b"\xff")]


def zips() -> list[bytes]:
    entries = [archives.Entry(b"a/x", b"one" * 20), archives.Entry(b"a/y", b"two", method=0)]
    return [archives.zip_of(entries, comment=b"c"), archives.wheel()]


def tars() -> list[bytes]:
    """Unpacked ones, which the target packs, and a packed one."""
    link = archives.member("r/l", kind=tarfile.SYMTYPE, link="PKG-INFO")
    long = archives.member("r/" + "n" * 200, b"x")
    kinds = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)
    packed = [archives.tar_gz([archives.member("r/PKG-INFO", b"x"), link, long], kind=kind) for kind in kinds]
    return [*map(gzip.decompress, packed), archives.sdist()]


def wheels() -> list[bytes]:
    return [archives.wheel()]


def metadata() -> list[bytes]:
    return [archives.metadata() + b"Summary: x\n  y\n\nName: in the body\n"]


def settings() -> list[bytes]:
    return _files((ROOT / "trust_roots").glob("*/trust_root.yaml"))


def policies() -> list[bytes]:
    return _files((ROOT / "policy").glob("*.yaml"))


def pages() -> list[bytes]:
    digest = "0" * 64
    link = (
        f'<!DOCTYPE html><html><!-- --><body><a href="/packages/{WHEEL}#sha256={digest}" '
        f'data-requires-python="&gt;=3.11">{WHEEL}</a><br><a href=/acme-lib/>acme-lib</a>'
        "<script>x</script></body></html>"
    )
    return [link.encode(), b"<a href='../../packages/acme_lib-1.0.tar.gz'>acme_lib-1.0.tar.gz</a><?x?><![CDATA[]]>"]


def _files(found: Any) -> list[bytes]:
    return [path.read_bytes() for path in sorted(found)]


def _parsed() -> list[dict[str, Any]]:
    """The bundles that are JSON with something in it; the suite has broken ones."""
    documents = []
    for bundle in bundles():
        with suppress(ValueError):
            documents.append(json.loads(bundle))
    return [found for found in documents if found.get("verificationMaterial")]


def _entries() -> list[dict[str, Any]]:
    return [entry for found in _parsed() for entry in found["verificationMaterial"].get("tlogEntries") or ()]


def _pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{_b64(der)}\n-----END CERTIFICATE-----\n"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
