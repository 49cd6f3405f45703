"""`Settings`: the settings file as values, checked as a whole, with secrets read and paths made absolute."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway import limits
from gateway.config.document import RegistryDocument, SettingsDocument, TlsDocument
from gateway.config.secret import Secret, signing_key, upstream_credential
from gateway.errors import ConfigurationError
from gateway.signing import RegistryKey
from gateway.strict.yaml import Loaded, load

_SQLITE: Final = "sqlite:///"
_UNITS: Final = {"KiB": limits.KIB, "MiB": limits.MIB, "GiB": limits.GIB, "TiB": 1024 * limits.GIB}
_OWN_PATH: Final = "/-"  # the gateway's own addresses beat any mount (CONTRACTS B.1)
_RECORD_PATH: Final = len("/-/d/") + 22  # a record's id is 128 random bits in URL-safe base64
# What each protocol's clients ask for at the root of the host, whatever path their registry has: there it can be
# answered for one registry only.
_OCI_MOUNT: Final = "/v2"
_ROOT_PATHS: Final = {"pypi": "/_/oidc", "npm": "/-/npm", "oci": "/v2/"}


class Reads(StrEnum):
    """What a reader may see (CONTRACTS D.4)."""

    OPEN = "open"
    VERIFIED = "verified"


class ReadAuth(StrEnum):
    """Who may read (CONTRACTS A.3)."""

    GRANT = "grant"
    PASSTHROUGH = "passthrough"
    NONE = "none"


class Removal(StrEnum):
    """How a damaged upload may be taken out of the registry."""

    NONE = "none"
    PYPISERVER = "pypiserver"


@dataclass(frozen=True, slots=True)
class Tls:
    """The files that a listener proves itself with."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on, with TLS or without; port 0 lets the kernel choose."""

    host: str
    port: int
    tls: Tls | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """What clients put before the address."""
        return "https" if self.tls else "http"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """One registry. `mount` has no slash at its end (empty: the whole host); `host` None is any.

    `listen` None means the gateway's own address. `upstream_credential` is a whole Authorization value.
    `quarantine` is a repository prefix, empty where an OCI registry's held content stays in its own repository.
    """

    name: str
    ecosystem: str
    mount: str
    host: str | None
    listen: Listen | None
    public_url: str
    upstream: str
    upstream_credential: Secret | None
    upstream_reachable_only_here: bool
    remove: Removal
    reads: Reads
    read_auth: ReadAuth
    max_file: int
    also_known_as: tuple[str, ...]
    signing_keys: tuple[RegistryKey, ...] = ()
    quarantine: str = ""


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where bodies wait for their verdict; quotas in bytes."""

    directory: Path
    total: int
    per_grant: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole settings file. Paths are absolute, `store` is a URL with an absolute path."""

    file: Path
    listen: Listen
    public_url: str
    sandbox: bool
    registries: tuple[RegistrySettings, ...]
    trust_roots: Path
    policy: Path
    store: str
    key_file: Path
    spool: SpoolSettings
    second_opinion: bool

    @property
    def store_path(self) -> Path:
        """The store's file."""
        return Path(self.store.removeprefix(_SQLITE))


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file; raises one `ConfigurationError` that holds every problem of it."""
    try:
        with path.open("rb") as handle:
            text = handle.read(limits.YAML_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None
    return read_settings(text, path, os.environ if environment is None else environment)


def read_settings(text: str, path: Path, environment: Mapping[str, str]) -> Settings:
    """Read a settings file's text; `path` gives errors their name and relative paths their start."""
    reading = _Reading(load(SettingsDocument, text, str(path)), path.absolute().parent, environment, [])
    settings = reading.settings(path.absolute())
    if reading.problems:
        raise ConfigurationError(*reading.problems)
    return settings


def is_loopback(host: str) -> bool:
    """Whether a host of an address or URL, as written, is this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class _Reading:
    """Turns the document into values, noting each problem with its place."""

    loaded: Loaded[SettingsDocument]
    directory: Path
    environment: Mapping[str, str]
    problems: list[str]

    def settings(self, file: Path) -> Settings:
        document = self.loaded.value
        listen = self._listen(document.listen, document.tls, "listen")
        public_url = self._own_url(document, listen)
        if not document.registries:
            self._note("registries is empty; name at least one", "registries")
        registries = tuple(
            self._registry(number, registry, public_url) for number, registry in enumerate(document.registries)
        )
        self._sandbox(document, listen, registries)
        if not self.problems:  # else what is wrong already would be told a second time
            self._collisions(listen, registries)
        store = self.directory / document.store.removeprefix(_SQLITE)
        if "?" in document.store or "#" in document.store:
            self._note("a store's path has no ? or #; SQLite's options are the gateway's own", "store")
        return Settings(
            file=file,
            listen=listen,
            public_url=public_url,
            sandbox=document.sandbox,
            registries=registries,
            trust_roots=self.directory / document.trust_roots,
            policy=self.directory / document.policy,
            store=f"{_SQLITE}{store}",
            key_file=self.directory / document.key_file if document.key_file else store.with_name(f"{store.name}.key"),
            spool=SpoolSettings(
                self.directory / document.spool.directory,
                _bytes(document.spool.total),
                _bytes(document.spool.per_credential),
            ),
            second_opinion=document.second_opinion,
        )

    def _registry(self, number: int, document: RegistryDocument, public_url: str) -> RegistrySettings:
        at = ("registries", number)
        oci = document.ecosystem == "oci"
        mount = "" if document.mount in {None, "/"} else document.mount or ""
        placed = document.mount or document.host or document.listen or oci
        if not placed:
            self._note("a registry needs one of mount, host and listen", *at)
        if mount == _OWN_PATH or mount.startswith(_OWN_PATH + "/"):
            self._note("paths below /-/ are the gateway's own; choose another mount", *at, "mount")
        if set(mount.split("/")) & {".", ".."}:
            self._note("clients resolve . and .. away; choose another mount", *at, "mount")
        self._oci(document, *at)
        return RegistrySettings(
            name=document.name,
            ecosystem=document.ecosystem,
            mount=_OCI_MOUNT if oci else mount,
            host=document.host,
            listen=self._own_listen(document, *at),
            public_url=self._public_url(number, document, mount, public_url),
            upstream=self._url(document.upstream, *at, "upstream"),
            upstream_credential=self._credential(number, document),
            upstream_reachable_only_here=document.upstream_reachable_only_here,
            remove=Removal(document.remove),
            reads=Reads(document.reads),
            read_auth=ReadAuth(document.read_auth),
            max_file=_bytes(document.max_file),
            also_known_as=document.also_known_as,
            signing_keys=self._signing_keys(number, document),
            quarantine=document.quarantine or "",
        )

    def _oci(self, document: RegistryDocument, *at: str | int) -> None:
        """What an OCI registry may have: its clients know hosts, not paths, and log in to the gateway."""
        if document.ecosystem != "oci":
            if document.quarantine is not None:
                self._note("quarantine is for oci; elsewhere nothing is kept that waits", *at, "quarantine")
            return
        if document.mount is not None:
            what = (
                "an oci registry is always at /v2 of its host; leave mount out, and give it a host or listen of its own"
            )
            self._note(what, *at, "mount")
        if document.read_auth == "passthrough":
            what = "an oci registry's clients get tokens of this gateway; choose grant or none"
            self._note(what, *at, "read_auth")
        if document.public_url is not None and urlsplit(document.public_url).path.strip("/"):
            self._note("an oci registry is named by host and port; public_url has no path", *at, "public_url")

    # --- addresses ------------------------------------------------------------------------------------------------

    def _own_listen(self, document: RegistryDocument, *at: str | int) -> Listen | None:
        if document.listen is not None:
            return self._listen(document.listen, document.tls, *at, "listen")
        if document.tls is not None:
            self._note("tls goes with a listen of the registry's own; the gateway's stands at the top", *at, "tls")
        return None

    def _listen(self, text: str, tls: TlsDocument | None, *place: str | int) -> Listen:
        host, _, port = text.rpartition(":")
        if int(port) > 65535:
            self._note(f"port {port} is above 65535", *place)
        files = Tls(self.directory / tls.certificate, self.directory / tls.key) if tls else None
        return Listen(host.strip("[]"), int(port), files)

    def _own_url(self, document: SettingsDocument, listen: Listen) -> str:
        """The gateway's own address, under which every permalink stands (CONTRACTS A.6)."""
        if document.public_url is None and not listen.loopback:
            self._note("needs public_url: what clients reach is not told by the address listened on", "listen")
        url = self._url(document.public_url or f"{listen.scheme}://{listen}", "public_url")
        if urlsplit(url).path:
            self._note("public_url has no path: /-/ stands at the root of its host", "public_url")
        longest = limits.PERMALINK - _RECORD_PATH
        if len(url) > longest:
            self._note(
                f"public_url has {len(url)} characters; with more than {longest} a permalink is longer than"
                f" {limits.PERMALINK} and clients break it; choose a shorter host name",
                "public_url",
            )
        return url

    def _public_url(self, number: int, document: RegistryDocument, mount: str, public_url: str) -> str:
        at = ("registries", number)
        if document.public_url is not None:
            return self._url(document.public_url, *at, "public_url")
        if document.host is not None:
            own = urlsplit(public_url)
            port = f":{own.port}" if own.port else ""
            return f"{own.scheme}://{document.host}{port}{mount}"
        if document.listen is not None:
            return f"{'https' if document.tls else 'http'}://{document.listen}{mount}"
        return public_url + mount

    def _url(self, text: str, *place: str | int) -> str:
        """A URL without the slash at its end; a secret or a query in it is refused."""
        parts = _split(text)
        if parts is None:
            self._note(f"{place[-1]} is not an address like https://host/path", *place)
            return ""
        if parts.username is not None or parts.password is not None:
            self._note("a credential is never written into an address; use upstream_credential", *place)
        elif "?" in text or "#" in text:
            self._note(f"{place[-1]} has no ? or #", *place)
        return text.rstrip("/")

    def _credential(self, number: int, document: RegistryDocument) -> Secret | None:
        try:
            return upstream_credential(document.upstream_credential, self.directory, self.environment)
        except ValueError as error:
            self._note(str(error), "registries", number, "upstream_credential")
            return None

    def _signing_keys(self, number: int, document: RegistryDocument) -> tuple[RegistryKey, ...]:
        keys: list[RegistryKey] = []
        for position, one in enumerate(document.signing_keys):
            place = ("registries", number, "signing_keys", position, "key")
            try:
                key = signing_key(one.key, one.expires, self.directory, self.environment)
            except ValueError as error:
                self._note(str(error), *place)
                continue
            if key.keyid in {known.keyid for known in keys}:
                self._note(f"the key {key.keyid} is listed twice; keep one", *place)
            keys.append(key)
        if keys and document.ecosystem != "npm":
            self._note(
                "signing_keys are for npm; clients of no other ecosystem ask for any",
                "registries",
                number,
                "signing_keys",
            )
        return tuple(keys)

    # --- what several keys mean together --------------------------------------------------------------------------

    def _sandbox(self, document: SettingsDocument, listen: Listen, registries: tuple[RegistrySettings, ...]) -> None:
        if not document.sandbox:
            return
        what = "sandbox: true admits certificates that anyone can make; listen on 127.0.0.1 or [::1]"  # CONTRACTS G.1
        if not listen.loopback:
            self._note(what, "listen")
        for number, registry in enumerate(registries):
            if registry.listen is not None and not registry.listen.loopback:
                self._note(what, "registries", number, "listen")

    def _collisions(self, listen: Listen, registries: tuple[RegistrySettings, ...]) -> None:
        for number, registry in enumerate(registries):
            for earlier in registries[:number]:
                for what, key in _collisions(listen, earlier, registry):
                    self._note(what, "registries", number, key)

    def _note(self, what: str, *place: str | int) -> None:
        self.problems.append(self.loaded.problem(place, what))


def _collisions(listen: Listen, one: RegistrySettings, other: RegistrySettings) -> Iterator[tuple[str, str]]:
    """What stands in the way of serving both, and the key of `other` to change."""
    if one.name == other.name:
        yield f"two registries are named {one.name}; rename one", "name"
    if (one.listen or listen, one.host) != (other.listen or listen, other.host):
        return
    shorter, longer = sorted((one.mount, other.mount), key=len)
    if longer == shorter:
        yield f"registry {one.name} has the same address; give one another mount, host or listen", "mount"
    elif longer.startswith(shorter + "/"):
        yield f"the mounts of {one.name} and {other.name} lie within one another; give them separate paths", "mount"
    elif one.ecosystem == other.ecosystem:
        root = _ROOT_PATHS[other.ecosystem]
        yield f"clients of {one.name} on the same host also ask for {root}; give one a host or listen", "ecosystem"


def _split(url: str) -> SplitResult | None:
    """A URL's parts; None where it has no host, or a port that is none."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # both are read late, and the second may raise
    except ValueError:
        return None
    return parts if host else None


def _bytes(size: int | str) -> int:
    return size if isinstance(size, int) else int(size[:-3]) * _UNITS[size[-3:]]
