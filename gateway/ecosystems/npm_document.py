"""npm's publish document once its tarball is taken out: what it claims, and the document the registry gets instead.

One version, one tarball, at most one bundle; everything else that the document says of name, version and digests is a
claim for `decide` to hold against the tarball. The registry gets a document written anew: what verdaccio would believe
and nobody checked (`dist.signatures`, `dist.attestations`, other top-level keys) is not in it.

Sources: libnpmpublish's `publish.js`; FACTS-PYPI-NPM 2, 4 and 6.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway import limits
from gateway.ecosystems.npm_body import ABOUT, BUNDLE
from gateway.ecosystems.npm_package import SOURCE, Package, refuse_proto, said_by_copy
from gateway.ecosystems.protocol import Write
from gateway.errors import Malformed, TooLarge
from gateway.model.names import npm_file, npm_tag
from gateway.model.upload import Claim, File
from gateway.strict.base64 import decode
from gateway.strict.json import Json, Object, expect, field, optional

_TEXTS: Final = ("description", "readme", "readmeFilename")  # top-level keys that go on as they are
_PRIVATE: Final = frozenset({"_nodeVersion", "_npmVersion"})  # what a manifest may say behind an underscore
_PIECE: Final = limits.CHUNK // 3 * 3  # bytes that base64 needs no padding for
_INTEGRITY: Final = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_ACCESS: Final = frozenset({"public", "restricted"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """One of the document's attachments; `data` is the text that was left in the document."""

    key: str
    data: str
    length: int | None


@dataclass(frozen=True, slots=True)
class Document:
    """A publish document of one version, read but not believed."""

    whole: Object
    version: str
    manifest: Object
    tags: Mapping[str, str]
    tarball: Attachment
    bundle: Attachment | None


def read_document(whole: Object) -> Document:
    """Read a document that publishes; raises `Malformed` or `TooLarge`."""
    refuse_proto(whole, ABOUT)
    versions = field(whole, "versions", dict, ABOUT)
    if len(versions) != 1:
        raise Malformed(f"{ABOUT}: versions", f"{len(versions)} of them; expected one")
    ((version, manifest),) = versions.items()
    attached = [_attachment(key, value) for key, value in field(whole, "_attachments", dict, ABOUT).items()]
    bundles = [one for one in attached if one.key.endswith(BUNDLE)]
    tarballs = [one for one in attached if not one.key.endswith(BUNDLE)]
    if len(tarballs) != 1 or len(bundles) > 1:
        got = f"{len(tarballs)} tarballs and {len(bundles)} bundles"
        raise Malformed(f"{ABOUT}: _attachments", f"{got}; expected one tarball and at most one bundle")
    tags = field(whole, "dist-tags", dict, ABOUT)
    named = {npm_tag(tag): expect(value, str, f"{ABOUT}: dist-tags") for tag, value in tags.items()}
    if not named:
        raise Malformed(f"{ABOUT}: dist-tags", "none; expected at least one")
    if optional(whole, "access", str, ABOUT) not in {None, *_ACCESS}:
        raise Malformed(f"{ABOUT}: access", "neither public nor restricted")
    return Document(
        whole,
        version,
        expect(manifest, dict, f"{ABOUT}: versions"),
        named,
        tarballs[0],
        bundles[0] if bundles else None,
    )


def claims(document: Document, named: str, package: Package, file: File) -> tuple[Claim, ...]:
    """Everything that is said of the upload, the tarball's own word first; raises `Malformed` for what says nothing.

    `named` is the package that the request's address names.
    """
    about, whole, manifest = file.name, document.whole, document.manifest
    identifier = f"{package.name}@{package.version}"
    pairs: list[tuple[str, str, str]] = [
        (SOURCE, "name", package.name),
        (SOURCE, "version", package.version),
        ("address", "name", named),
        ("document _id", "name", field(whole, "_id", str, ABOUT)),
        ("document name", "name", field(whole, "name", str, ABOUT)),
        ("document versions", "version", document.version),
        ("document manifest", "name", field(manifest, "name", str, ABOUT)),
        ("document manifest", "version", field(manifest, "version", str, ABOUT)),
        *((f"dist-tag {tag}", "version", value) for tag, value in document.tags.items()),
        (SOURCE, "attachment", f"{package.name}-{package.version}"),
        ("attachment", "attachment", document.tarball.key.removesuffix(".tgz")),
        ("tarball", "length", str(file.size)),
    ]
    if document.bundle is not None:
        pairs.append(("bundle attachment", "attachment", document.bundle.key.removesuffix(BUNDLE)))
    if document.tarball.length is not None:
        pairs.append(("attachment length", "length", str(document.tarball.length)))
    if (own := optional(manifest, "_id", str, ABOUT)) is not None:
        pairs += [(SOURCE, "id", identifier), ("document manifest", "id", own)]
    copied = said_by_copy(manifest, package)
    for key, value in package.said.items():
        pairs += [(SOURCE, key, value), ("document manifest", key, copied[key])]
    pairs += _digests(optional(manifest, "dist", dict, ABOUT) or {})
    return tuple(Claim(source, key, value, about) for source, key, value in pairs)


def rebuilt(document: Document, file: File, package: Package) -> Write:
    """The request that the registry gets: one version, one tarball, and nothing that nobody checked."""
    manifest: Object = {
        key: value for key, value in document.manifest.items() if not key.startswith("_") or key in _PRIVATE
    }
    name = npm_file(package.name, package.version)
    digests = {digest.algorithm: bytes.fromhex(digest.value) for digest in file.digests}
    dist: Object = {
        "integrity": integrity_of(file),
        "shasum": digests["sha1"].hex(),
        "tarball": f"http://localhost/{package.name}/-/{name}",  # registries put their own address there
    }
    manifest |= {"_id": f"{package.name}@{package.version}", "dist": dist}
    whole: Object = {"_id": package.name, "name": package.name}
    whole |= {key: document.whole[key] for key in _TEXTS if isinstance(document.whole.get(key), str)}
    whole |= {"dist-tags": dict(document.tags), "versions": {package.version: manifest}}
    whole["access"] = document.whole.get("access")
    encoded = (file.size + 2) // 3 * 4
    # The tarball's text comes last, so that what stands before and behind it can be written in one piece each.
    before = json.dumps(whole, separators=(",", ":"))[:-1]
    key = json.dumps(f"{package.name}-{package.version}.tgz")
    head = f'{before},"_attachments":{{{key}:{{"content_type":"application/octet-stream","data":"'.encode()
    tail = f'","length":{file.size}}}}}}}'.encode()
    headers = (("Content-Type", "application/json"), ("Accept", "application/json"))
    return Write("PUT", address(package.name), headers, head, tail, len(head) + encoded + len(tail), in_base64)


def in_base64(handle: BinaryIO) -> Iterator[bytes]:
    """A file's bytes as base64, in pieces."""
    handle.seek(0)
    while piece := handle.read(_PIECE):
        yield base64.b64encode(piece)


def integrity_of(file: File) -> str:
    """A measured file's digest as npm writes it: `sha512-` and base64."""
    value = file.digest("sha512")
    assert value is not None
    return "sha512-" + base64.b64encode(bytes.fromhex(value)).decode()


def address(name: str) -> str:
    """The path of a package's document; a scope's slash is escaped, as npm does."""
    return "/" + name.replace("/", "%2f")


def _attachment(key: str, value: Json) -> Attachment:
    about = f"{ABOUT}: attachment"
    attachment = expect(value, dict, about)
    data, length = field(attachment, "data", str, about), optional(attachment, "length", int, about)
    bundle = key.endswith(BUNDLE)
    if bundle and len(data) > limits.EVIDENCE_BYTES:
        raise TooLarge(f"{about} {BUNDLE}", f"{limits.EVIDENCE_BYTES} characters")
    if not bundle and (data or not key.endswith(".tgz")):
        raise Malformed(about, f"{key[:200]!r} is not a tarball in base64")
    return Attachment(key, data, length)


def _digests(dist: Object) -> Iterator[tuple[str, str, str]]:
    """What the document says of the tarball's digests, in hexadecimal."""
    about = f"{ABOUT}: dist"
    if (shasum := optional(dist, "shasum", str, about)) is not None:
        yield "document shasum", "digest:sha1", shasum
    for one in (optional(dist, "integrity", str, about) or "").split():
        algorithm, _, text = one.partition("-")
        if algorithm not in _INTEGRITY:
            raise Malformed(f"{about}.integrity", f"a digest of the kind {algorithm[:20]!r}")
        value = decode(text, f"{about}.integrity", _INTEGRITY[algorithm])
        yield "document integrity", f"digest:{algorithm}", binascii.hexlify(value).decode()
