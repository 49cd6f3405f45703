"""Trust roots: what one instance of Sigstore, one private authority or a set of keys may vouch for, and when.

`build_trust_root` turns settings and the bytes they name into a `TrustRoot`, once per change; everything a
verification needs of it is parsed and checked then. A newer root may hold fields and kinds of key that are unknown
here: they are left out and listed in `skipped`, since one new key must not take a whole instance down. A validity
window without its start is refused: read as open, it would trust for ever.
"""

from __future__ import annotations

import hashlib
import json as plain_json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal, Self, TypeVar

from cryptography import x509
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway import limits
from gateway.errors import Malformed
from gateway.strict import json
from gateway.strict.json import Object
from gateway.verification import certificate, keys, timestamp
from gateway.verification.bundle import octets
from gateway.verification.certificate import Issuer
from gateway.verification.keys import PublicKey
from gateway.verification.timestamp import Signer

TRUSTED_ROOT: Final = "trusted_root.json"  # the name under which TUF delivers it and shipped roots embed it
_MEDIA_TYPES: Final = frozenset({
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
})
_T = TypeVar("_T")

# --- Settings: the content of trust_root.yaml ---------------------------------------------------------------------


def _day(value: object) -> object:
    """Take a date as YAML gives it: as text, or already read."""
    return date.fromisoformat(value) if isinstance(value, str) else value


Day = Annotated[date, BeforeValidator(_day)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Thresholds(_Settings):
    """How many proofs of each sort a signature needs under this root."""

    sct: int = Field(ge=0, le=8, description="certificate timestamps by logs of the root")
    log: int = Field(ge=0, le=8, description="entries in transparency logs of the root")
    timestamp: int = Field(ge=0, le=8, description="RFC 3161 timestamps by authorities of the root")


class Source(_Settings):
    """Where the material comes from: exactly one of `file`, `embedded` and `tuf`."""

    file: FileName | None = Field(default=None, description="a file beside trust_root.yaml")
    embedded: Literal["public-good"] | None = Field(default=None, description="trusted_root.json as it is shipped")
    tuf: str | None = Field(default=None, pattern=r"^https://[!-~]+$", description="a TUF repository's address")
    bootstrap: FileName | None = Field(default=None, description="the TUF root to start from")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(item is not None for item in (self.file, self.embedded, self.tuf)) != 1:
            raise ValueError("expected exactly one of file, embedded and tuf")
        if (self.tuf is None) != (self.bootstrap is None):
            raise ValueError("tuf needs bootstrap, and nothing else does")
        return self

    @property
    def material(self) -> str:
        """The name under which the trusted root's bytes are handed over."""
        return self.file or TRUSTED_ROOT


class KeySettings(_Settings):
    """One named public key and the days on which it may sign, both included."""

    file: FileName
    not_before: Day
    not_after: Day | None = None


class TrustRootSettings(_Settings):
    """The content of `trust_roots/<name>/trust_root.yaml`."""

    kind: Literal["sigstore", "keys", "ca"]
    source: Source | None = None
    keys: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], KeySettings] = Field(default_factory=dict)
    thresholds: Thresholds
    owner: str = Field(min_length=1, description="who answers for this root")
    not_after: Day | None = Field(default=None, description="the last day on which the root is used")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        wanted = self.thresholds
        if (self.kind == "keys") != bool(self.keys):
            raise ValueError("kind keys needs keys, and nothing else has any")
        if self.kind != "keys" and self.source is None:
            raise ValueError(f"kind {self.kind} needs a source")
        if self.kind == "ca" and (self.source is None or self.source.file is None):
            raise ValueError("kind ca needs a source with a file of PEM certificates")
        if self.kind == "sigstore" and wanted.log + wanted.timestamp == 0:
            raise ValueError("short-lived certificates need a proved time: log or timestamp must be at least 1")
        if self.kind == "ca" and wanted.sct + wanted.log + wanted.timestamp:
            raise ValueError("kind ca has no logs or timestamp authorities: its thresholds are 0")
        if self.kind == "keys" and (wanted.sct or (self.source is None and wanted.log + wanted.timestamp)):
            raise ValueError("keys have no certificate timestamps, and logs and timestamps need a source")
        return self


def material_names(settings: TrustRootSettings) -> tuple[str, ...]:
    """Return the files to be read beside the settings; a TUF source's trusted root is fetched, not read."""
    names = [key.file for key in settings.keys.values()]
    if settings.source is not None:
        names.append(settings.source.bootstrap or settings.source.material)
    return tuple(dict.fromkeys(names))


# --- Values -------------------------------------------------------------------------------------------------------


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
    kind: Literal["sigstore", "keys", "ca"]
    digest: str
    owner: str
    thresholds: Thresholds
    not_after: datetime | None
    authorities: tuple[Authority, ...] = ()
    timestamp_authorities: tuple[TimestampAuthority, ...] = ()
    logs: tuple[Log, ...] = ()
    ct_logs: tuple[Log, ...] = ()
    keys: tuple[NamedKey, ...] = ()
    sandbox: bool = False
    skipped: tuple[str, ...] = ()


def build_trust_root(name: str, settings: TrustRootSettings, material: Mapping[str, bytes]) -> TrustRoot:
    """Build a root from its settings and the bytes of the files they name; raises `Malformed`."""
    skipped: list[str] = []
    authorities: tuple[Authority, ...] = ()
    stamps: tuple[TimestampAuthority, ...] = ()
    logs: tuple[Log, ...] = ()
    ct_logs: tuple[Log, ...] = ()
    if settings.source is not None:
        data = _material(material, settings.source.material)
        if settings.kind == "ca":
            authorities = (_private_authority(data),)
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
        own,
        sandbox=any(step.sandbox for authority in authorities for step in authority.chain),
        skipped=tuple(skipped),
    )


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
    if issuers and not certificate.issued(first, issuers[0].certificate):
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
            keys.public_key(one.public_key(), about)
        except Exception as error:
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
