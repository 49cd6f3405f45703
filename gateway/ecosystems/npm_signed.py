"""What the gateway says of an npm version: its registry signature, its attestations, and where they are.

Made anew for each reader, out of what the gateway vouches for: whatever the registry's document says of signatures and
attestations was put there by a publisher, and is taken out. What is not vouched for has no signature, nor has what the
registry states another digest of than was measured.

npm verifies attestations with Sigstore's public instance alone, and one that is not for exactly this version ends its
whole audit: only those that it can verify are named to it. Bundles of every instance have an address of our own.

Sources: pacote's `registry.js`; npm's `verify-signatures.js`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from gateway.ecosystems.protocol import Route, View
from gateway.model.names import npm_canonical, purl
from gateway.model.vouched import Proof, Vouched
from gateway.strict.json import Json, Object

_ATTESTATIONS: Final = "/-/npm/v1/attestations/"
_THEIRS: Final = frozenset({"signatures", "attestations"})


def signed(name: str, version: str, dist: Object, view: View) -> Object:
    """A version's `dist` with the gateway's signature and attestations, where it answers for the version."""
    shown = {key: value for key, value in dist.items() if key not in _THEIRS}
    canonical = npm_canonical(name, version)
    vouched = answered_for(canonical, dist, view)
    if vouched is None:
        return shown
    shown["integrity"] = integrity = _integrity(vouched)
    made = view.signer.sign(f"{canonical}:{integrity}") if view.signer is not None else None
    if made is not None:
        shown["signatures"] = [{"keyid": made[0], "sig": made[1]}]
    first = next(_public(name, version, vouched, view), None)
    if first is not None:
        url = f"{view.address}{_ATTESTATIONS}{quote(canonical, safe='@/')}"
        shown["attestations"] = {"url": url, "provenance": {"predicateType": first.predicate_type}}
    return shown


def answered_for(canonical: str, dist: Object, view: View) -> Vouched | None:
    """What the gateway vouches for under this name, where that is what the registry's document speaks of."""
    vouched = view.vouched.get(canonical)
    return vouched if vouched is not None and _same(dist, vouched) else None


def attestations(name: str, version: str, route: Route, view: View) -> bytes | None:
    """The bundles of a version as npm reads them; None where there are none to show."""
    vouched = view.vouched.get(npm_canonical(name, version))
    if vouched is None:
        return None
    proofs = _public(name, version, vouched, view) if route.public else iter(vouched.proofs)
    found: list[Json] = []
    for proof in proofs:
        if proof.evidence in view.bundles:
            bundle = json.loads(view.bundles[proof.evidence])
            if route.public:
                found.append({"predicateType": proof.predicate_type, "bundle": _keyless(bundle)})
            else:
                found.append({"predicateType": proof.predicate_type, "bundle": bundle, "trustRoot": proof.root})
    return json.dumps({"attestations": found}, separators=(",", ":")).encode() if found else None


def _keyless(bundle: Object) -> Object:
    """A bundle whose signatures name no key: the name is not signed, and npm ends its audit at one it does not know."""
    envelope = bundle.get("dsseEnvelope")
    signatures = envelope.get("signatures") if isinstance(envelope, dict) else None
    for signature in signatures if isinstance(signatures, list) else ():
        if isinstance(signature, dict) and signature.get("keyid"):
            signature["keyid"] = ""
    return bundle


def _public(name: str, version: str, vouched: Vouched, view: View) -> Iterator[Proof]:
    """The proofs that npm itself can verify: of this version by its purl, with the public Sigstore."""
    subject = f"{purl('npm', name)}@{version}"
    return (proof for proof in vouched.proofs if proof.root in view.public and proof.subject == subject)


def _same(dist: Object, vouched: Vouched) -> bool:
    """Whether the registry's document speaks of the bytes that are vouched for; an old one may have no sha512."""
    stated = dist.get("integrity")
    if stated is None:
        return True
    strong = [one for one in str(stated).split() if one.startswith("sha512-")]
    return all(one == _integrity(vouched) for one in strong)


def _integrity(vouched: Vouched) -> str:
    return "sha512-" + base64.b64encode(bytes.fromhex(vouched.sha512)).decode()
