"""Layouts and links as the in-toto library makes them: fetch, then build by two of three, of one wheel.

`links()` satisfy `layout()` for the wheel of `tests.lab.cases`; a near miss changes one argument. `sublayout()` with
`compile_()` and `pack()` stands for a link of build.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from in_toto.models.layout import Inspection, Layout, Step
from in_toto.models.link import Link
from in_toto.models.metadata import Envelope, Metablock
from securesystemslib.signer import CryptoSigner  # typed, without saying so

from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Finding, Source
from gateway.verification import TrustRoot, TrustRootSettings, build_trust_root, detect, verify_links
from tests.lab.cases import AT, CONTENT, SHA256, WHEEL

ROOT: Final = "acme-release"
FILE: Final = (Digest("sha256", SHA256),)
SOURCE: Final = {"acme/__init__.py": {"sha256": hashlib.sha256(b"the source").hexdigest()}}
OBJECT: Final = {"acme.o": {"sha256": hashlib.sha256(b"an object").hexdigest()}}
WHEELS: Final = {f"dist/{WHEEL}": {"sha256": hashlib.sha256(CONTENT).hexdigest()}}
EXPIRES: Final = "2027-06-30T00:00:00Z"
MAKERS: Final = {
    "owner": CryptoSigner.generate_ed25519,
    "fetcher": CryptoSigner.generate_ecdsa,
    "alice": CryptoSigner.generate_ed25519,
    "bob": CryptoSigner.generate_rsa,
    "carol": CryptoSigner.generate_ecdsa,
    "dave": CryptoSigner.generate_ed25519,
    "stranger": CryptoSigner.generate_ed25519,
}


@cache
def signer(name: str) -> CryptoSigner:
    """A person's key; those who are named in the layout are fetcher, alice, bob and carol."""
    return MAKERS[name]()


def key_id(name: str) -> str:
    found: str = signer(name).public_key.keyid
    return found


def public(name: str) -> dict[str, Any]:
    """A person's public key as in-toto's layouts hold it."""
    made: dict[str, Any] = signer(name).public_key.to_dict()
    return made | {"keyid": key_id(name)}


def pem(name: str) -> bytes:
    made = public(name)["keyval"]["public"]
    if made.startswith("-----"):
        return bytes(made, "ascii")
    key = signer(name)._private_key.public_key()
    data: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return data


def step(name: str, by: Iterable[str], **changed: Any) -> Step:
    return Step(**({"name": name, "pubkeys": [key_id(one) for one in by]} | changed))


def steps(**build: Any) -> list[Step]:
    """The two steps; what is given changes the second."""
    rules: dict[str, Any] = {
        "threshold": 2,
        "expected_materials": [["MATCH", "*", "WITH", "PRODUCTS", "FROM", "fetch"], ["DISALLOW", "*"]],
        "expected_products": [["CREATE", "dist/*.whl"], ["DISALLOW", "*"]],
    }
    fetched = [["CREATE", "acme/*"], ["DISALLOW", "*"]]
    return [
        step("fetch", ["fetcher"], expected_products=fetched),
        step("build", ["alice", "bob", "carol"], **(rules | build)),
    ]


def model(**changed: Any) -> Layout:
    people = ("fetcher", "alice", "bob", "carol")
    values = {"steps": steps(), "keys": {key_id(one): public(one) for one in people}, "expires": EXPIRES}
    return Layout(**(values | changed))


def inspection(command: Sequence[str]) -> Inspection:
    return Inspection(name="untar", run=list(command))


def signed(what: Layout | Link, *by: str, envelope: bool = False) -> bytes:
    """A layout or a link with its signatures, in the older form or in an envelope."""
    made = Envelope.from_signable(what) if envelope else Metablock(signed=what)
    for one in by:
        made.create_signature(signer(one))
    return json.dumps(made.to_dict()).encode()


def layout(*by: str, envelope: bool = False, **changed: Any) -> bytes:
    return signed(model(**changed), *(by or ("owner",)), envelope=envelope)


def root(body: bytes | None = None, *, name: str = ROOT, not_after: str | None = None, **owner: str) -> TrustRoot:
    """The trust root of a layout; `start` and `end` are the days of its owner's key."""
    window = {"not_before": owner.get("start", "2026-01-01")} | ({"not_after": owner["end"]} if "end" in owner else {})
    settings: dict[str, Any] = {
        "kind": "layout",
        "source": {"file": "release.layout"},
        "keys": {"owner-2026": {"file": "owner.pem"} | window},
        "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
        "owner": "platform-security@acme.example",
    }
    if not_after is not None:
        settings["not_after"] = not_after
    material = {"release.layout": layout() if body is None else body, "owner.pem": pem("owner")}
    return build_trust_root(name, TrustRootSettings.model_validate(settings), material)


def save(folder: Path, body: bytes) -> None:
    """Write the root's directory, as an operator would, good for as long as anybody runs these tests."""
    folder.mkdir(parents=True)
    (folder / "release.layout").write_bytes(body)
    (folder / "owner.pem").write_bytes(pem("owner"))
    (folder / "trust_root.yaml").write_text(
        "kind: layout\n"
        "source: {file: release.layout}\n"
        "keys: {owner-2026: {file: owner.pem, not_before: 2020-01-01}}\n"
        "thresholds: {sct: 0, log: 0, timestamp: 0}\n"
        "owner: platform-security@acme.example\n"
    )


def link(
    name: str,
    *by: str,
    materials: Mapping[str, Any] | None = None,
    products: Mapping[str, Any] | None = None,
    envelope: bool = False,
) -> bytes:
    made = Link(name=name, materials=dict(materials or {}), products=dict(products or {}), command=["make", name])
    return signed(made, *by, envelope=envelope)


def fetch(*by: str, **changed: Any) -> bytes:
    return link("fetch", *(by or ("fetcher",)), **({"products": SOURCE} | changed))


def build(*by: str, **changed: Any) -> bytes:
    return link("build", *(by or ("alice",)), **({"materials": SOURCE, "products": WHEELS} | changed))


def sublayout(*by: str, envelope: bool = False, **changed: Any) -> bytes:
    """Two steps of one person each, in place of the builder's own link."""
    values: dict[str, Any] = {
        "steps": [
            step("compile", ["dave"], expected_products=[["CREATE", "acme.o"], ["DISALLOW", "*"]]),
            step("pack", ["dave"], expected_materials=[["MATCH", "*", "WITH", "PRODUCTS", "FROM", "compile"]]),
        ],
        "keys": {key_id("dave"): public("dave")},
        "expires": EXPIRES,
    }
    values["steps"][0].expected_materials = [["ALLOW", "acme/*"], ["DISALLOW", "*"]]
    return signed(Layout(**(values | changed)), *(by or ("alice",)), envelope=envelope)


def compile_(*by: str, **changed: Any) -> bytes:
    return link("compile", *(by or ("dave",)), **({"materials": SOURCE, "products": OBJECT} | changed))


def pack(*by: str, **changed: Any) -> bytes:
    return link("pack", *(by or ("dave",)), **({"materials": OBJECT, "products": WHEELS} | changed))


def links() -> tuple[bytes, ...]:
    """What satisfies `layout()`."""
    return fetch(), build("alice"), build("bob")


def piece(body: bytes, position: int = 0, source: Source = Source.LOCKER) -> Evidence:
    return Evidence(EvidenceRef(hashlib.sha256(body).hexdigest(), detect(body), source, position), body)


def find(bodies: Iterable[bytes], *roots: TrustRoot, now: datetime = AT) -> tuple[Finding, ...]:
    pieces = [piece(body, position) for position, body in enumerate(bodies)]
    return verify_links(pieces, roots or (root(),), [FILE], now)
