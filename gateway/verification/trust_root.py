"""Trust roots: what one instance of Sigstore, one private authority or a set of keys may vouch for, and when.

`build_trust_root` turns settings and the bytes they name into a `TrustRoot`, once per change; everything a
verification needs of it is parsed and checked then. A newer root may hold fields and kinds of key that are unknown
here: they are left out and listed in `skipped`, since one new key must not take a whole instance down. A validity
window without its start is refused: read as open, it would trust for ever.
"""

from __future__ import annotations

import hashlib
import json as plain_json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Final, Literal, TypeVar

from cryptography import x509

from gateway import limits
from gateway.errors import Malformed
from gateway.strict import json
from gateway.strict.json import Object
from gateway.verification import certificate, keys, timestamp
from gateway.verification.bundle import octets
from gateway.verification.certificate import Issuer
from gateway.verification.keys import PublicKey
from gateway.verification.layout import Layout, read_layout
from gateway.verification.settings import KeySettings, Thresholds, TrustRootSettings
from gateway.verification.timestamp import Signer, Token

_MEDIA_TYPES: Final = frozenset(
    {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    }
)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which something is trusted; both ends belong to it."""

    start: datetime
    end: datetime | None = None

    def __contains__(self, time: datetime) -> bool:
        return self.start <= time and (self.end is None or time <= self.end)

    def __str__(self) -> str:
        return f"{self.start.isoformat()} to {'now' if self.end is None else self.end.isoformat()}"


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """A certificate authority; its chain, issuing certificate first, was checked."""

    chain: tuple[Issuer, ...]
    window: Window


@dataclass(frozen=True, slots=True, eq=False)
class TimestampAuthority:
    """A timestamp authority; `signer` is None where only the issuer of its certificates is listed."""

    signer: Signer | None
    issuers: tuple[Issuer, ...]
    window: Window

    def signer_of(self, token: Token) -> Signer | None:
        """Return the certificate that the token names, where all of this authority holds at the token's time.

        The token's signature is not checked; an embedded certificate is taken where the authority issued it.
        """
        time = token.time
        if time not in self.window or not all(step.valid_at(time) for step in self.issuers):
            return None
        own = [self.signer] if self.signer is not None else self._embedded(token)
        return next((by for by in own if by.named_by(token) and by.valid_at(time)), None)

    def _embedded(self, token: Token) -> list[Signer]:
        about = "timestamp certificate"
        found = [certificate.load(data, about) for data in token.certificates]
        return [timestamp.signer(one, about) for one in found if self.issuers[0].issued(one, None)]


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """A log's key in one window; `hint` is what its checkpoint signatures start with."""

    id: bytes
    hint: bytes
    key: PublicKey
    window: Window


@dataclass(frozen=True, slots=True, eq=False)
class NamedKey:
    """A key that may sign by itself."""

    name: str
    key: PublicKey
    window: Window


@dataclass(frozen=True, slots=True, eq=False)
class TrustRoot:
    """One profile: what it trusts, when, and how many proofs it asks for. `digest` identifies settings and material."""

    name: str
    kind: Literal["sigstore", "keys", "ca", "layout"]
    digest: str
    owner: str
    thresholds: Thresholds
    not_after: datetime | None
    authorities: tuple[Authority, ...] = ()
    timestamp_authorities: tuple[TimestampAuthority, ...] = ()
    logs: tuple[Log, ...] = ()
    ct_logs: tuple[Log, ...] = ()
    keys: tuple[NamedKey, ...] = ()
    layout: Layout | None = None
    layout_signers: tuple[NamedKey, ...] = ()  # never in `keys`: who signs a layout does not sign packages
    sandbox: bool = False
    public_good: bool = False  # Sigstore's public instance: the only one that npm verifies with
    skipped: tuple[str, ...] = ()
    material: bytes = field(default=b"", repr=False)  # the trusted root's own bytes, for the second opinion

    @property
    def needs_time(self) -> bool:
        """Whether a signature must prove when it was made; if not, it is taken as made now."""
        return self.kind == "sigstore" or self.thresholds.log + self.thresholds.timestamp > 0


def log_at(logs: Iterable[Log], identifier: bytes, times: Iterable[datetime]) -> Log | None:
    """Return the log's key whose window holds at every one of the times."""
    wanted = tuple(times)
    return next((log for log in logs if log.id == identifier and all(time in log.window for time in wanted)), None)


def build_trust_root(name: str, settings: TrustRootSettings, material: Mapping[str, bytes]) -> TrustRoot:
    """Build a root from its settings and the bytes of the files they name; raises `Malformed`."""
    skipped: list[str] = []
    data = b""
    authorities: tuple[Authority, ...] = ()
    stamps: tuple[TimestampAuthority, ...] = ()
    logs: tuple[Log, ...] = ()
    ct_logs: tuple[Log, ...] = ()
    layout: Layout | None = None
    if settings.source is not None:
        data = _material(material, settings.source.material)
        if settings.kind == "ca":
            authorities = (_private_authority(data),)
        elif settings.kind == "layout":
            layout = read_layout(data)
        else:
            document = json.parse_object(data, "trusted root", limit=limits.TRUST_ROOT_BYTES)
            if json.field(document, "mediaType", str, "trusted root") not in _MEDIA_TYPES:
                raise Malformed("trusted root.mediaType", "not a trusted root of version 0.1 or 0.2")
            authorities = tuple(_usable(document, "certificateAuthorities", _authority, skipped))
            stamps = tuple(_usable(document, "timestampAuthorities", _timestamp_authority, skipped))
            logs = tuple(_usable(document, "tlogs", _log, skipped))
            ct_logs = tuple(_usable(document, "ctlogs", _log, skipped))
    own = tuple(
        NamedKey(label, keys.read_pem(_material(material, key.file), f"key {label}"), _days(key))
        for label, key in settings.keys.items()
    )
    return TrustRoot(
        name,
        settings.kind,
        _digest(settings, material),
        settings.owner,
        settings.thresholds,
        None if settings.not_after is None else _end(settings.not_after),
        () if settings.kind == "keys" else authorities,
        stamps,
        logs,
        ct_logs,
        own if layout is None else (),
        layout,
        () if layout is None else _signers(layout, own),
        public_good=settings.source is not None and settings.source.public_good,
        sandbox=any(step.sandbox for authority in authorities for step in authority.chain),
        skipped=tuple(skipped),
        material=data,
    )


def _signers(layout: Layout, own: Iterable[NamedKey]) -> tuple[NamedKey, ...]:
    """Return the root's keys that signed its layout."""
    found = tuple(named for named in own if layout.signed_by(named.key))
    if not found:
        raise Malformed("layout", "signed by none of the root's keys")
    return found


class _UnknownKind(Malformed):
    """Material that is well-formed, of a kind that is not known here."""


def _usable(document: Object, key: str, read: Callable[[Object, str], _T], skipped: list[str]) -> list[_T]:
    """Read a list's items, leaving out those of a kind that is not known."""
    found: list[_T] = []
    if document.get(key) is None:
        return found
    for index, item in enumerate(json.items(document, key, dict, "trusted root", most=limits.TRUST_ROOT_ITEMS)):
        about = f"{key}[{index}]"
        try:
            found.append(read(item, about))
        except _UnknownKind as unknown:
            skipped.append(str(unknown))
    return found


def _authority(item: Object, about: str) -> Authority:
    window = _window(item, about)
    return Authority(certificate.chain(_chain(item, about), about), window)


def _timestamp_authority(item: Object, about: str) -> TimestampAuthority:
    window = _window(item, about)
    first, *others = _chain(item, about)
    if certificate.is_authority(first):
        return TimestampAuthority(None, certificate.chain([first, *others], about), window)
    issuers = certificate.chain(others, about) if others else ()
    if issuers and not issuers[0].issued(first, None):
        raise Malformed(about, "a certificate of the chain is not issued by the next one")
    return TimestampAuthority(timestamp.signer(first, about), issuers, window)


def _log(item: Object, about: str) -> Log:
    key = json.field(item, "publicKey", dict, about)
    window = _window(key, f"{about}.publicKey")
    identifier = octets(json.field(item, "logId", dict, about), "keyId", about, most=64)
    checkpoint = json.optional(item, "checkpointKeyId", dict, about)
    hint = identifier if checkpoint is None else octets(checkpoint, "keyId", about, most=64)
    try:
        read = keys.read_der(octets(key, "rawBytes", about), about)
    except Malformed as error:
        raise _UnknownKind(about, error.problem) from error
    return Log(identifier, hint[:4], read, window)


def _chain(item: Object, about: str) -> list[x509.Certificate]:
    chain = json.field(item, "certChain", dict, about)
    found = json.items(chain, "certificates", dict, about, most=limits.CERTIFICATES)
    if not found:
        raise Malformed(about, "the chain is empty")
    loaded = [certificate.load(octets(one, "rawBytes", about), about) for one in found]
    for one in loaded:
        try:
            certificate.key_of(one, about)
        except Malformed as error:
            raise _UnknownKind(about, "a certificate with a key of an unknown kind") from error
    return loaded


def _private_authority(pem: bytes) -> Authority:
    about = "certificate authority"
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Malformed(about, "not PEM certificates, issuing certificate first") from error
    if len(found) > limits.CERTIFICATES:
        raise Malformed(about, "too many certificates")
    chain = certificate.chain(found, about)
    start = max(one.not_valid_before_utc for one in found)
    return Authority(chain, Window(start, min(one.not_valid_after_utc for one in found)))


def _window(item: Object, about: str) -> Window:
    found = json.field(item, "validFor", dict, about)
    end = json.optional(found, "end", str, f"{about}.validFor")
    start = _time(json.field(found, "start", str, f"{about}.validFor"), about)
    return Window(start, None if end is None else _time(end, about))


def _time(text: str, about: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(about, "a validity that is not an RFC 3339 time") from None
    if read.tzinfo is None:
        raise Malformed(about, "a validity without a time zone")
    return read.astimezone(UTC)


def _days(key: KeySettings) -> Window:
    start = datetime.combine(key.not_before, time.min, UTC)
    return Window(start, None if key.not_after is None else _end(key.not_after))


def _end(day: date) -> datetime:
    return datetime.combine(day, time.max, UTC)


def _material(material: Mapping[str, bytes], name: str) -> bytes:
    if name not in material:
        raise Malformed(name, "is not there yet")
    return material[name]


def _digest(settings: TrustRootSettings, material: Mapping[str, bytes]) -> str:
    files = {name: hashlib.sha256(data).hexdigest() for name, data in material.items()}
    whole = plain_json.dumps([settings.model_dump(mode="json"), files], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
