"""Layouts: which steps make a product, by whom each may be performed, and with which artifacts.

A layout is the material of a trust root, read once. Specification:
https://github.com/in-toto/docs/blob/v1.0/in-toto-spec.md, section 4.3. One with inspections is refused: they are
commands for the verifier to run, and nothing in evidence or in a layout is ever run here (CONTRACTS C.13).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519
from in_toto.rulelib import unpack_rule

from gateway import limits
from gateway.errors import Malformed
from gateway.strict import json
from gateway.strict.json import Json, Object
from gateway.verification import keys
from gateway.verification.keys import PublicKey
from gateway.verification.signed_metadata import SignedMetadata, read_metadata

_ABOUT: Final = "layout"
_LAYOUT_KEYS: Final = frozenset({"_type", "expires", "inspect", "keys", "readme", "steps"})
_STEP_KEYS: Final = frozenset(
    {"_type", "expected_command", "expected_materials", "expected_products", "name", "pubkeys", "threshold"}
)
_EXPIRES: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_KEY_ID: Final = re.compile(r"[0-9a-f]{8,128}")
_CURVES: Final = frozenset({"ecdsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"})


@dataclass(frozen=True, slots=True)
class ArtifactRule:
    """One rule over paths, as the library unpacks it; `words` are the layout's own, for people."""

    words: str
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: how many of its functionaries (by key id) must agree on it, and rules over what it took and made."""

    name: str
    functionaries: Mapping[str, PublicKey]
    threshold: int
    materials: tuple[ArtifactRule, ...]
    products: tuple[ArtifactRule, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout without inspections; the products of its last step are what it is for. Its signatures are unchecked."""

    steps: tuple[Step, ...]
    expires: datetime
    signed: SignedMetadata = field(repr=False)

    def signed_by(self, key: PublicKey) -> bool:
        """Whether a key made one of the layout's signatures; its own id for the key does not matter."""
        message = self.signed.message
        return any(key.signed(signature.value, message) for signature in self.signed.signatures)

    @property
    def functionaries(self) -> frozenset[str]:
        """The key ids of everybody who may perform a step."""
        return frozenset(key_id for step in self.steps for key_id in step.functionaries)

    def step(self, name: str) -> Step | None:
        """The step of a name."""
        return next((step for step in self.steps if step.name == name), None)


def has_inspections(document: Object) -> bool:
    """Whether a layout names anything to be run; what cannot be read as an empty list counts."""
    return document.get("inspect", []) != []


def read_layout(data: bytes) -> Layout:
    """Read a signed layout; raises `Malformed` also for what could only be a mistake or a trap."""
    return layout_of(read_metadata(data, limits.TRUST_ROOT_BYTES))


def layout_of(signed: SignedMetadata) -> Layout:
    """Take a layout whose signatures nobody checked yet; raises `Malformed` also for a mistake or a trap."""
    document = signed.document
    if json.field(document, "_type", str, _ABOUT) != "layout":
        raise Malformed(_ABOUT, "a link, not a layout")
    if has_inspections(document):
        raise Malformed(
            f"{_ABOUT}.inspect", "its commands would be run in the gateway; remove the inspections and sign again"
        )
    # What the library's models do not know is not under the signature of the older form.
    json.only(document, _LAYOUT_KEYS, _ABOUT)
    expires = json.field(document, "expires", str, _ABOUT)
    if not _EXPIRES.fullmatch(expires):
        raise Malformed(f"{_ABOUT}.expires", "not a time like 2027-06-30T00:00:00Z")
    found = json.items(document, "steps", dict, _ABOUT, most=limits.LAYOUT_STEPS)
    if not found:
        raise Malformed(f"{_ABOUT}.steps", "is empty")
    functionaries = _functionaries(json.field(document, "keys", dict, _ABOUT))
    steps = tuple(_step(item, functionaries, f"{_ABOUT}.steps[{number}]") for number, item in enumerate(found))
    names = [step.name for step in steps]
    if len(set(names)) != len(names):
        raise Malformed(f"{_ABOUT}.steps", "two steps of one name")
    for step in steps:
        for rule in (*step.materials, *step.products):
            if rule.parts.get("dest_name", step.name) not in names:
                raise Malformed(f"{_ABOUT}.steps", f"{rule.words!r} names a step that is not there")
    _ = signed.model  # the library takes it too
    try:
        return Layout(steps, datetime.fromisoformat(expires), signed)
    except ValueError:
        raise Malformed(f"{_ABOUT}.expires", "no day of the calendar") from None


def _step(item: Object, known: Mapping[str, PublicKey], about: str) -> Step:
    json.only(item, _STEP_KEYS, about)
    name = json.field(item, "name", str, about)
    if not name:
        raise Malformed(f"{about}.name", "is empty")
    ids = json.items(item, "pubkeys", str, about, most=limits.LAYOUT_KEYS)
    if not ids or len(set(ids)) != len(ids) or not set(ids) <= known.keys():
        raise Malformed(f"{about}.pubkeys", "expected ids of the layout's keys, at least one and each once")
    threshold = json.field(item, "threshold", int, about)
    if not 1 <= threshold <= len(ids):
        raise Malformed(f"{about}.threshold", f"expected 1 to {len(ids)}, the number of its keys")
    return Step(
        name,
        {key_id: known[key_id] for key_id in ids},
        threshold,
        _rules(item, "expected_materials", about),
        _rules(item, "expected_products", about),
    )


def _rules(item: Object, key: str, about: str) -> tuple[ArtifactRule, ...]:
    found = json.items(item, key, list, about, most=limits.LAYOUT_RULES)
    place = f"{about}.{key}"
    return tuple(_rule([json.expect(word, str, place) for word in words], place) for words in found)


def _rule(words: list[str], about: str) -> ArtifactRule:
    try:
        return ArtifactRule(" ".join(words), unpack_rule(words))
    except Exception as error:
        raise Malformed(about, f"{' '.join(words)[:100]!r} is no artifact rule") from error


def _functionaries(found: Object) -> dict[str, PublicKey]:
    if len(found) > limits.LAYOUT_KEYS:
        raise Malformed(f"{_ABOUT}.keys", f"more than {limits.LAYOUT_KEYS}")
    read = {key_id: _functionary(key_id, item) for key_id, item in found.items()}
    if len({key.fingerprint for key in read.values()}) != len(read):
        raise Malformed(f"{_ABOUT}.keys", "one key under two ids: it would count twice towards a threshold")
    return read


def _functionary(key_id: str, item: Json) -> PublicKey:
    """Read a key as in-toto writes it: PEM, or the 32 bytes of an Ed25519 key in hexadecimal."""
    about = f"{_ABOUT}.keys[{key_id[:8]}]"
    key = json.expect(item, dict, about)
    if not _KEY_ID.fullmatch(key_id) or json.field(key, "keyid", str, about) != key_id:
        raise Malformed(about, "its id is not in hexadecimal, or not the one it is listed under")
    kind = json.field(key, "keytype", str, about)
    if "subkeys" in key or (json.optional(key, "method", str, about) or "").startswith("pgp+"):
        raise Malformed(about, "a key of GnuPG, which is not read; name an Ed25519, ECDSA or RSA key")
    public = json.field(json.field(key, "keyval", dict, about), "public", str, f"{about}.keyval")
    if kind == "ed25519":
        try:
            return keys.public_key(ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)), about)
        except ValueError:
            raise Malformed(about, "not an Ed25519 key in hexadecimal") from None
    if kind == "rsa" or kind in _CURVES:
        return keys.read_pem(public.encode(), about)
    raise Malformed(about, f"a key of kind {kind[:40]}; expected ecdsa, ed25519 or rsa")
