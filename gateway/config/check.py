"""What `provgate check` says of settings that can be read: what is unsafe, and what soon will be.

An ERROR is a way around the gate or a secret that others can read; a WARNING is for the operator to weigh. A name that
stands for nothing is an error already where the policy is read. What only the network can tell (does the upstream
answer, does it take a write without our credential) is asked elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.config.settings import ReadAuth, RegistrySettings, Settings, is_loopback
from gateway.policy import Mode, Policy
from gateway.verification import TrustRoot

_SOON: Final = timedelta(days=30)


class Level(StrEnum):
    """How bad a problem is; an ERROR fails `provgate check`."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing an operator should mend or weigh."""

    level: Level
    text: str


def check_settings(
    settings: Settings, roots: Mapping[str, TrustRoot], policy: Policy, now: datetime
) -> tuple[Problem, ...]:
    """Every problem of settings, trust roots and policy together, in the order of the file."""
    return (
        *_addresses(settings),
        *(problem for registry in settings.registries for problem in _registry(registry)),
        *(problem for registry in settings.registries for problem in _signing(registry, now)),
        *_shared_keys(settings),
        *_private(settings),
        *_roots(settings, roots, now),
        *_policy(settings, policy),
    )


def _addresses(settings: Settings) -> Iterator[Problem]:
    for name, url in [
        ("", settings.public_url),
        *((f"registry {r.name}: ", r.public_url) for r in settings.registries),
    ]:
        if _in_clear(url):
            yield _warning(f"{name}public_url is http: tokens cross the network in clear; put TLS before the gateway")
    if settings.sandbox:
        yield _warning("sandbox: true: certificates that anyone can make are admitted; never for real packages")


def _registry(registry: RegistrySettings) -> Iterator[Problem]:
    about = f"registry {registry.name}"
    if registry.upstream_credential is None:
        if registry.upstream_reachable_only_here:
            yield _warning(f"{about}: no upstream_credential; the upstream accepts writes from all who reach it")
        else:
            yield _error(
                f"{about}: no upstream_credential, so whoever reaches the upstream can publish past the gate; give the"
                " upstream a credential that only the gateway has, or state upstream_reachable_only_here: true"
            )
    if _in_clear(registry.upstream):
        what = "the upstream credential crosses" if registry.upstream_credential else "packages cross"
        yield _warning(f"{about}: upstream is http: {what} the network in clear; use https")
    if registry.read_auth is ReadAuth.NONE and registry.upstream_credential is not None:
        yield _warning(f"{about}: read_auth: none lets anyone read; such reads are sent upstream without a credential")


def _signing(registry: RegistrySettings, now: datetime) -> Iterator[Problem]:
    about = f"registry {registry.name}: signing_keys"
    if not registry.signing_keys:
        return
    if not any(key.signs(now) for key in registry.signing_keys):
        yield _error(f"{about}: none can sign, so npm audit signatures fails; add one: provgate npm new-key")
    elif not any(key.signs(now + _SOON) for key in registry.signing_keys):
        yield _warning(f"{about}: none signs in {_SOON.days} days; add one above the others: provgate npm new-key")


def _shared_keys(settings: Settings) -> Iterator[Problem]:
    """A signature names the package and not its registry: what is signed in one is good in the other."""
    owners: dict[str, list[str]] = {}
    for registry in settings.registries:
        for keyid in dict.fromkeys(key.keyid for key in registry.signing_keys):
            owners.setdefault(keyid, []).append(registry.name)
    for keyid, names in owners.items():
        if len(names) > 1:
            several = " and ".join(names)
            yield _warning(
                f"signing key {keyid} is of {several}: what one signs verifies in the other; give each its own"
            )


def _private(settings: Settings) -> Iterator[Problem]:
    store = settings.store_path
    for path in (store, store.with_name(f"{store.name}-wal"), settings.key_file):
        mode = _mode(path)
        if mode is not None and mode & 0o077:
            yield _error(f"{path}: mode {mode:04o} lets others in; run: chmod 600 {path}")
    for path in dict.fromkeys((store.parent, settings.key_file.parent)):
        mode = _mode(path)
        if mode is not None and mode & 0o022:
            yield _error(f"{path}: mode {mode:04o} lets others write the directory; run: chmod go-w {path}")
    spool = settings.spool.directory
    mode = _mode(spool)
    if mode is not None and mode & 0o077:
        yield _error(f"{spool}: mode {mode:04o} lets others in; run: chmod 700 {spool}")
    for path in dict.fromkeys((settings.file, settings.trust_roots, settings.policy)):
        mode = _mode(path)
        if mode is not None and mode & 0o002:
            yield _error(f"{path}: mode {mode:04o} lets anyone change what is trusted; run: chmod o-w {path}")


def _roots(settings: Settings, roots: Mapping[str, TrustRoot], now: datetime) -> Iterator[Problem]:
    for name, root in sorted(roots.items()):
        about = f"trust root {name}"
        if root.not_after is not None:
            day = root.not_after.date().isoformat()
            if root.not_after < now:
                yield _error(f"{about}: expired on {day}; renew not_after once {root.owner} has looked at it")
            elif root.not_after - now <= _SOON:
                yield _warning(f"{about}: expires on {day}; {root.owner} must renew it")
        if root.layout is not None and root.layout.expires - now <= _SOON:
            day = root.layout.expires.date().isoformat()
            if root.layout.expires <= now:
                yield _error(f"{about}: its layout expired on {day}; its owners must sign one with a later expires")
            else:
                yield _warning(f"{about}: its layout expires on {day}; its owners must sign one with a later expires")
        if root.sandbox and not settings.sandbox:
            yield _error(f"{about}: is a sandbox's, and nothing it signs is accepted without sandbox: true; remove it")
        for skipped in root.skipped:
            yield _warning(f"{about}: left out, of an unknown kind: {skipped}")


def _policy(settings: Settings, policy: Policy) -> Iterator[Problem]:
    for registry in settings.registries:
        if not any(not rule.registries or registry.name in rule.registries for rule in policy.rules):
            yield _warning(f"registry {registry.name}: no rule speaks of it, so every upload to it is refused")
    for rule in policy.rules:
        about = f"{rule.position}: rule {rule.name}"
        if rule.mode is Mode.OBSERVE:
            yield _warning(f"{about}: mode: observe lets through what it would refuse")
        signers = [signer for wanted in rule.attestations for signer in wanted.signers]
        if any(signer.unsafe_unbound_name for signer in signers):
            yield _warning(f"{about}: unsafe_unbound_name takes evidence that does not say what it is for")
        if any(signer.unsafe_mutable_signer for signer in signers):
            yield _warning(f"{about}: unsafe_mutable_signer trusts whatever its branch holds when it signs")


def _mode(path: Path) -> int | None:
    """A file's permission bits; None where there is no such file yet."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - one call, and None for what is absent
    except OSError:
        return None


def _in_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _error(text: str) -> Problem:
    return Problem(Level.ERROR, text)


def _warning(text: str) -> Problem:
    return Problem(Level.WARNING, text)
