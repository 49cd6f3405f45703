"""What the settings name as directories: trust roots and policy, read into values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import gateway
from gateway import limits
from gateway.errors import ConfigurationError, Malformed
from gateway.strict.yaml import load
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, material_names

_SETTINGS: Final = "trust_root.yaml"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MISSING: Final = {
    "sigstore": "the instance's trusted root",
    "keys": "the trusted root of the keys' logs",
    "ca": "the authority's certificates",
    "layout": "the signed layout",
}
_EMBEDDED: Final = {"public-good": "sigstore-public-good"}  # the name in `embedded:` -> the shipped directory
_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})


def shipped_trust_roots() -> Path:
    """The trust roots that come with the program: beside the package in a checkout, inside it when installed."""
    package = Path(gateway.__file__).parent
    installed = package / "_shipped" / "trust_roots"
    return installed if installed.is_dir() else package.parent / "trust_roots"


def load_trust_roots(directory: Path, fetched: Mapping[str, bytes] = _NOTHING) -> dict[str, TrustRoot]:
    """Read every trust root of a directory, by name; raises one `ConfigurationError` with every problem.

    `fetched` holds, by root, the trusted root that TUF delivered; without it the copy beside `trust_root.yaml` is used.
    """
    roots: dict[str, TrustRoot] = {}
    problems: list[str] = []
    try:
        places = sorted(place for place in directory.iterdir() if place.is_dir() and not place.name.startswith("."))
    except OSError as error:
        raise ConfigurationError(f"{directory}: {error.strerror}; trust_roots names the directory") from None
    for place in places:
        try:
            roots[place.name] = _load(place, fetched.get(place.name))
        except ConfigurationError as error:
            problems.extend(error.problems)
    if not places:
        problems.append(f"{directory}: no trust root; copy one from {shipped_trust_roots()}")
    if problems:
        raise ConfigurationError(*problems)
    return roots


def _load(place: Path, fetched: bytes | None) -> TrustRoot:
    file = place / _SETTINGS
    if not _NAME.fullmatch(place.name):
        raise ConfigurationError(f"{place}: a trust root's name is lower-case letters, digits and hyphens; rename it")
    loaded = load(TrustRootSettings, _text(file), str(file))
    settings = loaded.value
    source = settings.source
    if source is not None and source.file is not None and not (place / source.file).exists():
        what = f"there is no {source.file} beside this file; put {_MISSING[settings.kind]} there"
        raise ConfigurationError(loaded.problem(("source", "file"), what))
    material = {
        name: _read(_where(place, settings, name), limits.TRUST_ROOT_BYTES) for name in material_names(settings)
    }
    if source is not None and source.tuf is not None:
        if fetched is None and not (place / TRUSTED_ROOT).exists():
            what = f"nothing was fetched from {source.tuf} yet, and there is no {TRUSTED_ROOT} beside this file"
            raise ConfigurationError(loaded.problem(("source", "tuf"), what))
        material[TRUSTED_ROOT] = fetched or _read(place / TRUSTED_ROOT, limits.TRUST_ROOT_BYTES)
    try:
        return build_trust_root(place.name, settings, material)
    except Malformed as error:
        raise ConfigurationError(loaded.problem(("source",), f"{error.about}: {error.problem}")) from error


def _where(place: Path, settings: TrustRootSettings, name: str) -> Path:
    """A file of a root: beside its settings, or the one that is shipped (CONTRACTS C.11)."""
    source = settings.source
    if source is not None and source.embedded is not None and name == source.material:
        return shipped_trust_roots() / _EMBEDDED[source.embedded] / name
    return place / name


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as handle:
            data = handle.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise ConfigurationError(f"{path}: larger than {limit} bytes")
    return data


def read_policy_files(directory: Path) -> dict[str, str]:
    """The text of every policy file (`*.yaml`) of a directory, by path, in the order of their names."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".yaml" and not path.name.startswith("."))
    except OSError as error:
        raise ConfigurationError(f"{directory}: {error.strerror}; policy names the directory") from None
    if not paths:
        raise ConfigurationError(f"{directory}: no policy file (*.yaml); without a rule every upload is refused")
    return {str(path): _text(path) for path in paths}


def _text(path: Path) -> str:
    try:
        return _read(path, limits.YAML_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None
